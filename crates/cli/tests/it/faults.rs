//! What the machine does to a program: it is killed, the disk is full, a directory takes no
//! files, and another process uses the same cache.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault};

use crate::stage::{POLICY, RELEASE, Run, Stage, TRUST, may_mount, possible, run};

/// The stage with `app:v1` signed and installed at `app`.
async fn installed() -> Stage {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let run = install(&stage, "app:v1");
    assert_eq!(run.code, 0, "{}", run.stderr);
    stage
}

fn install(stage: &Stage, name: &str) -> Run {
    stage.install(&[&stage.reference(name), "app"])
}

fn version(stage: &Stage) -> String {
    fs::read_to_string(stage.path("app/bin/app")).unwrap()
}

/// What installations that were not finished have left.
fn leftovers(stage: &Stage) -> usize {
    let entries = fs::read_dir(stage.directory.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".countersign-")).count()
}

/// Signs an image for amd64 whose one file is this large, at `app:v2`.
fn publish_v2(stage: &Stage, bytes: usize) -> Image {
    let layer = Layer::builder().file("bin/app", "2".repeat(bytes), 0o755);
    let image = Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build();
    image.push(&stage.registry, "app", Some("v2"));
    stage.signed("app:v2", RELEASE);
    image
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_waits_for_the_registry_it_leaves_the_old_version_and_the_next_run_clears_up()
 {
    let stage = installed().await;
    let image = publish_v2(&stage, 10);
    let layer = &image.manifest().layers[0].digest;
    for line in [
        "GET /v2/app/manifests/v2".to_owned(),
        format!("GET /v2/app/referrers/{}", image.digest()),
        format!("GET /v2/app/blobs/{layer}"),
    ] {
        stage.registry.reset_requests();
        let stall = Effect::Stall { after: 1 };
        stage.registry.add_fault(Fault::on(&line, stall));
        let (reference, platform) = (stage.reference("app:v2"), ["--platform", "linux/amd64"]);
        let arguments = [
            &["install"],
            &TRUST[..],
            &POLICY,
            &platform,
            &[&reference, "app"],
        ];
        let mut child = stage
            .command(&arguments.concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !stage.registry.requests().iter().any(|r| r.line() == line) {
            assert!(child.try_wait().unwrap().is_none(), "{line}: it ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // SIGKILL: nothing of the program runs any more.
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(version(&stage), "linux/amd64", "{line}");
        stage.registry.clear_faults();
    }
    let run = install(&stage, "app:v2");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(version(&stage), "2".repeat(10));
    assert_eq!(leftovers(&stage), 0);
}

/// A limit on the size of files stands in for a full disk: the write fails in the middle alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_is_told_and_the_old_version_is_whole() {
    let stage = installed().await;
    publish_v2(&stage, 4 << 20);
    let program = stage.command(&[]);
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", limited])
        .arg(program.get_program())
        .args(["install", "--output", "json", "--platform", "linux/amd64"])
        .args(TRUST)
        .args(POLICY)
        .args([&stage.reference("app:v2"), "app"])
        .current_dir(stage.directory.path())
        .env_clear();
    let run = run(&mut command);
    let error = &run.json()["results"][0]["error"];
    assert_eq!(run.code, 1, "{error}");
    assert_eq!(error["kind"], "machine");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("this machine: "), "{error}");
    assert_ne!(error["hints"].as_array().unwrap().len(), 0, "{error}");
    let causes = error["causes"].to_string();
    assert!(causes.contains("File too large"), "{error}");
    assert_eq!(version(&stage), "linux/amd64");
    assert_eq!(leftovers(&stage), 0);
}

/// Root may write everywhere, so as root the program is run as somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_takes_no_files_is_told_and_the_old_version_is_whole() {
    const NOBODY: u32 = 65_534;
    let stage = installed().await;
    publish_v2(&stage, 10);
    let chmod = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(stage.directory.path(), permissions).unwrap();
    };
    chmod(0o555);
    let as_root = fs::metadata(stage.path("app")).unwrap().uid() == 0;
    let platform = ["--output", "json", "--platform", "linux/amd64"];
    let reference = stage.reference("app:v2");
    let arguments = [
        &["install"],
        &TRUST[..],
        &POLICY,
        &platform,
        &[&reference, "app"],
    ];
    let mut command = stage.command(&arguments.concat());
    if as_root {
        command.uid(NOBODY);
    }
    let run = run(&mut command);
    chmod(0o755);
    let error = &run.json()["results"][0]["error"];
    assert_eq!(run.code, 1, "{error}");
    assert_eq!(error["kind"], "machine");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("this machine: "), "{error}");
    assert_ne!(error["hints"].as_array().unwrap().len(), 0, "{error}");
    assert!(error.to_string().contains("Permission denied"), "{error}");
    assert_eq!(version(&stage), "linux/amd64");
    assert_eq!(leftovers(&stage), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_cold_cache_of_trusted_roots_all_work() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("root.json", stage.sigstore.tuf_root());
    let url = stage.sigstore.tuf_url().to_string();
    let trust = ["--tuf-url", &url, "--tuf-root", "root.json"];
    let reference = stage.reference("app:v1");
    let start = |flags: &[&str]| {
        let arguments = [&["verify"], flags, &trust, &POLICY, &[&reference]].concat();
        let mut command = stage.command(&arguments);
        command.env("COUNTERSIGN_CACHE_DIR", stage.path("cache"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let at_once: Vec<_> = (0..6).map(|_| start(&[])).collect();
    for child in at_once {
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{told}");
    }
    // What they left is whole: it serves where nobody is asked.
    let offline = start(&["--offline"]).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&offline.stderr);
    assert!(offline.status.success(), "{told}");
}

/// Runs the program in a mount name space of its own, after a shell has set that up; nothing where
/// this machine doesn't let us.
fn mounted(stage: &Stage, set_up: &str, arguments: &[&str]) -> Option<Run> {
    let script = format!("{set_up} && exec \"$0\" \"$@\"");
    if !may_mount() {
        return None;
    }
    let program = stage.command(&[]);
    let mut command = std::process::Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &script])
        .arg(program.get_program())
        .args(["--output", "json", "install", "--platform", "linux/amd64"])
        .args(TRUST)
        .args(POLICY)
        .args(arguments)
        .current_dir(stage.directory.path())
        .env("HOME", stage.path("home"));
    Some(run(&mut command))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_point_is_no_target_and_that_is_found_before_anything_is_fetched() {
    let stage = installed().await;
    publish_v2(&stage, 10);
    fs::create_dir(stage.path("empty")).unwrap();
    fs::create_dir_all(stage.path("other")).unwrap();
    let app = stage.reference("app:v2");
    stage.registry.reset_requests();
    // Another file system, and a directory of the same one.
    for (mount, target) in [
        ("mount -t tmpfs none empty", "empty"),
        ("mount --bind other empty", "empty"),
        ("mount --bind app app", "app"),
    ] {
        let Some(run) = mounted(&stage, mount, &[&app, target]) else {
            return;
        };
        let error = &run.json()["results"][0]["error"];
        assert_eq!(run.code, 2, "{mount}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("refuses to move it"), "{message}");
        let hint = error["hints"][0].as_str().unwrap();
        assert!(hint.starts_with("something is mounted there: "), "{hint}");
        assert!(stage.registry.requests().is_empty(), "{mount}");
    }
    assert_eq!(version(&stage), "linux/amd64");
    assert_eq!(leftovers(&stage), 0);
}

/// In a sticky directory a user moves what is his own alone.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_s_installation_is_no_target_and_that_is_found_before_anything_is_fetched() {
    const NOBODY: u32 = 65_534;
    let stage = installed().await;
    let is_root = fs::metadata(stage.path("app")).unwrap().uid() == 0;
    if !possible("be somebody else, as root alone can", is_root) {
        return;
    }
    publish_v2(&stage, 10);
    let sticky = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(stage.directory.path(), sticky).unwrap();
    stage.registry.reset_requests();
    let app = stage.reference("app:v2");
    let first = ["--output", "json", "install", "--platform", "linux/amd64"];
    let arguments = [&first[..], &TRUST, &POLICY, &[&app, "app"]].concat();
    let mut command = stage.command(&arguments);
    command.uid(NOBODY);
    let run = run(&mut command);
    let error = &run.json()["results"][0]["error"];
    assert_eq!(run.code, 1, "{error}");
    let hint = error["hints"][1].as_str().unwrap();
    assert!(hint.starts_with("it belongs to another user"), "{hint}");
    assert!(stage.registry.requests().is_empty());
    assert_eq!(version(&stage), "linux/amd64");
    assert_eq!(leftovers(&stage), 0);
}

/// By `ulimit`, whose hard limit root alone can raise again: root becomes nobody first.
#[test]
fn too_few_descriptors_are_told_before_anything_begins() {
    let script = r#"ulimit -n 6 && exec "$0" list --store store"#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_countersign")]);
    shell.env_clear();
    if rustix::process::geteuid().is_root() {
        shell.uid(65_534);
    }
    insta::assert_snapshot!(run(&mut shell).shown(), @"
    exit code 1
    --- standard output
    --- standard error
    error: this machine: too few files may be open at once: expected at least 9, found 6
      hint: raise the limit, as by `ulimit -n 1024`
    ");
}
