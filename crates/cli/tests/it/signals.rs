//! Ctrl-C, SIGTERM and SIGHUP: what is left of a run that somebody ends.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault, Service, ServiceFault};
use serde_json::{Value, json};

use crate::stage::{POLICY, RELEASE, SERVICES, Stage, TRUST, image};

const SIGNALS: [(&str, i32, &str); 3] = [
    ("INT", 130, "Ctrl-C (SIGINT)"),
    ("TERM", 143, "SIGTERM"),
    ("HUP", 129, "SIGHUP: the terminal was closed"),
];

/// The stage with `app:v1` installed at `app`, and a signed `app:v2` of two layers.
async fn installed() -> (Stage, Image) {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let run = stage.install(&[&stage.reference("app:v1"), "app"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let layer = |name: &str| {
        let layer = Layer::builder().file(name, "2".repeat(100_000), 0o755);
        layer.build(Compression::None)
    };
    let image = Image::builder("linux/amd64".parse().unwrap())
        .layer(layer("bin/app"))
        .layer(layer("bin/other"))
        .build();
    image.push(&stage.registry, "app", Some("v2"));
    stage.signed("app:v2", RELEASE);
    (stage, image)
}

fn start(stage: &Stage, arguments: &[&str]) -> Child {
    let mut command = with_all_signals(&stage.command(arguments));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The same command, with no signal ignored. What is ignored when a program starts stays ignored, so
/// these tests would fail under `nohup`. Outside Linux, `env` may not be able to do that.
fn with_all_signals(program: &Command) -> Command {
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,TERM");
        command.arg(program.get_program());
        command
    } else {
        Command::new(program.get_program())
    };
    command.args(program.get_args());
    command.env_clear().stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(directory) = program.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &id]).status();
    assert!(sent.unwrap().success());
}

