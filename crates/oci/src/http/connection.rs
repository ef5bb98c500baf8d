//! Requests and redirects.
//!
//! A login is sent only to the origin that it belongs to. After a redirect to another origin the
//! login is not sent again, not even if a later redirect leads back.

mod refused;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use reqwest::header;
use reqwest::{Client, Response};
use tokio::time::Instant;
use url::Url;

use super::answer::{Answer, network, timed_out, too_slow};
use super::client::builder;
use super::names::{Inward, Names};
use super::pace;
use super::redacted::shown;
use super::redirect::{is_redirect, permit};
use super::request::{Body, Credential, Request, Upload};
use super::retry::AttemptError;
use super::traffic::{Kind, Pauses};
use crate::causes::with_causes;
use crate::error::{Error, RedirectRefused, Result};
use crate::host::HostKind;
use crate::options::{Options, PrivateRedirects, Timeouts};

use refused::{permit_named, redirected, refused, refused_by};

/// HTTP connections. Cloning is cheap, and clones share connections. TLS is set up at the first
/// https URL: reading the system's certificates is slow, and fails on a system without any.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    names: Names,
    plain: Client,
    tls: OnceLock<Client>,
}

impl Connection {
    /// Makes a client. It doesn't connect yet.
    ///
    /// # Errors
    /// [`Error::Configuration`], if an option can't be used.
    pub fn new(options: Options) -> Result<Self> {
        let names = Names::default();
        if let Some(proxy) = &options.proxy {
            names.admit(proxy, HostKind::ThisMachine);
        }
        let plain = builder(&options)?
            .dns_resolver(Arc::new(names.clone()))
            .tls_certs_only([])
            .build()
            .map_err(|e| configuration(e.to_string()))?;
        let tls = OnceLock::new();
        let shared = Shared {
            options,
            names,
            plain,
            tls,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The options that the client was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// A reqwest client for libraries that need their own, with the same proxy and root
    /// certificates. It follows no redirects, and its only time limit is for connecting. The user
    /// named the host of `url`, so that host may have any address. Other hosts may only have public
    /// addresses.
    ///
    /// # Errors
    /// [`Error::Configuration`], when there is no way to speak TLS.
    pub fn client_for(&self, url: &Url) -> Result<Client> {
        self.shared.names.admit(url, HostKind::ThisMachine);
        self.shared.client(url).cloned()
    }

    /// Sends a request without a body and without a login. Otherwise like [`Self::exchange`].
    ///
    /// # Errors
    /// The same as [`Self::exchange`].
    pub async fn ask(&self, request: &Request) -> Result<Answer, AttemptError> {
        self.exchange(request, None, &mut Body::Empty).await
    }

    /// Sends a request and follows redirects. Returns an answer of any status. If a redirect
    /// repeats the request, the body starts again from its beginning. The body can be sent again
    /// afterwards, too.
    ///
    /// # Errors
    /// [`Error::Redirect`], [`Error::Network`], and
    /// [`Error::Configuration`], when there is no way to speak TLS.
    pub async fn exchange(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        body: &mut Body,
    ) -> Result<Answer, AttemptError> {
        let limits = &self.options().limits;
        let last_failure = &self.options().last_failure;
        let home = request.url.origin();
        let mut url = request.url.clone();
        let mut named_by = request.named_by.clone();
        let mut credential = credential;
        for _ in 0..=limits.redirects {
            let limit = match (&named_by, &self.options().address_limit) {
                (Some(from), _) => self.permit(from, &url)?,
                (None, Some(limit)) => permit_named(limit, &url)?,
                (None, None) => HostKind::ThisMachine,
            };
            self.shared.names.admit(&url, limit);
            credential = credential.filter(|_| url.origin() == home);
            let kind = match body {
                Body::Upload(_) => Kind::Upload,
                Body::Empty | Body::Bytes(_) | Body::Secret(_) => Kind::Short,
            };
            let turn = self.options().traffic.turn(&url, kind).await;
            let response = self
                .send(request, &url, credential, body)
                .await
                .map_err(|failure| failure.of(&url, &self.who_named(named_by.as_ref(), &url)))
                .inspect_err(|failure| last_failure.unanswered(&url, &failure.error))?;
            last_failure.answered(&url, response.status());
            turn.answered(&response, self.pauses());
            if !is_redirect(response.status()) || request.ends_at(&response) {
                let elsewhere = url.origin() != home;
                let deadline = Instant::now() + self.options().timeouts.document;
                return Ok(Answer::new(response, &request.what, elsewhere, deadline));
            }
            let next = redirected(request, &response, body, &home)?;
            named_by = Some(std::mem::replace(&mut url, next));
        }
        let limit = limits.redirects;
        let from = named_by.as_ref().unwrap_or(&request.url);
        Err(refused(from, &url, RedirectRefused::TooMany { limit }).into())
    }

    /// What kind of address `url` has: by the addresses that its name resolved to, or else by its
    /// spelling.
    #[must_use]
    pub fn host_kind(&self, url: &Url) -> HostKind {
        self.shared.names.kind(url)
    }

    /// Who named `url`, as errors show it.
    fn who_named(&self, named_by: Option<&Url>, url: &Url) -> String {
        match (named_by, &self.options().address_limit) {
            (Some(from), _) => shown(from),
            (None, Some(limit)) => limit.place.clone(),
            (None, None) => shown(url),
        }
    }

    /// Checks a URL that was named by another URL. Returns the innermost kind of address that it
    /// may have.
    fn permit(&self, from: &Url, to: &Url) -> Result<HostKind> {
        let kind = self.shared.names.kind(from);
        let limit = match self.options().private_redirects {
            PrivateRedirects::Allow => kind.max(HostKind::Private),
            PrivateRedirects::Refuse => kind,
        };
        match permit(self.options().plain_http, from, limit, to) {
            Ok(()) => Ok(limit),
            Err(RedirectRefused::Inward { to: inner, .. }) => {
                let reason = RedirectRefused::Inward {
                    from: kind,
                    to: inner,
                };
                Err(refused(from, to, reason))
            }
            Err(reason) => Err(refused(from, to, reason)),
        }
    }

    fn pauses(&self) -> Pauses {
        let retries = &self.options().retries;
        Pauses {
            usual: retries.pause,
            longest: retries.longest_pause,
        }
    }

    async fn send(
        &self,
        request: &Request,
        url: &Url,
        credential: Option<&Credential>,
        body: &mut Body,
    ) -> Result<Response, Unsent> {
        let mut builder = self
            .shared
            .client(url)?
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if let Some(value) = credential.and_then(|credential| credential.header_for(url)) {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        let mut upload = None;
        match body {
            Body::Empty => {}
            Body::Bytes(bytes) | Body::Secret(bytes) => builder = builder.body(bytes.clone()),
            Body::Upload(Upload { size, sent, open }) => {
                let opened = open().ok_or(Unsent::Spent)?;
                builder = builder.header(header::CONTENT_LENGTH, *size).body(opened);
                upload = Some((Arc::clone(sent), *size));
            }
        }
        tracing::debug!(method = %request.method, url = %shown(url), "request");
        let sending = builder.send();
        let timeouts = &self.options().timeouts;
        match upload {
            Some((sent, size)) => watched_upload(sending, url, timeouts, &sent, size).await,
            None => {
                let time = request.answer_time.unwrap_or(timeouts.answer);
                match tokio::time::timeout(time, sending).await {
                    Ok(result) => result.map_err(Unsent::Network),
                    Err(_) => Err(timed_out(url, "an answer").into()),
                }
            }
        }
    }
}

/// Sends an upload for as long as it goes on at a bearable pace. `sent` counts the bytes that went out, of `size`.
async fn watched_upload(
    sending: impl Future<Output = reqwest::Result<Response>>,
    url: &Url,
    timeouts: &Timeouts,
    sent: &AtomicU64,
    size: u64,
) -> Result<Response, Unsent> {
    tokio::pin!(sending);
    let begun = Instant::now();
    let mut before = 0;
    let mut longest_silence = timeouts.stall;
    loop {
        if let Ok(result) = tokio::time::timeout(longest_silence, &mut sending).await {
            return result.map_err(Unsent::Network);
        }
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            let missing = if now == size {
                "an answer to the upload"
            } else {
                "the upload to go on"
            };
            return Err(timed_out(url, missing).into());
        }
        if now == size {
            // A registry may compute the digest of the whole blob before it answers.
            longest_silence = timeouts.document;
        } else {
            pace::check(now, begun.elapsed(), timeouts.grace, timeouts.slowest)
                .map_err(|slow| too_slow(url, slow))?;
        }
        before = now;
    }
}

impl Shared {
    fn client(&self, url: &Url) -> Result<&Client> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut builder = builder(&self.options)?
            .dns_resolver(Arc::new(self.names.clone()))
            .https_only(true);
        let roots = &self.options.extra_roots;
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots.certificates());
        }
        if let Some(identity) = &self.options.client_identity {
            builder = builder.identity(identity.identity());
        }
        let client = builder
            .build()
            .map_err(|e| configuration(format!("TLS: {}", with_causes(&e))))?;
        Ok(self.tls.get_or_init(|| client))
    }
}

