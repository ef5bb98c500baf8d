//! What to type in place of a command or an option that there is not. A tip only replaces clap's own:
//! nothing is ever run that was not asked for by its name.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, Error};
use countersign_policy::nearest;

use crate::commands::Arguments;

/// Options of other programs, and what is passed here in their place. Those that mean the same here are aliases.
const OPTIONS: &[(&str, &str)] = &[
    ("--json", "for JSON, pass '--output json'"),
    ("-j", "for JSON, pass '--output json'"),
    (
        "--certificate-identity-regexp",
        "pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it",
    ),
    (
        "--certificate-oidc-issuer-regexp",
        "pass '--issuer-regex'. It must match the whole issuer; cosign's may match any part of it",
    ),
    (
        "--certificate-github-workflow-repository",
        "write a policy file with 'claims: {source_repository_uri: ...}'",
    ),
    (
        "--certificate-github-workflow-ref",
        "write a policy file with 'claims: {source_repository_ref: ...}'",
    ),
    (
        "--tlog-upload",
        "every signature has a log entry; leave it out",
    ),
    (
        "--allow-http-registry",
        "for a registry without TLS, pass '--plain-http'",
    ),
    (
        "--allow-insecure-registry",
        "for a registry with its own authority, pass '--registry-ca FILE'",
    ),
    (
        "--insecure-ignore-tlog",
        "write a policy file with 'key: FILE' and 'ignore_tlog: true'",
    ),
    (
        "--type",
        "write a policy file with 'predicate_types: [URL]'",
    ),
    (
        "--private-infrastructure",
        "write a policy file with 'key: FILE' and 'ignore_tlog: true'",
    ),
    (
        "--certificate-chain",
        "the authorities are in a trusted root: pass '--trusted-root FILE'",
    ),
    (
        "--max-workers",
        "leave it out: several images are verified side by side",
    ),
    (
        "--signature",
        "signatures are read from the registry; a policy's 'signature_sources' names another repository",
    ),
    (
        "--certificate",
        "certificates are read from the signature; name the signer with '--identity' and '--issuer'",
    ),
    (
        "--insecure",
        "for a registry without TLS, pass '--plain-http'",
    ),
    (
        "--registry-username",
        "log in with 'docker login', 'podman login' or 'crane auth login'",
    ),
];

/// Options that one command lacks and another has, with what to do instead.
const OPTIONS_OF: &[(&str, &str, &str)] = &[
    ("sign", "--key", SIGN_BY_KEY),
    ("merge", "--key", SIGN_BY_KEY),
];
const SIGN_BY_KEY: &str = "images are signed without a key here, by who you are or by the CI's job; to sign with a key, run 'cosign sign --key FILE'. 'countersign verify --key FILE' verifies that";

/// Commands of two words of other programs, and what is run here in their place.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "download",
        "attestation",
        "to write what a proven attestation says, run 'countersign verify --policy FILE --save-predicate FILE IMAGE'",
    ),
    (
        "download",
        "signature",
        "to write the signatures of an image, run 'countersign verify --policy FILE --save DIR IMAGE'",
    ),
    (
        "download",
        "sbom",
        "to see what is attached to an image, run 'countersign tree'; of a proven attestation 'countersign verify --save-predicate FILE' writes the SBOM",
    ),
];

