//! Why a file or directory can't be read or written as an image layout.

use std::io;

use crate::archive::HeaderError;
use crate::digest::Digest;
use crate::kind::{Consequence, ErrorKind, MachineFault, Sorted};
use crate::manifest::ManifestError;

/// Why a file or directory can't be read or written as an image layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The path doesn't exist.
    #[error("there is no such file or directory")]
    Nothing,
    /// The layout has no content with the requested digest.
    #[error("it does not contain {digest}")]
    NoBlob {
        /// The digest asked for.
        digest: Digest,
    },
    /// The file `oci-layout` is missing.
    #[error("it is not an image layout: the file `oci-layout` is missing")]
    NoMarker,
    /// What `docker save` wrote before Docker 25, or skopeo as `dir:`.
    #[error(
        "it is what an old `docker save` or skopeo's `dir:` wrote, without an image layout; save it with Docker 25 or later, or convert it: an archive with `skopeo copy docker-archive:FILE oci-archive:OTHER`, a directory with `skopeo copy dir:DIR oci:OTHER`"
    )]
    DockerArchive,
    /// The file `oci-layout` has the wrong content.
    #[error("expected an object with `imageLayoutVersion` in `oci-layout`, found `{found}`")]
    Marker {
        /// The first characters of the file.
        found: String,
    },
    /// A layout of another version of the format.
    #[error("expected an image layout of version {expected}, found {found}")]
    Version {
        /// The version that this crate reads.
        expected: &'static str,
        /// The version in the file.
        found: String,
    },
    /// The file `index.json` is missing.
    #[error("the file `index.json` is missing")]
    NoIndex,
    /// `index.json` can't be read as an index.
    #[error("index.json can't be read")]
    Index(#[source] ManifestError),
    /// A path in the layout is not a regular file. A symbolic link, for example, could lead to any
    /// file.
    #[error("expected {expected} at `{part}`, found {found}")]
    NoFile {
        /// Path in the layout.
        part: String,
        /// The kinds of file that are allowed there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The path is neither a directory nor a tar archive.
    #[error("expected a directory or a tar archive, found {found}")]
    NoArchive {
        /// What the first bytes look like.
        found: &'static str,
    },
    /// The archive is compressed, so a member can't be read at its offset.
    #[error("the archive is compressed; decompress it with {by} first")]
    Compressed {
        /// The program that decompresses it.
        by: &'static str,
    },
    /// The end of the archive is missing.
    #[error("the archive is cut short: expected at least {expected} bytes, found {found}")]
    Truncated {
        /// The least size of the archive, in bytes, by its last header.
        expected: u64,
        /// The size of the archive, in bytes.
        found: u64,
    },
    /// A header of the archive can't be read.
    #[error("the archive is damaged at byte {offset}")]
    Header {
        /// The header's offset in the archive, in bytes.
        offset: u64,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// The archive has two files with the same path. Two readers could each take a different one.
    #[error("the archive has two files with the name `{part}`")]
    Twice {
        /// Path in the layout.
        part: String,
    },
    /// The archive has too many headers. Extension headers count too.
    #[error("the archive has more headers than the limit of {limit}")]
    Headers {
        /// The largest number of headers that is allowed.
        limit: usize,
    },
    /// `index.json` lists no image.
    #[error("index.json lists no image")]
    NoImage,
    /// `index.json` lists several images, and the reference doesn't say which one.
    #[error(
        "expected one image in index.json, found {}: {}; name the image that you want by its digest",
        .found.len(), list(.found)
    )]
    SeveralImages {
        /// Their digests, behind their names where they have some.
        found: Vec<String>,
    },
    /// The layout has no entry with this name.
    #[error("index.json lists nothing with the name `{name}`")]
    NoName {
        /// The name asked for.
        name: String,
    },
    /// The operation needs a registry.
    #[error("this can't be done in an image layout; name a registry instead")]
    NeedsRegistry,
    /// Another run holds the lock on the layout.
    #[error("another run is writing to it")]
    Busy,
    /// An archive is written as a new file.
    #[error("there is a file already, and nothing is added to an archive")]
    Exists,
    /// The path of a layout to write is a file.
    #[error("expected a directory, or a name that ends in `.tar` for an archive; found a file")]
    NotADirectory,
    /// The directory of a layout to write has other files.
    #[error("the directory is not empty, and is no image layout: the file `oci-layout` is missing")]
    NotEmpty,
    /// The directory around the layout to write doesn't exist.
    #[error("the directory above it doesn't exist")]
    NoDirectoryAbove,
    /// A file of the layout can't be written.
    #[error("`{part}` can't be written")]
    Write {
        /// Path in the layout; `.` is the layout itself.
        part: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file of the layout can't be read.
    #[error("`{part}` can't be read")]
    Io {
        /// Path in the layout.
        part: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// The most images that one error lists.
const IMAGES_SHOWN: usize = 10;

fn list(images: &[String]) -> String {
    let shown: Vec<&str> = images
        .iter()
        .map(String::as_str)
        .take(IMAGES_SHOWN)
        .collect();
    let names = shown.join(", ");
    match images.len().saturating_sub(IMAGES_SHOWN) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

impl LayoutError {
    /// The table of errors. It names every variant, so a new variant doesn't compile until it has a
    /// row.
    pub(super) fn sorted(&self) -> Sorted {
        let (kind, consequence) = match self {
            Self::Nothing | Self::NoBlob { .. } | Self::NoName { .. } => {
                (ErrorKind::NotFound, Consequence::TryNext)
            }
            Self::NoImage => (ErrorKind::NotFound, Consequence::TrySameDigest),
            Self::Marker { .. }
            | Self::NoIndex
            | Self::Index(_)
            | Self::NoFile { .. }
            | Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Twice { .. }
            | Self::Headers { .. } => (ErrorKind::Invalid, Consequence::TrySameDigest),
            Self::NoMarker
            | Self::DockerArchive
            | Self::Version { .. }
            | Self::NoArchive { .. }
            | Self::Compressed { .. }
            | Self::SeveralImages { .. }
            | Self::NeedsRegistry
            | Self::Exists
            | Self::NotEmpty
            | Self::NoDirectoryAbove
            | Self::NotADirectory => (ErrorKind::Usage, Consequence::TrySameDigest),
            // The same command may succeed later.
            Self::Busy => (ErrorKind::Machine, Consequence::End),
            Self::Write { source, .. } => {
                let kind = match MachineFault::of(source) {
                    Some(_) => ErrorKind::Machine,
                    None => ErrorKind::Usage,
                };
                (kind, Consequence::End)
            }
            Self::Io { source, .. } => (ErrorKind::of_input(source), Consequence::TrySameDigest),
        };
        Sorted::new(kind, consequence)
    }

    /// The kind of this failure.
    pub fn kind(&self) -> ErrorKind {
        self.sorted().kind()
    }

    /// What this error means for other sources of the same content.
    pub fn consequence(&self) -> Consequence {
        self.sorted().consequence()
    }

    /// Whether the layout, or the requested content, doesn't exist.
    pub(super) fn is_absence(&self) -> bool {
        self.consequence() == Consequence::TryNext
    }

    pub(crate) fn io(part: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            part: part.into(),
            source: source.into(),
        }
    }
}
