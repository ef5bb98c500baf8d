//! A run that takes too long.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use countersign_sandbox::ClosedPort;
use serde_json::Value;

use crate::stage::{POLICY, RELEASE, SERVICES, Stage, TRUST, image, program, run};

/// The commands whose help has the flag.
fn with_timeout() -> BTreeSet<String> {
    let commands = crate::help::commands().into_iter().filter(|command| {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        words.push("-h");
        run(&mut program(&words)).stdout.contains("--timeout")
    });
    commands.map(|words| words.join(" ")).collect()
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_given_up_and_leaves_nothing() {
    let stage = Stage::new().await;
    // Connections are made, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = format!("{}/app:v1", silent.local_addr().unwrap());
    let digest = format!("{app}@{}", stage.index.digest());
    let token = stage.sigstore.token(RELEASE);
    let signs = [&TRUST[..], &SERVICES, &["--identity-token", &token]].concat();
    // What is upgraded is installed first, from a gallery that answers.
    stage.signed("app:v1", RELEASE);
    let uri = stage.reference("app:v1");
    stage.write("index.yaml", format!("[{{name: x, uri: '{uri}'}}]"));
    let policy = format!("{{issuer: '{}', identity: '{RELEASE}'}}", stage.issuer());
    let gallery = |url: &str| format!("[{{name: acme, url: '{url}', verification: {policy}}}]");
    stage.write("galleries.yaml", gallery("file:index.yaml"));
    let from = ["--gallery=galleries.yaml", "--store=store"];
    let platform = ["--platform=linux/amd64", "x"];
    let installed = stage.run(&[&["install"], &TRUST, &from, &platform]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
    let away = format!("http://{}/index.yaml", silent.local_addr().unwrap());
    stage.write("galleries.yaml", gallery(&away));
    stage.write("root.json", stage.sigstore.tuf_root());
    let tuf_url = format!("http://{}/", silent.local_addr().unwrap());
    let tuf = ["--tuf-url", &tuf_url, "--tuf-root", "root.json"];
    let commands = [
        ("sign", [&signs[..], &[&digest]].concat()),
        ("merge", [&signs[..], &["--tag", &app, &digest]].concat()),
        (
            "copy",
            [&TRUST[..], &POLICY, &[&app, "localhost/mirror"]].concat(),
        ),
        ("verify", [&TRUST[..], &POLICY, &[&app]].concat()),
        ("tree", [&TRUST[..], &[&app]].concat()),
        (
            "audit",
            [&TRUST[..], &POLICY, &["--images", "list.txt"]].concat(),
        ),
        ("install", [&TRUST[..], &POLICY, &[&app, "here"]].concat()),
        ("upgrade", [&TRUST[..], &from, &["x"]].concat()),
        ("outdated", [&TRUST[..], &from, &["x"]].concat()),
        ("gallery show", vec!["galleries.yaml"]),
        ("gallery check", vec!["galleries.yaml"]),
        ("policy init", [&TRUST[..], &["--from", &app]].concat()),
        (
            "policy check",
            vec!["denying.yaml", "--resolve", app.trim_end_matches(":v1")],
        ),
        ("trust show", tuf.to_vec()),
        ("trust update", tuf.to_vec()),
    ];
    stage.write("list.txt", &app);
    let denying = format!("{}  deny_digests: [{digest}]\n", stage.policy(RELEASE));
    let denying = denying.replace(&format!("{app}@"), "");
    stage.write("denying.yaml", denying);
    let known = commands.iter().map(|(name, _)| (*name).to_owned());
    let says = "left: the commands of this test, which needs each that has --timeout; right: those";
    assert_eq!(BTreeSet::from_iter(known), with_timeout(), "{says}");
    for (command, arguments) in commands {
        let command: Vec<&str> = command.split(' ').collect();
        let limit = ["--timeout", "300ms"];
        let arguments = [&command[..], &limit, &arguments].concat();
        let mut child = stage.command(&arguments);
        let begun = Instant::now();
        let run = run(&mut child);
        assert_eq!(run.code, 7, "{}", run.shown());
        let says = "the run took longer than its --timeout of 300ms";
        assert!(run.stderr.contains(says), "{}", run.shown());
        let hint = "-vv tells what it waits for";
        assert!(run.stderr.contains(hint), "{}", run.shown());
        // One request alone may take thirty seconds.
        assert!(begun.elapsed() < Duration::from_secs(20));
        let here = child.get_current_dir().map(|at| at.join("here"));
        assert!(!here.is_some_and(|here| here.exists()));
    }
}

/// The services are asked for half a minute before a run gives up by itself.
#[tokio::test]
async fn a_run_that_is_given_up_says_what_kept_the_host_from_answering() {
    let stage = Stage::new().await;
    let nobody = ClosedPort::hold().unwrap();
    let here = format!("http://{}", nobody.address());
    let digest = format!("{}@{}", stage.reference("app"), stage.index.digest());
    let token = stage.sigstore.token(RELEASE);
    let services = ["--fulcio-url", &here, "--rekor-url", &here];
    let limit = ["--timeout", "15s", "--identity-token", &token];
    let run = stage.run(&[&["sign"], &TRUST, &services, &limit, &[&digest]]);
    assert_eq!(run.code, 7, "{}", run.shown());
    let says = "error: the run took longer than its --timeout of 15s\n";
    assert!(run.stderr.contains(says), "{}", run.shown());
    let says = format!("hint: the last failure was that {here} gave no answer: Connection refused");
    assert!(run.stderr.contains(&says), "{}", run.shown());
}

#[tokio::test]
async fn a_time_out_is_a_time_and_not_nothing() {
    let stage = Stage::new().await;
    for wrong in ["soon", "0s", "-5s", "10"] {
        let limit = format!("--timeout={wrong}");
        let arguments = [&["verify"][..], &TRUST, &POLICY, &[&limit, "app:v1"]].concat();
        let run = run(&mut stage.command(&arguments));
        assert_eq!(run.code, 2, "{wrong}: {}", run.shown());
    }
}

#[tokio::test]
async fn what_was_refused_before_the_time_was_up_decides_the_exit_code() {
    let stage = Stage::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = format!("{}/app:v1", silent.local_addr().unwrap());
    stage.push_unsigned("v1");
    let unsigned = stage.reference("app:v1");
    let limit = ["--timeout", "3s"];
    let images = [unsigned.as_str(), &slow];
    let run = stage.run(&[&["verify"], &TRUST, &POLICY, &limit, &images]);
    assert!(run.stderr.contains("is not signed"), "{}", run.shown());
    let says = "the run took longer than its --timeout of 3s";
    assert!(run.stderr.contains(says), "{}", run.shown());
    assert_eq!(run.code, 3, "{}", run.shown());
    stage.write("images.txt", images.join("\n"));
    for (fail_on, code) in [("any", 3), ("none", 7)] {
        let audit = ["audit", "--images=images.txt", "--fail-on", fail_on];
        let run = stage.run(&[&audit, &TRUST, &POLICY, &limit]);
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert_eq!(run.code, code, "{}", run.shown());
    }
}

/// The registry of the first one doesn't answer, so that the results of the others wait for it.
#[tokio::test]
async fn entries_that_were_done_before_the_time_was_up_are_told() {
    let stage = Stage::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_host = silent.local_addr().unwrap().to_string();
    stage.signed("app:v1", RELEASE);
    image("linux/amd64").push(&stage.registry, "other", Some("v1"));
    let host = stage.registry.host();
    let entries = [("slow", &silent_host), ("app", &host), ("other", &host)];
    let entries = entries.map(|(name, host)| format!("{{name: {name}, uri: '{host}/{name}:v1'}}"));
    stage.write("index.yaml", format!("[{}]", entries.join(", ")));
    let galleries = stage.gallery("file:index.yaml", RELEASE);
    stage.write("galleries.yaml", galleries);
    let mirror = format!("--to={}", stage.reference("mirror"));
    let names = ["--platform=linux/amd64", "slow", "app", "other"];
    let install = ["install", "--store=store"];
    let dry_run = ["install", "--store=empty", "--dry-run"];
    let both = &["app", "other"][..];
    let commands = [
        ([&install[..], &names].concat(), both, true),
        ([&dry_run[..], &names].concat(), both, false),
        (vec!["copy", mirror.as_str()], both, true),
        (vec!["copy", "--to=ocifile://kit"], both, true),
        // Until the archive is there, nothing is copied.
        (
            vec!["copy", "--to=ocifile://kit.tar"],
            &["other"][..],
            false,
        ),
    ];
    let flags = ["--output=json", "--gallery=galleries.yaml", "--timeout=15s"];
    // All at once: each takes all of its time.
    let children = commands.map(|(command, told, stays)| {
        let mut child = stage.command(&[&command[..], &TRUST, &flags].concat());
        child.stdout(Stdio::piped()).stderr(Stdio::piped());
        (child.spawn().unwrap(), command, told, stays)
    });
    for (child, command, told, stays) in children {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        crate::schema::conforms(&document);
        let shown = format!("{command:?}: {document:#}{stderr}");
        // That one is not signed says more than that another may be there later.
        assert_eq!(output.status.code(), Some(3), "{shown}");
        assert_eq!(document["error"]["exit_code"], 3, "{shown}");
        assert_eq!(document["error"]["kind"], "unreachable", "{shown}");
        let hints = document["error"]["hints"].to_string();
        let says = "what this run has done already stays";
        assert_eq!(hints.contains(says), stays, "{shown}");
        let results = document["results"].as_array().unwrap();
        let names: Vec<_> = results.iter().map(|one| &one["name"]).collect();
        assert_eq!(names, told, "{shown}");
        let refused = results.last().unwrap();
        assert_eq!(refused["error"]["kind"], "unsigned", "{shown}");
    }
    assert!(stage.path("store/app/bin/app").exists());
    let copied = stage.registry.tagged("mirror/app", "v1");
    assert_eq!(copied, Some(stage.index.digest()));
    let list = fs::read_to_string(stage.path("kit/index.json")).unwrap();
    assert!(list.contains(&stage.reference("app:v1")), "{list}");
    assert!(!stage.path("kit.tar").exists());
}
