//! A terminal in front of the program, and none: colours, widths, and how much is told.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::shop::{EARLIER, FLAGS, Shop};
use crate::stage::{POLICY, RELEASE, Run, Stage, TRUST, program, run};

const ESCAPE: char = '\u{1b}';
const RED: &str = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m ";
const YELLOW: &str = "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m ";
const CYAN: &str = "\u{1b}[1m\u{1b}[36mhint:\u{1b}[0m ";

/// What a terminal of `columns` shows of `command`: util-linux's `script` has the terminal.
#[cfg(target_os = "linux")]
fn on_a_terminal(command: &Command, columns: u16) -> String {
    let output = script(command, columns).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .replace("\r\n", "\n")
}

/// `command` on a terminal of `columns`, with no input yet. It has the exit code of `command`.
#[cfg(target_os = "linux")]
fn script(command: &Command, columns: u16) -> Command {
    let quoted = |text: &std::ffi::OsStr| {
        let text = text.to_str().unwrap();
        shlex::try_quote(text).unwrap().into_owned()
    };
    let mut words = vec![quoted(command.get_program())];
    words.extend(command.get_args().map(quoted));
    // What is ignored when a program starts stays ignored, as under `nohup`.
    let words = words.join(" ");
    let line = format!("stty cols {columns} rows 24; exec env --default-signal=INT {words}");
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap());
    }
    if let Some(directory) = command.get_current_dir() {
        script.current_dir(directory);
    }
    script
}

/// Nobody has to press Enter first.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_and_the_time_limit_end_a_question() {
    for (arguments, presses, code, says) in [
        (&[][..], true, 130, "error: stopped by Ctrl-C (SIGINT)"),
        (
            &["--timeout=300ms"],
            false,
            7,
            "error: the run took longer than its --timeout of 300ms",
        ),
    ] {
        let asks = program(&[&["policy", "init", "--color=never"], arguments].concat());
        let mut script = script(&asks, 80);
        let mut script = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = script.stdin.take().unwrap();
        let mut screen = script.stdout.take().unwrap();
        let mut shown = String::new();
        while !shown.ends_with("Number: ") {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{shown}");
            shown.push(char::from(byte[0]));
        }
        if presses {
            keyboard.write_all(b"\x03").unwrap();
        }
        // The keyboard stays open: at its end, so would be the answers.
        screen.read_to_string(&mut shown).unwrap();
        assert_eq!(script.wait().unwrap().code(), Some(code), "{shown}");
        assert!(shown.contains(says), "{shown}");
    }
}

/// A run with a warning and a failure: a policy that is weak, and one that is missing.
fn failing(arguments: &[&str]) -> Command {
    program(&[&["policy", "check", "missing.yaml"], arguments].concat())
}

