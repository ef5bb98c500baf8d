//! What can be wrong with a lock file, and why a plan can't be carried out as locked.

use countersign_oci::{Digest, DigestError, ErrorKind, Platform, PlatformError};
use countersign_policy::{FingerprintError, Position};

/// Why a text is no lock file: where, what was expected, and what is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// More text than any lock has.
    #[error("the lock file is too large: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// Bytes of the text.
        found: usize,
    },
    /// A later version's file, or none of ours.
    #[error("{position}: unknown version of a lock file: expected {expected}, found {found}")]
    Version {
        /// Where.
        position: Position,
        /// What we read.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A key that we don't know: what it asks for would not happen.
    #[error(
        "{position}: unknown key `{found}`; {}",
        .nearest.as_ref().map_or_else(
            || format!("expected one of {}", .valid.join(", ")),
            |key| format!("did you mean `{key}`?")
        )
    )]
    UnknownKey {
        /// Where.
        position: Position,
        /// The key.
        found: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// The keys that may stand there.
        valid: Vec<&'static str>,
    },
    /// A value that is not what its key says.
    #[error("{position}: `{key}`: {fault}")]
    Value {
        /// Where.
        position: Position,
        /// Its key.
        key: &'static str,
        /// Why not.
        fault: LockValueError,
    },
    /// Something that has to stand beside what is there.
    #[error("{position}: `grounds: {grounds}` needs `{key}`, which is missing")]
    Missing {
        /// Where the grounds stand.
        position: Position,
        /// What is missing.
        key: &'static str,
        /// The grounds.
        grounds: &'static str,
    },
    /// A signer beside grounds other than a signature: one of the two is wrong.
    #[error("{position}: `{key}` needs `grounds: signature`, found `grounds: {grounds}`")]
    OutOfPlace {
        /// Where the grounds stand.
        position: Position,
        /// What should not be there.
        key: &'static str,
        /// The grounds.
        grounds: &'static str,
    },
    /// Two entries of one name for one platform.
    #[error("{position}: `{name}` for {platform} is there twice; the first is at {first}")]
    Duplicate {
        /// Where the second is.
        position: Position,
        /// The name.
        name: String,
        /// The platform.
        platform: Box<Platform>,
        /// Where the first is.
        first: Position,
    },
    /// Not a document of the form that we write.
    #[error("{}{reason}", .position.map(|position| format!("{position}: ")).unwrap_or_default())]
    Syntax {
        /// Where, if the parser knows it.
        position: Option<Position>,
        /// What the parser says.
        reason: String,
    },
    /// The lock can't be written as YAML.
    #[error("the lock can't be written: {reason}")]
    Write {
        /// What the serialiser says.
        reason: String,
    },
}

impl LockError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. }
            | Self::Version { .. }
            | Self::UnknownKey { .. }
            | Self::Value { .. }
            | Self::Missing { .. }
            | Self::OutOfPlace { .. }
            | Self::Duplicate { .. }
            | Self::Syntax { .. } => ErrorKind::Usage,
            Self::Write { .. } => ErrorKind::Internal,
        }
    }

    /// Where in the text it is, as the message begins; `None` where it is about the whole.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Version { position, .. }
            | Self::UnknownKey { position, .. }
            | Self::Value { position, .. }
            | Self::Missing { position, .. }
            | Self::OutOfPlace { position, .. }
            | Self::Duplicate { position, .. } => Some(*position),
            Self::Syntax { position, .. } => *position,
            Self::TooLarge { .. } | Self::Write { .. } => None,
        }
    }
}

/// Why a value is not what its key says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockValueError {
    /// Not a platform.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// Not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Not the fingerprint of a key.
    #[error(transparent)]
    Key(#[from] FingerprintError),
    /// A key, beside an issuer or an identity.
    #[error("a signer has a key, or an issuer and an identity, and not both")]
    KeyAndIdentity,
    /// Not a time.
    #[error("expected a time as in RFC 3339, such as 2026-01-31T12:00:00Z, found `{found}`")]
    Time {
        /// What is there.
        found: String,
        /// Why it is none.
        #[source]
        source: jiff::Error,
    },
    /// Nothing.
    #[error("expected a text, found nothing")]
    Empty,
}

