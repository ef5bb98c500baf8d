//! `countersign audit`: a verdict for every image, and exact counts.

use countersign_download::FileLock;
use countersign_oci::Platform;
use countersign_sandbox::{RollOut, Standing};
use serde_json::Value;

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST};

mod mirrors;

async fn stage() -> Stage {
    filled(Stage::new().await)
}

/// With `app:NAME` in every standing, and the policy's `not_before`.
pub(crate) fn filled(stage: Stage) -> Stage {
    for standing in Standing::ALL {
        publish(&stage, standing.as_str(), standing);
    }
    let policy = stage.policy(RELEASE) + "  not_before: 2025-01-01T00:00:00Z\n";
    stage.write("policy.yaml", policy);
    stage.write("list.txt", list(&stage));
    stage
}

fn publish(stage: &Stage, tag: &str, standing: Standing) {
    let roll_out = RollOut {
        signer: RELEASE.into(),
        stranger: STRANGER.into(),
        signed_at: "2025-06-01T00:00:00Z".parse().unwrap(),
        too_early: "2024-06-01T00:00:00Z".parse().unwrap(),
    };
    let platform: Platform = "linux/amd64".parse().unwrap();
    let published = roll_out.publish(stage, "app", tag, &platform, standing);
    published.unwrap();
}

/// The name of the verdict on an image in this standing.
pub(crate) fn expected(standing: Standing) -> &'static str {
    match standing {
        Standing::Proven => "proven",
        Standing::Stale => "stale",
        Standing::OtherSigner => "other_signer",
        Standing::LegacyOnly => "legacy_only",
        Standing::AttestationOnly => "attestation_only",
        Standing::Unsigned => "unsigned",
        Standing::Invalid => "invalid",
        Standing::Missing => "missing",
        Standing::Forbidden => "rejected",
    }
}

fn list(stage: &Stage) -> String {
    let lines = Standing::ALL.map(|one| stage.reference(&format!("app:{}", one.as_str())));
    lines.join("\n")
}

fn audit(stage: &Stage, arguments: &[&str]) -> Run {
    stage.run(&[&["audit"], &TRUST, arguments])
}

pub(crate) fn by_list(stage: &Stage, arguments: &[&str]) -> Run {
    let images = ["--images", "list.txt"];
    audit(stage, &[&POLICY, &images, arguments].concat())
}

fn states(results: &Value) -> Vec<String> {
    let results = results.as_array().unwrap().iter();
    let states = results.map(|one| one["state"].as_str().unwrap().to_owned());
    states.collect()
}

/// Each line is a document of its own.
fn lines(run: &Run) -> Vec<Value> {
    assert_eq!(run.stderr, "", "lines are for a program");
    let lines = run.stdout.lines();
    let read = lines.map(|line| {
        let document = serde_json::from_str(line).unwrap();
        crate::schema::conforms(&document);
        document
    });
    read.collect()
}

#[tokio::test]
async fn every_state_is_found_and_counted() {
    let stage = stage().await;
    stage.write("list.txt", list(&stage) + "\nno reference\n");
    let run = by_list(&stage, &["--output", "json"]);
    assert_eq!(run.code, 5, "the worst of them is invalid");
    let document = run.json();
    let mut wanted: Vec<&str> = Standing::ALL.map(expected).to_vec();
    wanted.push("unusable");
    assert_eq!(states(&document["results"]), wanted);
    let summary = &document["summary"];
    assert_eq!(summary["images"], 10);
    for one in summary["states"].as_array().unwrap() {
        assert_eq!(one["images"], 1, "{one}");
    }
    assert_eq!(summary["states"].as_array().unwrap().len(), 10);
    let result = |standing: Standing| {
        let results = document["results"].as_array().unwrap().iter();
        let mut found = results.filter(|one| one["state"] == expected(standing));
        found.next().unwrap().clone()
    };
    let proven = result(Standing::Proven);
    assert_eq!(proven["signer"]["identity"], RELEASE);
    assert_eq!(proven["signer"]["issuer"], stage.issuer());
    assert!(proven["log_index"].is_u64() && proven["digest"].is_string());
    assert_eq!(
        result(Standing::OtherSigner)["signer"]["identity"],
        STRANGER
    );
    let stale = result(Standing::Stale);
    assert_eq!(stale["signed_at"], "2024-06-01T00:00:00Z");
    for standing in Standing::ALL {
        let said = result(standing).get("reason").is_some();
        assert_eq!(said, standing != Standing::Proven, "{standing:?}");
    }
}

