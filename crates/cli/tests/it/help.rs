//! What `--help` says. The snapshots are read as a newcomer reads them.

use crate::stage::{program, run};

/// What `-h` says of a command.
fn short_help(words: &[String]) -> String {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push("-h");
    let shown = run(&mut program(&words));
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{words:?}");
    shown.stdout
}

/// The words of every command, as `-h` lists them. The first is the program by itself.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut next = 0;
    while let Some(words) = all.get(next).cloned() {
        let help = short_help(&words);
        let listed = help
            .split_once("\nCommands:\n")
            .map_or("", |(_, rest)| rest);
        let lines = listed.lines().take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.split_whitespace().next());
        let below = names.filter(|name| *name != "help");
        all.extend(below.map(|name| [&words[..], &[name.to_owned()]].concat()));
        next += 1;
    }
    all
}

/// Whether the command does nothing without another word.
pub(crate) fn is_group(words: &[String]) -> bool {
    let help = short_help(words);
    let usage = help.lines().find(|line| line.starts_with("Usage:"));
    usage.unwrap().ends_with("<COMMAND>")
}

#[test]
fn every_command_s_help_reads_well() {
    let mut commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    commands.sort();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for command in &commands {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        words.push("--help");
        let shown = run(&mut program(&words));
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
        let name = [&["help".to_owned()], &command[..]].concat().join("_");
        settings.bind(|| insta::assert_snapshot!(name, shown.stdout));
    }
    let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots");
    let snapshots = std::fs::read_dir(snapshots).unwrap();
    let names = snapshots.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.filter(|name| name.starts_with("help") && name.ends_with(".snap"));
    assert_eq!(
        kept.count(),
        commands.len(),
        "a command is gone, its snapshot is not"
    );
}

/// `-h` is the short form: who looks for a flag reads one line an option.
#[test]
fn the_short_help_has_one_line_an_option() {
    for command in commands() {
        let shown = short_help(&command);
        let options = shown.split_once("\n\nOptions:\n").unwrap().1;
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
fn the_help_of_help_is_help() {
    for command in [
        &["help"][..],
        &["help", "sign"],
        &["help", "policy", "check"],
    ] {
        let help = run(&mut program(command));
        assert_eq!(help.code, 0, "{}", help.shown());
        for flag in ["--help", "-h"] {
            let asked = run(&mut program(&[command, &[flag]].concat()));
            assert_eq!((asked.code, &asked.stdout), (0, &help.stdout), "{flag}");
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
