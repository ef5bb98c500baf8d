//! What is said of policies and files of galleries that can't be read.

use super::{CORRECT_THERE, Failure};

/// What to do about a text that is neither YAML nor JSON, by what the parser says.
fn syntax_hint(reason: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&[
        "anchor or alias",
        "unexpected character",
        "cannot start any token",
    ]) {
        "put a value that begins with `*`, `&`, `@`, `%`, `!` or a backquote in 'single quotes'"
    } else if has(&["trailing content", "did not find expected ','"]) {
        "look before that place: a comma is missing there, or a quote ends the text too early"
    } else if has(&["multiple found"]) {
        "write one policy in a file: leave out the line `---` and what is behind it, or make two files of it"
    } else if has(&["tab"]) {
        "indent with spaces and not tabs; the tab may be on the line below"
    } else {
        "indent keys of one mapping alike, with spaces and not tabs; write a backslash twice in \"double quotes\", once in 'single quotes'"
    }
}

impl From<countersign_policy::PolicyError> for Failure {
    fn from(error: countersign_policy::PolicyError) -> Self {
        use countersign_policy::Problem;
        let hint = match error.problem() {
            Problem::Syntax { reason } => syntax_hint(reason),
            Problem::Regex { reason, .. } if reason.to_string().contains("unclosed") => {
                "close the bracket, or put a backslash before it if it is meant literally: `\\(`, `\\[`"
            }
            Problem::Regex { reason, .. } if reason.to_string().contains("missing expression") => {
                "a pattern is a regular expression: for any text write `.*`; for a literal `*`, `\\*`"
            }
            Problem::Regex { reason, .. }
                if reason.to_string().contains("repetition quantifier") =>
            {
                "for one of several words write `(one|other)`; put a backslash before a brace that is meant literally: `\\{`"
            }
            Problem::Regex { reason, .. } if reason.to_string().contains("look-around") => {
                "write it without `(?=`, `(?!` and `(?<`: say what the text may be, as `(one|other)`, and not what it may not be"
            }
            Problem::Regex { .. } => {
                "put a backslash before a character that is meant literally: `\\.`, `\\(`, `\\+`, `\\?`"
            }
            Problem::Form { .. } if error.place().path.last_key() == Some("verification") => {
                "a `verification` block needs `issuer` or `issuer_regex`, and `identity` or `identity_regex`"
            }
            Problem::Form { .. } if error.place().path.last_key() == Some("trust") => {
                "for a file or a server of your own, write `trust: {trusted_root: FILE}` or `trust: {tuf_url: URL, tuf_root: FILE}`"
            }
            Problem::Neither { exact, .. } if ["issuer", "identity"].contains(exact) => {
                "a signer has an issuer and an identity, or a `key` in place of both"
            }
            Problem::SeveralPolicies { .. } => {
                "copy the `verification` block of one gallery into a file of its own, and pass that file"
            }
            _ if error.place().file.is_some() => CORRECT_THERE,
            _ => "correct the option; `countersign COMMAND --help` explains each",
        };
        Self::new(error.kind(), error).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use countersign_policy::PolicyFile;

    use super::*;

    /// With a backslash, it would ask for these characters and match nothing.
    #[test]
    fn a_look_around_is_not_answered_with_a_backslash() {
        for pattern in ["a/(?!evil).*", "(?=a).*", "(?<!a)b", "(?<=a)b"] {
            let policy = format!("issuer: a\nidentity_regex: '{pattern}'\n");
            let error = PolicyFile::parse(&policy, "policy.yaml").unwrap_err();
            let failure = Failure::from(error);
            let hints = failure.hints().join("\n");
            assert!(hints.contains("write it without"), "{pattern}: {hints}");
            assert!(!hints.contains("backslash"), "{pattern}: {hints}");
        }
    }
}
