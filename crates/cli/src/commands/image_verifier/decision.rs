//! An answer in words: the line that containerd shows, and the record of it.

use std::process::ExitCode;
use std::time::Instant;

use countersign_policy::{Mode, Ruling};
use countersign_verify::Evidence;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::journal::Priority;
use super::request::{Names, Request};
use crate::failure::{Failure, Kind, exit_code};
use crate::json::error::JsonErrorKind;
use crate::json::mode::JsonMode;

/// Characters of the line. containerd keeps 32 KiB, and what shows its errors to people keeps less.
const LINE_MAX: usize = 2_000;
/// Characters of an argument that was not understood.
const ARGUMENT_MAX: usize = 500;

/// Whether an image may be pulled, and why.
#[derive(Debug)]
pub(super) enum Answer {
    /// A signature proves it.
    Signed(Box<Evidence>),
    /// Nothing is demanded of it: why.
    Allowed(String),
    Refused(Failure),
}

/// An answer, and what it is about.
#[derive(Debug)]
pub(super) struct Decision {
    image: Option<String>,
    digest: Option<String>,
    /// Number and pattern of the rule.
    rule: Option<(usize, String)>,
    mode: Mode,
    answer: Answer,
    started: Instant,
    milliseconds: u64,
}

impl Decision {
    /// An answer to a request that was not judged. It is about what `names` says.
    pub(super) fn unread(names: Names, mode: Mode, answer: Answer, started: Instant) -> Self {
        let cut = |text: String| countersign_oci::cut(&text, ARGUMENT_MAX);
        Self {
            image: names.image.map(cut),
            digest: names.digest.map(cut),
            rule: None,
            mode,
            answer,
            started,
            milliseconds: elapsed(started),
        }
    }

    /// What is refused until there is an answer.
    pub(super) fn ruled(ruling: Ruling<'_>, request: &Request, started: Instant) -> Self {
        let unanswered = Failure::new(Kind::Internal, "there is no answer");
        Self {
            image: Some(request.reference.to_string()),
            digest: Some(request.digest.to_string()),
            rule: ruling
                .matched
                .map(|matched| (matched.number, matched.pattern.to_string())),
            mode: ruling.mode,
            answer: Answer::Refused(unanswered),
            started,
            milliseconds: elapsed(started),
        }
    }

    pub(super) fn answered(self, answer: Answer) -> Self {
        Self {
            milliseconds: elapsed(self.started),
            answer,
            ..self
        }
    }

    /// Whether containerd may pull the image.
    fn allows(&self) -> bool {
        match (&self.answer, self.mode) {
            (Answer::Signed(_) | Answer::Allowed(_), _) => true,
            (Answer::Refused(_), Mode::Warn) => true,
            (Answer::Refused(_), Mode::Enforce) => false,
        }
    }

    /// How important it is in a journal.
    pub(super) fn priority(&self) -> Priority {
        match &self.answer {
            Answer::Refused(_) => Priority::Warning,
            Answer::Signed(_) | Answer::Allowed(_) => Priority::Informational,
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match &self.answer {
            _ if self.allows() => ExitCode::SUCCESS,
            Answer::Refused(failure) => failure.exit_code().into(),
            Answer::Signed(_) | Answer::Allowed(_) => exit_code(Kind::Internal).into(),
        }
    }

    /// One line, with its end.
    pub(super) fn line(&self) -> String {
        let begin = match (&self.answer, self.mode) {
            (Answer::Signed(_) | Answer::Allowed(_), _) => "allowed",
            (Answer::Refused(_), Mode::Warn) => {
                "WARNING: allowed only because of `mode: warn`; it would be refused"
            }
            (Answer::Refused(_), Mode::Enforce) => "refused",
        };
        let rule = match &self.rule {
            Some((number, pattern)) => format!(" by rule {number} ({pattern})"),
            None => String::new(),
        };
        let line = countersign_oci::cut(&format!("{begin}{rule}: {}", self.reason()), LINE_MAX);
        format!("{line}\n")
    }

    /// Why, in one line.
    fn reason(&self) -> String {
        let text = match &self.answer {
            Answer::Signed(evidence) => format!("signed by {}", evidence.signer),
            Answer::Allowed(reason) => reason.clone(),
            Answer::Refused(failure) => failure.line(),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ")
    }

    pub(super) fn to_json(&self) -> ImageVerdict {
        let evidence = match &self.answer {
            Answer::Signed(evidence) => Some(evidence),
            Answer::Allowed(_) | Answer::Refused(_) => None,
        };
        let (rule, pattern) = self.rule.clone().unzip();
        ImageVerdict {
            time: Timestamp::now().to_string(),
            image: self.image.clone(),
            digest: self.digest.clone(),
            allowed: self.allows(),
            mode: self.mode.into(),
            verdict: match &self.answer {
                Answer::Signed(_) => JsonVerdict::Signed,
                Answer::Allowed(_) => JsonVerdict::Exempt,
                Answer::Refused(_) => JsonVerdict::Refused,
            },
            rule,
            pattern,
            identity: evidence.map(|evidence| evidence.signer.to_string()),
            issuer: evidence
                .and_then(|evidence| evidence.signer.certificate())
                .map(|holder| holder.issuer.clone()),
            kind: match &self.answer {
                Answer::Refused(failure) => Some(failure.kind.into()),
                Answer::Signed(_) | Answer::Allowed(_) => None,
            },
            reason: self.reason(),
            milliseconds: self.milliseconds,
        }
    }
}

fn elapsed(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What `countersign image-verifier` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageVerifierOutput {
    /// One.
    pub(super) results: [ImageVerdict; 1],
}

/// Whether an image may be pulled, and why: a line of the decision log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageVerdict {
    /// When it was decided (RFC 3339).
    time: String,
    /// The name that the image was asked for by. Left out if no name was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What containerd was told.
    allowed: bool,
    /// What counts for this image.
    mode: JsonMode,
    verdict: JsonVerdict,
    /// The number of the rule, from 1. Left out if no rule matches, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    /// The pattern that matched, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// With `signed`: who signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// With `signed`: who confirmed the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// With `refused`: what kind of failure it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<JsonErrorKind>,
    /// Why, in words.
    reason: String,
    /// How long it took.
    milliseconds: u64,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VerifierVerdict")]
enum JsonVerdict {
    /// A signature that the rule's policy accepts.
    Signed,
    /// The rule, or the default, demands nothing.
    Exempt,
    /// Neither.
    Refused,
}
