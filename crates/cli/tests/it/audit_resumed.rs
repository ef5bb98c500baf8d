//! An audit that is killed and goes on says the same in every report as one that was not.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use countersign_sandbox::{Effect, Fault, Standing};

use crate::audit::filled;
use crate::stage::{POLICY, Stage, TRUST};

const REPORTS: [&str; 2] = ["report.html", "report.xml"];

fn audit(stage: &Stage, state: &[&str]) -> Vec<String> {
    let flags = [
        "--images=list.txt",
        "--fail-on=none",
        "--html=report.html",
        "--junit=report.xml",
    ];
    let mut said = Vec::new();
    for output in ["json", "human"] {
        let output = format!("--output={output}");
        let run = stage.run(&[&["audit", &output], &TRUST, &POLICY, &flags, state]);
        assert_eq!(run.code, 0, "{}", run.shown());
        said.push(run.stdout);
        for report in REPORTS {
            let text = fs::read_to_string(stage.path(report)).unwrap();
            said.push(match report {
                // As they come.
                "report.xml" => sorted(&text),
                _ => without_time(&text),
            });
            fs::remove_file(stage.path(report)).unwrap();
        }
    }
    said
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A page says when it was made, to the minute.
fn without_time(page: &str) -> String {
    match page.split_once(" UTC") {
        Some((before, after)) => {
            let before = &before[..before.len() - "2025-01-01 00:00".len()];
            format!("{before}{after}")
        }
        None => page.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_is_killed_and_goes_on_reports_the_same() {
    let stage = filled(Stage::new().await);
    let whole = audit(&stage, &[]);
    // What the registry does not say for long is not in the file when the audit is killed.
    let late = Effect::Delay(Duration::from_secs(600));
    let slow = format!("GET /v2/app/manifests/{}", Standing::Unsigned.as_str());
    stage.registry.add_fault(Fault::on(&slow, late).times(1));
    let flags = [
        "audit",
        "--images=list.txt",
        "--state=state",
        "--html=report.html",
    ];
    let arguments = [&flags[..], &TRUST, &POLICY].concat();
    let mut command = stage.command(&arguments);
    let mut running = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let all_but_one = Standing::ALL.len();
    let kept = || {
        let text = fs::read_to_string(stage.path("state")).unwrap_or_default();
        text.lines().count()
    };
    while kept() < all_but_one {
        assert!(running.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let resumed = audit(&stage, &["--state=state"]);
    for (resumed, whole) in resumed.iter().zip(&whole) {
        assert_eq!(resumed, whole);
    }
}