/// Commands of other programs, and what is run here in their place.
const COMMANDS: &[(&str, &str)] = &[
    (
        "save",
        "to copy an image with its signatures into a directory, run 'countersign copy --policy FILE IMAGE ocifile://DIR'",
    ),
    (
        "load",
        "to copy an image from a directory into a registry, run 'countersign copy --policy FILE ocifile://DIR REPOSITORY'",
    ),
    (
        "triangulate",
        "to see what is attached to an image, run 'countersign tree'",
    ),
    (
        "initialize",
        "for another trusted root, pass '--trusted-root FILE'",
    ),
    (
        "generate-key-pair",
        "keys are only verified with here; for a key there is 'cosign generate-key-pair'",
    ),
    (
        "attach",
        "signatures are attached when they are made, by 'countersign sign'",
    ),
    (
        "pull",
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        "export",
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        "unpack",
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        "download",
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        "add",
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        "update",
        "to install what is current, run 'countersign upgrade'",
    ),
    (
        "uninstall",
        "to remove what is installed, run 'countersign remove'",
    ),
    (
        "delete",
        "to remove what is installed, run 'countersign remove'",
    ),
    ("ps", "to see what is installed, run 'countersign list'"),
    ("images", "to see what is installed, run 'countersign list'"),
    (
        "digest",
        "for the digest of a verified image, run 'countersign verify --print-digest'",
    ),
    (
        "manifest",
        "to join images into one and sign it, run 'countersign merge'",
    ),
    (
        "imagetools",
        "to join images into one and sign it, run 'countersign merge'",
    ),
    (
        "index",
        "to join images into one and sign it, run 'countersign merge'",
    ),
    (
        "verify-attestation",
        "name the type in a policy's 'predicate_types', and run 'countersign verify --policy'",
    ),
    (
        "sign-blob",
        "only images are signed; for files there is 'cosign sign-blob'",
    ),
    (
        "verify-blob",
        "only images are verified; for files there is 'cosign verify-blob'",
    ),
    (
        "attest",
        "only signatures are made; for attestations there is 'cosign attest'",
    ),
    (
        "login",
        "log in with 'docker login', 'podman login' or 'crane auth login'",
    ),
    (
        "auth",
        "log in with 'docker login', 'podman login' or 'crane auth login'",
    ),
];

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
    let asked = asked(&program, &words);
    if error.get(ContextKind::Usage).is_some() {
        let usage = asked.clone().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            value(error, ContextKind::InvalidArg).and_then(|name| option(name, asked.get_name()))
        }
        ErrorKind::InvalidSubcommand => value(error, ContextKind::InvalidSubcommand)
            .and_then(|name| pair(name, &words).or_else(|| command(name, &program))),
        ErrorKind::ValueValidation => value(error, ContextKind::InvalidValue)
            .filter(|name| name.contains('/'))
            .and_then(|_| path(asked.get_name())),
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
        // clap takes words for each other that are not near.
        let typed = value(error, ContextKind::InvalidSubcommand)
            .unwrap_or_default()
            .to_owned();
        names.retain(|name| nearest(&typed, [name.as_str()]).is_some());
        // clap has the nearest last.
        names.reverse();
        if !names.is_empty() {
            error.insert(
                ContextKind::SuggestedSubcommand,
                ContextValue::Strings(names),
            );
        }
    }
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

fn pair(name: &str, words: &[&str]) -> Option<String> {
    let mut behind = words.iter().skip_while(|word| **word != name).skip(1);
    let next = behind.next()?;
    let (.., tip) = PAIRS
        .iter()
        .find(|(first, second, _)| *first == name && second == next)?;
    Some((*tip).to_owned())
}

/// What to type where a directory is named in the place of an installed entry.
fn path(command: &str) -> Option<String> {
    let tip = match command {
        "upgrade" | "outdated" => {
            "entries are upgraded by their names in 'countersign list'; what was installed into a directory is upgraded by 'countersign install REFERENCE DIRECTORY'"
        }
        "remove" => {
            "entries are removed by their names in 'countersign list'; what was installed into a directory is removed with the directory"
        }
        "list" => {
            "only entries of galleries are listed; 'countersign check DIRECTORY' compares what was installed into a directory"
        }
        _ => return None,
    };
    Some(tip.to_owned())
}

fn option(name: &str, command: &str) -> Option<String> {
    let mut own = OPTIONS_OF.iter();
    if let Some((.., tip)) = own.find(|(of, option, _)| *of == command && *option == name) {
        return Some((*tip).to_owned());
    }
    let (_, tip) = OPTIONS.iter().find(|(option, _)| *option == name)?;
    Some((*tip).to_owned())
}

