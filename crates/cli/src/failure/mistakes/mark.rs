//! A line of a file, and a mark below what is wrong in it.
//!
//! The file may be another one than the user meant, with secrets in it. So no more is shown than the key or the value that
//! is marked, and what stands there may not look like a secret.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use countersign_policy::{Position, Problem};

/// Keys that hardly any other file has.
const OWN_KEYS: &[&str] = &[
    "bind_name",
    "deny_digests",
    "galleries",
    "identities",
    "identity",
    "identity_regex",
    "ignore_tlog",
    "issuer",
    "issuer_regex",
    "min_age",
    "predicate_types",
    "require_integrity",
    "signature_formats",
    "signature_sources",
    "verification",
];
/// Other keys of our files.
const OTHER_KEYS: &[&str] = &[
    "allow",
    "annotations",
    "claims",
    "ca_file",
    "cache_age",
    "deadline",
    "default",
    "images",
    "journal_socket",
    "key",
    "log_bytes",
    "log_file",
    "login_file",
    "mirrors",
    "mode",
    "name",
    "not_before",
    "predicate",
    "predicate_type",
    "reason",
    "require",
    "root",
    "rules",
    "state_directory",
    "trust",
    "trusted_root",
    "tuf",
    "tuf_root",
    "tuf_url",
    "url",
];

/// What is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Key,
    Value,
    /// Where the parser stopped. It is not known what the text there is.
    Point,
}

impl What {
    pub(super) fn of(problem: &Problem) -> Self {
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

/// What is marked in a line, in bytes.
pub(super) struct Mark<'a> {
    line: &'a str,
    /// From 1.
    number: u64,
    marks: Range<usize>,
    /// What may be shown. It may be nothing.
    shown: Range<usize>,
}

impl<'a> Mark<'a> {
    /// `last_key` is the one that the path of the mistake ends with, and `at` may be its place or that of its value.
    pub(super) fn find(
        text: &'a str,
        at: Position,
        what: What,
        last_key: Option<&str>,
    ) -> Option<Self> {
        let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let line = text.lines().nth(index)?;
        let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
        let start = match line.char_indices().nth(column) {
            Some((start, c)) if c != ':' || what != What::Value => start,
            // Behind a key is nothing: the key is meant.
            _ if what == What::Value => {
                let own = line.find(|c: char| !c.is_whitespace())?;
                let name = line.get(own..)?.split(':').next().map(unquoted);
                if name != last_key {
                    return None;
                }
                own
            }
            _ => return None,
        };
        let rest = line.get(start..)?;
        let (marks, shown) = match what {
            What::Point => {
                let marks = start..start + first(rest);
                let shown = around(text, line, &marks).unwrap_or_default();
                (marks, shown)
            }
            What::Key => {
                let marks = start..start + key(rest).unwrap_or_else(|| first(rest));
                let is_shown = key(rest).is_some() || rest.starts_with(['{', '[']);
                (marks.clone(), if is_shown { marks } else { 0..0 })
            }
            What::Value => {
                let marks = value(line, start, last_key)?;
                (marks.clone(), start..marks.end)
            }
        };
        Some(Self {
            line,
            number: at.line,
            marks,
            shown,
        })
    }

    /// The mark below `marks` of a text, which ends with the line. `from` says where what may be shown begins.
    pub(super) fn at(text: &'a str, from: Option<usize>, marks: &Range<usize>) -> Option<Self> {
        let before = text.get(..marks.start)?;
        let begins = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(begins..)?.lines().next().unwrap_or_default();
        let start = marks.start - begins;
        let end = (marks.end - begins).min(line.len());
        let shown = from.and_then(|from| from.checked_sub(begins));
        Some(Self {
            line,
            number: before.matches('\n').count() as u64 + 1,
            marks: start..end.max(start),
            shown: shown.map_or(0..0, |from| from..end),
        })
    }

    /// Where the marked text begins.
    pub(super) fn position(&self) -> Position {
        let before = self.line.get(..self.marks.start).unwrap_or_default();
        Position {
            line: self.number,
            column: before.chars().count() as u64 + 1,
        }
    }

