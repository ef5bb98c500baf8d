//! Refusals, as a person reads them: each candidate with the first check it failed.

use std::fmt;

use countersign_oci::{Digest, PinnedReference, printable};

use crate::failure::Failure;
use crate::kind::RefusalKind;

/// Characters of one candidate's failure, with its causes. Two identities of GitHub's length fit in several times.
const LINE_MAX: usize = 2_000;

/// Why an image is refused: every candidate, with the first check that it failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The image asked about.
    pub image: PinnedReference,
    /// All that was looked at, in the order in which it was tried.
    pub candidates: Vec<Candidate>,
    /// Referrers that were not looked at, because the limit on candidates was reached.
    pub untried: usize,
}

/// Something that refers to the image and is no proof.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// The first check that it failed.
    pub failure: Failure,
}

impl Refusal {
    /// The class by the candidate that came furthest.
    pub fn kind(&self) -> RefusalKind {
        self.candidates
            .iter()
            .map(|candidate| candidate.failure.kind())
            .max()
            .unwrap_or(RefusalKind::Unsigned)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = &self.image;
        match self.kind() {
            RefusalKind::Unsigned if self.candidates.is_empty() => {
                return write!(f, "{image} is not signed: nothing refers to it");
            }
            RefusalKind::Unsigned => write!(f, "{image} is not signed; this refers to it")?,
            RefusalKind::Policy => write!(f, "{image} is signed, but not as the policy asks")?,
            RefusalKind::Invalid => write!(f, "{image} has no valid signature")?,
        }
        f.write_str(":")?;
        for Candidate { manifest, failure } in &self.candidates {
            write!(f, "\n  {}: {}", short(manifest), line(failure))?;
        }
        if self.untried > 0 {
            write!(f, "\n  and {} more that were not tried", self.untried)?;
        }
        Ok(())
    }
}

/// A digest as people tell digests apart: the algorithm and twelve digits.
fn short(digest: &Digest) -> String {
    let digits: String = digest.hex().chars().take(12).collect();
    format!("{}:{digits}…", digest.algorithm())
}

/// The failure and its causes, printable: parts of it were written by whoever made the candidate. One
/// line, and for a policy's violation what was expected and found below it.
fn line(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    let text: String = text.chars().take(LINE_MAX).collect();
    match failure {
        // The line breaks are the policy's own: what strangers wrote is printable in a violation.
        Failure::Policy(_) => {
            let lines: Vec<String> = text.lines().map(printable).collect();
            lines.join("\n  ")
        }
        _ => printable(&text.replace('\n', " ")),
    }
}
