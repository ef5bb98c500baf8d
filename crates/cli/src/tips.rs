//! What to type in place of a command or an option that there is not. A tip only replaces clap's own:
//! nothing is ever run that was not asked for by its name.

mod claims;
mod commands;
mod table;

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};
use countersign_policy::nearest;

use self::claims::claims;
use self::commands::{COMMANDS, PAIRS};
use self::table::{OPTIONS, OPTIONS_OF};
use crate::commands::Arguments;

/// Gives `error` a better tip, if one is known, and the usage of the command of `line` as a whole: clap repeats the
/// options that were typed, whatever they have to do with the mistake.
pub(crate) fn improve(error: &mut Error, line: &[OsString]) {
    let words: Vec<&str> = line
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    let mut program = Arguments::command();
    program.build();
    // What stands behind a word that is no command is no command of ours.
    let wrong = match error.kind() {
        ErrorKind::InvalidSubcommand => value(error, ContextKind::InvalidSubcommand),
        _ => None,
    };
    let until = words.iter().position(|word| Some(*word) == wrong);
    let commands = words.get(..until.unwrap_or(words.len()));
    let asked = asked(&program, commands.unwrap_or_default());
    if let Some(message) = not_for_audit(error, asked) {
        *error = asked.clone().error(ErrorKind::UnknownArgument, message);
        return;
    }
    if error.get(ContextKind::Usage).is_some() {
        let usage = asked.clone().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => value(error, ContextKind::InvalidArg)
            .and_then(|name| claims(name, &words).or_else(|| argument(name, asked, &words))),
        ErrorKind::TooManyValues => switch(error),
        ErrorKind::InvalidValue => of_choice(error, asked.get_name(), &words),
        ErrorKind::ArgumentConflict => {
            only_typed(error, asked, &words);
            forms_of_copy(error, asked.get_name())
        }
        ErrorKind::InvalidSubcommand => {
            value(error, ContextKind::InvalidSubcommand).and_then(|name| {
                let of_group = || {
                    // `crane config IMAGE`.
                    let is_image = asked.get_name() == "config" && name.contains('/');
                    let behind = if is_image { "IMAGE" } else { name };
                    pair_of(asked.get_name(), behind)
                };
                let pair = pair(name, &words).or_else(of_group);
                pair.or_else(|| command(name, &program))
            })
        }
        ErrorKind::ValueValidation => value(error, ContextKind::InvalidValue)
            .and_then(|name| of_value(error, name, asked.get_name())),
        _ => forms_of_copy(error, asked.get_name())
            .or_else(|| names_to_install(error, asked.get_name(), &words)),
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::SuggestedSubcommand);
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    } else if let Some(ContextValue::Strings(mut names)) =
        error.remove(ContextKind::SuggestedSubcommand)
    {
        // clap takes words for each other that are not near.
        let typed = value(error, ContextKind::InvalidSubcommand)
            .unwrap_or_default()
            .to_owned();
        names.retain(|name| is_near(&typed, name));
        // clap has the nearest last.
        names.reverse();
        if names.is_empty() {
            error.remove(ContextKind::Suggested);
        } else {
            error.insert(
                ContextKind::SuggestedSubcommand,
                ContextValue::Strings(names),
            );
        }
    } else {
        without_dashes(error);
        without_far_option(error);
    }
}

/// Whether one is probably a misspelling of the other, by the length of either.
fn is_near(one: &str, other: &str) -> bool {
    nearest(one, [other]).is_some() && nearest(other, [one]).is_some()
}

/// Leaves out clap's guess at an option that is not near: it only leads astray.
fn without_far_option(error: &mut Error) {
    let plain = |name: &str| name.trim_start_matches('-').to_owned();
    let typed = value(error, ContextKind::InvalidArg).map(plain);
    let guessed = value(error, ContextKind::SuggestedArg).map(plain);
    if let (Some(typed), Some(guessed)) = (typed, guessed)
        && !is_near(&typed, &guessed)
    {
        error.remove(ContextKind::SuggestedArg);
    }
}

