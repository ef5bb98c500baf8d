//! Why a layer is refused.

use std::io;

use countersign_oci::archive::HeaderError;
use countersign_oci::{Digest, ErrorKind};

use crate::limits::Bound;

/// What is wrong with a layer. Names are those in the archive, lossily decoded for display.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The compressed stream is damaged, or our copy of it can't be read.
    #[error("its content can't be read")]
    Read(#[source] io::Error),
    /// The content is compressed in a way that we don't support.
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
    /// A header can't be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The map of a file with holes doesn't follow its format, or doesn't fit the file.
    #[error("the sparse file `{name}` is malformed: expected {expected}, found {found}")]
    Sparse {
        /// The entry.
        name: String,
        /// What should have been there.
        expected: &'static str,
        /// What was.
        found: String,
    },
    /// An entry is not a file, directory, link, device or fifo.
    #[error("`{name}` has the entry type `{found}`, which images don't use")]
    EntryType {
        /// The entry.
        name: String,
        /// The header's type flag.
        found: char,
    },
    /// Data follows one block of zeros. Two blocks of zeros end an archive.
    #[error("data follows a single block of zeros: expected two blocks, which end the archive")]
    TrailingData,
    /// A name has a `..` that leads above the root of the image, or a hard link's target has a `..`.
    #[error(
        "`{name}` has a `..`: the target of a hard link must have none, and no name may lead out of the image"
    )]
    ParentName {
        /// The name.
        name: String,
    },
    /// No file can have this name: it is empty, has a NUL, or is the root.
    #[error("`{name}` can't be the name of a {kind}")]
    Name {
        /// The name.
        name: String,
        /// What the entry is.
        kind: &'static str,
    },
    /// The name is reserved: the record of the installation is written there.
    #[error("`{name}` is reserved for the record of the installation")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A whiteout doesn't name a file that it could remove.
    #[error("`{name}` is a malformed whiteout: expected `.wh.` and the name of a file")]
    Whiteout {
        /// The entry.
        name: String,
    },
    /// A whiteout removes what its own layer added. Whiteouts are for the layers below.
    #[error(
        "`{name}` removes something that its own layer added, and tools disagree on what that means"
    )]
    OwnWhiteout {
        /// The entry.
        name: String,
    },
    /// The path to an entry goes through a symbolic link whose target doesn't exist, or that leads
    /// back to itself.
    #[error(
        "the path to `{name}` goes through a symbolic link whose target doesn't exist or is the link itself"
    )]
    DanglingLink {
        /// The entry.
        name: String,
    },
    /// The path to an entry goes through something that isn't a directory.
    #[error("the path to `{name}` goes through something that is not a directory")]
    NotADirectory {
        /// The entry.
        name: String,
    },
    /// The target of a hard link doesn't exist, or can't be linked to.
    #[error("`{name}` is a hard link to `{target}`, which {found}")]
    HardLink {
        /// The link.
        name: String,
        /// Its target, by the archive.
        target: String,
        /// What is wrong with the target.
        found: &'static str,
    },
    /// A limit was exceeded: one of [`crate::Limits`], or a fixed one.
    #[error("{what} is over the limit of {limit} {}", .bound.unit())]
    Limit {
        /// What was being counted.
        what: String,
        /// The bound.
        limit: u64,
        /// Which limit it is.
        bound: Bound,
    },
    /// The decompressed layer has another digest than the image's configuration says.
    #[error("its decompressed content has the wrong digest: expected {expected}, found {found}")]
    DiffId {
        /// From `rootfs.diff_ids`.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// The file system takes the name for that of another entry, which is spelled in another way.
    #[error(
        "`{name}` and another name in the image differ only in upper and lower case or in the form of their Unicode, and \
         this file system takes them for one: install to a file system that tells them apart"
    )]
    Spelling {
        /// The entry, or a directory above it.
        name: String,
    },
    /// The file system refuses to write the entry.
    #[error("`{name}` can't be written")]
    Write {
        /// The entry.
        name: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The system can't start a thread to decompress the layer.
    #[error("a thread to decompress it can't be started")]
    Thread(#[source] io::Error),
    /// The installation was cancelled while this layer was being unpacked.
    #[error("unpacking was cancelled")]
    Cancelled,
}

impl ArchiveError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(source) | Self::Write { source, .. } => ErrorKind::of_content(source),
            Self::Truncated { .. }
            | Self::Header(_)
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
            Self::Thread(_) | Self::Spelling { .. } => ErrorKind::Machine,
            Self::Cancelled => ErrorKind::Internal,
        }
    }
}

/// The readers below the archive wrap an [`ArchiveError`] in an [`io::Error`]. This unwraps it.
impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Read)
    }
}
