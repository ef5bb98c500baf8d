//! The errors of the registry client.

mod layout;
mod redirect_refused;
mod sorted;
mod too_slow;

use crate::digest::Digest;
use crate::index::NoSuchPlatform;
use crate::manifest::ManifestError;
use crate::platform::Platform;
use crate::reference::{LayoutPath, PinnedReference};

pub use layout::LayoutError;
pub use redirect_refused::RedirectRefused;
pub use too_slow::TooSlow;

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
    #[error("no complete answer from {url}")]
    Network {
        /// The request's URL, without query.
        url: String,
        /// The transport's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bytes of a blob moved more slowly than [`Timeouts::slowest`](crate::Timeouts::slowest). The
    /// transfer was stopped.
    #[error("stopped the transfer with {url}")]
    TooSlow {
        /// The request's URL, without query.
        url: String,
        /// How slow it was.
        #[source]
        source: TooSlow,
    },
    /// A server named a URL that is not allowed, in a redirect, in a link, or as the address of a
    /// service.
    #[error("{from} leads to {to}, which is not followed: {reason}")]
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
    /// A manifest or a list has as many entries as it may have, so none can be appended.
    #[error("{what} is full: it has {found} {unit}, and {limit} are allowed")]
    Full {
        /// What was being written.
        what: String,
        /// The entries that are there.
        found: usize,
        /// How many are allowed.
        limit: usize,
        /// What the entries are: `layers` or `referrers`.
        unit: &'static str,
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
    #[error("the credentials{} can't be read from {from}", .registry.as_ref().map(|host| format!(" for {host}")).unwrap_or_default())]
    Credentials {
        /// Host of the registry. `None` if the file can't be read, whichever registry is asked.
        registry: Option<String>,
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

/// Result of a registry operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
