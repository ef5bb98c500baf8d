//! A person who signs at a terminal: logs in by a browser or with a code, and is verified by email.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use countersign_sandbox::LoginAnswer;

use crate::stage::{Run, SERVICES, Stage, TRUST};

const PERSON: &str = "person@example.com";

fn signing(stage: &Stage, flags: &[&str]) -> Command {
    let app = stage.reference("app:v1");
    let arguments = [&["sign", "--by-tag"][..], &TRUST, &SERVICES, flags, &[&app]].concat();
    stage.command(&arguments)
}

/// Runs `command`, and opens the first page of the sandbox's that it names, as a person's browser.
/// Both outputs of the program are looked at.
async fn with_browser(mut command: Command) -> Run {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (opened, mut pages) = tokio::sync::mpsc::unbounded_channel();
    fn read(
        from: impl std::io::Read + Send + 'static,
        opened: tokio::sync::mpsc::UnboundedSender<String>,
    ) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(from).lines() {
                let line = line.unwrap();
                if let Some(at) = line
                    .find("http://127.0.0.1:")
                    .filter(|_| line.contains("/auth?"))
                {
                    let page = line[at..].split_whitespace().next().unwrap();
                    let _ = opened.send(page.to_owned());
                }
                all.push_str(&line);
                all.push('\n');
            }
            all
        })
    }
    let stdout = read(child.stdout.take().unwrap(), opened.clone());
    let stderr = read(child.stderr.take().unwrap(), opened);
    if let Some(page) = pages.recv().await {
        let answer = reqwest::get(page).await.unwrap();
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .ends_with("go back to the terminal.\n")
        );
    }
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    Run {
        code: status.unwrap().unwrap().code().unwrap(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

fn verified_as_the_person(stage: &Stage) {
    stage.write("policy.yaml", stage.policy(PERSON));
    let verified = stage.verify(&[&stage.reference("app:v1")]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    stage.write("policy.yaml", stage.policy("other@example.com"));
    let refused = stage.verify(&[&stage.reference("app:v1")]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_by_a_browser_and_is_verified_by_email() {
    let stage = Stage::new().await;
    let mut command = signing(&stage, &["--login", "browser"]);
    command.env("COUNTERSIGN_LOG", "trace");
    let run = with_browser(command).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("To log in, open this page on this machine:")
    );
    let signer = format!("  signer     {PERSON}\n");
    assert!(run.stdout.contains(&signer), "{}", run.stdout);
    // The browser's code, the verifier and the token are in no diagnostics.
    for secret in ["code=", "code_verifier", "eyJ", "id_token"] {
        assert!(!run.shown().contains(secret), "{secret}: {}", run.stderr);
    }
    verified_as_the_person(&stage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_with_a_code_and_who_refuses_signs_nothing() {
    let stage = Stage::new().await;
    let run = with_browser(signing(&stage, &["--login", "device"])).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let code = "and check that it shows the code WDJB-MJHT";
    assert!(run.stderr.contains(code), "{}", run.stderr);
    verified_as_the_person(&stage);

    stage.sigstore.set_login(PERSON, LoginAnswer::Denies);
    let run = with_browser(signing(&stage, &["--force", "--login", "browser"])).await;
    assert_eq!(run.code, 9, "{}", run.stderr);
    let said = "the login was refused: the OIDC issuer says `access_denied` (the person said no)";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

/// Without a terminal nobody is asked, and in a CI with one neither.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_the_login_starts_by_itself_unless_this_is_a_ci() {
    let stage = Stage::new().await;
    let at_a_terminal = |flags: &[&str]| {
        let command = signing(&stage, flags);
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| {
                shlex::try_quote(word.to_str().unwrap())
                    .unwrap()
                    .into_owned()
            })
            .collect();
        let mut script = Command::new("script");
        let line = format!("stty cols 1000; exec {}", words.join(" "));
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "dumb")
            .env("HOME", stage.path("home"))
            .current_dir(stage.directory.path())
            .stdin(Stdio::null());
        script
    };
    // No desktop: the code.
    let run = with_browser(at_a_terminal(&[])).await;
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout.contains("shows the code WDJB-MJHT"),
        "{}",
        run.shown()
    );

    let mut in_ci = at_a_terminal(&["--force"]);
    in_ci.env("CI", "true");
    for command in [in_ci, at_a_terminal(&["--force", "--login=never"])] {
        let run = with_browser(command).await;
        assert_eq!(run.code, 9, "{}", run.shown());
        assert!(
            run.stdout.contains("there is no identity token"),
            "{}",
            run.shown()
        );
    }
}
