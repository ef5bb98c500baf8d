//! The error of a URL that a server named and that may not be followed.

use crate::host::HostKind;

/// Why a URL that a server named isn't followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefused {
    /// The URL is not https. http is allowed only from an http URL, to a registry that is used
    /// without TLS.
    #[error("https is required")]
    HttpsRequired,
    /// The URL is further inside than the server: in a private network or on this machine, for
    /// example, while the server is on the internet.
    #[error("a server at {from} may not redirect or link to {to}")]
    Inward {
        /// The kind of the server's address.
        from: HostKind,
        /// The kind of the URL's address.
        to: HostKind,
    },
    /// The redirect has no URL.
    #[error("its Location header is missing or is not a URL")]
    Nowhere,
    /// There were too many redirects.
    #[error("the limit of {limit} redirects is reached")]
    TooMany {
        /// The limit: [`Limits::redirects`](crate::Limits::redirects).
        limit: usize,
    },
    /// The request writes, and only a redirect with the status 307 or 308 repeats such a request.
    #[error(
        "a request that writes may only follow redirects with the status 307 or 308, found {status}"
    )]
    NotRepeated {
        /// The redirect's status.
        status: u16,
    },
    /// The request's body is a secret for the first server, and the redirect leads to another one.
    #[error("the request holds a secret, which only the first server may get")]
    Secret,
    /// The request's body can't be sent again.
    #[error("the body is a stream, which can't be sent a second time")]
    Spent,
}
