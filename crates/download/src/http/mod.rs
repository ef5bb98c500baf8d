//! What is fetched from the web and is no registry: galleries' indexes and tarballs.
//!
//! Redirects are followed here, one by one, within a bound: https never leads to plain http, and
//! no server elsewhere leads us to an address of this machine. Every wait has an end, every body a
//! bound. Bodies are taken as they are sent: what is hashed is what the server has, never what a
//! content coding was taken off.

mod error;

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use countersign_oci::{Options, excerpt};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Certificate, Client, ClientBuilder, Response};
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
        let plain = client_for(&connection)?.tls_certs_only([]).build();
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

    /// Asks once, following redirects, until there is content (200) or, where `headers` have
    /// conditions, and not otherwise, none that is newer (304).
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
                200 => return Ok(response),
                304 if !headers.is_empty() => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    let target = text(response.headers(), &header::LOCATION);
                    let next = target.and_then(|target| at.join(&target).ok());
                    let found = next.as_ref().map_or_else(|| "nowhere".into(), shown);
                    at = next.filter(|next| leads_on(&at, next)).ok_or_else(|| {
                        HttpError::Redirect {
                            location: resource.name.to_string(),
                            found: excerpt(&found),
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
        let mut builder = client_for(&self.connection)?.https_only(true);
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

/// Whether a redirect may be followed: to https, or from plain http to plain http; to an address of
/// this machine only from one, and from there to plain http nowhere else.
fn leads_on(from: &Url, to: &Url) -> bool {
    match to.scheme() {
        "https" => is_here(from) || !is_here(to),
        "http" => from.scheme() == "http" && is_here(from) == is_here(to),
        _ => false,
    }
}

/// Whether a URL leads to this machine by its address, in whichever way that is written. A name
/// that resolves to such an address doesn't tell.
fn is_here(url: &Url) -> bool {
    let ours = |address: Ipv4Addr| address.is_loopback() || address.is_unspecified();
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => ours(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => ours(address),
            None => address.is_loopback() || address.is_unspecified(),
        },
        None => false,
    }
}

/// Whether a URL is on a loopback address, so that there is no network on the way to it.
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

fn client_for(connection: &Options) -> Result<ClientBuilder, HttpError> {
    connection.http_client().map_err(|error| match error {
        countersign_oci::Error::Configuration { detail } => HttpError::Configuration { detail },
        other => configuration(&other),
    })
}

/// With its causes in one line: reqwest's builder error alone says only that it is one.
pub(crate) fn configuration(error: &dyn std::error::Error) -> HttpError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    HttpError::Configuration {
        detail: causes.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, to: &str) -> bool {
        leads_on(&from.parse().unwrap(), &to.parse().unwrap())
    }

    #[test]
    fn redirects_from_https_lead_to_https_alone() {
        assert!(leads("https://a.example/", "https://b.example/"));
        assert!(!leads("https://a.example/", "http://a.example/"));
        assert!(!leads("https://a.example/", "file:///etc/passwd"));
    }

    #[test]
    fn redirects_from_plain_http_stay_on_their_side_or_lead_to_https() {
        assert!(leads("http://a.example/", "https://a.example/"));
        assert!(leads("http://a.example/", "http://b.example/"));
        assert!(leads("http://127.0.0.1:1/", "http://localhost:2/"));
        assert!(leads("http://127.0.0.1:1/", "https://a.example/"));
        assert!(!leads("http://127.0.0.1:1/", "http://a.example/"));
    }

    #[test]
    fn no_redirect_from_elsewhere_leads_to_this_machine() {
        for host in [
            "localhost",
            "app.localhost",
            "localhost.",
            "127.0.0.1",
            "127.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
        ] {
            for scheme in ["http", "https"] {
                let to = format!("{scheme}://{host}:8080/");
                assert!(!leads("http://a.example/", &to), "{to}");
                assert!(!leads("https://a.example/", &to), "{to}");
            }
        }
    }
}
