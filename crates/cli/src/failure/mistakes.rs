//! All that is wrong with a file, each with its line and a mark below it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use countersign_policy::{PolicyError, Position, Problem};
use schemars::JsonSchema;
use serde::Serialize;

use super::Failure;

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
    /// The whole message.
    pub(super) message: String,
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
        failure.mistakes = mistakes.into();
        failure
    }
}

fn mistake(text: &str, error: &PolicyError) -> Mistake {
    let place = error.place();
    Mistake {
        line: place.position.map(|position| position.line),
        column: place.position.map(|position| position.column),
        path: countersign_oci::printable(&place.path.to_string()),
        message: error.to_string(),
        marked: place
            .position
            .and_then(|position| marked(text, position, What::of(error.problem()))),
    }
}

/// What is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Key,
    Value,
    /// Where the parser stopped. It is not known what the text there is.
    Point,
}

impl What {
    fn of(problem: &Problem) -> Self {
        match problem {
            Problem::UnknownKey { .. }
            | Problem::DuplicateKey { .. }
            | Problem::Both { .. }
            | Problem::Neither { .. }
            | Problem::MissingKey { .. }
            | Problem::SignerBesideIdentities { .. }
            | Problem::BesideRequire { .. }
            | Problem::BesideKey { .. }
            | Problem::IgnoreTlogWithoutKey
            | Problem::NoTime { .. }
            | Problem::PolicyBesideGalleries
            | Problem::NoPolicy => Self::Key,
            Problem::Syntax { .. } | Problem::Budget { .. } => Self::Point,
            _ => Self::Value,
        }
    }
}

/// The line with a mark. `None` if there is nothing to mark, or what stands there may be a secret: the file may be
/// another one than the user meant.
fn marked(text: &str, at: Position, what: What) -> Option<String> {
    let number = usize::try_from(at.line).ok()?;
    let line = text.lines().nth(number.checked_sub(1)?)?;
    if text.contains("PRIVATE KEY") || line.contains("eyJ") {
        return None;
    }
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let (start, _) = line.char_indices().nth(column)?;
    let rest = line.get(start..)?;
    let key = token(rest);
    let value = rest.get(key..)?.strip_prefix(':').map(str::trim_start);
    let value = value.filter(|value| !value.is_empty() && !value.starts_with(['#', '|', '>', '&']));
    let (line, marks) = match (what, value) {
        (What::Point, _) => (line.to_owned(), start..start + first(rest)),
        // A value is not shown where only its key is wrong.
        (What::Key, Some(_)) => (
            format!("{}: \u{2026}", line.get(..start + key)?),
            start..start + key,
        ),
        (What::Value, Some(value)) => {
            let from = line.len() - value.len();
            (line.to_owned(), from..from + whole(value))
        }
        (What::Key | What::Value, None) => (line.to_owned(), start..start + key),
    };
    if marks.is_empty() {
        return None;
    }
    let snippet = Snippet::source(line).line_start(number);
    let snippet = snippet.annotation(AnnotationKind::Primary.span(marks));
    let report = [Group::with_level(Level::ERROR).element(snippet)];
    Some(Renderer::plain().render(&report))
}

/// Bytes of the first character.
fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Bytes of the key or the word that `text` begins with.
fn token(text: &str) -> usize {
    if let Some(length) = quoted(text) {
        return length;
    }
    let ends = |(at, c): (usize, char)| {
        let next = text
            .get(at + c.len_utf8()..)
            .and_then(|rest| rest.chars().next());
        let ends = match c {
            ':' => next.is_none_or(char::is_whitespace),
            ' ' => next == Some('#'),
            ',' | ']' | '}' => true,
            _ => false,
        };
        ends.then_some(at)
    };
    let end = text.char_indices().find_map(ends).unwrap_or(text.len());
    text.get(..end).map_or(end, |token| token.trim_end().len())
}

/// Bytes of the value that `text` begins with; of a list or a mapping to the end of its line.
fn whole(text: &str) -> usize {
    match text.starts_with(['[', '{']) {
        true => text.trim_end().len(),
        false => token(text),
    }
}

/// Bytes of the text in quotes that `text` begins with.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        ends
    });
    end.map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is marked, by the text below which the marks stand.
    fn marks(line: &str, column: u64, what: What) -> Option<String> {
        let position = Position { line: 1, column };
        let drawn = marked(line, position, what)?;
        let mut lines = drawn.lines().skip(1);
        let (line, marks) = (lines.next()?, lines.next()?);
        let is_marked = |(_, mark): &(char, char)| *mark == '^';
        let pairs = line.chars().zip(marks.chars());
        Some(pairs.filter(is_marked).map(|(c, _)| c).collect())
    }

    #[test]
    fn the_key_or_the_value_is_marked() {
        for (line, column, key, value) in [
            (
                "issuer: https://a.example # ours",
                1,
                "issuer",
                "https://a.example",
            ),
            ("  issuer: [a, b]", 3, "issuer", "[a, b]"),
            ("{issuer: x, identity: 'a, b'}", 13, "identity", "'a, b'"),
            ("{\"ab\": \"c\\\"d\"}", 2, "\"ab\"", "\"c\\\"d\""),
            ("verification:", 1, "verification", "verification"),
            ("- eins zwei", 3, "eins zwei", "eins zwei"),
            ("größe: größer", 1, "größe", "größer"),
        ] {
            assert_eq!(
                marks(line, column, What::Key).as_deref(),
                Some(key),
                "{line}"
            );
            assert_eq!(
                marks(line, column, What::Value).as_deref(),
                Some(value),
                "{line}"
            );
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let drawn = |text, what| marked(text, Position { line: 1, column: 1 }, what);
        assert_eq!(drawn("a: eyJhbGciOiJub25lIn0.e30.", What::Value), None);
        assert_eq!(drawn("-----BEGIN PRIVATE KEY-----", What::Point), None);
        let key = drawn("auth: dXNlcjpwYXNzd29yZA==", What::Key);
        assert!(key.is_some_and(|key| key.contains("auth") && !key.contains("dXNl")));
    }
}
