//! What is asked: a request, the login that it may carry, and its body.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use url::{Origin, Url};

use super::redirect::location;

/// One request, without its body and its login.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// What is asked for, as errors name it.
    pub(crate) what: String,
    pub(super) led_from: Option<Url>,
    redirects: Redirects,
    pub(super) patience: Option<Duration>,
}

/// Which redirects of a request are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redirects {
    /// All that lead where the client may go.
    Follow,
    /// Those within the origin that is asked. A redirect to another origin is the answer itself.
    WithinOrigin,
    /// None: a redirect is the answer itself.
    Never,
}

impl Request {
    /// A request for a URL that the user named, or that was made from what he named. `what` is what
    /// is asked for, as errors name it.
    #[must_use]
    pub fn new(method: Method, url: Url, what: impl Into<String>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            what: what.into(),
            led_from: None,
            redirects: Redirects::Follow,
            patience: None,
        }
    }

    /// Says that a server named this request's URL, and at which URL it did: the rule for redirects
    /// holds for it.
    #[must_use]
    pub fn led_from(mut self, server: &Url) -> Self {
        self.led_from = Some(server.clone());
        self
    }

    /// Follows no redirect to another origin: such a redirect is the answer itself.
    #[must_use]
    pub fn within_origin(mut self) -> Self {
        self.redirects = Redirects::WithinOrigin;
        self
    }

    /// Follows no redirect: it is the answer itself.
    #[must_use]
    pub fn without_redirects(mut self) -> Self {
        self.redirects = Redirects::Never;
        self
    }

    /// Whether a redirect leads where this request does not follow.
    pub(super) fn ends_at(&self, response: &Response) -> bool {
        match self.redirects {
            Redirects::Follow => false,
            Redirects::WithinOrigin => location(response.url(), response.headers())
                .is_some_and(|target| target.origin() != self.url.origin()),
            Redirects::Never => true,
        }
    }

    /// Waits this long for the head of the answer, in place of
    /// [`Timeouts::answer`](crate::Timeouts::answer).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Sets a header. A login isn't given like this: see [`Credential`].
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An `Authorization` header, and the one origin that it is for. It can't be read, only sent, and
/// only there.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    header: HeaderValue,
    origin: Origin,
}

impl Credential {
    /// The header `authorization` (such as `Bearer TOKEN`) for the origin of `server`. `None`, if it
    /// has characters that a header can't hold.
    #[must_use]
    pub fn new(authorization: &str, server: &Url) -> Option<Self> {
        let mut header = HeaderValue::from_str(authorization).ok()?;
        header.set_sensitive(true);
        let origin = server.origin();
        Some(Self { header, origin })
    }

    /// What to send to `url`, which is nothing where it isn't the right server.
    pub(super) fn header_for(&self, url: &Url) -> Option<&HeaderValue> {
        (url.origin() == self.origin).then_some(&self.header)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.ascii_serialization();
        f.debug_tuple("Credential").field(&origin).finish()
    }
}

/// What a request carries. Not `Debug`: it may be a secret.
pub enum Body {
    /// Nothing.
    Empty,
    /// A short one, sent within the time for an answer.
    Bytes(Bytes),
    /// A short one that is for the server asked and for no other.
    Secret(Bytes),
    /// A long one, watched as it flows.
    Upload(Upload),
}

/// A body that may take long to send.
pub struct Upload {
    pub(crate) size: u64,
    /// Counts the bytes handed to the transport.
    pub(crate) sent: Arc<AtomicU64>,
    /// Begins anew, with `sent` at nothing; `None` where that can't be done (again).
    pub(crate) open: Box<dyn FnMut() -> Option<reqwest::Body> + Send>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_its_own_origin_alone() {
        let url = |text: &str| Url::parse(text).unwrap();
        let home = url("https://registry.example/v2/a/");
        let credential = Credential::new("Bearer t0ken", &home).unwrap();
        let sent = |to: &str| credential.header_for(&url(to)).is_some();
        assert!(sent("https://registry.example/"));
        assert!(sent("https://REGISTRY.example:443/v2/b/?x=1"));
        for elsewhere in [
            "http://registry.example/v2/a/",
            "https://registry.example:8443/v2/a/",
            "https://www.registry.example/v2/a/",
            "https://registry.example.evil.example/",
            "https://registry.example@evil.example/v2/a/",
            "file:///v2/a/",
        ] {
            assert!(!sent(elsewhere), "{elsewhere}");
        }
        assert!(!format!("{credential:?}").contains("t0ken"));
        assert!(Credential::new("Bearer a\nb", &home).is_none());
    }
}
