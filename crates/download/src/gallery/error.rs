//! Why a gallery's index is not there.

use std::io;

use countersign_policy::PolicyError;

use super::client::Unserved;
use super::location::LocationError;

/// Why a gallery's index is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The gallery's `url`, or one of its mirrors, can't be read.
    #[error("the gallery `{gallery}` names no place that an index could be at")]
    Location {
        /// The gallery's name.
        gallery: String,
        /// Why not.
        #[source]
        source: LocationError,
    },
    /// There is no such file or document.
    #[error("{location} was not found")]
    NotFound {
        /// Where it was looked for.
        location: String,
    },
    /// No answer: DNS, connection, TLS, time-out, truncated body.
    #[error("no answer from {location}")]
    Unreachable {
        /// Where it was asked for.
        location: String,
        /// The transport's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server says that it can't answer now.
    #[error("{location} answered {status}, expected 200")]
    Unavailable {
        /// Where it was asked for.
        location: String,
        /// HTTP status code: 429, or one from 500 on.
        status: u16,
    },
    /// Another status that isn't an index.
    #[error("{location} answered {status}, expected 200")]
    Status {
        /// Where it was asked for.
        location: String,
        /// HTTP status code.
        status: u16,
    },
    /// A redirect that isn't followed.
    #[error("{location} leads to {found}, expected at most {limit} redirects, and all to https")]
    Redirect {
        /// Where it was asked for.
        location: String,
        /// Where the last one leads.
        found: String,
        /// How many are followed.
        limit: usize,
    },
    /// More bytes than [`crate::Limits::index_bytes`].
    #[error("{location} is over the limit of {limit} bytes")]
    TooLarge {
        /// Where it is.
        location: String,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("expected {location} to be a text in UTF-8, found a byte at {position} that is none")]
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
    #[error("the index of the gallery `{gallery}` can't be had{}", list(.unserved))]
    Unserved {
        /// The gallery's name.
        gallery: String,
        /// Every place asked, in order, with its error.
        unserved: Vec<Unserved>,
    },
    /// The client can't be built as configured.
    #[error("the gallery client can't be set up: {detail}")]
    Configuration {
        /// What is wrong with which setting.
        detail: String,
    },
}

impl GalleryError {
    /// Whether another place may be asked: it isn't there, or nobody answers.
    pub fn leaves_to_mirrors(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::Unreachable { .. } | Self::Unavailable { .. }
        )
    }
}

/// One line for each place.
fn list(unserved: &[Unserved]) -> String {
    unserved.iter().map(|one| format!("\n  {one}")).collect()
}
