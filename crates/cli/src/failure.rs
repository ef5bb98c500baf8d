//! Errors as a person meets them: one place that gives every library error a kind, an exit code
//! and a hint of what to do.

mod gallery;
mod installing;
mod kind;
mod layout;
mod lock;
mod mistakes;
mod policy_file;
mod publishing;
mod registry;
mod signing;
mod verification;

#[cfg(test)]
#[expect(clippy::too_many_lines, reason = "tables of errors")]
mod tests;

use std::error::Error;
use std::io;
use std::path::Path;

use countersign_oci::http::Unresolved;
use countersign_oci::{Location, MachineFault, Platform, Reference, ResolvedImage, printable};
use countersign_sign::NotCopied;

pub(crate) use countersign_oci::ErrorKind as Kind;
#[cfg(test)]
pub(crate) use kind::EXIT_CODES;
pub(crate) use kind::{exit_code, exit_codes_help, worst};
pub(crate) use mistakes::{Mistake, TomlMistake};
pub(crate) use signing::needing_digests;

use crate::json::error::{JsonError, JsonErrorKind, Tags};
use crate::signals::Signal;

/// How many references without a verdict a person is told.
const NOT_JUDGED_SHOWN: usize = 10;

/// A failure with all that is said of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    /// What is wrong with a file, where that is the failure. The first is the error.
    mistakes: Box<[Mistake]>,
    /// References that a program goes on with.
    references: Option<Box<References>>,
    /// What became of the tags that were to be written.
    tags: Option<Box<Tags>>,
    /// What refers to an image and was not copied with it.
    not_copied: Box<[NotCopied]>,
    /// The signal that ended the run, if one did.
    signal: Option<Signal>,
    /// How the command is used, for a program. A person is told by clap.
    usage: Option<Box<str>>,
}

