//! What can be wrong with a policy, and where.

use std::fmt;

use countersign_oci::{DigestError, ErrorKind, ReferenceError, printable};

use crate::image_pattern::PatternError;
use crate::matcher::RegexError;
use crate::public_key::PublicKeyError;

/// A policy or gallery file, or a flag, that can't be used: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    place: Place,
    // Boxed so that results stay small.
    problem: Box<Problem>,
}

impl PolicyError {
    pub(crate) fn new(place: Place, problem: Problem) -> Self {
        Self {
            place,
            problem: Box::new(problem),
        }
    }

    /// Where the offending text stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What kind of failure it is: whatever the problem, it is in a file or a flag.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    pub(crate) fn into_parts(self) -> (Place, Problem) {
        (self.place, *self.problem)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&printable(&self.problem.to_string()))
    }
}

// Without a source: the message says everything, down to the parser's reason.
impl std::error::Error for PolicyError {}

/// Where something stands. What is unknown is left out: a flag has neither file nor position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as the caller gave it.
    pub file: Option<String>,
    /// Where in the file.
    pub position: Option<Position>,
    /// The keys that lead there.
    pub path: KeyPath,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(file) = &self.file {
            f.write_str(&printable(file))?;
            separator = ": ";
        }
        if let Some(position) = self.position {
            if self.file.is_some() {
                f.write_str(":")?;
            }
            write!(f, "{position}")?;
            separator = ": ";
        }
        if !self.path.is_root() {
            write!(f, "{separator}{}", printable(&self.path.to_string()))?;
        }
        Ok(())
    }
}