/// Waits until the registry was asked this.
async fn asked(stage: &Stage, line: &str, child: &mut Child) {
    while !stage.registry.requests().iter().any(|r| r.line() == line) {
        assert!(child.try_wait().unwrap().is_none(), "{line}: it ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The exit code, standard output and standard error.
async fn end(child: Child) -> (Option<i32>, String, String) {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(20), output);
    let output = output.await.expect("it ends").unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.directory.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mid_install_nothing_is_left_and_the_old_installation_is_whole() {
    let (stage, image) = installed().await;
    let before = names(&stage);
    let last = &image.manifest().layers[1].digest;
    let line = format!("GET /v2/app/blobs/{last}");
    let stall = Effect::Stall { after: 1000 };
    stage.registry.add_fault(Fault::on(&line, stall));
    let reference = stage.reference("app:v2");
    let platform = ["--platform", "linux/amd64"];
    for (signal, code, name) in SIGNALS {
        for format in ["human", "json"] {
            stage.registry.reset_requests();
            let format = ["--output", format];
            let arguments = [
                &["install"],
                &TRUST[..],
                &POLICY,
                &platform,
                &format,
                &[&reference, "app"],
            ];
            let mut child = start(&stage, &arguments.concat());
            asked(&stage, &line, &mut child).await;
            send(signal, &child);
            let (ended, stdout, stderr) = end(child).await;
            assert_eq!(ended, Some(code), "{signal}: {stderr}");
            if format[1] == "human" {
                let expected = format!(
                    "stopping: removing unfinished files (stop again to end at once)\nerror: stopped by {name}\n  hint: unfinished files are removed, unless that takes more than 30 seconds; what was there before is unchanged; run the same command again\n"
                );
                assert_eq!((stdout.as_str(), stderr), ("", expected), "{signal}");
            } else {
                let document: Value = serde_json::from_str(&stdout).unwrap();
                crate::schema::conforms(&document);
                assert_eq!(document["error"]["kind"], "stopped", "{signal}");
                assert_eq!(document["error"]["exit_code"], code, "{signal}");
                assert_eq!(stderr, "", "{signal}");
            }
            assert_eq!(names(&stage), before, "{signal}");
            let app = fs::read_to_string(stage.path("app/bin/app")).unwrap();
            assert_eq!(app, "linux/amd64", "{signal}");
            assert!(!stage.path("app/bin/other").exists(), "{signal}");
        }
    }
    stage.registry.clear_faults();
    let run = stage.install(&[&reference, "app"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(stage.path("app/bin/other").exists());
}

/// Two are installed at once. The last one is begun when those before it have their results, but for the first one, which
/// keeps its place. So these results wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_result_before_the_signal_is_told() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    image("linux/amd64").push(&stage.registry, "other", Some("v1"));
    let wanted = ["slow", "app", "other", "last"];
    let entries = wanted.map(|name| {
        let uri = stage.reference(&format!("{name}:v1"));
        format!("{{name: {name}, uri: '{uri}'}}")
    });
    stage.write("index.yaml", format!("[{}]", entries.join(", ")));
    let galleries = stage.gallery("file:index.yaml", RELEASE);
    stage.write("galleries.yaml", galleries);
    let last = "GET /v2/last/manifests/v1";
    for line in ["GET /v2/slow/manifests/v1", last] {
        let late = Effect::Delay(Duration::from_secs(60));
        stage.registry.add_fault(Fault::on(line, late));
    }
    let flags = ["--gallery=galleries.yaml", "--jobs=2"];
    let platform = ["--platform", "linux/amd64"];
    for format in ["human", "json"] {
        stage.registry.reset_requests();
        let store = format!("--store={format}");
        let output = ["--output", format, &store];
        let arguments = [
            &["install"],
            &TRUST[..],
            &flags,
            &platform,
            &output,
            &wanted,
        ];
        let mut child = start(&stage, &arguments.concat());
        asked(&stage, last, &mut child).await;
        send("TERM", &child);
        let (ended, stdout, stderr) = end(child).await;
        assert_eq!(ended, Some(143), "{stderr}");
        let there = stage.path(&format!("{format}/app/bin/app"));
        assert!(there.exists(), "{stdout}{stderr}");
        if format == "human" {
            assert!(stdout.starts_with("installed app in "), "{stdout}");
            let hint = "; what this run has done already stays; run the same command again\n";
            assert!(stderr.ends_with(hint), "{stderr}");
            continue;
        }
        let document: Value = serde_json::from_str(&stdout).unwrap();
        crate::schema::conforms(&document);
        assert_eq!(document["error"]["kind"], "stopped", "{document:#}");
        let results = document["results"].as_array().unwrap();
        assert_eq!(results.len(), 2, "{document:#}");
        assert_eq!(results[0]["name"], "app", "{document:#}");
        assert_eq!(results[0]["outcome"], "installed", "{document:#}");
        assert_eq!(results[1]["name"], "other", "{document:#}");
        assert_eq!(results[1]["error"]["kind"], "unsigned", "{document:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mid_copy_nothing_is_listed_and_a_directory_is_gone_on_with() {
    let (stage, image) = installed().await;
    let last = &image.manifest().layers[1].digest;
    let line = format!("GET /v2/app/blobs/{last}");
    let stall = Effect::Stall { after: 1000 };
    stage.registry.add_fault(Fault::on(&line, stall));
    let from = stage.reference("app:v2");
    for (to, goes_on) in [
        ("ocifile://layout", ": it goes on where it stopped\n"),
        ("ocifile://app.tar", "\n"),
    ] {
        stage.registry.reset_requests();
        let arguments = [&["copy"], &TRUST[..], &POLICY, &[&from, to]];
        let mut child = start(&stage, &arguments.concat());
        asked(&stage, &line, &mut child).await;
        send("TERM", &child);
        let (ended, _, stderr) = end(child).await;
        assert_eq!(ended, Some(143), "{stderr}");
        let hint = format!("; run the same command again{goes_on}");
        assert!(stderr.ends_with(&hint), "{stderr}");
    }
    for left in ["layout/index.json", "app.tar", "app.tar.part"] {
        assert!(!stage.path(left).exists(), "{left}");
    }
    stage.registry.clear_faults();
    let run = stage.copy(&[&from, "ocifile://layout"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(stage.path("layout/index.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mid_sign_nothing_is_published() {
    let stage = Stage::new().await;
    let before = names(&stage);
    let app = stage.reference(&format!("app@{}", stage.index.digest()));
    for (signal, code, _) in SIGNALS {
        stage.registry.reset_requests();
        stage
            .sigstore
            .inject(Service::RekorV1, ServiceFault::Hang, 3);
        let certificates = || {
            let requests = stage.sigstore.requests().into_iter();
            requests
                .filter(|one| one.service == Service::Fulcio)
                .count()
        };
        let certified = certificates();
        let token = ["--identity-token", "@token"];
        let arguments = [&["sign"], &TRUST[..], &SERVICES, &token, &[&app]].concat();
        let mut child = start(&stage, &arguments);
        while certificates() == certified {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The log is asked next, for the index and both images, and does not answer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(signal, &child);
        let (ended, stdout, stderr) = end(child).await;
        assert_eq!(ended, Some(code), "{signal}: {stderr}");
        let told = stdout.lines().filter(|line| !line.starts_with("  "));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 3, "{signal}: {stdout}");
        assert!(
            told.iter()
                .all(|line| line.starts_with("not signed by this run: ")),
            "{signal}: {stdout}"
        );
        let requests = stage.registry.requests();
        let writes = |line: &str| !line.starts_with("GET ") && !line.starts_with("HEAD ");
        let written = requests.iter().find(|r| writes(&r.line()));
        assert!(written.is_none(), "{signal}: {}", written.unwrap().line());
        assert_eq!(names(&stage), before, "{signal}");
    }
    assert_eq!(stage.verify(&[&app]).code, 3);
}

/// Whether a thread of the program waits in `openat`, which is where it opens a fifo that nobody writes to.
fn waits_for_a_writer(child: &Child) -> bool {
    let number = if cfg!(target_arch = "x86_64") {
        "257 "
    } else {
        "56 "
    };
    let threads = fs::read_dir(format!("/proc/{}/task", child.id()));
    threads.is_ok_and(|threads| {
        threads.flatten().any(|thread| {
            let call = fs::read_to_string(thread.path().join("syscall"));
            call.is_ok_and(|call| call.starts_with(number))
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once_whatever_the_program_waits_for() {
    let stage = Stage::new().await;
    let fifo = stage.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let app = stage.reference("app:v1");
    let policy = ["--policy", "fifo"];
    let arguments = [&["verify"], &TRUST[..], &policy, &[&app]].concat();
    let mut child = start(&stage, &arguments);
    // Nobody writes to the fifo, so that the program waits in the middle of opening it.
    while !waits_for_a_writer(&child) {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    send("INT", &child);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(child.try_wait().unwrap().is_none(), "it can't be dropped");
    send("INT", &child);
    let (ended, stdout, stderr) = end(child).await;
    assert_eq!(
        (ended, stdout.as_str(), stderr.as_str()),
        (Some(130), "", "")
    );
}

/// `timeout` signals the program, and then its group.
#[tokio::test(flavor = "multi_thread")]
async fn signals_that_come_together_are_one() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let late = Effect::Delay(Duration::from_secs(10));
    stage.registry.add_fault(Fault::on("* /v2/app/*", late));
    let arguments = [&["verify", "--output=json"], &TRUST[..], &POLICY, &[&app]].concat();
    let mut child = start(&stage, &arguments);
    asked(&stage, "GET /v2/app/manifests/v1", &mut child).await;
    let both = "kill -TERM $0; kill -INT $0; kill -HUP $0";
    let id = child.id().to_string();
    let sent = Command::new("sh").args(["-c", both, &id]).status();
    assert!(sent.unwrap().success());
    let (ended, stdout, stderr) = end(child).await;
    assert!(ended.is_some_and(|code| code > 128), "{ended:?}: {stderr}");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["error"]["kind"], "stopped", "{json}");
}

/// As `nohup` starts a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let stage = Stage::new().await;
    let line = "GET /v2/app/manifests/v1";
    let stall = Effect::Stall { after: 1 };
    stage.registry.add_fault(Fault::on(line, stall));
    let app = stage.reference("app:v1");
    let program = stage.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .arg("verify")
        .args(TRUST)
        .args(POLICY)
        .arg(&app)
        .current_dir(stage.directory.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    asked(&stage, line, &mut child).await;
    // The system delivers no signal that is ignored.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "SIGHUP, which is the first signal");
    send("HUP", &child);
    send("TERM", &child);
    assert_eq!(end(child).await.0, Some(143));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_tags_are_written_it_says_which_are_and_which_may_be() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app@{}", stage.index.digest()));
    let second = "PUT /v2/app/manifests/second";
    let late = Effect::Delay(Duration::from_secs(60));
    stage.registry.add_fault(Fault::on(second, late));
    let tags = ["first", "second", "third"].map(|tag| ["--then-tag", tag]);
    let token = ["--identity-token", "@token"];
    for json in [&[][..], &["--output", "json"]] {
        stage.registry.reset_requests();
        let arguments = [
            &["sign"],
            &TRUST[..],
            &SERVICES,
            &token,
            &tags.concat(),
            json,
            &[&app],
        ];
        let mut child = start(&stage, &arguments.concat());
        asked(&stage, second, &mut child).await;
        send("TERM", &child);
        let (ended, stdout, stderr) = end(child).await;
        assert_eq!(ended, Some(143), "{stderr}");
        let [first, second, third] =
            ["first", "second", "third"].map(|tag| stage.reference(&format!("app:{tag}")));
        if json.is_empty() {
            let hint = format!(
                "hint: tags that name the signed image now: {first}; perhaps also {second}; run the same command again for the others"
            );
            assert!(stderr.contains(&hint), "{stderr}");
            continue;
        }
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(document["results"].as_array().unwrap().len(), 9);
        let error = &document["error"];
        assert_eq!(error["tags_written"], json!([first]));
        assert_eq!(error["tags_unclear"], json!([second]));
        assert_eq!(error["tags_not_written"], json!([third]));
    }
    // The registry had taken it.
    assert_eq!(
        stage.registry.tagged("app", "second"),
        Some(stage.index.digest())
    );
    assert_eq!(stage.registry.tagged("app", "third"), None);
}