/// Why there is no answer to a request.
enum Unsent {
    /// The body was already sent, and can't be sent again.
    Spent,
    Network(reqwest::Error),
    Other(Box<AttemptError>),
}

impl Unsent {
    /// Makes this the failure of the request to `url`. A redirect from `from` led there.
    fn of(self, url: &Url, from: &str) -> AttemptError {
        let refused = |reason| refused_by(from.to_owned(), url, reason);
        match self {
            Self::Spent => refused(RedirectRefused::Spent).into(),
            Self::Network(source) => match Inward::among(&source) {
                Some(Inward { from: kind, to }) => {
                    let reason = RedirectRefused::Inward { from: kind, to };
                    refused(reason).into()
                }
                None => network(url, source),
            },
            Self::Other(failure) => *failure,
        }
    }
}

impl From<AttemptError> for Unsent {
    fn from(failure: AttemptError) -> Self {
        Self::Other(Box::new(failure))
    }
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error.into()))
    }
}

fn configuration(detail: String) -> Error {
    Error::Configuration { detail }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    #[tokio::test]
    async fn names_are_resolved_under_the_rule() {
        let connection = Connection::new(Options::default()).unwrap();
        // The user didn't name this host, so it may not have a private address.
        let url = Url::parse("http://localhost:1/").unwrap();
        let client = connection.shared.client(&url).unwrap();
        let error = client.get(url.clone()).send().await.unwrap_err();
        let Inward { from, to } = Inward::among(&error).unwrap();
        assert_eq!((from, to), (HostKind::Public, HostKind::ThisMachine));
        let from = Url::parse("https://public.example/").unwrap();
        match Unsent::Network(error).of(&url, &shown(&from)).error {
            Error::Redirect { from, to, reason } => {
                assert_eq!(
                    (&*from, &*to),
                    ("https://public.example/", "http://localhost:1/")
                );
                let (from, to) = (HostKind::Public, HostKind::ThisMachine);
                assert_eq!(reason, RedirectRefused::Inward { from, to });
            }
            other => panic!("{other:?}"),
        }
        // The user may name any host.
        let request = Request::new(Method::GET, url, "it");
        let failure = connection.exchange(&request, None, &mut Body::Empty).await;
        let failure = failure.unwrap_err();
        assert!(
            matches!(failure.error, Error::Network { .. }),
            "{failure:?}"
        );
        let told = connection.options().last_failure.told().unwrap();
        let says = "http://localhost:1 gave no answer: ";
        assert!(told.starts_with(says), "{told}");
    }

    #[tokio::test]
    async fn a_name_that_a_server_leads_to_resolves_no_further_in_than_the_server_is() {
        let connection = Connection::new(Options::default()).unwrap();
        let url = |text: &str| Url::parse(text).unwrap();
        let public = url("https://public.example/");
        let led = Request::new(Method::GET, url("https://led.invalid/"), "it").named_by(&public);
        let named = Request::new(Method::GET, url("https://named.invalid/"), "it");
        for request in [&led, &named] {
            let asked = connection.exchange(request, None, &mut Body::Empty).await;
            assert!(asked.is_err(), "there is no such name");
        }
        let here = ["127.0.0.1:0".parse().unwrap()];
        let names = &connection.shared.names;
        let Inward { from, to } = names.permitted("led.invalid", &here).unwrap_err();
        assert_eq!((from, to), (HostKind::Public, HostKind::ThisMachine));
        assert_eq!(names.permitted("named.invalid", &here).unwrap(), here);
    }

    #[test]
    fn options_that_cannot_be_used_are_named() {
        let fault = |options: Options| match Connection::new(options) {
            Err(Error::Configuration { detail }) => detail,
            other => panic!("{other:?}"),
        };
        let proxy = Some(Url::parse("ftp://user:secret@proxy.example").unwrap());
        let options = Options {
            proxy,
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!(
            fault(options),
            "expected an http, https, socks5 or socks5h URL for the proxy, found ftp://proxy.example/"
        );
    }
}