/// What `copy` copies, and how each is written: its forms have no argument in common, and clap names those of all.
fn forms_of_copy(error: &Error, command: &str) -> Option<String> {
    let is_of_forms = match error.kind() {
        ErrorKind::MissingRequiredArgument => true,
        ErrorKind::ArgumentConflict => error.to_string().contains("[SOURCE]"),
        _ => false,
    };
    (command == "copy" && is_of_forms).then(|| FORMS_OF_COPY.to_owned())
}

/// What lists the names of entries, where none was given.
fn names_to_install(error: &Error, command: &str, words: &[&str]) -> Option<String> {
    let is_missing = error.kind() == ErrorKind::MissingRequiredArgument && command == "install";
    let given = |flag: &str| {
        words
            .iter()
            .any(|word| word.split('=').next() == Some(flag))
    };
    let of = match (is_missing, given("--from"), given("--gallery")) {
        (true, true, _) => "ocifile://KIT",
        (true, false, true) => "FILE",
        (true, false, false) | (false, ..) => return None,
    };
    Some(format!(
        "write the names of entries behind it: 'countersign gallery show {of}' lists them"
    ))
}

const FORMS_OF_COPY: &str = "one image is copied by 'countersign copy SOURCE DESTINATION'; those of galleries by 'countersign copy --gallery FILE --to NAME', with '--entry NAME' for one of them; all of a kit by 'countersign copy ocifile://KIT NAME'";

/// Leaves out clap's advice to write `--` before an unknown option: nothing here has a name that begins like one.
fn without_dashes(error: &mut Error) {
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| !tip.to_string().contains("as a value, use '-- "));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
}

/// What is said of an operand that was given to `audit`, which clap takes for the name of a command of its own.
fn not_for_audit(error: &Error, asked: &Command) -> Option<String> {
    if asked.get_name() != "audit" {
        return None;
    }
    // clap names it there too if options stand before it, with which a command can't be combined.
    let name = value(error, ContextKind::InvalidSubcommand)?;
    let is_file = [".yaml", ".yml", ".json"]
        .iter()
        .any(|end| name.ends_with(end));
    if is_file {
        return Some(format!(
            "unexpected argument '{name}': for a gallery file, pass '--gallery {name}'; for a policy, '--policy {name} --images FILE'"
        ));
    }
    if name.contains(['/', ':', '.']) {
        return Some(format!(
            "unexpected argument '{name}': images are read from a file with a reference a line; pass '--images FILE', or \
             '--images -' for standard input"
        ));
    }
    (error.kind() == ErrorKind::ArgumentConflict)
        .then(|| format!("unexpected argument '{name}': all entries of the galleries are judged"))
}

fn value(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// The command that the words name: the innermost one.
fn asked<'a>(program: &'a Command, words: &[&str]) -> &'a Command {
    let mut asked = program;
    for word in words {
        match asked.find_subcommand(word) {
            Some(inner) => asked = inner,
            // An operand. It may have the name of a command.
            None if !asked.has_subcommands() => break,
            // An option before the command, or its value.
            None => {}
        }
    }
    asked
}

/// A command of several words, by the words behind the first one. A tip may be for what an image begins with.
fn pair(name: &str, words: &[&str]) -> Option<String> {
    let behind = words.iter().skip_while(|word| **word != name).skip(1);
    let behind = behind.copied().collect::<Vec<_>>().join(" ");
    pair_of(name, &behind)
}

fn pair_of(name: &str, behind: &str) -> Option<String> {
    let is_second = |second: &str| {
        let rest = behind.strip_prefix(second);
        rest.is_some_and(|rest| rest.is_empty() || second.ends_with(':') || rest.starts_with(' '))
    };
    let (.., tip) = PAIRS
        .iter()
        .find(|(first, second, _)| *first == name && is_second(second))?;
    Some((*tip).to_owned())
}