#[tokio::test]
async fn the_summary_reads_well() {
    let stage = stage().await;
    stage.snapshot("audit", &by_list(&stage, &[]));
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_worst_state_that_is_named() {
    let stage = stage().await;
    for (states, code) in [
        ("any", 5),
        ("none", 0),
        ("uncovered,denied", 0),
        ("unsigned,missing", 3),
        ("missing,rejected", 9),
        ("rejected", 9),
        ("unreachable", 9),
        ("stale,unsigned", 4),
    ] {
        let run = by_list(&stage, &["--fail-on", states]);
        assert_eq!(run.code, code, "{states}: {}", run.shown());
        assert_eq!(run.stderr.is_empty(), code == 0, "{}", run.stderr);
    }
    let misspelt = by_list(&stage, &["--fail-on", "unsinged"]);
    assert_eq!(misspelt.code, 2);
    assert!(
        misspelt.stderr.contains("did you mean `unsigned`?"),
        "{}",
        misspelt.stderr
    );
}

#[tokio::test]
async fn lines_come_one_an_image_and_the_last_one_says_that_all_are_there() {
    let stage = stage().await;
    let run = by_list(&stage, &["--output", "jsonl", "--fail-on", "none"]);
    assert_eq!(run.code, 0);
    let lines = lines(&run);
    let (end, results) = lines.split_last().unwrap();
    assert_eq!(results.len(), Standing::ALL.len());
    assert_eq!(end["summary"]["images"], Standing::ALL.len());
    let mut found = states(&Value::from(results));
    let mut wanted = Standing::ALL.map(expected);
    found.sort();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    // A run that fails as a whole is a line too, and it is no end.
    let failed = by_list(&stage, &["--output", "jsonl", "--policy", "none.yaml"]);
    assert_eq!(failed.code, 2);
    for other in [&["list"][..], &["verify", "a/b:1"]] {
        let run = stage.run(&[other, &["--output", "jsonl"]]);
        assert_eq!(run.code, 2);
        assert!(
            run.stdout.contains("is for `audit` alone"),
            "{}",
            run.shown()
        );
    }
}

#[tokio::test]
async fn each_entry_of_a_gallery_is_judged_by_its_policy() {
    let stage = stage().await;
    // Nothing here asks for what is forbidden.
    stage.registry.clear_faults();
    let host = stage.registry.host();
    let entries = format!(
        "- {{name: good, uri: '{host}/app:proven', mirrors: ['{host}/app:missing', '{host}/none:1']}}\n\
         - {{name: bad, uri: '{host}/app:unsigned'}}\n\
         - {{name: gone, uri: '{host}/app:missing'}}\n\
         - {{name: either, capabilities: {{default: good, metal: bad}}}}\n\
         - {{name: tar, uri: 'https://example.org/a.tar.gz'}}\n\
         - {{name: lost, capabilities: {{default: nobody}}}}\n"
    );
    stage.write("index.yaml", entries);
    let gallery = stage.gallery("file:index.yaml", RELEASE);
    let second = "{name: open, url: 'file:index.yaml'}]";
    stage.write(
        "galleries.yaml",
        gallery.trim_end_matches(']').to_owned() + ", " + second,
    );
    let run = |arguments: &[&str]| {
        let gallery = ["--gallery", "galleries.yaml", "--output", "json"];
        audit(&stage, &[&gallery, arguments].concat()).json()
    };
    let document = run(&[]);
    let found = states(&document["results"]);
    // A policy has nothing to judge a tarball by, and the second gallery has no policy. An entry that leads nowhere is
    // told, and one that leads to others isn't.
    let first = ["proven", "unsigned", "missing", "unusable", "unusable"];
    let second = [&["uncovered"; 4][..], &["unusable"]].concat();
    assert_eq!(found, [&first[..], &second].concat());
    let good = &document["results"][0];
    assert_eq!(
        (&good["gallery"], &good["entry"]),
        (&"acme".into(), &"good".into())
    );
    assert_eq!(good["role"], "primary");
    // A mirror is asked for the digest: its own tags don't matter.
    let document = run(&["--mirrors"]);
    let mirrors = document["results"].as_array().unwrap().iter();
    let mirrors = mirrors.filter(|one| one["role"] == "mirror" && one["gallery"] == "acme");
    let mirrors: Vec<&Value> = mirrors.map(|one| &one["state"]).collect();
    assert_eq!(mirrors, ["proven", "missing"]);
}

#[tokio::test]
async fn every_platform_of_an_index_is_judged() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("list.txt", stage.reference("app:v1"));
    for (flags, wanted) in [
        (
            &["--all-platforms"][..],
            &["linux/amd64", "linux/arm64"][..],
        ),
        (&["--platform", "linux/arm64"], &["linux/arm64"]),
    ] {
        let document = by_list(&stage, &[flags, &["--output", "json"]].concat()).json();
        let results = document["results"].as_array().unwrap();
        let platforms: Vec<&Value> = results.iter().map(|one| &one["platform"]).collect();
        assert_eq!(platforms, wanted);
        assert!(results.iter().all(|one| one["state"] == "proven"));
    }
    let other = ["--platform", "linux/s390x", "--output", "json"];
    let document = by_list(&stage, &other).json();
    assert_eq!(states(&document["results"]), ["missing"]);
}

