//! What `--help` says. The snapshots are read as a newcomer reads them.

use crate::stage::{program, run};

fn help(name: &str, arguments: &[&str]) {
    let shown = run(&mut program(arguments));
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown.stdout));
}

#[test]
fn the_program() {
    help("help", &["--help"]);
}

#[test]
fn sign() {
    help("help_sign", &["sign", "--help"]);
}

#[test]
fn merge() {
    help("help_merge", &["merge", "--help"]);
}

#[test]
fn verify() {
    help("help_verify", &["verify", "--help"]);
}

#[test]
fn install() {
    help("help_install", &["install", "--help"]);
}

#[test]
fn upgrade() {
    help("help_upgrade", &["upgrade", "--help"]);
}

#[test]
fn list() {
    help("help_list", &["list", "--help"]);
}

#[test]
fn remove() {
    help("help_remove", &["remove", "--help"]);
}

#[test]
fn completions() {
    help("help_completions", &["completions", "--help"]);
}

#[test]
fn man() {
    help("help_man", &["man", "--help"]);
}

#[test]
fn policy() {
    help("help_policy", &["policy", "--help"]);
}

#[test]
fn policy_check() {
    help("help_policy_check", &["policy", "check", "--help"]);
}

#[test]
fn policy_test() {
    help("help_policy_test", &["policy", "test", "--help"]);
}

#[test]
fn policy_schema() {
    help("help_policy_schema", &["policy", "schema", "--help"]);
}

/// `-h` is the short form: who looks for a flag reads one line an option.
#[test]
fn the_short_help_has_one_line_an_option() {
    for command in [
        &[][..],
        &["sign"],
        &["merge"],
        &["verify"],
        &["install"],
        &["upgrade"],
        &["list"],
        &["remove"],
        &["completions"],
        &["man"],
        &["policy", "check"],
        &["policy", "test"],
        &["policy", "schema"],
    ] {
        let shown = run(&mut program(&[command, &["-h"]].concat()));
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
        let options = shown.stdout.split_once("\n\nOptions:\n").unwrap().1;
        let options = options.split("\n\nExample").next().unwrap();
        let options = options.split("\n\nExit codes").next().unwrap();
        for line in options.lines().filter(|line| line.starts_with(' ')) {
            let option = line.trim_start();
            assert!(option.starts_with('-'), "{command:?}: {line}");
            assert!(line.chars().count() <= 100, "{command:?}: {line}");
        }
    }
}

#[test]
fn the_version_is_told_on_standard_output() {
    let version = run(&mut program(&["--version"]));
    assert_eq!(version.code, 0);
    let expected = format!("countersign {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.stdout, expected);
}