/// Why a plan is not what was locked, or asks for less; or why an entry may not take the place of what is locked. A variant
/// is about the plan, unless it says that an entry may not take the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockedError {
    /// No entry of that name.
    #[error(
        "the lock file has no entry `{name}`{}",
        .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    )]
    Unknown {
        /// The name.
        name: String,
        /// The locked name that may have been meant.
        nearest: Option<String>,
    },
    /// The name is locked for other platforms.
    #[error("`{name}` is not locked for {found}: it is locked for {}", list(.expected))]
    Platform {
        /// The name.
        name: String,
        /// The platforms that it is locked for.
        expected: Vec<Platform>,
        /// The platform asked for.
        found: Box<Platform>,
    },
    /// The plan is of another gallery.
    #[error("`{name}` is locked to another gallery: expected `{expected}`, found `{found}`")]
    Gallery {
        /// The name.
        name: String,
        /// The gallery by the lock.
        expected: String,
        /// The plan's.
        found: String,
    },
    /// The name leads to another entry: for other hardware, or since the gallery changed.
    #[error(
        "`{name}` now leads to another entry than the locked one: expected `{expected}`, found `{found}`"
    )]
    Entry {
        /// The name.
        name: String,
        /// The entry by the lock.
        expected: String,
        /// The plan's.
        found: String,
    },
    /// The gallery itself pins another digest.
    #[error(
        "the gallery now names another digest for `{name}` than the lock file: expected {expected}, found {found}"
    )]
    Digest {
        /// The name.
        name: String,
        /// The digest by the lock.
        expected: Digest,
        /// The gallery's.
        found: Digest,
    },
    /// The gallery asks for less than what was locked was admitted on: it lost its policy, or its
    /// digest.
    #[error(
        "the gallery no longer requires what `{name}` was locked with: expected {expected}, found {found}"
    )]
    Weaker {
        /// The name.
        name: String,
        /// What it was locked on, in words.
        expected: String,
        /// What the gallery asks for, in words.
        found: String,
    },
    /// An entry may not take the place: less proves it than what is locked.
    #[error(
        "`{name}` is locked with a stronger proof than this one: expected {expected}, found {found}"
    )]
    WeakerEntry {
        /// The name.
        name: String,
        /// What it was locked on, in words.
        expected: String,
        /// What proves the entry, in words.
        found: String,
    },
    /// An entry may not take the place: its image was signed before the locked one, or it is the locked image by an earlier
    /// signature.
    #[error(
        "`{name}` is locked {}{}: {expected} was signed at {expected_at}{} {found_at}",
        if .expected == .found { "by a later signature" } else { "to a later image" },
        .other.as_ref().map_or_else(String::new, |other| format!(", of the entry `{other}`")),
        if .expected == .found { "; the signature found now is of".to_owned() } else { format!(", {} at", .found) }
    )]
    Older {
        /// The name.
        name: String,
        /// The digest by the lock.
        expected: Box<Digest>,
        /// That of the image.
        found: Box<Digest>,
        /// The locked entry, if it is another.
        other: Option<String>,
        /// When what is locked was signed.
        expected_at: jiff::Timestamp,
        /// When the image was.
        found_at: jiff::Timestamp,
    },
    /// An entry may not take the place: nothing proves the time of its image, and the locked one has a proven time.
    #[error(
        "no proof says when {found} was signed; `{name}` is locked to {expected}, which was signed at {expected_at}; so it is \
         not known which is older"
    )]
    Undated {
        /// The name.
        name: String,
        /// The digest by the lock.
        expected: Digest,
        /// That of the image.
        found: Digest,
        /// When what is locked was signed.
        expected_at: jiff::Timestamp,
    },
    /// Strict mode, and nothing proved what was locked.
    #[error(
        "integrity is required, and `{name}` was locked without a signer and without a digest from the gallery"
    )]
    Unverified {
        /// The name.
        name: String,
    },
    /// The gallery's policy accepts the locked signer no longer.
    #[error(
        "the gallery's policy no longer accepts the signer that `{name}` is locked to: {found}"
    )]
    Signer {
        /// The name.
        name: String,
        /// The locked signer.
        found: Box<super::LockedSigner>,
    },
}

impl LockedError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::Platform { .. } => ErrorKind::NotFound,
            Self::Gallery { .. } => ErrorKind::Usage,
            Self::Entry { .. }
            | Self::Digest { .. }
            | Self::Weaker { .. }
            | Self::WeakerEntry { .. }
            | Self::Older { .. }
            | Self::Undated { .. }
            | Self::Unverified { .. }
            | Self::Signer { .. } => ErrorKind::Policy,
        }
    }
}

fn list(platforms: &[Platform]) -> String {
    let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