#[tokio::test]
async fn a_list_never_leads_to_files_of_this_machine_and_an_empty_one_is_refused() {
    let stage = Stage::new().await;
    stage.write("list.txt", "ocifile:///etc\n/etc/passwd\n");
    let document = by_list(&stage, &["--output", "json"]).json();
    assert_eq!(states(&document["results"]), ["unusable", "unusable"]);
    for empty in ["", "# nothing\n\n"] {
        stage.write("list.txt", empty);
        let run = by_list(&stage, &[]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains("there is no image to audit"));
        let says = "--images FILE with an image on each line";
        assert!(run.stderr.contains(says), "{}", run.shown());
    }
}

/// Results in one order, whatever the order in which they came.
fn sorted(lines: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = lines.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn two_audits_don_t_write_one_state_at_the_same_time() {
    let stage = stage().await;
    let flags = ["--fail-on", "none", "--state", "state"];
    let beside = stage.path(".state.countersign.lock");
    let other = FileLock::try_take(&beside).unwrap().unwrap();
    let run = by_list(&stage, &flags);
    assert_ne!(run.code, 0, "{}", run.shown());
    let says = "another run is writing the state of the audit state";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    assert!(!stage.path("state").exists());
    drop(other);
    assert_eq!(by_list(&stage, &flags).code, 0);
    assert!(stage.path("state").exists() && !beside.exists());
}

#[tokio::test]
async fn an_audit_that_was_interrupted_goes_on_and_reports_the_same() {
    let stage = stage().await;
    let flags = ["--output", "jsonl", "--fail-on", "none"];
    let whole = lines(&by_list(&stage, &flags));
    let flags = [&flags[..], &["--state", "state"]].concat();
    assert_eq!(sorted(&lines(&by_list(&stage, &flags))), sorted(&whole));
    let state = std::fs::read_to_string(stage.path("state")).unwrap();
    let length = state.len();
    assert_eq!(state.lines().count(), 1 + Standing::ALL.len());
    // Cut off anywhere, as by a signal or a full disk.
    for cut in [0, 10, length / 3, length / 2, length - 1, length] {
        stage.write("state", &state[..cut]);
        stage.registry.reset_requests();
        let run = by_list(&stage, &flags);
        assert_eq!(run.code, 0, "{cut}: {}", run.shown());
        assert_eq!(sorted(&lines(&run)), sorted(&whole), "{cut}");
        assert_eq!(std::fs::read_to_string(stage.path("state")).unwrap(), state);
        // What the registry refused to say, which is the last, is asked again.
        let forbidden = Standing::Forbidden.as_str();
        let requests = stage.registry.requests();
        let again = |path: &str| path == "/v2/" || path.ends_with(forbidden);
        let only = requests.iter().all(|request| again(&request.path));
        assert_eq!(only, cut + 1 >= length, "{cut}: {requests:?}");
    }
    stage.registry.clear_faults();
    let open = lines(&by_list(&stage, &flags));
    assert!(open.iter().all(|one| one["state"] != "rejected"));
    // Verdicts by other rules, of another list, and somebody else's file.
    let refused = |arguments: &[&str]| {
        let run = by_list(&stage, arguments);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains("remove the file"), "{}", run.stderr);
    };
    refused(&["--state", "state", "--all-platforms"]);
    // A line without a verdict would leave the image out, and one of another image would vouch for this one.
    let (header, lines) = state.split_once('\n').unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    for results in [&serde_json::json!([]), &last["results"]] {
        let mut line = first.clone();
        line["results"] = results.clone();
        stage.write("believed", format!("{header}\n{line}\n"));
        refused(&["--state", "believed"]);
    }
    let root = std::fs::read_to_string(stage.path("trusted_root.json")).unwrap();
    stage.write("trusted_root.json", format!("{root} "));
    refused(&["--state", "state"]);
    stage.write("trusted_root.json", root);
    stage.write("list.txt", stage.reference("app:another"));
    refused(&["--state", "state"]);
    refused(&["--state", "policy.yaml"]);
    stage.write("policy.yaml", stage.policy(STRANGER));
    refused(&["--state", "state"]);
}