/// What to type in the place of a value that is none of those that there are, or that was left out.
fn of_choice(error: &Error, command: &str, words: &[&str]) -> Option<String> {
    match value(error, ContextKind::InvalidValue)? {
        "text" => Some("cosign's 'text' is 'human' here, which is the default".to_owned()),
        "yaml" => Some("there is no YAML: pass 'json'".to_owned()),
        _ if command == "install" && is_output(error) => Some(
            "'--output' is the form of what is printed; write the directory behind the image: 'countersign install REFERENCE DIRECTORY'"
                .to_owned(),
        ),
        "" if words.contains(&"-a") => of_value(error, "", command),
        _ => None,
    }
}

fn is_output(error: &Error) -> bool {
    value(error, ContextKind::InvalidArg).is_some_and(|name| name.starts_with("--output"))
}

/// What to type in the place of a value that is none.
fn of_value(error: &Error, found: &str, command: &str) -> Option<String> {
    let argument = value(error, ContextKind::InvalidArg).unwrap_or_default();
    match (command, argument.split(' ').next().unwrap_or_default()) {
        ("copy", "--annotation") if !found.contains('=') => Some(
            "skopeo's '-a' is '--all': leave it out, an index is copied with all that it lists"
                .to_owned(),
        ),
        ("copy" | "tree" | "audit", "--platform") if found == "all" => {
            Some("leave it out: without it, all platforms are meant".to_owned())
        }
        (_, "--platform") if found == "all" => Some(
            "name one, such as linux/amd64; without '--platform' it is this machine's".to_owned(),
        ),
        ("init", "--from") if is_of_code(found) => Some(OF_CODE.to_owned()),
        _ => installed(found, command),
    }
}

/// Whether it is the address of a repository of code, copied from a browser.
fn is_of_code(text: &str) -> bool {
    let text = text.strip_prefix("https://").unwrap_or(text);
    text.starts_with("github.com/") || text.starts_with("gitlab.com/")
}

const OF_CODE: &str = "that is a repository of code: pass an image of it, '--from REFERENCE', or run 'countersign policy init' alone, and answer its questions";

/// What to type where something else is named in the place of an installed entry.
fn installed(name: &str, command: &str) -> Option<String> {
    let by_name = ["upgrade", "outdated", "remove", "list"].contains(&command);
    if let Some((_, entry)) = name
        .split_once('@')
        .filter(|_| by_name && !name.contains('/'))
    {
        return Some(format!(
            "write '{entry}': what is installed has one name, whatever gallery it is from"
        ));
    }
    if !name.contains('/') {
        return None;
    }
    let tip = match command {
        "upgrade" | "outdated" => {
            "entries are upgraded by their names in 'countersign list'; what was installed into a directory is upgraded by 'countersign install REFERENCE DIRECTORY'"
        }
        "remove" => {
            "entries are removed by their names in 'countersign list'; what was installed into a directory is removed with the directory"
        }
        "list" if !name.starts_with(['.', '/', '~']) => {
            "tags are listed by 'crane ls' and 'skopeo list-tags'; only entries of galleries are listed here"
        }
        "list" => {
            "only entries of galleries are listed; 'countersign check DIRECTORY' compares what was installed into a directory"
        }
        _ => return None,
    };
    Some(tip.to_owned())
}

/// What to do about an argument that there is not, or not there.
fn argument(name: &str, asked: &Command, words: &[&str]) -> Option<String> {
    let command = asked.get_name();
    if !name.starts_with('-') {
        let galleries = words.iter().any(|word| word.starts_with("--gallery"));
        if asked.get_name() == "copy" && galleries {
            return Some(FORMS_OF_COPY.to_owned());
        }
        if asked.get_bin_name() == Some("countersign policy init") && is_of_code(name) {
            return Some(OF_CODE.to_owned());
        }
        let operands = OPERANDS_OF.iter();
        let mut tips = operands.filter(|(of, _)| Some(*of) == asked.get_bin_name());
        return tips.next().map(|(_, tip)| (*tip).to_owned());
    }
    let long = name.strip_prefix("--");
    let mut own = asked.get_arguments();
    if long.is_some() && own.any(|known| known.get_long() == long) {
        let command = asked.get_bin_name().unwrap_or(command);
        return Some(format!(
            "write it behind the command: '{command} {name} ...'"
        ));
    }
    option(name, asked)
}

