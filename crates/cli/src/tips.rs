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
    ("--certificate-identity-regexp", IDENTITY_REGEX),
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
    (
        "--k8s-keychain",
        "log in with 'docker login', 'podman login' or 'crane auth login'",
    ),
    ("--identity-regexp", IDENTITY_REGEX),
    ("--certificate-identity-regex", IDENTITY_REGEX),
    (
        "--new-bundle-format",
        "leave it out: signatures are bundles, the form of cosign 3; a policy's 'signature_formats' accepts the older form too",
    ),
    (
        "--local-image",
        "name a layout on this machine as 'ocifile://DIR'",
    ),
    (
        "--insecure-ignore-sct",
        "leave it out: a certificate has to be in a log only if the trusted root has such logs",
    ),
    (
        "--check-claims",
        "leave it out: what the signature says of the image is always checked",
    ),
    (
        "--oidc-provider",
        "leave it out: the token of a CI is found; '--identity-token @FILE' takes one from elsewhere",
    ),
];

const IDENTITY_REGEX: &str =
    "pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it";

/// Options that one command lacks and another has, with what to do instead.
const OPTIONS_OF: &[(&str, &str, &str)] = &[
    ("sign", "--key", SIGN_BY_KEY),
    ("merge", "--key", SIGN_BY_KEY),
    (
        "sign",
        "--tag",
        "to write a tag once the image is signed, pass '--then-tag TAG'; a tag that the signature is to name stands in the reference, NAME:TAG@DIGEST",
    ),
    (
        "merge",
        "--then-tag",
        "to write one more tag, pass '--tag NAME:TAG' again",
    ),
    ("upgrade", "--from", UPGRADE_FROM_A_KIT),
    ("outdated", "--from", UPGRADE_FROM_A_KIT),
];
const UPGRADE_FROM_A_KIT: &str =
    "what is from a kit is upgraded by 'countersign install --from ocifile://KIT NAME'";
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
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["save"],
        "to copy an image with its signatures into a directory, run 'countersign copy --policy FILE IMAGE ocifile://DIR'",
    ),
    (
        &["load"],
        "to copy an image from a directory into a registry, run 'countersign copy --policy FILE ocifile://DIR REPOSITORY:TAG'",
    ),
    (
        &["triangulate"],
        "to see what is attached to an image, run 'countersign tree'",
    ),
    (
        &["initialize"],
        "for another Sigstore, pass '--tuf-url URL --tuf-root FILE' or '--trusted-root FILE' to each command, or write 'trust' into the policy",
    ),
    (
        &["generate-key-pair"],
        "keys are only verified with here; for a key there is 'cosign generate-key-pair'",
    ),
    (
        &["attach"],
        "signatures are attached when they are made, by 'countersign sign'",
    ),
    (
        &["pull", "export", "unpack", "download", "add"],
        "to verify an image and unpack it, run 'countersign install'",
    ),
    (
        &["update"],
        "to install what is current, run 'countersign upgrade'",
    ),
    (
        &["uninstall", "delete"],
        "to remove what is installed, run 'countersign remove'",
    ),
    (
        &["ps", "images"],
        "to see what is installed, run 'countersign list'",
    ),
    (
        &["digest"],
        "for the digest of a verified image, run 'countersign verify --print-digest'",
    ),
    (
        &["manifest"],
        "to see what an image is made of, run 'countersign tree'; to join images into one and sign it, 'countersign merge'",
    ),
    (
        &["inspect"],
        "to see what an image is made of, run 'countersign tree'; of what is installed, 'countersign list --long'",
    ),
    (
        &["imagetools", "index"],
        "to join images into one and sign it, run 'countersign merge'",
    ),
    (
        &["verify-attestation"],
        "name the type in a policy's 'predicate_types', and run 'countersign verify --policy'",
    ),
    (
        &["sign-blob"],
        "only images are signed; for files there is 'cosign sign-blob'",
    ),
    (
        &["verify-blob"],
        "only images are verified; for files there is 'cosign verify-blob'",
    ),
    (
        &["attest"],
        "only signatures are made; for attestations there is 'cosign attest'",
    ),
    (
        &["login", "auth"],
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
    // What stands behind a word that is no command is no command of ours.
    let wrong = match error.kind() {
        ErrorKind::InvalidSubcommand => value(error, ContextKind::InvalidSubcommand),
        _ => None,
    };
    let until = words.iter().position(|word| Some(*word) == wrong);
    let commands = words.get(..until.unwrap_or(words.len()));
    let asked = asked(&program, commands.unwrap_or_default());
    if let Some(image) = image_to_audit(error, asked) {
        let message = format!(
            "unexpected argument '{image}': images are read from a file with a reference a line; pass '--images FILE', or \
             '--images -' for standard input"
        );
        *error = asked.clone().error(ErrorKind::UnknownArgument, message);
        return;
    }
    if error.get(ContextKind::Usage).is_some() {
        let usage = asked.clone().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            value(error, ContextKind::InvalidArg).and_then(|name| argument(name, asked))
        }
        ErrorKind::InvalidSubcommand => value(error, ContextKind::InvalidSubcommand)
            .and_then(|name| pair(name, &words).or_else(|| command(name, &program))),
        ErrorKind::ValueValidation => value(error, ContextKind::InvalidValue)
            .filter(|name| name.contains('/'))
            .and_then(|_| path(asked.get_name())),
        _ => forms_of_copy(error, asked.get_name()),
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

/// The reference that was given to `audit`, which clap takes for the name of a command of its own.
fn image_to_audit(error: &Error, asked: &Command) -> Option<String> {
    let name = value(error, ContextKind::InvalidSubcommand)?;
    (asked.get_name() == "audit" && name.contains(['/', ':', '.'])).then(|| name.to_owned())
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

/// What to do about an argument that there is not, or not there.
fn argument(name: &str, asked: &Command) -> Option<String> {
    let command = asked.get_name();
    if !name.starts_with('-') {
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
    option(name, command)
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
