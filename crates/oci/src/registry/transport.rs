//! Requests and redirects.
//!
//! An `Authorization` header goes to the origin it was made for and nowhere else: once a redirect
//! leaves that origin the header is gone, even if another redirect leads back. From https there is
//! no way to http, and http goes only where [`PlainHttp`](super::PlainHttp) lets it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::answer::{Answer, network, shown, timed_out};
use super::options::Options;
use super::retry::Failure;
use crate::error::{Error, Result};

/// One request, without its body and its authorization.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// What is asked for, as errors name it.
    pub(super) what: String,
    pub(super) redirects: Redirects,
}

/// Which redirects of a request are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    /// All that lead where the client may go.
    Follow,
    /// Those within the origin that is asked. A redirect to another origin is the answer itself.
    WithinOrigin,
}

impl Request {
    pub(super) fn new(method: Method, url: Url, what: impl Into<String>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            what: what.into(),
            redirects: Redirects::Follow,
        }
    }

    /// Follows no redirect to another origin.
    pub(super) fn within_origin(mut self) -> Self {
        self.redirects = Redirects::WithinOrigin;
        self
    }

    /// Whether a redirect leads where this request does not follow.
    fn ends_at(&self, response: &Response) -> bool {
        self.redirects == Redirects::WithinOrigin
            && location(response.url(), response.headers())
                .is_some_and(|target| target.origin() != self.url.origin())
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// What a request carries. Not `Debug`: it may be a secret.
pub(super) enum Body {
    Empty,
    /// A short one, sent within the time for an answer.
    Bytes(Bytes),
    /// A long one, watched as it flows.
    Upload(Upload),
}

/// A body that may take long to send.
pub(super) struct Upload {
    pub(super) body: reqwest::Body,
    pub(super) size: u64,
    /// Counts the bytes handed to the transport.
    pub(super) sent: Arc<AtomicU64>,
}

/// The connections. TLS is set up when the first https URL comes, because reading the system's
/// certificates takes longer than most requests, and fails where there are none.
#[derive(Debug)]
pub(super) struct Transport {
    options: Options,
    roots: Vec<Certificate>,
    plain: Client,
    tls: OnceLock<Client>,
}

impl Transport {
    pub(super) fn new(options: Options) -> Result<Self> {
        let mut roots = Vec::new();
        for pem in &options.extra_roots {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|e| configuration(format!("an extra root is not a certificate: {e}")))?;
            if certificates.is_empty() {
                return Err(configuration(
                    "an extra root is not a certificate: there is no PEM block in it".into(),
                ));
            }
            roots.extend(certificates);
        }
        let plain = options
            .http_client()?
            .tls_certs_only([])
            .build()
            .map_err(|e| configuration(e.to_string()))?;
        Ok(Self {
            options,
            roots,
            plain,
            tls: OnceLock::new(),
        })
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request and follows redirects; any status is an answer.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
        body: Body,
    ) -> Result<Answer, Failure> {
        let home = request.url.origin();
        let mut url = request.url.clone();
        let mut authorization = authorization;
        let mut body = body;
        for _ in 0..=self.options.limits.redirects {
            let sent = std::mem::replace(&mut body, Body::Empty);
            let response = self.send(request, &url, authorization, sent).await?;
            if !is_redirect(response.status()) || request.ends_at(&response) {
                let elsewhere = url.origin() != home;
                let deadline = Instant::now() + self.options.timeouts.document;
                return Ok(Answer::new(response, &request.what, elsewhere, deadline));
            }
            url = self.redirect(request, &response)?;
            authorization = authorization.filter(|_| url.origin() == home);
        }
        Err(Failure::from(Error::Limit {
            what: request.what.clone(),
            limit: self.options.limits.redirects as u64,
            unit: "redirects",
        }))
    }

    /// Checks a URL that a registry names (to redirect, to upload to, to read on) against the one
    /// it named it at.
    pub(super) fn permit(&self, from: &Url, target: &Url) -> Result<()> {
        let permitted = match target.scheme() {
            "https" => true,
            "http" => {
                from.scheme() == "http" && self.options.plain_http.covers(target.host().as_ref())
            }
            _ => false,
        };
        if permitted {
            return Ok(());
        }
        Err(Error::Protocol {
            url: shown(from),
            expected: "the way on to be an https URL".into(),
            found: shown(target),
        })
    }

    async fn send(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
        body: Body,
    ) -> Result<Response, Failure> {
        let mut builder = self
            .client(url)?
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if let Some(value) = authorization {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        let mut upload = None;
        match body {
            Body::Empty => {}
            Body::Bytes(bytes) => builder = builder.body(bytes),
            Body::Upload(Upload { body, size, sent }) => {
                builder = builder.header(header::CONTENT_LENGTH, size).body(body);
                upload = Some((sent, size));
            }
        }
        tracing::debug!(method = %request.method, url = %shown(url), "request");
        let sending = builder.send();
        let timeouts = &self.options.timeouts;
        let Some((sent, size)) = upload else {
            return match tokio::time::timeout(timeouts.answer, sending).await {
                Ok(result) => result.map_err(|e| network(url, e)),
                Err(_) => Err(timed_out(url, "an answer")),
            };
        };
        tokio::pin!(sending);
        let mut before = 0;
        let mut patience = timeouts.stall;
        loop {
            if let Ok(result) = tokio::time::timeout(patience, &mut sending).await {
                return result.map_err(|e| network(url, e));
            }
            let now = sent.load(Ordering::Relaxed);
            if now == before {
                let missing = if now == size {
                    "an answer to the upload"
                } else {
                    "the upload to go on"
                };
                return Err(timed_out(url, missing));
            }
            if now == size {
                // A registry may hash the whole blob before it answers.
                patience = timeouts.document;
            }
            before = now;
        }
    }

    fn client(&self, url: &Url) -> Result<&Client> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut builder = self.options.http_client()?.https_only(true);
        if !self.roots.is_empty() {
            builder = builder.tls_certs_merge(self.roots.iter().cloned());
        }
        if let Some(identity) = &self.options.client_identity {
            builder = builder.identity(identity.identity());
        }
        let client = builder
            .build()
            .map_err(|e| configuration(format!("TLS: {}", chain(&e))))?;
        Ok(self.tls.get_or_init(|| client))
    }

    fn redirect(&self, request: &Request, response: &Response) -> Result<Url> {
        let from = response.url();
        let unlike = |expected: &str, found: String| Error::Protocol {
            url: shown(from),
            expected: expected.into(),
            found,
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let found = format!("a redirect ({})", response.status().as_u16());
            return Err(unlike("an answer to an upload", found));
        }
        let location = location(from, response.headers())
            .ok_or_else(|| unlike("a redirect with a Location", "none that is a URL".into()))?;
        self.permit(from, &location)?;
        Ok(location)
    }
}

