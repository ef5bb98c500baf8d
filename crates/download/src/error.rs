//! Why an image was not installed.

mod sorted;

use std::io;
use std::path::PathBuf;

use countersign_oci::{Digest, LayoutPath, NoSuchPlatform, PinnedReference, Platform};
use countersign_verify::Error as VerifyError;

use crate::extract::ArchiveError;
use crate::grounds::Grounds;
use crate::grounds::LockedSigner;
use crate::http::HttpError;
use crate::limits::Bound;
use crate::lock::LockedError;

/// Why an image was not installed. Whichever it is but [`Error::Displaced`], nothing is left of the
/// attempt, and what was installed before is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The verifier refused the image, or could not come to a judgement.
    #[error(transparent)]
    Verify(VerifyError),
    /// A signature is asked for, and the installer was made without a verifier.
    #[error("{image} must be verified, and this installer has no verifier")]
    NoVerifier {
        /// The image.
        image: PinnedReference,
    },
    /// A permit that is for other content than that at hand.
    #[error("the permit is for other content: expected {expected}, found {found}")]
    OtherPermit {
        /// Digest of the content at hand.
        expected: Digest,
        /// Digest that the permit is for.
        found: Digest,
    },
    /// The registry could not be read, or served something else than what was asked for.
    #[error(transparent)]
    Registry(countersign_oci::Error),
    /// The index has no image for the platform.
    #[error(transparent)]
    Platform(#[from] NoSuchPlatform),
    /// The image's own configuration names another platform than the one asked for.
    #[error("{image} is for another platform: expected {expected}, found {found}")]
    WrongPlatform {
        /// The platform's manifest.
        image: PinnedReference,
        /// The platform asked for.
        expected: Box<Platform>,
        /// The platform by the configuration.
        found: Box<Platform>,
    },
    /// What the reference names can't be unpacked: a nested index, or an artifact.
    #[error("{image} can't be unpacked: expected an image, found {found}")]
    NotAnImage {
        /// What was resolved.
        image: PinnedReference,
        /// Its media type, or that of its configuration.
        found: String,
    },
    /// The image's configuration isn't one.
    #[error("the configuration of {image} can't be read")]
    Configuration {
        /// The platform's manifest.
        image: PinnedReference,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// Manifest and configuration disagree on how many layers there are.
    #[error(
        "the configuration of {image} belongs to another image: expected {expected} layers, found {found}"
    )]
    LayerCount {
        /// The platform's manifest.
        image: PinnedReference,
        /// Layers by the manifest.
        expected: usize,
        /// Layers by the configuration.
        found: usize,
    },
    /// A layer of a media type that we can't unpack.
    #[error(
        "layer {layer} has the media type {found}: expected a tar archive, uncompressed or compressed with gzip or zstd"
    )]
    LayerType {
        /// The layer.
        layer: Digest,
        /// Its media type.
        found: String,
    },
    /// A layer that is refused, or that our file system has no place for.
    #[error("layer {layer} can't be unpacked")]
    Layer {
        /// The layer.
        layer: Digest,
        /// Why not.
        #[source]
        source: ArchiveError,
    },
    /// A tarball or a directory's content that is refused, or that our file system has no place for.
    #[error("{location} can't be unpacked")]
    Archive {
        /// Where it is from.
        location: String,
        /// Why not.
        #[source]
        source: ArchiveError,
    },
    /// A tarball that can't be had.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Bytes that are not those of the digest that the gallery's index names.
    #[error("{location} has the wrong content: expected {expected}, found {found}")]
    Checksum {
        /// Where they are from.
        location: String,
        /// By the gallery's index, or by a lock.
        expected: Digest,
        /// Of the bytes.
        found: Digest,
    },
    /// Everything is read from an image layout, which holds no archive from a server.
    #[error("{location} can't be fetched: everything is read from ocifile://{}", .layout.as_str())]
    NotInLayout {
        /// Where the archive is.
        location: String,
        /// The layout.
        layout: LayoutPath,
    },
    /// There is no such directory.
    #[error("the directory {} was not found", .path.display())]
    NoDirectory {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A directory that can't be read as content.
    #[error("the directory {} can't be installed from: expected {expected}, found {found}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The tree that the layers made can't be finished.
    #[error("the unpacked image can't be finished")]
    Tree(#[source] ArchiveError),
    /// A bound of [`crate::Limits`] that the manifest is over.
    #[error("{image} has {found} {what}, which is over the limit of {limit}")]
    Limit {
        /// The platform's manifest.
        image: PinnedReference,
        /// What is counted.
        what: &'static str,
        /// The bound.
        limit: u64,
        /// The manifest's number.
        found: u64,
        /// Which bound it is.
        bound: Bound,
    },
    /// The target can't be installed to.
    #[error("can't install to {}: expected {expected}, found {found}", .path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What may be there.
        expected: &'static str,
        /// What is.
        found: &'static str,
    },
    /// What is at the target can't be moved, so that nothing can take its place.
    #[error("{} can't be replaced: the system refuses to move it", .path.display())]
    Immovable {
        /// The target.
        path: PathBuf,
        /// Why it can't be moved.
        #[source]
        source: io::Error,
    },
    /// Something is mounted inside what is at the target. It would be moved and removed with it.
    #[error("{} can't be replaced or removed: something is mounted inside it, at {}", .path.display(), .mount.display())]
    Mounted {
        /// The target.
        path: PathBuf,
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// The record of what is installed can't be read, so that nothing says what may replace it.
    #[error("the record of the installation in {} can't be read: {why}", .path.display())]
    UnreadableRecord {
        /// The installation.
        path: PathBuf,
        /// What is wrong with the record, in one line.
        why: String,
    },
    /// A later version of this program made what is installed. Its record has a form that can't be judged.
    #[error("the record of the installation in {} was written by a later Countersign: expected version {} or earlier, found {found}", .path.display(), crate::record::VERSION)]
    LaterRecord {
        /// The installation.
        path: PathBuf,
        /// The version of the record's form.
        found: u32,
    },
    /// The new installation could not take the target's place, nor the earlier one get it back. The
    /// next installation to the target tries again to put it back.
    #[error("can't move the earlier installation back to {}; it is kept at {}", .path.display(), .kept.display())]
    Displaced {
        /// The target.
        path: PathBuf,
        /// Where the earlier installation is.
        kept: PathBuf,
        /// Why it can't be moved.
        #[source]
        source: io::Error,
    },
    /// Another installation to the same target is under way.
    #[error("another run is installing to {}", .path.display())]
    Busy {
        /// The target.
        path: PathBuf,
    },
    /// A genuine signature that is older than that of what is installed: a tag was rolled back, or it is another image.
    #[error(
        "{content} is older than what is installed{}: it was signed at {found}, what is installed at {installed}",
        .other.as_ref().map_or_else(String::new, |other| format!(", which is another image, {other}"))
    )]
    Older {
        /// The image: its source, and the digest of the platform's manifest.
        content: String,
        /// What is installed, with its platform, if it is another entry or an image of another repository.
        other: Option<String>,
        /// When what is installed was signed.
        installed: jiff::Timestamp,
        /// When the image was.
        found: jiff::Timestamp,
    },
    /// A genuine signature of which nothing proves the time, where what is installed has a proven one.
    #[error(
        "no proof says when {content} was signed; what is installed was signed at {installed}; so it is not known which is older"
    )]
    Undated {
        /// The image: its source, and the digest of the platform's manifest.
        content: String,
        /// When what is installed was signed.
        installed: jiff::Timestamp,
    },
    /// Content that would take the place of what was installed on stronger grounds.
    #[error(
        "{content} has weaker proof than what is installed: expected {installed}, found {found}"
    )]
    Weaker {
        /// The content that was refused: its source and its digest.
        content: String,
        /// What was installed was admitted on.
        installed: Box<Grounds>,
        /// What this would be.
        found: Box<Grounds>,
    },
    /// Content that may not take the place of what the request's lock has.
    #[error(transparent)]
    Lock(Box<LockedError>),
    /// Content that is not what was locked.
    #[error("the content is not what was locked: expected {expected}, found {found}")]
    OtherContent {
        /// The digest by the lock.
        expected: Digest,
        /// That of the content.
        found: Digest,
    },
    /// Content that the gallery's policy accepts, signed by somebody else than was locked.
    #[error(
        "the signer is not the one that was locked:\n  expected {expected}\n  found    {}",
        .found.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)
    )]
    OtherSigner {
        /// The signer by the lock.
        expected: Box<LockedSigner>,
        /// The signer of the content, if it has one.
        found: Option<Box<LockedSigner>>,
    },
    /// Content of a kind that what is required can't be proven of.
    #[error("{location} can't be verified: expected {required}")]
    Unverifiable {
        /// Where it is.
        location: String,
        /// What is required of it, in words.
        required: String,
    },
    /// No record says that something of ours is installed there.
    #[error("{} has no record of an installation", .path.display())]
    NoRecord {
        /// The directory.
        path: PathBuf,
    },
    /// The inventory of an installation is not the one that its record names.
    #[error("the inventory of {} is damaged: expected {expected}, found {found}", .path.display())]
    Inventory {
        /// The installation.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The file system refuses.
    #[error("can't {action} {}", .path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The runtime went away under the installation.
    #[error("the installation was cancelled")]
    Cancelled,
}

impl From<LockedError> for Error {
    fn from(error: LockedError) -> Self {
        Self::Lock(Box::new(error))
    }
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        match error {
            // What there is no image for goes by one variant, whoever found it.
            VerifyError::Registry(countersign_oci::Error::Platform(error)) => Self::Platform(error),
            error => Self::Verify(error),
        }
    }
}

impl From<countersign_oci::Error> for Error {
    fn from(error: countersign_oci::Error) -> Self {
        match error {
            countersign_oci::Error::Platform(error) => Self::Platform(error),
            error => Self::Registry(error),
        }
    }
}

impl Error {
    /// For use with `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source: source.into(),
        }
    }
}