#[test]
fn a_pipe_gets_no_colours_unless_they_are_asked_for() {
    let plain = |run: &Run| assert!(!run.shown().contains(ESCAPE), "{}", run.shown());
    let coloured = |run: &Run| {
        assert!(run.stderr.starts_with(RED), "{}", run.shown());
        assert!(run.stderr.contains(CYAN), "{}", run.shown());
    };
    plain(&run(&mut failing(&[])));
    plain(&run(&mut failing(&["--color", "never"])));
    coloured(&run(&mut failing(&["--color", "always"])));
    coloured(&run(failing(&[]).env("CLICOLOR_FORCE", "1")));
    plain(&run(failing(&[])
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")));
    // What is typed comes before what the environment has.
    coloured(&run(failing(&["--color=always"]).env("NO_COLOR", "1")));
    plain(&run(failing(&["--color=never"]).env("CLICOLOR_FORCE", "1")));
}

#[test]
fn help_and_mistakes_in_a_command_line_are_coloured_alike() {
    let run_with = |arguments: &[&str]| run(&mut program(arguments));
    assert!(!run_with(&["--help"]).stdout.contains(ESCAPE));
    assert!(
        run_with(&["--help", "--color=always"])
            .stdout
            .contains(ESCAPE)
    );
    let mistake = run_with(&["verify", "--nonsense"]);
    assert_eq!(mistake.code, 2);
    assert!(!mistake.stderr.contains(ESCAPE), "{}", mistake.stderr);
    let mistake = run_with(&["verify", "--nonsense", "--color", "always"]);
    assert!(mistake.stderr.contains(ESCAPE), "{}", mistake.stderr);
    // JSON is for a program.
    let mistake = run_with(&["verify", "--nonsense", "--color=always", "--output=json"]);
    assert!(!mistake.json().to_string().contains(ESCAPE));
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_no_color_says_otherwise() {
    let shown = on_a_terminal(&failing(&[]), 80);
    assert!(shown.starts_with(RED) && shown.contains(CYAN), "{shown:?}");
    let shown = on_a_terminal(&program(&["--help"]), 80);
    assert!(shown.contains(ESCAPE), "{shown:?}");
    for plain in [
        failing(&["--color=never"]),
        std::mem::replace(failing(&[]).env("NO_COLOR", "1"), Command::new("true")),
        std::mem::replace(failing(&[]).env("TERM", "dumb"), Command::new("true")),
    ] {
        let shown = on_a_terminal(&plain, 80);
        assert!(shown.starts_with("error: "), "{shown:?}");
        assert!(!shown.contains(ESCAPE), "{shown:?}");
    }
}

#[tokio::test]
async fn a_weak_policy_s_warnings_are_yellow() {
    let stage = Stage::new().await;
    stage.write(
        "weak.yaml",
        "{ issuer: \"https://ci.example\", identity_regex: m. }\n",
    );
    let run = stage.run(&[&["--color=always", "policy", "check", "weak.yaml"]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.starts_with(YELLOW), "{}", run.shown());
}

/// What others wrote can't paint, whoever asks for colours.
#[test]
fn colours_of_others_stay_escaped() {
    let arguments = ["policy", "check", "\u{1b}[2Jx.yaml", "--color=always"];
    let run = run(&mut program(&arguments));
    assert!(!run.stderr.contains("\u{1b}[2J"), "{:?}", run.stderr);
    assert!(run.stderr.contains("\\u{1b}[2Jx.yaml"), "{:?}", run.stderr);
}

#[tokio::test]
async fn quiet_leaves_errors_and_what_a_command_is_there_to_print() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let verified = stage.verify(&["--quiet", &app]);
    assert_eq!(
        verified.shown(),
        "exit code 0\n--- standard output\n--- standard error\n"
    );
    let installed = stage.install(&["-q", &app, "here"]);
    assert_eq!(installed.shown(), verified.shown());
    assert!(stage.path("here/bin/app").is_file());

    stage.push_unsigned("v2");
    let refused = stage.verify(&["-q", &stage.reference("app:v2")]);
    assert_eq!((refused.code, refused.stdout.as_str()), (3, ""));
    assert!(refused.stderr.starts_with("error: "), "{}", refused.shown());

    let checked = stage.run(&[&["policy", "check", "-q", "policy.yaml"]]);
    assert!(
        checked.stdout.contains("A signature is accepted"),
        "{}",
        checked.shown()
    );
    assert_eq!(checked.stderr, "", "warnings are no errors");
    let json = stage.verify(&["-q", "--output=json", &app]).json();
    assert_eq!(json["results"][0]["verified"], true);
}

#[tokio::test]
async fn verbose_tells_each_step_and_twice_has_diagnostics() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let told = stage.install(&["-v", &app, "here"]);
    assert_eq!(told.code, 0, "{}", told.shown());
    let steps: Vec<&str> = told.stderr.lines().collect();
    let expected = [
        "resolving ",
        "verifying sha256:",
        "verified sha256:",
        "fetching sha256:",
        "unpacked sha256:",
    ];
    assert_eq!(steps.len(), expected.len(), "{steps:#?}");
    // Layers are fetched while the image is verified: either may be told first.
    for expected in expected {
        let told = |step: &&&str| step.starts_with(expected);
        assert_eq!(steps.iter().filter(told).count(), 1, "{steps:#?}");
    }
    assert!(
        steps[0].starts_with(expected[0]) && steps[4].starts_with(expected[4]),
        "{steps:#?}"
    );
    let arguments = [&["verify", "-vv"][..], &TRUST, &POLICY, &[&app]].concat();
    let told = run(&mut stage.command(&arguments));
    assert!(told.stderr.contains("DEBUG"), "{}", told.shown());
    let told = run(stage.command(&arguments).env("COUNTERSIGN_LOG", "error"));
    assert!(!told.stderr.contains("DEBUG"), "{}", told.shown());
    let both = run(&mut program(&["list", "-q", "-v"]));
    assert_eq!(both.code, 2, "{}", both.shown());
}

/// With a word for the day of the installation. Signatures are of earlier years.
fn dated(table: &str) -> String {
    let today = regex::Regex::new(r"20(2[6-9]|[3-9]\d)-\d\d-\d\d").unwrap();
    today.replace_all(table, "ON-THE-DAY").into_owned()
}

/// A store with what was signed, and something that has no record.
async fn listed() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "v1", EARLIER);
    assert_eq!(shop.install(&["chat", "draw"]).0, 0);
    std::fs::create_dir(shop.path("notes")).unwrap();
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_table_and_long_has_the_evidence() {
    let shop = listed().await;
    let (code, table, told) = shop.shown(&["list"]);
    assert_eq!((code, told.as_str()), (0, ""));
    insta::assert_snapshot!(dated(&table), @r"
    NAME   GALLERY  TAG          DIGEST        SIGNER                                                          SIGNED      INSTALLED   SIZE  VERIFIED
    chat   acme     latest-chat  0d520fd92082  github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  ON-THE-DAY  2 B   yes
    draw   acme     latest-draw  0d520fd92082  github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  ON-THE-DAY  2 B   yes
    notes  -        -            -             (no record)                                                     -           -           -     -
    notes: no record says what this is; `countersign remove --unrecorded notes` removes it
    ");
    let (code, long, _) = shop.shown(&["list", "--long"]);
    assert_eq!(code, 0);
    assert!(long.starts_with("chat in /"), "{long}");
    assert!(
        long.contains("\n  signer     https://github.com/acme/app/"),
        "{long}"
    );
    assert!(long.contains("\n  served by  the primary, "), "{long}");
    assert!(
        long.contains("`countersign remove --unrecorded notes`"),
        "{long}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_no_wider_than_the_terminal() {
    let shop = listed().await;
    let show = |columns| {
        let command = shop.command(&["list"]);
        let shown = on_a_terminal(&command, columns);
        let rows: Vec<String> = shown.lines().take(4).map(ToOwned::to_owned).collect();
        for row in &rows {
            assert!(
                row.chars().count() <= usize::from(columns),
                "{columns}: {shown}"
            );
        }
        dated(&rows.join("\n"))
    };
    insta::assert_snapshot!(show(14), @r"
    NAME
    chat
    draw
    notes
    ");
    insta::assert_snapshot!(show(4), @r"
    NAME
    chat
    draw
    not…
    ");
    insta::assert_snapshot!(show(40), @r"
    NAME   SIGNER                   VERIFIED
    chat   github.com/acme/app/.g…  yes
    draw   github.com/acme/app/.g…  yes
    notes  (no record)              -
    ");
    insta::assert_snapshot!(show(80), @r"
    NAME   GALLERY  TAG          DIGEST        SIGNER                       VERIFIED
    chat   acme     latest-chat  0d520fd92082  github.com/acme/app/.githu…  yes
    draw   acme     latest-draw  0d520fd92082  github.com/acme/app/.githu…  yes
    notes  -        -            -             (no record)                  -
    ");
    insta::assert_snapshot!(show(200), @r"
    NAME   GALLERY  TAG          DIGEST        SIGNER                                                          SIGNED      INSTALLED   SIZE  VERIFIED
    chat   acme     latest-chat  0d520fd92082  github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  ON-THE-DAY  2 B   yes
    draw   acme     latest-draw  0d520fd92082  github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  ON-THE-DAY  2 B   yes
    notes  -        -            -             (no record)                                                     -           -           -     -
    ");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_drawn_on_a_terminal_and_leaves_nothing_there() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let install = |arguments: &[&str]| {
        let all = [
            &["install", "--platform", "linux/amd64"],
            &FLAGS[..],
            arguments,
        ]
        .concat();
        on_a_terminal(&shop.command(&all), 40)
    };
    let shown = install(&["--color=never", "chat"]);
    assert!(shown.contains("⠁ resolving chat"), "{shown:?}");
    let quiet = install(&["-q", "--reinstall", "chat"]);
    assert_eq!(quiet, "");
}

#[test]
fn every_shell_gets_completions() {
    for (shell, contains) in [
        ("bash", "complete -F _countersign"),
        ("elvish", "edit:completion:arg-completer[countersign]"),
        ("fish", "complete -c countersign"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef countersign"),
    ] {
        let run = run(&mut program(&["completions", shell]));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{shell}");
        assert!(run.stdout.contains(contains), "{shell}: {}", run.stdout);
        assert!(run.stdout.contains("require-integrity"), "{shell}");
    }
    assert_eq!(run(&mut program(&["completions", "tcsh"])).code, 2);
}

/// As on a full disk: no file of this run may have a byte.
#[test]
fn a_manual_page_that_can_t_be_written_whole_is_not_there() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$0\" man pages"]);
    command.arg(env!("CARGO_BIN_EXE_countersign"));
    command.current_dir(directory.path()).env_clear();
    let run = run(&mut command);
    assert_ne!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("the manual page"), "{}", run.shown());
    let left = std::fs::read_dir(directory.path().join("pages")).unwrap();
    assert_eq!(left.count(), 0, "{}", run.shown());
}

#[test]
fn every_command_gets_a_manual_page() {
    let directory = tempfile::TempDir::new().unwrap();
    let pages = directory.path().join("share/man1");
    let run = run(&mut program(&["man", pages.to_str().unwrap()]));
    assert_eq!(run.code, 0, "{}", run.shown());
    let pages_there = std::fs::read_dir(&pages).unwrap();
    let names = pages_there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A group of commands has a page too.
    let groups = crate::commands::rows().flat_map(|name| {
        let words: Vec<&str> = name.split(' ').collect();
        (1..=words.len())
            .map(move |end| format!("countersign-{}.1", words[..end].join("-")))
            .collect::<Vec<_>>()
    });
    let expected: BTreeSet<String> = groups.chain(["countersign.1".to_owned()]).collect();
    assert_eq!(names.collect::<BTreeSet<String>>(), expected);
    let install = std::fs::read_to_string(pages.join("countersign-install.1")).unwrap();
    assert!(install.contains(".TH countersign-install 1"), "{install}");
    assert!(install.contains(r"\-\-require\-integrity"), "{install}");
    // No list of commands names a page that there is not.
    for name in expected {
        let page = std::fs::read_to_string(pages.join(&name)).unwrap();
        assert!(!page.contains("help(1)"), "{name}: {page}");
    }
}