/// Commands without operands, or with others, and the options that are probably meant.
const OPERANDS_OF: &[(&str, &str)] = &[
    (
        "countersign policy init",
        "to begin with the signers of an image, pass '--from REFERENCE'",
    ),
    (
        "countersign policy test",
        "a file of cases, or the directory that 'verify --save' wrote, is named by '--case CASES'",
    ),
];

fn option(name: &str, asked: &Command) -> Option<String> {
    let (command, whole) = (asked.get_name(), asked.get_bin_name().unwrap_or_default());
    let mut own = OPTIONS_OF.iter();
    let own = own.find(|(of, options, _)| {
        (of.contains(&command) || of.contains(&whole)) && options.contains(&name)
    });
    if let Some((.., tip)) = own {
        return Some((*tip).to_owned());
    }
    let (_, tip) = OPTIONS
        .iter()
        .find(|(options, _)| options.contains(&name))?;
    Some((*tip).to_owned())
}

/// An option without a value that was given one, as Go's programs take it.
fn switch(error: &Error) -> Option<String> {
    // Behind one that may be repeated clap writes dots.
    let name = value(error, ContextKind::InvalidArg)?.trim_end_matches("...");
    match value(error, ContextKind::InvalidValue)? {
        "true" => Some(format!("write '{name}' alone")),
        "false" => Some(format!("leave '{name}' out: without it, it is off")),
        _ => None,
    }
}

/// Leaves out what was not typed: of options that can't be combined, clap names all that there are.
fn only_typed(error: &mut Error, asked: &Command, words: &[&str]) {
    let Some(ContextValue::Strings(named)) = error.get(ContextKind::PriorArg) else {
        return;
    };
    let typed = |shown: &String| {
        let long = shown.split([' ', '=']).next().unwrap_or(shown);
        let Some(argument) = asked.get_arguments().find(|one| {
            one.get_long()
                .is_some_and(|name| long.strip_prefix("--") == Some(name))
        }) else {
            return true;
        };
        let names = argument.get_all_aliases().unwrap_or_default();
        let mut names = names.into_iter().chain(argument.get_long());
        let short = argument.get_short();
        names.any(|name| {
            words.iter().any(|word| {
                let word = word.strip_prefix("--").unwrap_or_default();
                word == name
                    || word
                        .strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with('='))
            })
        }) || short.is_some_and(|short| {
            words
                .iter()
                .any(|word| word.starts_with(&format!("-{short}")))
        })
    };
    let mut named: Vec<String> = named.iter().filter(|shown| typed(shown)).cloned().collect();
    let named = match named.len() {
        0 => return,
        1 => ContextValue::String(named.remove(0)),
        _ => ContextValue::Strings(named),
    };
    error.insert(ContextKind::PriorArg, named);
}

/// A command of another program, or a command of that name in a group: `policy test` for `test`.
fn command(name: &str, program: &Command) -> Option<String> {
    if let Some((_, tip)) = COMMANDS.iter().find(|(names, _)| names.contains(&name)) {
        return Some((*tip).to_owned());
    }
    if program.get_subcommands().any(|one| one.get_name() == name) {
        return Some(format!("the command is 'countersign {name}'"));
    }
    let groups = program
        .get_subcommands()
        .filter(|group| group.get_name() != "help");
    let group = groups.into_iter().find(|group| {
        let mut commands = group.get_subcommands();
        commands.any(|command| command.get_name() == name)
    })?;
    let group = group.get_name();
    Some(format!("the command is 'countersign {group} {name}'"))
}

#[cfg(test)]
mod tests;