    /// The line with the mark. `None` if there is nothing to mark, or what stands there may be a secret.
    pub(super) fn draw(&self) -> Option<String> {
        if self.marks.is_empty() || self.shown.is_empty() || self.line.contains("eyJ") {
            return None;
        }
        let head = head(self.line.get(..self.shown.start)?);
        let shown = self.line.get(self.shown.clone())?;
        let tail = tail(self.line.get(self.shown.end..)?);
        let from = self.marks.start.checked_sub(self.shown.start)? + head.len();
        let marks = from..from + self.marks.len();
        let number = usize::try_from(self.number).ok()?;
        let snippet = Snippet::source(format!("{head}{shown}{tail}")).line_start(number);
        let snippet = snippet.annotation(AnnotationKind::Primary.span(marks));
        let report = [Group::with_level(Level::ERROR).element(snippet)];
        Some(Renderer::plain().render(&report))
    }
}

/// The value that is meant, where it or its key begins at `start`.
fn value(line: &str, start: usize, last_key: Option<&str>) -> Option<Range<usize>> {
    let rest = line.get(start..)?;
    let Some(length) = key(rest) else {
        return Some(start..start + whole(rest));
    };
    let name = unquoted(rest.get(..length)?);
    let value = rest.get(length..)?.trim_start().strip_prefix(':');
    let value = value.map(str::trim_start);
    let value = value.filter(|value| !value.is_empty() && !value.starts_with(['#', '|', '>', '&']));
    Some(match value {
        Some(value) if last_key == Some(name) => {
            let from = line.len() - value.len();
            from..from + whole(value)
        }
        // The value is in the next lines, or is a mapping that begins with this key.
        _ => start..start + length,
    })
}

/// The known key before `point` with its value. `None` if there is none, or the file is another one.
fn around(text: &str, line: &str, point: &Range<usize>) -> Option<Range<usize>> {
    if !text
        .lines()
        .any(|line| keys(line, OWN_KEYS).next().is_some())
    {
        return None;
    }
    let keys = keys(line, OWN_KEYS).chain(keys(line, OTHER_KEYS));
    let before = keys.filter(|(start, _)| *start <= point.start);
    let (start, name) = before.max_by_key(|(start, _)| *start)?;
    let end = value(line, start, Some(name))?.end;
    // Whatever else stands between is not this key's.
    let mut between = line.get(end..point.start).unwrap_or_default().chars();
    let is_beside = !between.any(char::is_alphanumeric);
    is_beside.then(|| start..end.max(point.end))
}

/// Where those of `known` stand in a line that are keys there.
fn keys<'a>(line: &'a str, known: &'static [&str]) -> impl Iterator<Item = (usize, &'a str)> {
    let begins = |at| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| c.is_whitespace() || matches!(c, '{' | '[' | ','))
    };
    let starts = line.char_indices().map(|(at, _)| at);
    starts.filter(move |&at| begins(at)).filter_map(|at| {
        let rest = line.get(at..)?;
        let name = unquoted(rest.get(..key(rest)?)?);
        known.contains(&name).then_some((at, name))
    })
}

/// What is shown in place of what stands before: the beginning of a line, or a known key, is no secret.
fn head(before: &str) -> &str {
    let opens = |c: char| c.is_whitespace() || matches!(c, '-' | '[' | '{');
    let rest = before.trim_start_matches(opens);
    if rest.is_empty() {
        return before;
    }
    let known = key(rest).filter(|&length| {
        let name = rest.get(..length).map(unquoted).unwrap_or_default();
        let opened = rest.get(length..).unwrap_or_default();
        let is_known = OWN_KEYS.contains(&name) || OTHER_KEYS.contains(&name);
        is_known && opened.chars().all(|c| c == ':' || opens(c))
    });
    if known.is_some() { before } else { "\u{2026}" }
}

/// What is shown in place of what stands behind.
fn tail(behind: &str) -> &str {
    let behind = behind.trim_end();
    if behind.chars().all(|c| matches!(c, ']' | '}' | ',')) || behind == ":" {
        return behind;
    }
    match behind.chars().next() {
        Some(':') => ": \u{2026}",
        Some(c) if c.is_whitespace() => " \u{2026}",
        _ => "\u{2026}",
    }
}

/// Bytes of the first character.
fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Bytes of the key that `text` begins with, if that is one.
fn key(text: &str) -> Option<usize> {
    let length = token(text);
    let is_key = !text.starts_with(['{', '[', '-']) && length > 0;
    let behind = text.get(length..)?.trim_start();
    (is_key && behind.starts_with(':')).then_some(length)
}

fn unquoted(key: &str) -> &str {
    key.trim_matches(['"', '\''])
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

/// Bytes of the value that `text` begins with. Of a mapping, and of a list that goes on in other lines or has one in it,
/// the first character.
fn whole(text: &str) -> usize {
    match text.chars().next() {
        Some('[') => list(text).unwrap_or(1),
        Some('{') => 1,
        Some('-') if text.chars().nth(1).is_none_or(char::is_whitespace) => 1,
        _ => token(text),
    }
}

/// Bytes of a list of scalars.
fn list(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0);
    loop {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        match c {
            '{' => return None,
            '"' | '\'' => {
                at += quoted(rest)?;
                continue;
            }
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            return Some(at);
        }
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
mod tests;