#[tokio::test]
async fn parts_make_a_whole_and_nothing_less_is_merged() {
    let stage = stage().await;
    let part = |shard: &str, file: &str| {
        let flags = ["--output", "jsonl", "--fail-on", "none", "--shard", shard];
        let run = by_list(&stage, &flags);
        assert_eq!(run.code, 0, "{}", run.shown());
        stage.write(file, &run.stdout);
        run.stdout
    };
    let first = part("1/2", "1.jsonl");
    part("2/2", "2.jsonl");
    part("1/3", "other.jsonl");
    let merge = |files: &[&str]| stage.run(&[&["audit", "merge", "--fail-on", "none"], files]);
    let merged = merge(&["1.jsonl", "2.jsonl", "--output", "json"]).json();
    let whole = by_list(&stage, &["--fail-on", "none", "--output", "json"]).json();
    assert_eq!(merged["summary"]["states"], whole["summary"]["states"]);
    let results = |document: &Value| sorted(document["results"].as_array().unwrap());
    assert_eq!(results(&merged), results(&whole));
    // The document of one is as good as its lines.
    stage.write("whole.json", whole.to_string().replacen('{', "{\n", 1));
    assert_eq!(merge(&["whole.json"]).code, 0);
    let (cut, _) = first.trim_end().rsplit_once('\n').unwrap();
    stage.write("cut.jsonl", cut);
    let second = std::fs::read_to_string(stage.path("2.jsonl")).unwrap();
    stage.write("both.jsonl", format!("{first}{second}"));
    stage.write("again.json", whole.to_string().replacen('{', "{\n", 1));
    for (files, says) in [
        (
            &["whole.json", "again.json"][..],
            " is in whole.json and in again.json, and ",
        ),
        (&["1.jsonl"], "the part 2/2 is missing"),
        (
            &["1.jsonl", "2.jsonl", "2.jsonl"],
            "the part 2/2 is there more than once",
        ),
        (&["1.jsonl", "other.jsonl"], "are no parts of one audit"),
        (
            &["1.jsonl", "2.jsonl", "whole.json"],
            "some are whole audits",
        ),
        (&["cut.jsonl", "2.jsonl"], "no line with the summary"),
        (&["policy.yaml"], "expected a result"),
        (&["both.jsonl"], "expected nothing behind its summary"),
    ] {
        let run = merge(files);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains(says), "{says}: {}", run.stderr);
        // What the parts found is no result of a merge that is refused.
        let run = stage.run(&[&["audit", "merge", "--output=json"], files]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert_eq!(run.json()["error"]["exit_code"], 2);
    }
}

#[tokio::test]
async fn what_changed_since_an_earlier_audit_is_told() {
    let stage = stage().await;
    let before = by_list(&stage, &["--output", "jsonl"]).stdout;
    stage.write("before.jsonl", before);
    publish(&stage, "missing", Standing::Unsigned);
    let since = ["--since", "before.jsonl", "--fail-on", "none"];
    let document = by_list(&stage, &[&since[..], &["--output", "json"]].concat()).json();
    let results = document["results"].as_array().unwrap().iter();
    let changed: Vec<&Value> = results.filter(|one| one.get("was").is_some()).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(
        (&changed[0]["was"], &changed[0]["state"]),
        (&"missing".into(), &"unsigned".into())
    );
    let shown = by_list(&stage, &since).stdout;
    assert!(
        shown.contains("changed\n      1  missing → unsigned\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_page_has_every_image() {
    let stage = stage().await;
    let run = by_list(&stage, &["--fail-on", "none", "--html", "report.html"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let page = std::fs::read_to_string(stage.path("report.html")).unwrap();
    for standing in Standing::ALL {
        let row = format!("<tr data-state=\"{}\">", expected(standing));
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
    // It is begun before anything is judged, so nothing that was found is lost.
    for fail_on in ["none", "any"] {
        let run = by_list(
            &stage,
            &["--fail-on", fail_on, "--html", "missing/report.html"],
        );
        assert_eq!((run.code, &*run.stdout), (2, ""), "{}", run.shown());
    }
}
