//! What is wrong with a TOML file, each with its line and a mark.

use std::ops::Range;
use std::path::Path;

use countersign_oci::printable;
use countersign_policy::{MISTAKES_MAX, Position};

use super::{MORE, Mark, Mistake};
use crate::failure::{Failure, Kind};

/// One thing that is wrong with a TOML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TomlMistake {
    /// What is marked, in bytes of the file.
    pub(crate) span: Range<usize>,
    /// Where what may be shown begins. `None` where what stands there may be a secret.
    pub(crate) shown_from: Option<usize>,
    /// Of the file; empty for the file itself.
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Failure {
    /// A file with these mistakes. They are told in its order.
    pub(crate) fn of_toml(file: &Path, text: &str, mut mistakes: Vec<TomlMistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.span.start);
        let more = mistakes.len() > MISTAKES_MAX;
        mistakes.truncate(MISTAKES_MAX);
        let told: Vec<Mistake> = mistakes.iter().map(|one| one.told(file, text)).collect();
        let message = told.first().map(|first| first.told.clone());
        let message = message.unwrap_or_else(|| format!("{} can't be used", file.display()));
        let mut failure = Self::new(Kind::Usage, message);
        for TomlMistake { hint, .. } in mistakes {
            if !failure.hints.contains(&hint) {
                failure.hints.push(hint);
            }
        }
        if more {
            failure.hints.push(MORE.to_owned());
        }
        failure.mistakes = told.into();
        failure
    }
}

impl TomlMistake {
    fn told(&self, file: &Path, text: &str) -> Mistake {
        let Self {
            span,
            shown_from,
            key,
            message,
            hint: _,
        } = self;
        let mark = Mark::at(text, *shown_from, span);
        let position = mark.as_ref().map(Mark::position);
        let mut place = printable(&file.display().to_string());
        if let Some(Position { line, column }) = position {
            place.push_str(&format!(":{line}:{column}"));
        }
        let key = printable(key);
        if !key.is_empty() {
            place.push_str(&format!(": {key}"));
        }
        Mistake {
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            path: key,
            told: format!("{place}: {}", printable(message)),
            message: printable(message),
            marked: mark
                .filter(|_| !text.contains("PRIVATE KEY"))
                .and_then(|mark| mark.draw()),
        }
    }
}
