//! What `countersign audit` says beside its counts: reasons, advice, and files for other programs.

use std::fs;
use std::path::Path;

use countersign_sandbox::image::ImageIndex;

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST, image};

fn audit(stage: &Stage, arguments: &[&str]) -> Run {
    stage.run(&[&["audit"], &TRUST, arguments])
}

/// A gallery of one entry, `app`.
async fn gallery() -> Stage {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    stage.write("index.yaml", format!("[{{name: app, uri: '{app}'}}]"));
    galleries(&stage, RELEASE);
    stage
}

fn galleries(stage: &Stage, signer: &str) {
    let policy = stage.policy(signer).replace('\n', "\n    ");
    let text = format!("galleries:\n  - name: acme\n    url: file:index.yaml\n    {policy}\n");
    stage.write("galleries.yaml", text);
}

const GALLERY: &str = "--gallery=galleries.yaml";

#[tokio::test]
async fn an_entry_is_proven_if_an_installation_would_succeed_on_each_platform() {
    let stage = gallery().await;
    let platforms: Vec<String> = stage
        .index
        .images()
        .iter()
        .map(|image| format!("app@{}", image.digest()))
        .collect();
    let state = |state: &str| {
        let json = audit(&stage, &[GALLERY, "--output=json"]).json();
        assert_eq!(json["results"][0]["state"], state, "{json}");
        json["results"][0]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(!state("unsigned").contains("platforms"));
    stage.signed(&platforms[0], RELEASE);
    assert!(state("unsigned").contains("proven for linux/amd64 alone, of 2 platforms"));
    stage.signed(&platforms[1], RELEASE);
    state("proven");
    let install = [
        "install",
        GALLERY,
        "--store=store",
        "--platform=linux/arm64",
        "app",
    ];
    let run = stage.run(&[&install, &TRUST]);
    assert_eq!(run.code, 0, "{}", run.shown());
}

#[tokio::test]
async fn reasons_and_the_smallest_change_to_the_policy_are_told() {
    let stage = gallery().await;
    stage.signed("app:v1", STRANGER);
    let run = audit(&stage, &[GALLERY]);
    for expected in [
        "reason: a genuine signature by",
        &format!(
            "the policy would need: identities, with who is named already and one more, with the same issuer and identity: {STRANGER}"
        ),
        "refused with require_integrity\n      1  entry: app\n",
    ] {
        assert!(run.stdout.contains(expected), "{expected}: {}", run.shown());
    }
    let json = audit(&stage, &[GALLERY, "--output=json"]).json();
    assert_eq!(json["summary"]["refused"][0], "app", "{json}");
    // Nobody is told that integrity is required where it is not.
    stage.write(
        "galleries.yaml",
        "galleries: [{name: acme, url: 'file:index.yaml'}]",
    );
    let json = audit(&stage, &[GALLERY, "--output=json"]).json();
    let reason = json["results"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the gallery has no `verification`"),
        "{json}"
    );
}

#[tokio::test]
async fn parts_by_different_policies_make_no_audit() {
    let stage = gallery().await;
    stage.signed("app:v1", RELEASE);
    let part = |shard: &str, file: &str| {
        let run = audit(
            &stage,
            &[
                GALLERY,
                "--output=jsonl",
                "--fail-on=none",
                "--shard",
                shard,
            ],
        );
        stage.write(file, run.stdout);
    };
    part("1/2", "1.jsonl");
    part("1+1/2", "2.jsonl");
    let merge = || stage.run(&[&["audit", "merge", "--fail-on=none", "1.jsonl", "2.jsonl"]]);
    assert_eq!(merge().code, 0, "{}", merge().shown());
    galleries(&stage, STRANGER);
    part("2/2", "2.jsonl");
    let run = merge();
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("judged by different policies"),
        "{}",
        run.shown()
    );
}

