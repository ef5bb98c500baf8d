//! Errors as a person meets them: one place that gives every library error a kind, an exit code
//! and a hint of what to do.

mod gallery;
mod installing;
mod layout;
mod lock;
mod registry;
mod signing;
mod verification;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use countersign_oci::Repository;
use serde::Serialize;

use verification::refusal_hint;

/// What kind of failure ended a command; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A fault of this program or of the machine it runs on.
    Internal,
    /// The command line, or an input file, can't be used.
    Usage,
    /// No signature of a kind that counts.
    Unsigned,
    /// A genuine signature that the policy does not accept.
    Policy,
    /// Signature, certificate, log entry, digest or archive do not hold.
    Invalid,
    /// No such image, tag or platform.
    NotFound,
    /// Network, registry, signing service or login.
    Unreachable,
}

impl Kind {
    /// The process's exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Unsigned => 3,
            Self::Policy => 4,
            Self::Invalid => 5,
            Self::NotFound => 6,
            Self::Unreachable => 7,
        }
    }
}

/// A failure with all that is said of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    /// What JSON has beside the text, by name.
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
            fields: serde_json::Map::new(),
        }
    }

    /// With a value of its own in JSON, for programs that go on from there.
    fn field(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With what to do about a refusal of this kind, of an image in `repository`.
    fn hinted_as_refused(self, kind: Kind, repository: &Repository) -> Self {
        let failure = self.hint(refusal_hint(kind));
        match layout::unsigned_hint(repository) {
            Some(hint) if kind == Kind::Unsigned => failure.hint(hint),
            _ => failure,
        }
    }

    /// An input file that can't be read.
    pub(crate) fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Self {
        let message = format!("the {what} {} can't be read: {error}", path.display());
        Self::new(Kind::Usage, message).hint("check the path, and who may read it")
    }

    /// The error's message and those of its causes, the outermost first. A cause that only
    /// repeats what stands before it is left out.
    fn messages(&self) -> Vec<String> {
        let mut messages = vec![self.error.to_string()];
        let mut source = self.error.source();
        while let Some(error) = source {
            let message = error.to_string();
            if messages.last().is_none_or(|last| !last.contains(&message)) {
                messages.push(message);
            }
            source = error.source();
        }
        messages
    }

    /// The error and its causes in one line.
    pub(crate) fn line(&self) -> String {
        self.messages().join(": ")
    }

    /// For a terminal: `error:`, the causes, then the hints.
    pub(crate) fn to_text(&self) -> String {
        let messages = self.messages();
        let mut text = String::new();
        for (at, message) in messages.iter().enumerate() {
            let label = if at == 0 { "error" } else { "  caused by" };
            let _ = writeln!(text, "{label}: {}", indent(message));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  hint: {}", indent(hint));
        }
        text
    }

    /// For a program.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let messages = self.messages();
        let mut json = serde_json::json!({
            "kind": self.kind,
            "exit_code": self.kind.exit_code(),
            "message": messages.first(),
            "causes": messages.get(1..).unwrap_or_default(),
            "hints": self.hints,
        });
        if let Some(object) = json.as_object_mut() {
            object.extend(self.fields.clone());
        }
        json
    }
}

fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

impl From<countersign_policy::PolicyError> for Failure {
    fn from(error: countersign_policy::PolicyError) -> Self {
        use countersign_policy::Problem;
        let hint = match error.problem() {
            Problem::Syntax { .. } => Some(
                "keys of one mapping begin in the same column, after spaces and never tabs; in \"double quotes\" a backslash is written twice, in 'single quotes' once",
            ),
            Problem::Regex { .. } => {
                Some("write a backslash before what stands for itself: `\\.`, `\\(`, `\\+`, `\\?`")
            }
            Problem::Form { .. } if error.place().path.to_string().ends_with("verification") => {
                Some(
                    "a `verification` block has `issuer` and `identity`, or `issuer_regex` and `identity_regex` in their places",
                )
            }
            _ => None,
        };
        let failure = Self::new(Kind::Usage, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<crate::environment::NotABoolean> for Failure {
    fn from(error: crate::environment::NotABoolean) -> Self {
        Self::new(Kind::Usage, error.to_string())
    }
}
