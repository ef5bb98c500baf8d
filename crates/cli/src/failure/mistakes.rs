//! All that is wrong with a file, each with its line and a mark below it.

use countersign_policy::{MISTAKES_MAX, Place, PolicyError, Problem};
use schemars::JsonSchema;
use serde::Serialize;

use self::mark::{Mark, What};
use super::Failure;

mod mark;
mod toml;

pub(crate) use self::toml::TomlMistake;

/// What to do where not all mistakes are told.
const MORE: &str = "there may be more mistakes: correct these, then run the same command again";

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Mistake {
    /// From 1. Left out where the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// In characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    /// The keys that lead there: `verification.issuer`. Empty for the file itself.
    path: String,
    /// What is wrong there.
    message: String,
    /// The same, with the file and the place before it.
    #[serde(skip)]
    pub(super) told: String,
    /// The line, and a mark below what is wrong in it.
    #[serde(skip)]
    pub(super) marked: Option<String>,
}

impl Failure {
    /// A policy or gallery file with these mistakes, in its order. `first` is the one that a reader stopped at.
    pub(crate) fn of_file(text: &str, first: PolicyError, all: Vec<PolicyError>) -> Self {
        let all = if all.is_empty() { vec![first] } else { all };
        let mistakes: Vec<_> = all.iter().map(|error| mistake(text, error)).collect();
        let several = mistakes.len() > 1;
        let mut failures = all.into_iter().map(Self::from);
        let Some(mut failure) = failures.next() else {
            return Self::new(super::Kind::Usage, "the file can't be used");
        };
        for other in failures {
            for hint in other.hints {
                if !failure.hints.contains(&hint) {
                    failure.hints.push(hint);
                }
            }
        }
        for hint in &mut failure.hints {
            if several && hint == super::CORRECT_THERE {
                *hint = "correct the file at each of these places".to_owned();
            }
        }
        if mistakes.len() >= MISTAKES_MAX {
            failure.hints.push(MORE.to_owned());
        }
        if let Some(first) = mistakes.first() {
            failure.error = first.told.clone().into();
        }
        failure.mistakes = mistakes.into();
        failure
    }
}

fn mistake(text: &str, error: &PolicyError) -> Mistake {
    let place = error.place();
    let key = place.path.last_key();
    let what = match error.problem() {
        // Where a key is the author's own, the key itself may be wrong.
        Problem::Form {
            found: Some(found), ..
        } if key.is_some_and(|key| *found == format!("`{key}`")) => What::Key,
        problem => What::of(problem),
    };
    let mark = place
        .position
        .and_then(|position| Mark::find(text, position, what, key));
    let position = mark.as_ref().map(Mark::position).or(place.position);
    // A file that is no mapping is another one than the user meant.
    let no_mapping = what == What::Value && place.path.is_root();
    let message = countersign_oci::printable(&error.problem().to_string());
    let told = if position == place.position {
        error.to_string()
    } else {
        let place = Place {
            position,
            ..place.clone()
        };
        format!("{place}: {message}")
    };
    Mistake {
        line: position.map(|position| position.line),
        column: position.map(|position| position.column),
        path: countersign_oci::printable(&place.path.to_string()),
        message,
        told,
        marked: mark
            .filter(|_| !no_mapping && !text.contains("PRIVATE KEY"))
            .and_then(|mark| mark.draw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_wrong_itself_is_marked_and_not_its_value() {
        let text = "issuer: a\nidentity: b\npredicate_types: [t]\npredicate: {ref: main}\n";
        let error = countersign_policy::PolicyFile::parse(text, "p.yaml").unwrap_err();
        let mistake = mistake(text, &error);
        assert_eq!((mistake.line, mistake.column), (Some(4), Some(13)));
    }
}