/// The URL in a `Location` header, which may be relative to the request's.
pub(super) fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    from.join(text).ok()
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn configuration(detail: String) -> Error {
    Error::Configuration { detail }
}

/// An error with its causes in one line: reqwest's builder error alone says only that it is one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::options::PlainHttp;
    use super::*;

    /// Whether a server at `from` may send us to `target`.
    fn permits(plain_http: PlainHttp, from: &str, target: &str) -> bool {
        let options = Options {
            plain_http,
            ..Options::default()
        };
        let transport = Transport::new(options).unwrap();
        let url = |text: &str| Url::parse(text).unwrap();
        transport.permit(&url(from), &url(target)).is_ok()
    }

    #[test]
    fn https_never_leads_to_http() {
        for plain_http in [PlainHttp::Loopback, PlainHttp::Always, PlainHttp::Never] {
            assert!(permits(plain_http, "https://a.io/", "https://b.io/"));
            assert!(!permits(plain_http, "https://a.io/", "http://a.io/"));
            assert!(!permits(plain_http, "https://a.io/", "http://127.0.0.1/"));
        }
    }

    #[test]
    fn http_leads_where_plain_http_is_allowed() {
        let from = "http://127.0.0.1:5000/";
        assert!(permits(PlainHttp::Loopback, from, "http://localhost:1/"));
        assert!(permits(PlainHttp::Loopback, from, "https://a.io/"));
        assert!(!permits(PlainHttp::Loopback, from, "http://a.io/"));
        assert!(permits(PlainHttp::Always, from, "http://a.io/"));
        assert!(!permits(PlainHttp::Always, from, "file:///etc/passwd"));
    }

    #[test]
    fn options_that_cannot_be_used_are_named() {
        let fault = |options: Options| match Transport::new(options) {
            Err(Error::Configuration { detail }) => detail,
            other => panic!("{other:?}"),
        };
        let extra_roots = vec![b"no PEM".to_vec()];
        let detail = fault(Options {
            extra_roots,
            ..Options::default()
        });
        assert!(
            detail.contains("an extra root is not a certificate"),
            "{detail}"
        );
        let proxy = Some(Url::parse("ftp://user:secret@proxy.example").unwrap());
        let options = Options {
            proxy,
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!(
            fault(options),
            "the proxy ftp://proxy.example/ is not at an http or https URL"
        );
    }
}
