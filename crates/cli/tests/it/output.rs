//! Standard output and standard error: what goes where, and when nobody listens.

use std::fs::File;
use std::process::{Command, Stdio};

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stage::{POLICY, RELEASE, Stage, TRUST, run};

#[tokio::test]
async fn a_closed_pipe_changes_neither_the_code_nor_says_a_word() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let mut child = stage
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// Both ways of printing, to a disk that takes nothing.
#[tokio::test]
async fn a_result_that_can_not_be_written_is_told_on_standard_error() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    for format in ["human", "json"] {
        let format = ["--output", format];
        let arguments = [&["verify"][..], &TRUST, &POLICY, &format, &[&app]].concat();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = stage.command(&arguments);
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = "error: this machine: the result can't be written to standard output\n  caused by: No space left on device (os error 28)\n";
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn help_that_can_not_be_written_is_no_success() {
    let stage = Stage::new().await;
    for arguments in [&["--help"][..], &["--version"], &["help", "sign"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = stage.command(arguments);
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = "error: this machine: the result can't be written to standard output\n";
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn diagnostics_are_plain_text_where_no_terminal_is() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let run = run(stage.command(&arguments).env("COUNTERSIGN_LOG", "debug"));
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("DEBUG"), "{}", run.shown());
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.shown());
}

#[tokio::test]
async fn diagnostics_are_plain_text_in_a_file_even_if_colours_are_asked_for() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let colour = ["--color", "always"];
    let arguments = [&["verify"][..], &TRUST, &POLICY, &colour, &[&app]].concat();
    let run = run(stage.command(&arguments).env("COUNTERSIGN_LOG", "debug"));
    assert_eq!(run.code, 0, "{}", run.shown());
    let mut diagnostics = run.stderr.lines().filter(|line| line.contains("DEBUG"));
    assert!(diagnostics.clone().count() > 0, "{}", run.shown());
    assert!(!diagnostics.any(|line| line.contains('\u{1b}')));
}

#[tokio::test]
async fn a_level_of_diagnostics_that_is_none_is_refused() {
    let stage = Stage::new().await;
    for asked in ["app=loud", "loud", "debug,degub", ",", " , "] {
        let arguments = ["schema", "policy"];
        let run = run(stage.command(&arguments).env("COUNTERSIGN_LOG", asked));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        let expected = format!(
            "error: expected a level in COUNTERSIGN_LOG (error, warn, info, debug or trace), or levels by module such as countersign_oci=debug, found `{asked}`\n  hint: set it to a level, or unset it\n"
        );
        assert_eq!(run.stderr, expected);
    }
    for asked in [
        "off",
        "WARN",
        "error,hyper=warn",
        "trace,",
        "\u{2003}hyper=warn",
        "2",
    ] {
        let run = run(stage.command(&["version"]).env("COUNTERSIGN_LOG", asked));
        assert_eq!(run.code, 0, "{}", run.shown());
    }
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let run = run(stage.command(&arguments).env("COUNTERSIGN_LOG", " debug"));
    assert!(run.stderr.contains("DEBUG"), "{}", run.shown());
}

#[tokio::test]
async fn nothing_panics_where_standard_error_is_closed_or_full() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let program = stage.command(&[]);
    for to in ["2>&-", "2>/dev/full", "2>&- <&-"] {
        let script = format!("exec \"$0\" \"$@\" {to}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(program.get_program())
            .arg("verify")
            .args(TRUST)
            .args(POLICY)
            .arg(&app)
            .current_dir(stage.directory.path())
            .env_clear();
        let run = run(&mut command);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{to}");
    }
}

#[tokio::test]
async fn warnings_are_told_where_nobody_reads_the_results() {
    let stage = Stage::new().await;
    let weak = "verification: { issuer: \"https://ci.example\", identity_regex: m. }\n";
    stage.write("weak.yaml", weak);
    let run = stage.run(&[&["policy", "check", "weak.yaml"]]);
    let warning = "warning: in the pattern `m.`";
    assert_eq!(run.code, 0);
    assert!(run.stderr.starts_with(warning), "{}", run.shown());
    assert!(!run.stdout.contains("warning: "), "{}", run.shown());

    let index = "- { name: chat, uri: \"file://CONTENT\" }\n";
    let content = stage.path("content");
    std::fs::create_dir(&content).unwrap();
    stage.write("content/file", "x");
    stage.write(
        "index.yaml",
        index.replace("CONTENT", content.to_str().unwrap()),
    );
    let galleries = "galleries: [{ name: acme, url: \"file:index.yaml\" }]\n";
    stage.write("galleries.yaml", galleries);
    let from = ["install", "--gallery", "galleries.yaml"];
    let run = stage.run(&[&from, &["--store", "other", "--output=json", "chat"]]);
    let json = run.json();
    assert_eq!(
        json["results"][0]["installation"]["warnings"][0],
        "unverified: nothing proves who made this content, or that it is unchanged"
    );
    let run = stage.run(&[&from, &["--store", "store", "chat"]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(
        run.stderr,
        "warning: chat is unverified: nothing proves who made this content, or that it is unchanged\n"
    );
}

#[tokio::test]
async fn progress_is_not_drawn_where_no_terminal_is() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let run = stage.install(&[&stage.reference("app:v1"), "here"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn the_environment_s_proxy_is_used_but_for_hosts_of_no_proxy() {
    let stage = Stage::new().await;
    let proxy = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(404))
        .mount(&proxy)
        .await;
    let uri = proxy.uri();
    let arguments = |host: &str| {
        let reference = format!("{host}/app:v1");
        let mut command = stage.command(
            &[
                &["verify", "--plain-http"][..],
                &TRUST,
                &POLICY,
                &[&reference],
            ]
            .concat(),
        );
        command
            .env("HTTPS_PROXY", &uri)
            .env("NO_PROXY", "inside.invalid");
        run(&mut command).code
    };
    // The proxy says that there is no such image; without it there is no such host.
    assert_eq!(arguments("outside.invalid"), 6);
    assert_eq!(arguments("inside.invalid"), 7);
}

#[tokio::test]
async fn hosts_without_proxy_that_can_t_be_read_are_told_with_their_variable_if_there_is_a_proxy() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let mut command = stage.command(&arguments);
    command.env("no_proxy", "host:port");
    let alone = run(&mut command);
    assert!(!alone.stderr.contains("no_proxy"), "{}", alone.shown());
    let both = run(command.env("HTTPS_PROXY", "http://127.0.0.1:1"));
    assert_eq!(both.code, 2, "{}", both.shown());
    for said in [
        "the variable no_proxy can't be used",
        "expected a host name, an address, or a network such as 10.0.0.0/8, found `host:port`",
    ] {
        assert!(both.stderr.contains(said), "{}", both.shown());
    }
}

#[tokio::test]
async fn a_proxy_that_is_no_url_is_told_with_its_variable_and_without_its_password() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    for value in ["user:hunter2@proxy:port", "ftp://user:hunter2@proxy"] {
        let run = run(stage.command(&arguments).env("HTTPS_PROXY", value));
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(!run.shown().contains("hunter2"), "{}", run.stderr);
    }
}
