//! Audits that were written before: to compare with, or to make one of several.
//!
//! A file that is not whole is refused. What is missing from it would count as nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use countersign_oci::excerpt;
use serde::Deserialize;

use super::record::{AuditResult, JsonState};
use crate::failure::{Failure, Kind};
use crate::input::next_line;

const WHAT: &str = "audit";
/// Bytes of an audit in one document. One in lines may be longer.
const DOCUMENT_MAX: u64 = 1 << 30;

/// What a line can be: the last one has a summary.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Result(Box<AuditResult>),
    End(End),
}

/// What stands behind the results.
#[derive(Deserialize)]
struct End {
    summary: Counted,
    #[serde(default)]
    shard: Option<String>,
    #[serde(default)]
    rules: Option<String>,
}

/// A whole document of `--output json`.
#[derive(Deserialize)]
struct Document {
    results: Vec<AuditResult>,
    #[serde(flatten)]
    end: End,
}

/// A part of an audit.
pub(super) struct Part {
    /// Which one it is.
    pub(super) shard: String,
    /// Digest of what its images were judged by.
    pub(super) rules: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    images: u64,
}

impl End {
    fn part(self) -> Option<Part> {
        let Self {
            summary: _,
            shard,
            rules,
        } = self;
        shard.map(|shard| Part { shard, rules })
    }
}

/// Reads the results of an audit, in either form, and returns the part that it is of.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(AuditResult),
) -> Result<Option<Part>, Failure> {
    let unreadable = |error| Failure::unreadable(path, WHAT, error);
    let mut from = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut first = String::new();
    next_line(&mut from, &mut first).map_err(unreadable)?;
    let refuse = |found: String| {
        let message = format!("{} is no whole audit: {found}", path.display());
        Failure::new(Kind::Usage, message).hint(
            "pass what `countersign audit --output jsonl` or `--output json` printed to its end",
        )
    };
    // The one document is printed over several lines.
    if first.trim_end() == "{" {
        let mut rest = from.by_ref().take(DOCUMENT_MAX);
        rest.read_to_string(&mut first).map_err(unreadable)?;
        if rest.limit() == 0 {
            return Err(refuse(format!("it has more than {DOCUMENT_MAX} bytes")));
        }
        let document: Document =
            serde_json::from_str(&first).map_err(|error| refuse(error.to_string()))?;
        let (found, expected) = (document.results.len() as u64, document.end.summary.images);
        if found != expected {
            return Err(refuse(format!(
                "expected {expected} results, found {found}"
            )));
        }
        document.results.into_iter().for_each(each);
        return Ok(document.end.part());
    }
    let mut count = 0;
    let mut line = first;
    loop {
        match serde_json::from_str(&line) {
            Ok(Line::Result(result)) => {
                count += 1;
                each(*result);
            }
            Ok(Line::End(end)) if end.summary.images == count => {
                return match next_line(&mut from, &mut line).map_err(unreadable)? {
                    0 => Ok(end.part()),
                    _ => {
                        let found = excerpt(line.trim_end());
                        Err(refuse(format!(
                            "expected nothing behind its summary, found {found}"
                        )))
                    }
                };
            }
            Ok(Line::End(end)) => {
                let expected = end.summary.images;
                return Err(refuse(format!(
                    "expected {expected} results, found {count}"
                )));
            }
            Err(_) if line.is_empty() => {
                return Err(refuse("it has no line with the summary at its end".into()));
            }
            Err(_) => {
                let found = excerpt(line.trim_end());
                return Err(refuse(format!("expected a result, found {found}")));
            }
        }
        next_line(&mut from, &mut line).map_err(unreadable)?;
    }
}

/// What an earlier audit found.
pub(super) struct Earlier(HashMap<String, JsonState>);

impl Earlier {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut states = HashMap::new();
        read(path, |result| {
            states.insert(key(&result), result.state);
        })?;
        Ok(Self(states))
    }

    /// Notes the state that the image had before, if that was another one.
    pub(super) fn compare(&self, result: &mut AuditResult) {
        let before = self.0.get(&key(result)).copied();
        result.was = before.filter(|before| *before != result.state);
    }
}

/// What an image is known by from one audit to the next.
pub(super) fn key(result: &AuditResult) -> String {
    let AuditResult {
        reference,
        gallery,
        entry,
        role,
        platform,
        ..
    } = result;
    serde_json::json!([reference, gallery, entry, role, platform]).to_string()
}
