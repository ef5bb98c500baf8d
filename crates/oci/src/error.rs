//! The errors of the registry client.

mod layout;

use crate::digest::Digest;
use crate::http::RedirectRefused;
use crate::index::NoSuchPlatform;
use crate::kind::{Consequence, ErrorKind, MachineFault};
use crate::manifest::ManifestError;
use crate::platform::Platform;
use crate::reference::{LayoutPath, PinnedReference};

pub use layout::LayoutError;

/// An error of the registry client. Every variant says what was requested, what was expected and
/// what was found. No variant holds a password or token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry doesn't have the manifest, blob or repository, or hides it from this user. For
    /// a layout, the error is [`LayoutError::NoBlob`] instead.
    #[error("{what} was not found")]
    NotFound {
        /// The reference asked for.
        what: String,
    },
    /// The registry needs a login, or refuses the login that was sent.
    #[error("{registry} refuses access to {what}: {detail}")]
    Unauthorized {
        /// Host of the registry or of its token service.
        registry: String,
        /// The reference asked for.
        what: String,
        /// The registry's message, and whose credentials were sent.
        detail: String,
    },
    /// The registry answered with an error status. If the status can pass, the request was repeated
    /// first.
    #[error("{url} answered {status}{}", .detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    Status {
        /// The request's URL, without query.
        url: String,
        /// HTTP status code.
        status: u16,
        /// The registry's error message, on one line.
        detail: Option<String>,
    },
    /// There was no complete answer: DNS, connection or TLS failed, the time ran out, or the body
    /// was cut short.
    #[error("no answer from {url}")]
    Network {
        /// The request's URL, without query.
        url: String,
        /// The transport's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server named a URL that is not allowed, in a redirect, in a link, or as the address of a
    /// service.
    #[error("won't follow {from} to {to}: {reason}")]
    Redirect {
        /// The URL that answered, without its query.
        from: String,
        /// The URL that it named, without its query.
        to: String,
        /// Why the client doesn't follow it.
        reason: RedirectRefused,
    },
    /// The answer doesn't follow the specification.
    #[error("{url} did not answer as a registry does: expected {expected}, found {found}")]
    Protocol {
        /// The request's URL, without query.
        url: String,
        /// What the specification requires.
        expected: String,
        /// What the answer has.
        found: String,
    },
    /// The bytes have another digest than the requested one.
    #[error("{what} has the wrong content: expected {}, found {found}", .what.digest())]
    DigestMismatch {
        /// The requested content, in a registry or a layout. Its digest is the expected one.
        what: Box<PinnedReference>,
        /// The digest of the bytes that came.
        found: Digest,
    },
    /// The number of bytes differs from the descriptor's.
    #[error("{what} has the wrong size: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// What was asked for, in a registry or a layout.
        what: Box<PinnedReference>,
        /// The descriptor's size, in bytes.
        expected: u64,
        /// The number of bytes that came. If reading stopped early, this is `expected` plus one.
        found: u64,
    },
    /// A limit of [`crate::Limits`] was reached.
    #[error("{what} is over the limit of {limit} {unit}")]
    Limit {
        /// What was being read.
        what: String,
        /// The limit.
        limit: u64,
        /// The unit: `bytes`, `pages`, `referrers`, `redirects` or `entries`.
        unit: &'static str,
    },
    /// Other clients overwrote the change each time. Such content is read, changed and written back
    /// without a lock.
    #[error("others overwrote {what} after each of our {rounds} writes; try again later")]
    Contended {
        /// What was being written.
        what: String,
        /// How many times the change was written.
        rounds: usize,
    },
    /// A manifest has as many layers as it may have, so none can be appended.
    #[error("{what} is full: it has {found} layers, and {limit} are allowed")]
    Full {
        /// What was being written.
        what: String,
        /// The layers that are there.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The registry has no referrers API, and doesn't keep the list of referrers at the fallback
    /// tag.
    #[error(
        "the registry can't list the referrers of {subject}: {}",
        if .source.is_some() { format!("it refuses the list at the tag {tag}") }
        else { format!("it answers the tag {tag} with the image itself, not with the list that was written there") }
    )]
    NoReferrers {
        /// The image whose referrers should be listed.
        subject: String,
        /// The fallback tag, which should name the list.
        tag: String,
        /// The registry's error when the list was written, if there was one.
        #[source]
        source: Option<Box<Error>>,
    },
    /// The bytes are not a manifest.
    #[error("{what} can't be read as a manifest")]
    Manifest {
        /// The reference asked for.
        what: String,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// The image has no manifest for the requested platform.
    #[error(transparent)]
    Platform(NoSuchPlatform),
    /// The image's configuration names another platform than the one asked for.
    #[error("{what} is for another platform: expected {expected}, found {found}")]
    WrongPlatform {
        /// The platform's manifest.
        what: String,
        /// The platform asked for.
        expected: Box<Platform>,
        /// The platform in the configuration.
        found: Box<Platform>,
    },
    /// The path is not an image layout, or the layout is damaged, or the operation needs a
    /// registry.
    #[error("the image layout {layout} can't be used")]
    Layout {
        /// The layout's path.
        layout: LayoutPath,
        /// What is wrong with it.
        #[source]
        source: LayoutError,
    },
    /// A credential file or a credential helper can't be used.
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
    /// A setting can't be used: a file of root certificates without a certificate, for example.
    #[error("the registry client can't be set up: {detail}")]
    Configuration {
        /// Which setting is wrong, and why.
        detail: String,
    },
    /// The caller's reader or writer failed.
    #[error("reading or writing a local file failed while {what} was transferred")]
    Io {
        /// The blob.
        what: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The kind of this failure. The match names every variant, so a new variant doesn't compile
    /// until its kind is chosen.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::Platform(_) | Self::WrongPlatform { .. } => {
                ErrorKind::NotFound
            }
            // It was there, and is gone for good.
            Self::Status { status: 410, .. } => ErrorKind::NotFound,
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
            | Self::Full { .. }
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

    /// What this error means for other sources of the same content. The match names every variant.
    pub fn consequence(&self) -> Consequence {
        if self.kind() == ErrorKind::Machine {
            // A full disk stays full, whichever source is tried.
            return Consequence::End;
        }
        match self {
            // Some registries ask for a login instead of answering that the content doesn't exist.
            Self::NotFound { .. } | Self::Network { .. } | Self::Unauthorized { .. } => {
                Consequence::TryNext
            }
            Self::Status { status, .. } => Consequence::of_status(*status),
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::Manifest { .. } => Consequence::TrySameDigest,
            Self::Layout { source, .. } => source.consequence(),
            Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NoReferrers { .. }
            | Self::Contended { .. }
            | Self::Full { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => Consequence::End,
        }
    }
}

impl Error {
    /// Whether the content doesn't exist, according to the registry or the layout. The match names
    /// every variant.
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
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Manifest { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether the content itself is at fault: it doesn't exist, has the wrong digest or size, or
    /// is not a manifest. Network and access errors are not about content. The match names every
    /// variant.
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
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }
}

impl Error {
    /// Whether this one document can't be used, so that the next one may be looked at: the content is
    /// at fault, it is over a limit, or the answer is not of the specification's form. The match names
    /// every variant.
    pub fn spoils_one_candidate(&self) -> bool {
        match self {
            Self::Protocol { .. } | Self::Limit { .. } => true,
            Self::NotFound { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Manifest { .. }
            | Self::Layout { .. } => self.is_about_content(),
            Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Network { .. }
            | Self::Redirect { .. }
            | Self::Contended { .. }
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether the server refused this one request: no access, no such content, or another error
    /// status. The match names every variant.
    pub(crate) fn is_refused_request(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Unauthorized { .. } | Self::Status { .. } => true,
            Self::Network { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Contended { .. }
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Manifest { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Layout { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether the server can't be reached, or says that it can't answer now. Any other answer is an answer,
    /// also a wrong one. The match names every variant.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            // Gone is an answer.
            Self::Status { status, .. } => {
                *status != 410 && Consequence::of_status(*status) == Consequence::TryNext
            }
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Limit { .. }
            | Self::Contended { .. }
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Manifest { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Layout { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether reading stopped at a limit.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }

    /// The same error. If it is about the bytes of a blob, it names `what` as the blob.
    pub(crate) fn served_as(self, what: PinnedReference) -> Self {
        let what = Box::new(what);
        match self {
            Self::DigestMismatch { what: _, found } => Self::DigestMismatch { what, found },
            Self::SizeMismatch {
                what: _,
                expected,
                found,
            } => Self::SizeMismatch {
                what,
                expected,
                found,
            },
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Network { .. }
            | Self::Redirect { .. }
            | Self::Protocol { .. }
            | Self::Limit { .. }
            | Self::Contended { .. }
            | Self::Full { .. }
            | Self::NoReferrers { .. }
            | Self::Manifest { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::Layout { .. }
            | Self::Credentials { .. }
            | Self::Configuration { .. }
            | Self::Io { .. } => self,
        }
    }
}

/// Result of a registry operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    /// What each error means for exit codes, and for whoever has another source to ask.
    #[test]
    fn every_error_is_sorted() {
        let lines = crate::samples::errors()
            .into_iter()
            .map(|error| crate::samples::sorted_line(error.kind(), error.consequence(), &error));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
