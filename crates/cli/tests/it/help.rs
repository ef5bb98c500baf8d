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
fn schema() {
    help("help_schema", &["schema", "--help"]);
}

#[test]
fn schema_output() {
    help("help_schema_output", &["schema", "output", "--help"]);
}

#[test]
fn schema_policy() {
    help("help_schema_policy", &["schema", "policy", "--help"]);
}

/// The words of every command, as the manual pages name them.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let directory = tempfile::TempDir::new().unwrap();
    let pages = directory.path().join("man1");
    assert_eq!(run(&mut program(&["man", pages.to_str().unwrap()])).code, 0);
    let names = std::fs::read_dir(&pages).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let words = name.strip_suffix(".1").unwrap().split('-').skip(1);
        words.map(str::to_owned).collect()
    });
    names.collect()
}

#[test]
fn every_command_has_its_help_among_the_snapshots() {
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots");
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for words in commands {
        let mut name = vec!["help".to_owned()];
        name.extend(words);
        let snapshot = format!("{snapshots}/{}.snap", name.join("_"));
        assert!(std::path::Path::new(&snapshot).is_file(), "{snapshot}");
    }
}

/// `-h` is the short form: who looks for a flag reads one line an option.
#[test]
fn the_short_help_has_one_line_an_option() {
    for command in commands() {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        words.push("-h");
        let shown = run(&mut program(&words));
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
