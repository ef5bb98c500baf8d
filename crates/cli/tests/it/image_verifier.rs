//! `countersign-image-verifier`, as containerd runs it: without a home, with single dashes, with the descriptor on
//! standard input.

mod denials;
mod surroundings;
mod trouble;

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign_oci::Digest;
use serde_json::Value;

use crate::stage::{RELEASE, Run, STRANGER, Stage};

const MEDIA_TYPE: &str = "application/vnd.oci.descriptor.v1+json";

/// The configuration, with `rules` in the stage's own repositories.
fn configure(stage: &Stage, above: &str, rules: &str) {
    let rules = rules.replace("REGISTRY", &stage.registry.host());
    stage.write(
        "image-verifier.yaml",
        format!(
            "{above}\ntrusted_root: trusted_root.json\nstate_directory: state\nlog_file: log/decisions\nrules:\n{rules}"
        ),
    );
}

/// A rule that demands a signature by `identity` for all of the registry.
fn signed_by(stage: &Stage, identity: &str) -> String {
    format!(
        "  - images: ['REGISTRY/**']\n    verification: {}\n",
        stage.verification(identity)
    )
}

/// The program by its other name, with no environment but the configuration.
fn verifier(stage: &Stage) -> Command {
    let path = stage.path("countersign-image-verifier");
    if !path.exists() {
        symlink(env!("CARGO_BIN_EXE_countersign"), &path).unwrap();
    }
    let mut command = Command::new(path);
    command
        .env_clear()
        .env(
            "COUNTERSIGN_IMAGE_VERIFIER_CONFIG",
            stage.path("image-verifier.yaml"),
        )
        .current_dir("/");
    command
}