/// A command of another program, or a command of that name in a group: `policy test` for `test`.
fn command(name: &str, program: &Command) -> Option<String> {
    if let Some((_, tip)) = COMMANDS.iter().find(|(other, _)| *other == name) {
        return Some((*tip).to_owned());
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
                "test p.yaml",
                "tip: the command is 'countersign policy test'",
            ),
            ("policy chek", "tip: a similar subcommand exists: 'check'"),
            ("verify --json x", "tip: for JSON, pass '--output json'"),
            (
                "verify --certificate-identity-regexp=x y",
                "tip: pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it",
            ),
            (
                "verify --max-workers=4 x",
                "tip: leave it out: several images are verified side by side",
            ),
            (
                "triangulate x",
                "tip: to see what is attached to an image, run 'countersign tree'",
            ),
            ("remov x", "tip: a similar subcommand exists: 'remove'"),
            (
                "sign --key cosign.key x",
                "tip: images are signed without a key here, by who you are or by the CI's job; to sign with a key, run 'cosign sign --key FILE'. 'countersign verify --key FILE' verifies that",
            ),
            (
                "download attestation x",
                "tip: to write what a proven attestation says, run 'countersign verify --policy FILE --save-predicate FILE IMAGE'",
            ),
            (
                "save x",
                "tip: to copy an image with its signatures into a directory, run 'countersign copy --policy FILE IMAGE ocifile://DIR'",
            ),
            (
                "upgrade --gallery x ./dir",
                "tip: entries are upgraded by their names in 'countersign list'; what was installed into a directory is upgraded by 'countersign install REFERENCE DIRECTORY'",
            ),
        ] {
            let words = std::iter::once("countersign").chain(line.split(' '));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let mut error = Arguments::command()
                .try_get_matches_from(&words)
                .unwrap_err();
            improve(&mut error, &words);
            let said = error.to_string();
            let found: Vec<&str> = said.lines().filter(|line| line.contains("tip")).collect();
            assert_eq!(found, [format!("  {tips}")], "{line}");
        }
    }

    /// Whoever types `trim` does not mean `remove`.
    #[test]
    fn what_is_not_similar_is_not_suggested() {
        for name in ["trim", "stop", "inspect", "resign-all"] {
            let words = ["countersign", name].map(OsString::from);
            let mut error = Arguments::command()
                .try_get_matches_from(&words)
                .unwrap_err();
            improve(&mut error, &words);
            let said = error.to_string();
            assert!(!said.contains("tip"), "{said}");
        }
    }

    /// clap repeats what was typed, which has nothing to do with the mistake.
    #[test]
    fn the_usage_names_no_option_that_was_typed_by_the_way() {
        let words = [
            "countersign",
            "--quiet",
            "verify",
            "--timeout",
            "3s",
            "--nonsense",
            "x",
        ];
        let words = words.map(OsString::from);
        let mut error = Arguments::command()
            .try_get_matches_from(&words)
            .unwrap_err();
        improve(&mut error, &words);
        let said = error.to_string();
        let usage = said.lines().find(|line| line.starts_with("Usage: "));
        let expected = "Usage: countersign verify [OPTIONS] <REFERENCE>...";
        assert_eq!(usage, Some(expected), "{said}");
    }

    /// What is in a table must not be a command or an option by now.
    #[test]
    fn no_tip_hides_what_there_is() {
        let program = Arguments::command();
        for (name, _) in COMMANDS {
            let known = program.find_subcommand(name).is_some();
            assert!(
                !known,
                "`{name}` is a command by now: its tip in COMMANDS goes"
            );
        }
        for (option, _) in OPTIONS {
            let long = option.trim_start_matches('-');
            let mut commands = program.get_subcommands();
            assert!(
                commands.all(|command| command
                    .get_arguments()
                    .all(|known| known.get_long() != Some(long))),
                "`{option}` is an option by now: its tip in OPTIONS goes"
            );
        }
    }
}
