//! A request, its login, and its body.

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
    /// The requested content, as errors name it.
    pub(crate) what: String,
    pub(super) named_by: Option<Url>,
    redirects: Redirects,
    pub(super) answer_time: Option<Duration>,
}

/// Which redirects of a request are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redirects {
    /// All that the rule for redirects allows.
    Follow,
    /// Only redirects within the same origin. A redirect to another origin is returned as the
    /// answer.
    WithinOrigin,
    /// None. Every redirect is returned as the answer.
    Never,
}

impl Request {
    /// A request for a URL that the user named, or that was made from the user's input. `what` is
    /// the requested content, as errors name it.
    #[must_use]
    pub fn new(method: Method, url: Url, what: impl Into<String>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            what: what.into(),
            named_by: None,
            redirects: Redirects::Follow,
            answer_time: None,
        }
    }

    /// Says that `server` named this request's URL, so that the rule for redirects holds for it.
    #[must_use]
    pub fn named_by(mut self, server: &Url) -> Self {
        self.named_by = Some(server.clone());
        self
    }

    /// Follows no redirect to another origin. Such a redirect is returned as the answer.
    #[must_use]
    pub(crate) fn within_origin(mut self) -> Self {
        self.redirects = Redirects::WithinOrigin;
        self
    }

    /// Follows no redirect. A redirect is returned as the answer.
    #[must_use]
    pub fn without_redirects(mut self) -> Self {
        self.redirects = Redirects::Never;
        self
    }

    /// Whether this request doesn't follow the redirect.
    pub(super) fn ends_at(&self, response: &Response) -> bool {
        match self.redirects {
            Redirects::Follow => false,
            Redirects::WithinOrigin => location(response.url(), response.headers())
                .is_some_and(|target| target.origin() != self.url.origin()),
            Redirects::Never => true,
        }
    }

    /// Sets how long to wait for the answer's headers, instead of
    /// [`Timeouts::answer`](crate::Timeouts::answer).
    #[must_use]
    pub fn answer_time(mut self, time: Duration) -> Self {
        self.answer_time = Some(time);
        self
    }

    /// Sets a header. For a login, use [`Credential`] instead.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An `Authorization` header, and the one origin that may receive it. The value can't be read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    header: HeaderValue,
    origin: Origin,
}

impl Credential {
    /// The header value `authorization` (such as `Bearer TOKEN`) for the origin of `server`. `None`
    /// if it has characters that a header can't hold.
    #[must_use]
    pub fn new(authorization: &str, server: &Url) -> Option<Self> {
        let mut header = HeaderValue::from_str(authorization).ok()?;
        header.set_sensitive(true);
        let origin = server.origin();
        Some(Self { header, origin })
    }

    /// The header value, if `url` has the right origin.
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

/// The body of a request. It isn't `Debug`, because it may be a secret.
pub enum Body {
    /// No body.
    Empty,
    /// A short body, sent within the time limit for the answer.
    Bytes(Bytes),
    /// A short secret body, which only the first server may receive.
    Secret(Bytes),
    /// A long body, whose speed is watched.
    Upload(Upload),
}

/// A long body.
pub struct Upload {
    pub(crate) size: u64,
    /// The number of bytes that were given to the transport.
    pub(crate) sent: Arc<AtomicU64>,
    /// Starts again from the beginning, with `sent` at zero. `None` if that isn't possible.
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
