//! What can go wrong between us and a registry.

mod layout;

use crate::digest::Digest;
use crate::http::RedirectRefused;
use crate::index::NoSuchPlatform;
use crate::kind::{Consequence, ErrorKind, MachineFault};
use crate::manifest::ManifestError;
use crate::platform::Platform;
use crate::reference::{LayoutPath, PinnedReference};

pub use layout::LayoutError;

/// An error of the registry client. Every variant names the request's target and says what was
/// expected and what was found; none holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry has no such manifest, blob or repository (or hides it from us). What a layout
    /// doesn't have is a [`LayoutError::NoBlob`].
    #[error("{what} was not found")]
    NotFound {
        /// The reference asked for.
        what: String,
    },
    /// The registry wants a login, or refuses the one we have.
    #[error("{registry} refuses access to {what}: {detail}")]
    Unauthorized {
        /// Host of the registry or of its token service.
        registry: String,
        /// The reference asked for.
        what: String,
        /// What the registry says, and whose credentials we sent.
        detail: String,
    },
    /// The registry answers with a status that we can't go on from, after retries where they make sense.
    #[error("{url} answered {status}{}", .detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    Status {
        /// The request's URL, without query.
        url: String,
        /// HTTP status code.
        status: u16,
        /// The registry's own error message, cut to a line.
        detail: Option<String>,
    },
    /// No answer: DNS, connection, TLS, time-out, truncated body.
    #[error("no answer from {url}")]
    Network {
        /// The request's URL, without query.
        url: String,
        /// The transport's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server leads where we don't follow: by a redirect, a link, or the name of a service.
    #[error("won't follow {from} to {to}: {reason}")]
    Redirect {
        /// The URL that leads on, without query.
        from: String,
        /// Where it leads, without query.
        to: String,
        /// Why it isn't followed.
        reason: RedirectRefused,
    },
    /// An answer of another form than the specification's.
    #[error("{url} did not answer as a registry does: expected {expected}, found {found}")]
    Protocol {
        /// The request's URL, without query.
        url: String,
        /// What the specification has there.
        expected: String,
        /// What came.
        found: String,
    },
    /// Bytes whose digest is not the one asked for.
    #[error("{what} has the wrong content: expected {}, found {found}", .what.digest())]
    DigestMismatch {
        /// What was asked for, in a registry or a layout. Its digest is the one expected.
        what: Box<PinnedReference>,
        /// The digest of what came.
        found: Digest,
    },
    /// More or fewer bytes than the descriptor says.
    #[error("{what} has the wrong size: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// What was asked for, in a registry or a layout.
        what: Box<PinnedReference>,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes that came; where reading stopped early, one more than `expected`.
        found: u64,
    },
    /// A bound of [`crate::Limits`] was reached.
    #[error("{what} is over the limit of {limit} {unit}")]
    Limit {
        /// What was being read.
        what: String,
        /// The bound.
        limit: u64,
        /// What is counted: `bytes`, `pages`, `referrers`, `redirects`, `entries`.
        unit: &'static str,
    },
    /// Something that is written by reading, changing and writing back kept being overwritten by
    /// others.
    #[error("{what} was overwritten by others each time: not as expected after {rounds} rounds")]
    Contended {
        /// What was being written.
        what: String,
        /// How often it was written.
        rounds: usize,
    },
    /// The registry has no referrers API, and does not keep the list at the tag that stands in for it.
    #[error(
        "the registry can't list the referrers of {subject}: {}",
        if .source.is_some() { format!("it refuses the list at the tag {tag}") }
        else { format!("it answers the tag {tag} with the image itself, not with the list that was written there") }
    )]
    NoReferrers {
        /// The reference of the image whose referrers were to be listed.
        subject: String,
        /// The tag at which the list has to stand.
        tag: String,
        /// How the registry refused the list, if it did.
        #[source]
        source: Option<Box<Error>>,
    },
    /// Bytes that are not a manifest.
    #[error("{what} can't be read as a manifest")]
    Manifest {
        /// The reference asked for.
        what: String,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// An image has nothing for the platform asked for.
    #[error(transparent)]
    Platform(NoSuchPlatform),
    /// The image's configuration names another platform than the one asked for.
    #[error("{what} is for another platform: expected {expected}, found {found}")]
    WrongPlatform {
        /// The platform's manifest.
        what: String,
        /// The platform asked for.
        expected: Box<Platform>,
        /// The platform by the configuration.
        found: Box<Platform>,
    },
    /// An image layout that is none, that is damaged, or that was asked for what layouts don't have.
    #[error("the image layout {layout} can't be used")]
    Layout {
        /// Where it is.
        layout: LayoutPath,
        /// What is wrong with it.
        #[source]
        source: LayoutError,
    },
    /// A credential file or helper that can't be used.
    #[error("the credentials for {registry} can't be read from {from}")]
    Credentials {
        /// Host of the registry.
        registry: String,
        /// The file or the helper.
        from: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client can't be built as configured (a CA file that isn't one, say).
    #[error("the registry client can't be set up: {detail}")]
    Configuration {
        /// What is wrong with which setting.
        detail: String,
    },
    /// The local reader or writer that we copy from or to failed.
    #[error("local input or output failed while transferring {what}")]
    Io {
        /// The blob.
        what: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::Platform(_) | Self::WrongPlatform { .. } => {
                ErrorKind::NotFound
            }
            Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::NoReferrers { .. }
            | Self::Contended { .. } => ErrorKind::Unreachable,
            Self::Network { source, .. } => ErrorKind::of_network(source.as_ref()),
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Manifest { .. } => ErrorKind::Invalid,
            Self::Layout { source, .. } => source.kind(),
            Self::Credentials { source, .. } => match MachineFault::of(source.as_ref()) {
                None | Some(MachineFault::Permission) => ErrorKind::Usage,
                Some(_) => ErrorKind::Machine,
            },
            Self::Configuration { .. } => ErrorKind::Usage,
            Self::Io { .. } => ErrorKind::Machine,
        }
    }

    /// What the error means for other sources of the same content. Every variant is named here: a
    /// new one has to be sorted in.
    pub fn consequence(&self) -> Consequence {
        if self.kind() == ErrorKind::Machine {
            // A full disk stays full, whoever serves the bytes.
            return Consequence::End;
        }
        match self {
            // A registry that hides what it doesn't have asks for a login instead of saying so.
            Self::NotFound { .. } | Self::Network { .. } | Self::Unauthorized { .. } => {
                Consequence::TryNext
            }
            Self::Status { status, .. } if *status == 429 || *status >= 500 => Consequence::TryNext,
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::Status { .. }
            | Self::Manifest { .. } => Consequence::TrySameDigest,
            Self::Layout { source, .. } => source.consequence(),
            Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NoReferrers { .. }
            | Self::Contended { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => Consequence::End,
        }
    }
}

impl Error {
    /// Whether there is no such content, by the word of the registry or as the layout shows. Every
    /// variant is named here: a new one has to be sorted in.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Layout { source, .. } => source.is_absence(),
            Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Network { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Contended { .. }
            | Self::NoReferrers { .. }
            | Self::Manifest { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether the fault lies with the content asked for, which is absent, of another digest or
    /// size, or no manifest; and not with the way to it. Every variant is named here: a new one has
    /// to be sorted in.
    pub fn is_about_content(&self) -> bool {
        match self {
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Manifest { .. } => true,
            Self::NotFound { .. } | Self::Layout { .. } => self.is_absence(),
            Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Network { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::Limit { .. }
            | Self::Contended { .. }
            | Self::NoReferrers { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }
}

/// Result of a registry operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
