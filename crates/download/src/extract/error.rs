//! Why a layer is refused.

use std::io;

use countersign_oci::archive::HeaderError;
use countersign_oci::{Digest, ErrorKind, printable};

use crate::limits::Bound;

/// What is wrong with a layer. Names are those in the archive, lossily decoded for display.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The compressed stream is damaged, or our copy of it can't be read.
    #[error("its content can't be read")]
    Read(#[source] io::Error),
    /// The content is compressed in a way that isn't ours to undo.
    #[error("its content is compressed with {found}: expected gzip, zstd or no compression")]
    Compression {
        /// What its first bytes say.
        found: &'static str,
    },
    /// The archive ends inside an entry.
    #[error("the archive ends early: expected {expected} more bytes of {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes that are missing.
        expected: u64,
    },
    /// The checksum of an entry's header.
    #[error("a header's checksum is wrong: expected {expected}, found {found}")]
    Checksum {
        /// The sum of the header's bytes.
        expected: i64,
        /// The sum that the header states.
        found: i64,
    },
    /// A field of an entry's header that isn't what it should be.
    #[error("the {field} in a header is malformed: expected {expected}, found `{found}`")]
    Header {
        /// Which field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A PAX or GNU extension header that doesn't follow its format, or contradicts another header.
    #[error("an extension header is malformed: expected {expected}, found `{found}`")]
    Extension {
        /// What should have been there.
        expected: &'static str,
        /// What was.
        found: String,
    },
    /// The map of a file with holes, which doesn't follow its format or doesn't fit the file.
    #[error("the sparse file `{name}` is malformed: expected {expected}, found {found}")]
    Sparse {
        /// The entry.
        name: String,
        /// What should have been there.
        expected: &'static str,
        /// What was.
        found: String,
    },
    /// An entry that is neither file, directory, link, device nor fifo.
    #[error("`{name}` has the type `{found}`, which images don't use")]
    EntryType {
        /// The entry.
        name: String,
        /// The header's type flag.
        found: char,
    },
    /// Data after one block of zeros, where two end an archive.
    #[error("there is data in the middle of the zeros that end the archive")]
    TrailingData,
    /// A name whose `..` leads above the root of the image, or a hard link's target with any `..`.
    #[error("`{name}` has a `..` that may lead out of the image")]
    ParentName {
        /// The name.
        name: String,
    },
    /// A name that no file can have: empty, with a NUL, or the root's.
    #[error("`{name}` can't be the name of a {kind}")]
    Name {
        /// The name.
        name: String,
        /// What the entry is.
        kind: &'static str,
    },
    /// A name that is ours: the record of the installation goes there.
    #[error("`{name}` is reserved for the record of the installation")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A whiteout that names nothing which could be removed.
    #[error("`{name}` is a malformed whiteout")]
    Whiteout {
        /// The entry.
        name: String,
    },
    /// A whiteout of what its own layer has, which is for layers below.
    #[error(
        "`{name}` removes something that its own layer added: tools disagree on what that means"
    )]
    OwnWhiteout {
        /// The entry.
        name: String,
    },
    /// The way to an entry leads through a symbolic link that leads nowhere, or back to itself.
    #[error("the path to `{name}` goes through a symbolic link that leads nowhere")]
    DanglingLink {
        /// The entry.
        name: String,
    },
    /// The way to an entry leads through something that isn't a directory.
    #[error("the path to `{name}` goes through something that is not a directory")]
    NotADirectory {
        /// The entry.
        name: String,
    },
    /// A hard link to something that isn't there, or to what can't be linked to.
    #[error("`{name}` is a hard link to `{target}`, which {found}")]
    HardLink {
        /// The link.
        name: String,
        /// Its target, by the archive.
        target: String,
        /// What is at the target.
        found: &'static str,
    },
    /// A bound of [`crate::Limits`] was reached.
    #[error("{what} is over the limit of {limit} {unit}")]
    Limit {
        /// What was being counted.
        what: String,
        /// The bound.
        limit: u64,
        /// What is counted: `bytes`, `entries`, `directories`.
        unit: &'static str,
        /// Which bound it is.
        bound: Bound,
    },
    /// The decompressed layer isn't the one that the image's configuration names.
    #[error("its decompressed content has the wrong digest: expected {expected}, found {found}")]
    DiffId {
        /// From `rootfs.diff_ids`.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// Our own file system refuses.
    #[error("`{name}` can't be written")]
    Write {
        /// The entry.
        name: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The installation was given up while this layer was being unpacked.
    #[error("unpacking was cancelled")]
    Cancelled,
}

impl ArchiveError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(source) | Self::Write { source, .. } => ErrorKind::of_content(source),
            Self::Truncated { .. }
            | Self::Checksum { .. }
            | Self::Header { .. }
            | Self::Extension { .. }
            | Self::Compression { .. }
            | Self::Sparse { .. }
            | Self::EntryType { .. }
            | Self::TrailingData
            | Self::ParentName { .. }
            | Self::Name { .. }
            | Self::ReservedName { .. }
            | Self::Whiteout { .. }
            | Self::OwnWhiteout { .. }
            | Self::DanglingLink { .. }
            | Self::NotADirectory { .. }
            | Self::HardLink { .. }
            | Self::Limit { .. }
            | Self::DiffId { .. } => ErrorKind::Invalid,
            Self::Cancelled => ErrorKind::Internal,
        }
    }
}

/// A reader between us and the archive reports its findings as an [`io::Error`]; this takes them
/// out again.
impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Read)
    }
}

/// The same, of a header as the reader of headers says it.
impl From<HeaderError> for ArchiveError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Checksum { expected, found } => Self::Checksum { expected, found },
            HeaderError::Header {
                field,
                expected,
                found,
            } => Self::Header {
                field,
                expected,
                found,
            },
            HeaderError::Extension { expected, found } => Self::Extension { expected, found },
        }
    }
}

/// A name for an error message: printable, and its first 200 characters.
pub(super) fn display_name(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let first: String = text.chars().take(SHOWN).collect();
    let mut shown = printable(&first);
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