impl Failure {
    /// Without a hint of its own: [`Self::hints`] then has the usual one of the kind.
    pub(crate) fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
            mistakes: Box::default(),
            references: None,
            tags: None,
            not_copied: Box::default(),
            signal: None,
            usage: None,
        }
    }

    /// The end of a run that a signal asked for.
    pub(crate) fn stopped_by(signal: Signal) -> Self {
        let message = format!("stopped by {}", signal.name());
        Self {
            signal: Some(signal),
            ..Self::new(Kind::Machine, message)
        }
    }

    /// Names the references of which there is no verdict.
    pub(crate) fn without(mut self, not_judged: Vec<String>) -> Self {
        if not_judged.is_empty() {
            return self;
        }
        let shown: Vec<&str> = not_judged
            .iter()
            .take(NOT_JUDGED_SHOWN)
            .map(|one| &**one)
            .collect();
        let more = match not_judged.len() - shown.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let waited = match shown.as_slice() {
            [first, _, ..] => format!("; the first of them, {first}, was still waited for"),
            _ => String::new(),
        };
        let hint = format!("not judged: {}{more}{waited}", shown.join(", "));
        self.references = Some(Box::new(References::NotJudged(not_judged)));
        self.also(hint)
    }

    /// Says where the tags are.
    pub(crate) fn with_tags(self, tags: Tags) -> Self {
        let mut failure = match publishing::tags_hint(self.kind, &tags) {
            Some(hint) => self.also(hint),
            None => self,
        };
        failure.tags = Some(Box::new(tags));
        failure
    }

    /// A command line that can't be read. `said` is what clap says of it: the mistake, what may have been meant,
    /// and how the command is used.
    pub(crate) fn unparsed(said: &str) -> Self {
        let (mut message, mut usage, mut tips) = (Vec::new(), None, Vec::new());
        for part in said.split("\n\n") {
            let part = part.trim_end();
            match (
                part.strip_prefix("Usage: "),
                part.trim_start().strip_prefix("tip: "),
            ) {
                (Some(shown), _) => usage = Some(shown.into()),
                (None, Some(tip)) => tips.push(tip.replace("\n  tip: ", "; ")),
                (None, None) => message.push(part.replace("\n  ", " ")),
            }
        }
        let failure = Self::new(Kind::Usage, message.join(" "));
        let failure = tips.into_iter().fold(failure, Self::hint);
        let usual = kind::usual_hint(Kind::Usage);
        Self {
            usage,
            ..failure.hint(usual)
        }
    }

    /// Where the message names `image` by its digest alone, it names it as it was asked for too. Several tags of a
    /// repository are told apart by that.
    pub(crate) fn naming(mut self, image: &ResolvedImage) -> Self {
        let (requested, pinned) = (image.requested(), image.reference());
        let shown = match requested.digest() {
            Some(_) => requested.to_string(),
            None => format!("{requested} ({})", pinned.digest()),
        };
        let said = self.error.to_string();
        let message = said.replacen(&pinned.to_string(), &shown, 1);
        if message != said {
            let source = self.error;
            self.error = Box::new(Renamed { message, source });
        }
        self
    }

    /// Names what it is about, where the message does not: one of several references, or of several platforms.
    pub(crate) fn about(mut self, reference: &Reference, platform: Option<&Platform>) -> Self {
        let said = self.error.to_string();
        let named = |name: &str| said.contains(name);
        let reference = reference.to_string();
        let platform = platform.map(ToString::to_string);
        let platform = platform.filter(|platform| !named(platform));
        let subject = match (named(&reference), platform) {
            (true, None) => return self,
            (true, Some(platform)) => platform,
            (false, None) => reference,
            (false, Some(platform)) => format!("{reference} for {platform}"),
        };
        self.error = Box::new(Renamed {
            message: format!("{subject}: {said}"),
            source: self.error,
        });
        self
    }

    fn pinned(mut self, references: Vec<String>) -> Self {
        self.references = Some(Box::new(References::Pinned(references)));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, of the galleries of a kit: its hints name the kit in the place of a file.
    pub(crate) fn of_kit(self, kit: &str) -> Self {
        let named = format!("gallery show {}", printable(kit));
        self.with_hints(|hint| hint.replace("gallery show FILE", &named))
    }

    /// The same without hints of its own, for a caller that has better ones. Without these, it has the usual one of its kind.
    pub(crate) fn without_hints(mut self) -> Self {
        self.hints.clear();
        self
    }

    /// The same, with other hints.
    pub(crate) fn with_hints(mut self, change: impl Fn(&str) -> String) -> Self {
        for hint in &mut self.hints {
            *hint = change(hint);
        }
        self
    }

    /// With a hint behind what is said anyway.
    pub(crate) fn also(mut self, hint: impl Into<String>) -> Self {
        if self.hints.is_empty() {
            self.hints.push(kind::usual_hint(self.kind).to_owned());
        }
        self.hint(hint)
    }

    /// With a hint, where there is one better than the usual.
    pub(crate) fn hinted(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// With `hint` on a refusal of this kind, and what else to do where the image is at `location`.
    fn hinted_as_refused(self, hint: &str, kind: Kind, location: &Location) -> Self {
        let failure = self.hint(hint);
        match layout::unsigned_hint(location) {
            Some(hint) if kind == Kind::Unsigned => failure.hint(hint),
            _ => failure,
        }
    }

    /// An input file that can't be read.
    pub(crate) fn unreadable(path: &Path, what: &str, error: io::Error) -> Self {
        let kind = Kind::of_input(&error);
        let message = format!("the {what} {} can't be read", path.display());
        let hint = match error.kind() {
            // It was read, and is another file than was meant.
            io::ErrorKind::InvalidData => "check that it is the file you mean",
            io::ErrorKind::NotFound if path == Path::new("-") => {
                "for standard input, write /dev/stdin"
            }
            _ => "check the path, and that you may read it",
        };
        Self::caused(kind, message, error).hint(hint)
    }

    /// An output file that can't be written.
    pub(crate) fn unwritable(path: &Path, what: &str, error: io::Error) -> Self {
        let kind = match MachineFault::of(&error) {
            None => Kind::Usage,
            Some(_) => Kind::Machine,
        };
        let message = format!("the {what} {} can't be written", path.display());
        Self::caused(kind, message, error).hint("check the path, and that you may write there")
    }

    /// A failure with a cause that says more.
    pub(crate) fn caused(
        kind: Kind,
        message: String,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self::new(kind, Caused { message, source })
    }

    /// Whether it is that nobody knows the trusted root now.
    pub(crate) fn is_of_absent_root(&self) -> bool {
        let error = self.error.downcast_ref::<countersign_verify::TrustError>();
        error.is_some_and(countersign_verify::TrustError::is_out_of_reach)
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.signal.map_or(exit_code(self.kind), Signal::exit_code)
    }

    /// The code of a run that this failure ends, while results of it may have failed already. A signal comes first.
    pub(crate) fn exit_code_with(&self, worst: impl FnOnce(Kind) -> Kind) -> u8 {
        let code = || exit_code(worst(self.kind));
        self.signal.map_or_else(code, Signal::exit_code)
    }

    /// What to do about it, the most helpful first; never empty.
    pub(crate) fn hints(&self) -> Vec<&str> {
        let fault = match self.kind {
            Kind::Machine => MachineFault::of(self.error.as_ref()),
            _ => None,
        };
        let fault = fault.map(kind::machine_hint);
        let mut hints: Vec<&str> = fault.into_iter().collect();
        hints.extend(self.hints.iter().map(String::as_str));
        if hints.is_empty() {
            hints.push(kind::usual_hint(self.kind));
        }
        hints
    }

    /// The error's message and those of its causes, the outermost first. A cause that only
    /// repeats what stands before it is left out. Where the machine is at fault, that comes first.
    fn messages(&self) -> Vec<String> {
        let message = match self.kind {
            Kind::Machine if self.signal.is_none() => format!("this machine: {}", self.error),
            _ => self.error.to_string(),
        };
        let mut messages = vec![message];
        let mut source = self.error.source();
        while let Some(error) = source {
            let unresolved = Unresolved::behind(error);
            let error = unresolved.map_or(error, |unresolved| unresolved);
            let message = error.to_string();
            if messages.last().is_none_or(|last| !last.contains(&message)) {
                messages.push(message);
            }
            source = error.source();
        }
        // Libraries escape what others wrote. This is the second wall: parsers quote what they read.
        messages
            .iter()
            .map(|message| printable_lines(message))
            .collect()
    }

    /// The error and its causes in one line.
    pub(crate) fn line(&self) -> String {
        self.messages().join(": ")
    }

    /// For a person: the error, its causes, then the hints.
    pub(crate) fn said(&self) -> Vec<(Label, String)> {
        let messages = self.messages().into_iter().enumerate();
        let labelled = messages.map(|(at, message)| match at {
            0 => (Label::Error, message),
            _ => (Label::Cause, message),
        });
        let marked = |mistake: &Mistake| {
            let marked = mistake.marked.iter().flat_map(|marked| ["\n", marked]);
            let text = [mistake.told.as_str()].into_iter().chain(marked);
            (Label::Error, text.collect::<String>())
        };
        let labelled: Vec<_> = match &*self.mistakes {
            [] => labelled.collect(),
            mistakes => mistakes.iter().map(marked).collect(),
        };
        let hints = self.hints();
        let hints = hints.iter().map(|hint| (Label::Hint, (*hint).to_owned()));
        labelled.into_iter().chain(hints).collect()
    }

    /// For a program.
    pub(crate) fn to_json(&self) -> JsonError {
        let mut messages = self.messages().into_iter();
        let (pinned, not_judged) = match self.references.as_deref() {
            None => (None, None),
            Some(References::Pinned(references)) => (Some(references.clone()), None),
            Some(References::NotJudged(references)) => (None, Some(references.clone())),
        };
        JsonError {
            kind: match self.signal {
                Some(_) => JsonErrorKind::Stopped,
                None => self.kind.into(),
            },
            exit_code: self.exit_code(),
            message: messages.next().unwrap_or_default(),
            usage: self.usage.as_deref().map(str::to_owned),
            causes: messages.collect(),
            hints: self.hints().into_iter().map(str::to_owned).collect(),
            mistakes: self.mistakes.to_vec(),
            pinned_references: pinned,
            not_judged,
            tags_written: self.tags.as_ref().map(|tags| tags.written.clone()),
            tags_unclear: self.tags.as_ref().map(|tags| tags.unclear.clone()),
            tags_not_written: self.tags.as_ref().map(|tags| tags.not_written.clone()),
        }
    }
}

/// References that a failure names for programs.
#[derive(Debug)]
enum References {
    /// To go on with in place of those that were given.
    Pinned(Vec<String>),
    /// Of these there is no verdict, because the run ended before.
    NotJudged(Vec<String>),
}

/// What a line about a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Error,
    Cause,
    Hint,
}

/// What was not possible, and the error that says why.
#[derive(Debug)]
struct Caused {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// An error, with a message that names an image otherwise, or besides.
#[derive(Debug)]
struct Renamed {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

impl std::fmt::Display for Renamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Renamed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Every line printable and of bounded length; the line breaks are ours.
fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// What to do about a mistake in a file.
const CORRECT_THERE: &str = "correct the file at that place";

impl From<crate::environment::NotABoolean> for Failure {
    fn from(error: crate::environment::NotABoolean) -> Self {
        Self::new(Kind::Usage, error.to_string()).hint("set it to 1 or 0, or unset it")
    }
}
