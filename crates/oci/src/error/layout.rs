//! Why a file or directory can't be read as an image layout.

use std::io;

use crate::archive::HeaderError;
use crate::digest::Digest;
use crate::kind::{Consequence, ErrorKind};
use crate::manifest::ManifestError;

/// Why a file or directory can't be read as an image layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// There is nothing at the path.
    #[error("there is no such file or directory")]
    Nothing,
    /// The layout has no content with the digest asked for.
    #[error("it does not contain {digest}")]
    NoBlob {
        /// The digest asked for.
        digest: Digest,
    },
    /// There is no `oci-layout` in it.
    #[error("expected a file `oci-layout` in it, as every image layout has, found none")]
    NoMarker,
    /// What `docker save` wrote before Docker 25.
    #[error(
        "expected an image layout, found an archive of `docker save` without one: save it by Docker 25 or later, or convert it with `skopeo copy docker-archive:FILE oci-archive:OTHER`"
    )]
    DockerArchive,
    /// `oci-layout` is not what it should be.
    #[error("expected an object with `imageLayoutVersion` in `oci-layout`, found `{found}`")]
    Marker {
        /// Its start.
        found: String,
    },
    /// A layout of another version of the format.
    #[error("expected an image layout of version {expected}, found {found}")]
    Version {
        /// The version that there is.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// There is no `index.json` in it.
    #[error("expected a file `index.json` in it, found none")]
    NoIndex,
    /// `index.json` is no index.
    #[error("index.json can't be read")]
    Index(#[source] ManifestError),
    /// Something else lies where a file should, such as a symbolic link, which could lead anywhere.
    #[error("expected {expected} at `{part}`, found {found}")]
    NoFile {
        /// Path in the layout.
        part: String,
        /// What may be there.
        expected: &'static str,
        /// What is.
        found: &'static str,
    },
    /// Neither a directory nor an archive that we read.
    #[error("expected a directory or a tar archive, found {found}")]
    NoArchive {
        /// What it is, as far as its first bytes say.
        found: &'static str,
    },
    /// A compressed archive, in which nothing can be read at its place.
    #[error(
        "expected an archive that is not compressed, found one compressed by {by}: decompress it first"
    )]
    Compressed {
        /// The program that decompresses it.
        by: &'static str,
    },
    /// An archive whose end is missing.
    #[error("the archive is cut short: expected {expected} bytes at least, found {found}")]
    Truncated {
        /// Bytes that the last header promises.
        expected: u64,
        /// Bytes of the archive.
        found: u64,
    },
    /// A header of the archive that can't be read.
    #[error("the archive is damaged at byte {offset}")]
    Header {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// A file that the archive has twice: two readers could take it for two things.
    #[error("expected one `{part}` in the archive, found two")]
    Twice {
        /// Path in the layout.
        part: String,
    },
    /// More members in the archive than any image has, their extension headers counted.
    #[error("the archive is over the limit of {limit} headers")]
    Headers {
        /// How many may be.
        limit: usize,
    },
    /// `index.json` names no image.
    #[error("expected an image in index.json, found none")]
    NoImage,
    /// `index.json` names several images, and nothing says which is meant.
    #[error(
        "expected one image in index.json, found {}: {}; copy the one that is meant to a layout of its own",
        .found.len(), list(.found)
    )]
    SeveralImages {
        /// Their names, or digests where they have none.
        found: Vec<String>,
    },
    /// A layout can't be written to, nor asked for what only registries have.
    #[error("expected a registry: an image layout is only read")]
    ReadOnly,
    /// The file system refuses.
    #[error("`{part}` can't be read")]
    Io {
        /// Path in the layout.
        part: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Images that an error names.
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
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Marker { .. }
            | Self::Index(_)
            | Self::NoFile { .. }
            | Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Twice { .. }
            | Self::Headers { .. } => ErrorKind::Invalid,
            Self::Nothing | Self::NoBlob { .. } | Self::NoImage => ErrorKind::NotFound,
            Self::NoMarker
            | Self::DockerArchive
            | Self::Version { .. }
            | Self::NoIndex
            | Self::NoArchive { .. }
            | Self::Compressed { .. }
            | Self::SeveralImages { .. }
            | Self::ReadOnly => ErrorKind::Usage,
            Self::Io { source, .. } => ErrorKind::of_input(source),
        }
    }

    /// What the error means for other sources of the same content. Every variant is named here: a
    /// new one has to be sorted in.
    pub fn consequence(&self) -> Consequence {
        match self {
            Self::Nothing | Self::NoBlob { .. } => Consequence::TryNext,
            Self::NoMarker
            | Self::DockerArchive
            | Self::Marker { .. }
            | Self::Version { .. }
            | Self::NoIndex
            | Self::Index(_)
            | Self::NoFile { .. }
            | Self::NoArchive { .. }
            | Self::Compressed { .. }
            | Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Twice { .. }
            | Self::Headers { .. }
            | Self::NoImage
            | Self::SeveralImages { .. }
            | Self::ReadOnly
            | Self::Io { .. } => Consequence::TrySameDigest,
        }
    }

    /// Whether the layout, or the content asked of it, is not there.
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
