//! Why a gallery's index is not there.

use std::fmt;
use std::io;

use countersign_oci::{Consequence, ErrorKind};
use countersign_policy::PolicyError;

use super::location::{Location, LocationError};
use crate::http::HttpError;

/// A place that has no index for us, and why not.
#[derive(Debug)]
#[non_exhaustive]
pub struct SkippedPlace {
    /// The place.
    pub location: Location,
    /// Why not.
    pub error: GalleryError,
}

impl fmt::Display for SkippedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn std::error::Error = &self.error;
        // The last cause says most: "connection refused", say.
        let causes = std::iter::successors(error.source(), |error| error.source());
        match causes.last() {
            Some(cause) => write!(f, "{error}: {cause}"),
            None => write!(f, "{error}"),
        }
    }
}

/// Why a gallery's index is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The gallery's `url`, or one of its mirrors, can't be read.
    #[error("the location of the gallery `{gallery}` can't be read")]
    Location {
        /// The gallery's name.
        gallery: String,
        /// Why not.
        #[source]
        source: LocationError,
    },
    /// There is no such file.
    #[error("{location} was not found")]
    NoFile {
        /// Where it was looked for.
        location: String,
    },
    /// It can't be fetched from the web.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Bytes that are no text.
    #[error("{location} is not text in UTF-8: the byte at {position} is invalid")]
    NotText {
        /// Where it is.
        location: String,
        /// Bytes before the first that is wrong.
        position: usize,
    },
    /// A text that is not an index.
    #[error(transparent)]
    Index(#[from] PolicyError),
    /// A file that can't be read.
    #[error("{location} can't be read")]
    File {
        /// Where it is.
        location: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// No place has the index.
    #[error("can't get the index of the gallery `{gallery}`{}", list(.skipped))]
    NotFetched {
        /// The gallery's name.
        gallery: String,
        /// Every place asked, in order, with its error.
        skipped: Vec<SkippedPlace>,
    },
}

impl GalleryError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Location { .. } | Self::NotText { .. } => ErrorKind::Usage,
            Self::Index(error) => error.kind(),
            Self::File { source, .. } => ErrorKind::of_input(source),
            Self::NoFile { .. } => ErrorKind::NotFound,
            Self::Http(error) => error.kind(),
            Self::NotFetched { skipped, .. } => {
                let kinds = || skipped.iter().map(|one| one.error.kind());
                if kinds().any(|kind| kind == ErrorKind::Machine) {
                    ErrorKind::Machine
                } else if kinds().all(|kind| kind == ErrorKind::NotFound) {
                    ErrorKind::NotFound
                } else if kinds().any(|kind| kind == ErrorKind::Unreachable) {
                    // That place may answer later.
                    ErrorKind::Unreachable
                } else {
                    ErrorKind::Rejected
                }
            }
        }
    }

    /// What the error means for the gallery's other places. A place that has an index, and serves it
    /// badly, is not passed over: a mirror may be older.
    pub(crate) fn consequence(&self) -> Consequence {
        match self {
            Self::NoFile { .. } => Consequence::TryNext,
            Self::Http(error) => error.consequence(),
            Self::Location { .. }
            | Self::NotText { .. }
            | Self::Index(_)
            | Self::File { .. }
            | Self::NotFetched { .. } => Consequence::End,
        }
    }
}

/// One line for each place.
fn list(skipped: &[SkippedPlace]) -> String {
    skipped.iter().map(|one| format!("\n  {one}")).collect()
}
