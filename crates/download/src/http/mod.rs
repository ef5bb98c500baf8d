//! What is fetched from the web and is no registry: galleries' indexes and tarballs.
//!
//! Redirects are followed here, one by one, within a bound: https never leads to plain http, and
//! no server elsewhere leads us to one on this machine. Every wait has an end, every body a bound.

mod error;

use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use countersign_oci::{Options, excerpt};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, Response};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use url::{Host, Url};

pub use error::HttpError;

/// Bytes that a body has to bring within [`Timeouts::stall`](countersign_oci::Timeouts::stall).
const STALL_BYTES: u64 = 16 << 10;

/// An HTTP client for content that nobody logs in for.
#[derive(Debug)]
pub(crate) struct Http {
    connection: Options,
    plain: Client,
    // Set up with the first https URL: reading the system's certificates takes time, and fails
    // where there are none.
    tls: OnceLock<Client>,
}

/// What is asked for, and what to call it in errors.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub(crate) url: &'a Url,
    pub(crate) name: &'a dyn std::fmt::Display,
}

impl Http {
    /// A client; no connection is made yet. Logins of `connection` are not used.
    ///
    /// # Errors
    /// [`HttpError::Configuration`]
    pub(crate) fn new(connection: Options) -> Result<Self, HttpError> {
        let plain = builder(&connection)?.tls_certs_only([]).build();
        Ok(Self {
            plain: plain.map_err(|error| configuration(&error))?,
            connection,
            tls: OnceLock::new(),
        })
    }

    /// Does `work` again where its failure may pass.
    pub(crate) async fn retrying<T, W>(&self, work: impl FnMut() -> W) -> Result<T, HttpError>
    where
        W: Future<Output = Result<T, HttpError>>,
    {
        let retries = &self.connection.retries;
        let schedule = ExponentialBuilder::new()
            .with_min_delay(retries.pause)
            .with_max_delay(retries.longest_pause)
            .with_jitter()
            .with_max_times(retries.times);
        work.retry(schedule).when(HttpError::may_pass).await
    }

    /// Asks once, following redirects, until there is content (200) or, where `headers` ask for
    /// nothing but newer content, none (304).
    pub(crate) async fn get(
        &self,
        resource: Resource<'_>,
        headers: &HeaderMap,
    ) -> Result<Response, HttpError> {
        let limit = self.connection.limits.redirects;
        let mut at = resource.url.clone();
        for _ in 0..=limit {
            let request = self.client(&at)?.get(at.clone()).headers(headers.clone());
            let patience = self.connection.timeouts.answer;
            let response = within(patience, request.send(), resource).await?;
            match response.status().as_u16() {
                200 | 304 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    let target = text(response.headers(), &header::LOCATION);
                    let next = target.as_deref().and_then(|target| at.join(target).ok());
                    at = next.filter(|next| leads_on(&at, next)).ok_or_else(|| {
                        HttpError::Redirect {
                            location: resource.name.to_string(),
                            found: excerpt(target.as_deref().unwrap_or("nowhere")),
                            limit,
                        }
                    })?;
                }
                status => return Err(HttpError::of_status(status, resource)),
            }
        }
        Err(HttpError::Redirect {
            location: resource.name.to_string(),
            found: shown(&at),
            limit,
        })
    }

    /// The whole body of a document.
    pub(crate) async fn document(
        &self,
        mut response: Response,
        resource: Resource<'_>,
        limit: u64,
    ) -> Result<Vec<u8>, HttpError> {
        let reading = async {
            let mut content = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if (content.len() + chunk.len()) as u64 > limit {
                    return Ok(None);
                }
                content.extend_from_slice(&chunk);
            }
            Ok(Some(content))
        };
        let patience = self.connection.timeouts.document;
        let content = within(patience, reading, resource).await?;
        content.ok_or_else(|| HttpError::too_large(resource, limit))
    }

    /// Streams a body that may be large to `sink`, which is not flushed, and shows each piece, with
    /// the size of the whole where the server states it. A body that brings too little for too long
    /// is given up. Returns how many bytes it had.
    pub(crate) async fn stream(
        &self,
        mut response: Response,
        resource: Resource<'_>,
        limit: u64,
        mut sink: impl AsyncWrite + Unpin,
        mut seen: impl FnMut(&[u8], Option<u64>),
    ) -> Result<u64, StreamError> {
        let stall = self.connection.timeouts.stall;
        let size = response.content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(HttpError::too_large(resource, limit).into());
        }
        let (mut bytes, mut counted, mut since) = (0_u64, 0_u64, Instant::now());
        loop {
            let left = stall.saturating_sub(since.elapsed());
            let Some(chunk) = within(left, response.chunk(), resource).await? else {
                return Ok(bytes);
            };
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > limit {
                return Err(HttpError::too_large(resource, limit).into());
            }
            sink.write_all(&chunk).await.map_err(StreamError::Sink)?;
            seen(&chunk, size);
            if bytes - counted >= STALL_BYTES {
                (counted, since) = (bytes, Instant::now());
            }
        }
    }

    fn client(&self, url: &Url) -> Result<&Client, HttpError> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut roots = Vec::new();
        for pem in &self.connection.extra_roots {
            roots.extend(Certificate::from_pem_bundle(pem).map_err(|e| configuration(&e))?);
        }
        let mut builder = builder(&self.connection)?.https_only(true);
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|error| configuration(&error))?;
        Ok(self.tls.get_or_init(|| client))
    }
}

/// Why a body could not be streamed.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// It could not be had.
    Http(HttpError),
    /// It could not be written.
    Sink(std::io::Error),
}

impl From<HttpError> for StreamError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

/// Whether a redirect may be followed: to https, or from plain http to plain http where both or
/// neither are on this machine.
fn leads_on(from: &Url, to: &Url) -> bool {
    match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http" && is_loopback(from) == is_loopback(to),
        _ => false,
    }
}

/// Whether a URL is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A URL for an error or a record: a query may hold a token.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, reqwest::Error>>,
    resource: Resource<'_>,
) -> Result<T, HttpError> {
    let unreachable = |source| HttpError::Unreachable {
        location: resource.name.to_string(),
        source,
    };
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(unreachable(error.without_url().into())),
        Err(elapsed) => Err(unreachable(elapsed.into())),
    }
}

fn builder(connection: &Options) -> Result<ClientBuilder, HttpError> {
    // `no_proxy` also keeps reqwest from reading the environment's proxies.
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(&connection.user_agent)
        .connect_timeout(connection.timeouts.connect);
    if let Some(url) = &connection.proxy {
        // A proxy of another kind would be left out without a word.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HttpError::Configuration {
                detail: "the proxy is not at an http or https URL".into(),
            });
        }
        let proxy = Proxy::all(url.clone()).map_err(|e| configuration(&e.without_url()))?;
        let direct = format!("localhost,127.0.0.0/8,::1,{}", connection.no_proxy);
        let direct = NoProxy::from_string(&direct);
        builder = builder.proxy(proxy.no_proxy(direct));
    }
    Ok(builder)
}

/// With its causes in one line: reqwest's builder error alone says only that it is one.
pub(crate) fn configuration(error: &dyn std::error::Error) -> HttpError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    HttpError::Configuration {
        detail: causes.join(": "),
    }
}
