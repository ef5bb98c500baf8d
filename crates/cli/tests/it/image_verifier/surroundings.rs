//! What is around the program: a read-only machine, no environment, outputs that nobody reads, files that are broken
//! or change.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use super::{MEDIA_TYPE, ask, configure, descriptor, run, signed_by, verifier};
use crate::stage::{RELEASE, STRANGER, Stage, possible, succeeds};

/// containerd's arguments.
fn arguments(stage: &Stage, name: &str) -> [String; 6] {
    let digest = stage.index.digest().to_string();
    let name = stage.reference(name);
    [
        "-name",
        &name,
        "-digest",
        &digest,
        "-stdin-media-type",
        MEDIA_TYPE,
    ]
    .map(str::to_owned)
}

/// The program, started by a script of `sh` as `"$@"`.
fn scripted(stage: &Stage, script: &str) -> Command {
    let program = verifier(stage);
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(program.get_program());
    command.args(arguments(stage, "app:v1"));
    command.env(
        "COUNTERSIGN_IMAGE_VERIFIER_CONFIG",
        stage.path("image-verifier.yaml"),
    );
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_read_only_and_no_environment_change_no_verdict() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let descriptor = descriptor(&stage.index.digest());
    let prepared = "mount -t tmpfs none /etc && mkdir /etc/countersign && \
                    cp image-verifier.yaml trusted_root.json /etc/countersign && mount -o remount,ro /etc && \
                    mount -o remount,bind,ro / && ! touch /countersign-test 2>/dev/null";
    let script = format!("cp trusted_root.json image-verifier.yaml && {prepared}");
    let mut trial = Command::new("unshare");
    trial.args(["-m", "sh", "-c", &script]);
    trial.current_dir(stage.directory.path());
    if !possible("mount all read-only", succeeds(&mut trial)) {
        return;
    }
    for (identity, code) in [(RELEASE, 0), (STRANGER, 4)] {
        // State and log are where they are without a key: in directories that can't be made.
        let rules = signed_by(&stage, identity).replace("REGISTRY", &stage.registry.host());
        stage.write(
            "image-verifier.yaml",
            format!("trusted_root: trusted_root.json\nrules:\n{rules}"),
        );
        let script = format!("{prepared} && exec env -i \"$@\"");
        let scripted = scripted(&stage, &script);
        let mut command = Command::new("unshare");
        command.arg("-m").arg("sh").args(scripted.get_args());
        command.current_dir(stage.directory.path());
        let run = run(&mut command, &descriptor);
        assert_eq!(run.code, code, "{}", run.shown());
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
        assert!(
            run.stderr.contains("the decision was not logged"),
            "{}",
            run.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_nobody_reads_changes_no_verdict_and_one_that_is_full_never_allows() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    let descriptor = descriptor(&stage.index.digest());
    let codes = || {
        [
            "exec \"$@\" >&-",
            "exec \"$@\" >&- 2>&-",
            "exec \"$@\" >/dev/full",
        ]
        .map(|script| run(&mut scripted(&stage, script), &descriptor).code)
    };
    assert_eq!(codes(), [3, 3, 1]);
    stage.signed("app:v1", RELEASE);
    assert_eq!(codes(), [0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_changes_during_a_call_counts_from_the_next_one() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    let strict = std::fs::read(stage.path("image-verifier.yaml")).unwrap();
    std::fs::remove_file(stage.path("image-verifier.yaml")).unwrap();
    let made = Command::new("mkfifo")
        .arg(stage.path("image-verifier.yaml"))
        .status();
    assert!(made.unwrap().success());
    let mut child = verifier(&stage)
        .args(arguments(&stage, "app:v1"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The program has opened the file when this returns.
    std::fs::write(stage.path("image-verifier.yaml"), strict).unwrap();
    std::fs::remove_file(stage.path("image-verifier.yaml")).unwrap();
    configure(&stage, "default: allow", "  []\n");
    let digest = stage.index.digest();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(descriptor(&digest).as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("refused by rule 1 ("), "{said}");
    assert_eq!(ask(&stage, "app:v1", &digest).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_can_t_be_used_changes_no_verdict() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    stage.signed("app:v1", RELEASE);
    let digest = stage.index.digest();
    let both = || {
        configure(&stage, "", &signed_by(&stage, STRANGER));
        let stranger = ask(&stage, "app:v1", &digest).code;
        configure(&stage, "", &signed_by(&stage, RELEASE));
        (ask(&stage, "app:v1", &digest).code, stranger)
    };
    assert_eq!(both(), (0, 4));
    // What is kept is not what was written.
    let mut spoilt = 0;
    for entry in std::fs::read_dir(stage.path("state/signatures")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, "{\"spoilt\":").unwrap();
            spoilt += 1;
        }
    }
    assert!(spoilt > 0);
    assert_eq!(both(), (0, 4));
    // Files where directories should be, and a directory in the place of the lock.
    std::fs::remove_dir_all(stage.path("state/signatures")).unwrap();
    stage.write("state/signatures", "");
    std::fs::create_dir_all(stage.path("state/trusted-root.lock")).unwrap();
    assert_eq!(both(), (0, 4));
    assert_eq!(run(verifier(&stage).arg("refresh"), "").code, 0);
    std::fs::remove_dir_all(stage.path("state")).unwrap();
    stage.write("state", "");
    assert_eq!(both(), (0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_goes_to_the_journal_in_place_of_the_file() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let rules = signed_by(&stage, RELEASE).replace("REGISTRY", &stage.registry.host());
    let configuration = format!(
        "trusted_root: trusted_root.json\nstate_directory: state\njournal_socket: journal\nrules:\n{rules}"
    );
    stage.write("image-verifier.yaml", configuration);
    let digest = stage.index.digest();
    // Nobody listens: that is told, and changes nothing.
    let unheard = ask(&stage, "app:v1", &digest);
    assert_eq!(unheard.code, 0);
    assert!(
        unheard.stderr.contains("the decision was not logged"),
        "{}",
        unheard.stderr
    );
    let journal = UnixDatagram::bind(stage.path("journal")).unwrap();
    let signed = ask(&stage, "app:v1", &digest);
    assert_eq!((signed.code, signed.stderr.as_str()), (0, ""));
    let mut entry = vec![0; 1 << 16];
    let length = journal.recv(&mut entry).unwrap();
    let entry = String::from_utf8(entry[..length].to_vec()).unwrap();
    let image = stage.reference("app:v1");
    for line in [
        format!("MESSAGE={}", signed.stdout.trim_end()),
        "PRIORITY=6".to_owned(),
        "SYSLOG_IDENTIFIER=countersign-image-verifier".to_owned(),
        format!("COUNTERSIGN_IMAGE={image}"),
        format!("COUNTERSIGN_DIGEST={digest}"),
        "COUNTERSIGN_RULE=1".to_owned(),
        "COUNTERSIGN_VERDICT=signed".to_owned(),
        format!("COUNTERSIGN_IDENTITY={RELEASE}"),
    ] {
        assert!(
            entry.lines().any(|found| found == line),
            "{line} in {entry}"
        );
    }
    assert!(entry.contains("\nCOUNTERSIGN_MILLISECONDS="), "{entry}");
    assert!(!stage.path("log").exists());
}

#[tokio::test]
async fn the_version_is_printed_by_one_dash_and_by_two() {
    let stage = Stage::new().await;
    let expected = format!("countersign-image-verifier {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-version", "-V"] {
        let run = run(verifier(&stage).arg(flag), "");
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, expected.as_str()),
            "{flag}"
        );
        let run = stage.run(&[&["image-verifier", flag]]);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, expected.as_str()),
            "{flag}"
        );
    }
}