#[tokio::test]
async fn a_ci_and_a_monitoring_have_files_of_their_own() {
    let stage = gallery().await;
    stage.signed("app:v1", RELEASE);
    image("linux/amd64").push(&stage.registry, "other", Some("v1"));
    let list = ["app:v1", "other:v1", "app:none"].map(|name| stage.reference(name));
    stage.write("list.txt", list.join("\n"));
    let files = [
        "--images=list.txt",
        "--junit=report.xml",
        "--metrics=audit.prom",
    ];
    let run = audit(&stage, &[&POLICY, &files[..]].concat());
    assert_eq!(run.code, 3, "{}", run.shown());
    let junit = fs::read_to_string(stage.path("report.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), 3, "{junit}");
    assert_eq!(junit.matches("<failure ").count(), 2, "{junit}");
    assert!(junit.contains(r#"type="missing""#), "{junit}");
    assert!(junit.ends_with("</testsuite>\n</testsuites>\n"), "{junit}");
    assert!(!stage.path("report.xml.part").exists());
    let metrics = fs::read_to_string(stage.path("audit.prom")).unwrap();
    for (state, count) in [("proven", 1), ("unsigned", 1), ("missing", 1), ("stale", 0)] {
        let line = format!("countersign_audit_images{{state=\"{state}\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

/// CI publishes what is at the path, however the run ends.
#[tokio::test]
async fn a_run_that_ends_early_leaves_no_report_of_the_run_before() {
    let stage = Stage::new().await;
    stage.write("list.txt", "app:v1");
    stage.write("part.jsonl", "no part");
    let runs: [&[&str]; 4] = [
        &["audit", "--images=list.txt", "--policy=none.yaml"],
        &["audit", "--images=none.txt", "--policy=policy.yaml"],
        &[
            "audit",
            "--images=list.txt",
            "--policy=policy.yaml",
            "--since=none.jsonl",
        ],
        &["audit", "merge", "part.jsonl"],
    ];
    for run in runs {
        stage.write("report.xml", "<testsuites/>");
        let ended = stage.run(&[run, &["--junit=report.xml"]]);
        assert_ne!(ended.code, 0, "{}", ended.shown());
        assert!(!stage.path("report.xml").exists(), "{run:?}");
    }
}

/// Before anything is judged, and with the exit code of its own failure.
#[tokio::test]
async fn a_report_that_can_t_be_written_is_told_at_once() {
    let stage = gallery().await;
    image("linux/amd64").push(&stage.registry, "other", Some("v1"));
    stage.write("list.txt", stage.reference("other:v1"));
    for flag in ["--html", "--junit", "--metrics"] {
        let asked = stage.registry.requests().len();
        let report = format!("{flag}=nowhere/report");
        let flags = ["--images=list.txt", "--output=json", &report];
        let run = audit(&stage, &[&POLICY, &flags[..]].concat());
        assert_eq!(run.code, 2, "{}", run.shown());
        assert_eq!(run.json()["error"]["exit_code"], 2);
        assert_eq!(stage.registry.requests().len(), asked, "{flag}");
    }
    // A device that is full is not known before. The image that is not signed is worse.
    for flag in ["--html", "--junit", "--metrics"] {
        let report = format!("{flag}=/dev/full");
        let flags = ["--images=list.txt", "--output=json", &report];
        let run = audit(&stage, &[&POLICY, &flags[..]].concat());
        assert_eq!(run.code, 3, "{}", run.shown());
        assert_eq!(run.json()["error"]["exit_code"], 3);
        // A person is told what was found all the same.
        let run = audit(
            &stage,
            &[&POLICY[..], &["--images=list.txt", &report]].concat(),
        );
        assert_eq!(run.code, 3, "{}", run.shown());
        assert!(run.stdout.contains("audited 1 image"), "{}", run.shown());
    }
}

/// The report would take the place of what is still to be read.
#[tokio::test]
async fn a_report_is_not_written_over_a_file_that_the_run_reads() {
    let stage = Stage::new().await;
    fs::create_dir(stage.path("sub")).unwrap();
    for (run, file) in [
        (&["--images=file", "--policy=policy.yaml"][..], "file"),
        (&["--images=list.txt", "--policy=file"], "sub/../file"),
        (&["--gallery=file"], "file"),
        (
            &["--images=-", "--policy=policy.yaml", "--since=file"],
            "./file",
        ),
        (
            &["--images=-", "--policy=policy.yaml", "--state=file"],
            "file",
        ),
        (&["--images=-", "--key=file"], "file"),
        (&["--gallery=galleries.yaml", "--trusted-root=file"], "file"),
        (&["merge", "part.jsonl", "file"], "file"),
        (&["merge", "part.jsonl", "--since=file"], "file"),
    ] {
        for flag in ["--junit", "--html", "--metrics"] {
            stage.write("file", "what is read");
            let report = format!("{flag}={file}");
            let ended = stage.run(&[&["audit"], run, &[&report]]);
            assert_eq!(ended.code, 2, "{run:?} {report}: {}", ended.shown());
            let told = format!("{flag} names a file that this run reads");
            assert!(ended.stderr.contains(&told), "{}", ended.stderr);
            let left = fs::read_to_string(stage.path("file")).unwrap();
            assert_eq!(left, "what is read", "{run:?} {report}");
        }
    }
}

/// The page's table has the exit code that an audit of one such image has.
#[tokio::test]
async fn the_exit_codes_of_the_page_are_those_of_the_program() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md");
    let page = fs::read_to_string(page).unwrap();
    let code = |state: &str| {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{state}` |")));
        let cell = row.unwrap().split('|').nth(2).unwrap();
        cell.trim().parse::<i32>().unwrap()
    };
    let stage = Stage::new().await;
    let unsigned = ImageIndex::new(vec![image("linux/s390x")]);
    unsigned.push(&stage.registry, "other", Some("v1"));
    stage.signed("app:v1", RELEASE);
    image("linux/amd64").push(&stage.registry, "strange", Some("v1"));
    stage.signed("strange:v1", STRANGER);
    for (name, state) in [
        ("app:v1", "proven"),
        ("other:v1", "unsigned"),
        ("strange:v1", "other_signer"),
        ("app:none", "missing"),
        ("no reference", "unusable"),
    ] {
        stage.write("list.txt", stage.reference(name));
        let arguments = [&POLICY, &["--images=list.txt", "--output=json"][..]].concat();
        let run = audit(&stage, &arguments);
        assert_eq!(run.json()["results"][0]["state"], state, "{}", run.stdout);
        assert_eq!(run.code, code(state), "{state}: {}", run.shown());
    }
}