/// Line and column, both counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The keys and list positions that lead to a value: `galleries[2].verification.issuer`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// This path, and `key` below it.
    pub(crate) fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// This path, and the list entry at `index` (from 0) below it.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path without its last step.
    pub(crate) fn parent(&self) -> Self {
        let above = self.0.split_last().map(|(_, above)| above.to_vec());
        Self(above.unwrap_or_default())
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The key that the path ends with; `None` for the document itself and for an entry of a list.
    pub fn last_key(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }

    /// Whether this is the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither key of a pair is there.
    #[error("expected `{exact}` or `{regex}`, found neither; add one of them")]
    Neither {
        /// The key for an exact value.
        exact: &'static str,
        /// The key for a pattern.
        regex: &'static str,
    },
    /// Both keys of a pair are there.
    #[error("expected `{exact}` or `{regex}`, found both; keep the one that you mean")]
    Both {
        /// The key for an exact value.
        exact: String,
        /// The key for a pattern.
        regex: String,
    },
    /// `identities` next to a signer of its own.
    #[error(
        "expected either `identities` or one signer's `{key}`, found both; make that signer one of \
         the `identities`"
    )]
    SignerBesideIdentities {
        /// The key beside the list.
        key: &'static str,
    },
    /// `require` next to what an entry of it says.
    #[error("expected either `require` or `{key}`, found both; put it into an entry of `require`")]
    BesideRequire {
        /// The key beside the list.
        key: &'static str,
    },
    /// Two equal entries of `require`.
    #[error("this proof is required already, by entry {first}; take one of the two out")]
    SameProof {
        /// Position of the first, from 0.
        first: usize,
    },
    /// What only a certificate has, beside a key.
    #[error(
        "expected either `key` or `{key}`, found both; a key's signature has no certificate, and so no \
         issuer, no identity and no claims"
    )]
    BesideKey {
        /// The key of the policy beside `key`.
        key: &'static str,
    },
    /// `ignore_tlog` without a key.
    #[error(
        "expected `ignore_tlog` beside `key` only: without a log nothing proves that a certificate was \
         valid when it signed; take it out"
    )]
    IgnoreTlogWithoutKey,
    /// A condition on the time of a signature beside `ignore_tlog`.
    #[error(
        "`{key}` can't hold beside `ignore_tlog`: nothing proves then when a signature was made; take \
         one of the two out"
    )]
    NoTime {
        /// The condition.
        key: &'static str,
    },
    /// Not a public key.
    #[error("{}{reason}", .file.as_ref().map_or_else(String::new, |file| format!("the file `{file}`: ")))]
    PublicKey {
        /// The file with the text, if it is in one.
        file: Option<String>,
        /// Why not.
        reason: PublicKeyError,
    },
    /// The file of a key can't be read.
    #[error("the file of the key `{found}` can't be read: {reason}")]
    KeyFile {
        /// The path as it is written.
        found: String,
        /// Why not.
        reason: String,
    },
    /// A text, list or mapping with nothing in it.
    #[error("expected {expected}, found nothing; fill it in, or take the key out")]
    Empty {
        /// What belongs there.
        expected: &'static str,
    },
    /// A pattern that doesn't compile.
    #[error("`{found}` is not a usable regular expression: {reason}")]
    Regex {
        /// The pattern.
        found: String,
        /// Why not.
        reason: RegexError,
    },
    /// A time that isn't one, or that leaves open which instant it means.
    #[error("expected an RFC 3339 time such as {example}, found `{found}`{}", .missing.advice())]
    Timestamp {
        /// The text.
        found: String,
        /// What to write instead, as far as the text says what is meant.
        example: String,
        /// What it lacks.
        missing: TimestampFault,
    },
    /// A key that isn't known where unknown keys could weaken a policy.
    #[error("unknown key `{found}`; {}: {}", hint(.nearest.as_deref(), "valid here"), .valid.join(", "))]
    UnknownKey {
        /// The key.
        found: String,
        /// The valid key that resembles it.
        nearest: Option<String>,
        /// Every valid key.
        valid: Vec<String>,
    },
    /// A key that has to be there isn't.
    #[error("the key `{key}` is missing; add it")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The same key twice.
    #[error("the key `{key}` appears twice; keep one")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A value of another form.
    #[error(
        "expected {expected}{}",
        .found.as_ref().map_or_else(String::new, |found| format!(", found {found}"))
    )]
    Form {
        /// What belongs there.
        expected: String,
        /// What is there, where that is known.
        found: Option<String>,
    },
    /// Not a digest.
    #[error("{0}")]
    Digest(DigestError),
    /// Not the name of a repository.
    #[error("expected a repository such as ghcr.io/acme/app: {reason}")]
    Repository {
        /// The text.
        found: String,
        /// Why not.
        reason: ReferenceError,
    },
    /// Not a URL by which a TUF repository can be asked.
    #[error(
        "expected an http or https URL such as https://tuf-repo-cdn.sigstore.dev, found `{found}`"
    )]
    Url {
        /// The text.
        found: String,
    },
    /// `trust` with neither of its forms, both, or half of one.
    #[error(
        "expected `public-good`, `github`, `trusted_root` alone, or `tuf_url` together with `tuf_root`, found {found}"
    )]
    Trust {
        /// The keys that are there.
        found: String,
    },
    /// Not a pattern of images.
    #[error("`{found}` is not a pattern of images: {reason}")]
    ImagePattern {
        /// The text.
        found: String,
        /// Why not.
        reason: PatternError,
    },
    /// A rule that says neither who must have signed nor that nobody has to, or both.
    #[error("expected `verification`, or `allow: true` with a `reason`, found {found}")]
    Demand {
        /// The keys that are there.
        found: String,
    },
    /// Two sources of the trusted root.
    #[error("expected `trusted_root` or `tuf`, found both; keep the one that you mean")]
    TwoTrustedRoots,
    /// Not YAML (and so not JSON either).
    #[error("the file can't be read as YAML or JSON: {reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// Over a bound on size, depth, aliases or merges.
    #[error("the file exceeds a limit: {reason}")]
    Budget {
        /// Which, and how far.
        reason: String,
    },
    /// A policy of its own beside galleries.
    #[error(
        "expected `verification` or `galleries`, found both; give each gallery its own \
         `verification`"
    )]
    PolicyBesideGalleries,
    /// Two galleries of one name.
    #[error("a second gallery is named `{name}`; rename one of them")]
    DuplicateGallery {
        /// The name.
        name: String,
    },
    /// A file without any `verification`.
    #[error(
        "found no policy; expected a `verification:` block with `issuer` and `identity` or `key`, or a list \
         of galleries that have one"
    )]
    NoPolicy,
    /// One policy is wanted, and the file's galleries have different ones.
    #[error("the galleries have different policies; say which one is meant: {}", quoted(.names))]
    SeveralPolicies {
        /// The galleries' names.
        names: Vec<String>,
    },
    /// No gallery of this name, or it has no policy.
    #[error("found no gallery `{found}` with a policy; {}: {}", hint(.nearest.as_deref(), "those with one"), quoted(.names))]
    NoSuchGallery {
        /// The name asked for.
        found: String,
        /// The name that resembles it.
        nearest: Option<String>,
        /// The galleries that have a policy.
        names: Vec<String>,
    },
}

impl Problem {
    /// The path to show: of a key that is itself the problem, that of the mapping, since the
    /// problem names the key.
    pub(crate) fn scope(&self, path: KeyPath) -> KeyPath {
        match self {
            Self::UnknownKey { .. } | Self::DuplicateKey { .. } => path.parent(),
            _ => path,
        }
    }
}

/// What a text that should be a time lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampFault {
    /// A date alone: which hour, and where?
    NoTime,
    /// A date and a time of day, without `Z` or an offset: where?
    NoOffset,
    /// Not a time at all.
    NotATime,
}

impl TimestampFault {
    fn advice(self) -> &'static str {
        match self {
            Self::NoTime => ": a date alone doesn't say when the day begins; add a time and `Z`",
            Self::NoOffset => ": it doesn't say in which time zone; add `Z` for UTC",
            Self::NotATime => "",
        }
    }
}

/// ``did you mean `…`? Valid here``, or ``valid here``.
fn hint(nearest: Option<&str>, list: &str) -> String {
    let Some(nearest) = nearest else {
        return list.to_owned();
    };
    let mut letters = list.chars();
    let capital = letters.next().map(|c| c.to_ascii_uppercase());
    let list: String = capital.into_iter().chain(letters).collect();
    format!("did you mean `{nearest}`? {list}")
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
