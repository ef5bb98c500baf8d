//! What to type in place of a command or an option that there is not. A tip only replaces clap's own:
//! nothing is ever run that was not asked for by its name.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};

use crate::commands::Arguments;

/// Options of other programs, and what is passed here in their place.
const OPTIONS: [(&str, &str); 3] = [
    ("--json", "for JSON, pass '--output json'"),
    ("-j", "for JSON, pass '--output json'"),
    ("-o", "for JSON, pass '--output json'"),
];

/// Gives `error` a better tip, if one is known.
pub(crate) fn improve(error: &mut Error) {
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => value(error, ContextKind::InvalidArg).and_then(option),
        ErrorKind::InvalidSubcommand => value(error, ContextKind::InvalidSubcommand)
            .and_then(|name| command(name, &Arguments::command())),
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    } else if let Some(ContextValue::Strings(mut names)) =
        error.remove(ContextKind::SuggestedSubcommand)
    {
        // clap has the nearest last.
        names.reverse();
        error.insert(
            ContextKind::SuggestedSubcommand,
            ContextValue::Strings(names),
        );
    }
}

fn value(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn option(name: &str) -> Option<String> {
    let (_, tip) = OPTIONS.iter().find(|(option, _)| *option == name)?;
    Some((*tip).to_owned())
}

/// The version, or a command of that name in a group: `policy check` for `check`.
fn command(name: &str, program: &Command) -> Option<String> {
    if name == "version" {
        return Some("for the version, pass '--version'".to_owned());
    }
    let group = program.get_subcommands().find(|group| {
        let mut commands = group.get_subcommands();
        commands.any(|command| command.get_name() == name)
    })?;
    let group = group.get_name();
    Some(format!("the command is 'countersign {group} {name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_says_what_to_type() {
        for (line, tips) in [
            (
                "check p.yaml",
                "tip: the command is 'countersign policy check'",
            ),
            ("version", "tip: for the version, pass '--version'"),
            ("policy chek", "tip: a similar subcommand exists: 'check'"),
            ("verify --json x", "tip: for JSON, pass '--output json'"),
            ("verify -o json x", "tip: for JSON, pass '--output json'"),
        ] {
            let words = std::iter::once("countersign").chain(line.split(' '));
            let mut error = Arguments::command()
                .try_get_matches_from(words)
                .unwrap_err();
            improve(&mut error);
            let said = error.to_string();
            let found: Vec<&str> = said.lines().filter(|line| line.contains("tip")).collect();
            assert_eq!(found, [format!("  {tips}")], "{line}");
        }
    }
}