fn run(command: &mut Command, stdin: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn descriptor(digest: &Digest) -> String {
    format!(
        "{{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"{digest}\",\"size\":1}}"
    )
}

/// Asks for `name`, as containerd does that has resolved it to `digest`.
fn ask(stage: &Stage, name: &str, digest: &Digest) -> Run {
    let mut command = verifier(stage);
    command.args([
        "-name",
        &stage.reference(name),
        "-digest",
        &digest.to_string(),
    ]);
    command.args(["-stdin-media-type", MEDIA_TYPE]);
    let run = run(&mut command, &descriptor(digest));
    assert_eq!(run.stdout.lines().count(), 1, "one line: {}", run.stdout);
    run
}

/// The lines of the log.
fn log(stage: &Stage) -> Vec<Value> {
    let text = std::fs::read_to_string(stage.path("log/decisions")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    for line in &lines {
        crate::schema::conforms(&serde_json::json!({ "results": [line] }));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_image_is_allowed_and_others_are_not() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    let digest = stage.index.digest();
    let unsigned = ask(&stage, "app:v1", &digest);
    assert_eq!((unsigned.code, unsigned.stderr.as_str()), (3, ""));
    assert!(
        unsigned.stdout.starts_with("refused by rule 1 ("),
        "{}",
        unsigned.stdout
    );
    assert!(
        unsigned.stdout.contains("no signature was found"),
        "{}",
        unsigned.stdout
    );

    stage.signed("app:v1", RELEASE);
    let signed = ask(&stage, "app:v1", &digest);
    assert_eq!((signed.code, signed.stderr.as_str()), (0, ""));
    let host = stage.registry.host();
    assert_eq!(
        signed.stdout,
        format!("allowed by rule 1 ({host}/**): signed by {RELEASE}\n")
    );

    configure(&stage, "", &signed_by(&stage, STRANGER));
    let stranger = ask(&stage, "app:v1", &digest);
    assert_eq!(stranger.code, 4);
    assert!(
        stranger.stdout.contains("not as the policy requires"),
        "{}",
        stranger.stdout
    );

    let log = log(&stage);
    let verdicts: Vec<_> = log.iter().map(|line| &line["verdict"]).collect();
    assert_eq!(verdicts, ["refused", "signed", "refused"]);
    assert_eq!(log[1]["identity"], RELEASE);
    assert_eq!(log[1]["digest"], digest.to_string());
    assert_eq!(log[1]["image"], stage.reference("app:v1"));
    assert_eq!(log[2]["kind"], "policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_takes_four_requests_and_then_none_until_it_is_too_old() {
    let stage = Stage::new().await;
    let rules = signed_by(&stage, RELEASE);
    configure(&stage, "", &rules);
    stage.signed("app:v1", RELEASE);
    let digest = stage.index.digest();
    let requests = || {
        stage.registry.reset_requests();
        assert_eq!(ask(&stage, "app:v1", &digest).code, 0);
        stage.registry.requests().len()
    };
    assert_eq!(requests(), 4);
    assert_eq!(requests(), 0);
    configure(&stage, "cache_age: none", &rules);
    assert_eq!(requests(), 4);
    // What was kept is judged by the rules of now.
    configure(&stage, "", &signed_by(&stage, STRANGER));
    assert_eq!(ask(&stage, "app:v1", &digest).code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_first_and_the_registry_if_the_mirror_has_nothing() {
    let stage = Stage::new().await;
    let host = stage.registry.host();
    stage.signed("app:v1", RELEASE);
    let digest = stage.index.digest();
    let ask_with = |mirrors: &str, name: &str| {
        let rules = format!(
            "  - images: ['**']\n    verification: {}\n",
            stage.verification(RELEASE)
        );
        configure(
            &stage,
            &format!("cache_age: none\nmirrors: {mirrors}"),
            &rules,
        );
        let mut command = verifier(&stage);
        command.args(["-name", name, "-digest", &digest.to_string()]);
        command.args(["-stdin-media-type", MEDIA_TYPE]);
        run(&mut command, &descriptor(&digest))
    };
    // The registry itself is never reached: no such host.
    let away = ask_with(
        &format!("{{gone.invalid: ['{host}']}}"),
        "gone.invalid/app:v1",
    );
    assert_eq!(away.code, 0, "{}", away.shown());
    let empty = format!("{{'{host}': ['{host}/mirror']}}");
    let own = ask_with(&empty, &stage.reference("app:v1"));
    assert_eq!(own.code, 0, "{}", own.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_matching_rule_counts_and_without_one_the_default() {
    let stage = Stage::new().await;
    let exempt = "  - images: ['REGISTRY/app:v1']\n    allow: true\n    reason: see the ticket\n";
    let rules = format!("{exempt}{}", signed_by(&stage, RELEASE));
    configure(&stage, "", &rules);
    let digest = stage.index.digest();
    let allowed = ask(&stage, "app:v1", &digest);
    assert_eq!(allowed.code, 0);
    assert!(
        allowed
            .stdout
            .ends_with("no signature is needed: see the ticket\n")
    );
    // Nobody was asked.
    let asked = stage.registry.requests().len();
    assert_eq!(ask(&stage, "app:v1", &digest).code, 0);
    assert_eq!(stage.registry.requests().len(), asked);
    // By its digest it is not `app:v1`.
    assert_eq!(ask(&stage, &format!("app@{digest}"), &digest).code, 3);

    configure(
        &stage,
        "",
        "  - images: [quay.io/acme/**]\n    allow: true\n    reason: none\n",
    );
    let denied = ask(&stage, "app:v1", &digest);
    assert_eq!(denied.code, 4);
    assert!(
        denied.stdout.contains("the default is `deny`"),
        "{}",
        denied.stdout
    );
    configure(&stage, "default: allow", "  []\n");
    let allowed = ask(&stage, "app:v1", &digest);
    assert_eq!(allowed.code, 0);
    assert!(
        allowed.stdout.contains("the default is `allow`"),
        "{}",
        allowed.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn warn_allows_and_says_so() {
    let stage = Stage::new().await;
    configure(&stage, "mode: warn", &signed_by(&stage, RELEASE));
    let digest = stage.index.digest();
    let warned = ask(&stage, "app:v1", &digest);
    assert_eq!(warned.code, 0);
    let begin = "WARNING: allowed only because of `mode: warn`; it would be refused by rule 1 (";
    assert!(warned.stdout.starts_with(begin), "{}", warned.stdout);
    // A rule may be stricter.
    let strict = signed_by(&stage, RELEASE) + "    mode: enforce\n";
    configure(&stage, "mode: warn", &strict);
    assert_eq!(ask(&stage, "app:v1", &digest).code, 3);
    let log = log(&stage);
    assert_eq!(
        (&log[0]["allowed"], &log[0]["verdict"]),
        (&true.into(), &"refused".into())
    );
    assert_eq!(
        (&log[1]["allowed"], &log[1]["mode"]),
        (&false.into(), &"enforce".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_understood_is_enforced_if_any_rule_is() {
    let stage = Stage::new().await;
    let strict = signed_by(&stage, RELEASE) + "    mode: enforce\n";
    for (rules, code) in [(strict, 2), (signed_by(&stage, RELEASE), 0)] {
        configure(&stage, "mode: warn", &rules);
        let name = stage.reference("app:v1");
        let mut command = verifier(&stage);
        command.args([
            "-name",
            &name,
            "-digest",
            "sha384:00",
            "-stdin-media-type",
            MEDIA_TYPE,
        ]);
        assert_eq!(run(&mut command, "").code, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_judged_is_refused_with_a_reason() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    let refused = |code: i32, says: &str| {
        let run = ask(&stage, "app:v1", &digest);
        assert_eq!(run.code, code, "{}", run.stdout);
        assert!(run.stdout.starts_with("refused"), "{}", run.stdout);
        assert!(run.stdout.contains(says), "{}", run.stdout);
    };
    refused(2, "image-verifier.yaml can't be read");
    stage.write("image-verifier.yaml", "rules: []\nmod: warn\n");
    refused(2, "unknown key `mod`; did you mean `mode`?");
    configure(&stage, "", &signed_by(&stage, RELEASE));
    stage.write("trusted_root.json", "{}");
    refused(2, "trusted_root.json");
    std::fs::remove_file(stage.path("trusted_root.json")).unwrap();
    refused(2, "trusted_root.json can't be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_contract_than_containerd_s_is_refused() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    stage.signed("app:v1", RELEASE);
    let digest = stage.index.digest();
    let name = stage.reference("app:v1");
    let text = digest.to_string();
    let asked = |flags: &[&str], stdin: &str| {
        let run = run(verifier(&stage).args(flags), stdin);
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
        run
    };
    let usual = [
        "-name",
        &name,
        "-digest",
        &text,
        "-stdin-media-type",
        MEDIA_TYPE,
    ];
    assert_eq!(asked(&usual, &descriptor(&digest)).code, 0);
    for (flags, stdin, says) in [
        (
            &usual[..4],
            descriptor(&digest),
            "-stdin-media-type is missing",
        ),
        (&usual[2..], descriptor(&digest), "-name is missing"),
        (&[], descriptor(&digest), "-name is missing"),
        (&usual, String::new(), "expected the image's descriptor"),
        (
            &usual,
            descriptor(&Digest::sha256(b"other")),
            "is of another image",
        ),
    ] {
        let run = asked(flags, &stdin);
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stdout.contains(says), "{}", run.stdout);
    }
    // As a command of the program it is the same.
    let mut command = stage.command(&["image-verifier"]);
    command.args(usual).env(
        "COUNTERSIGN_IMAGE_VERIFIER_CONFIG",
        stage.path("image-verifier.yaml"),
    );
    let run = run(&mut command, &descriptor(&digest));
    assert_eq!(run.code, 0, "{}", run.shown());
    let help = asked_for_help(&stage);
    assert!(
        help.contains("countersign-image-verifier -name NAME"),
        "{help}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_an_answer_before_the_deadline_even_if_nobody_closes_standard_input() {
    let stage = Stage::new().await;
    configure(&stage, "deadline: 1s", &signed_by(&stage, RELEASE));
    let digest = stage.index.digest().to_string();
    let name = stage.reference("app:v1");
    let started = Instant::now();
    let mut child = verifier(&stage)
        .args([
            "-name",
            &name,
            "-digest",
            &digest,
            "-stdin-media-type",
            MEDIA_TYPE,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let open = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(open);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("no verdict within the deadline of 1s"),
        "{said}"
    );
    assert!(said.contains("waiting for the descriptor"), "{said}");
}

fn asked_for_help(stage: &Stage) -> String {
    let run = run(verifier(stage).arg("--help"), "");
    assert_eq!(run.code, 0);
    run.stdout
}
