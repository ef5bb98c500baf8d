//! Fetching from web servers that are no registries: galleries' indexes and tarballs.
//!
//! By the connection that registries are reached by ([`countersign_oci::http`]), so by the same rule
//! for redirects, the same proxy and the same bounds. Bodies are taken as they are sent: what is
//! hashed is what the server has, never what a content coding was taken off.

mod error;

use countersign_oci::http::{Answer, AttemptError, Connection, HostKind, Pace, Request, retrying};
use countersign_oci::{Options, PlainHttp};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

pub(crate) use countersign_oci::http::shown;

pub use error::HttpError;

/// An HTTP client for content that nobody logs in for.
#[derive(Debug)]
pub(crate) struct Http {
    connection: Connection,
}

/// What is asked for, and what to call it in errors.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub(crate) url: &'a Url,
    pub(crate) name: &'a (dyn std::fmt::Display + Sync),
}

impl Http {
    /// A client; no connection is made yet. Logins of `options` are not used, and plain http stays
    /// for loopback alone.
    ///
    /// # Errors
    /// [`HttpError::Configuration`]
    pub(crate) fn new(options: Options) -> Result<Self, HttpError> {
        let options = Options {
            plain_http: PlainHttp::Loopback,
            ..options
        };
        let connection = Connection::new(options).map_err(|error| HttpError::of(error, &""))?;
        Ok(Self { connection })
    }

    /// Where the host of `url` is, by its addresses where it was asked.
    pub(crate) fn host_kind(&self, url: &Url) -> HostKind {
        self.connection.host_kind(url)
    }

    /// Does `work` again where its failure may pass.
    pub(crate) async fn retrying<T, W>(
        &self,
        resource: Resource<'_>,
        work: impl FnMut() -> W,
    ) -> Result<T, HttpError>
    where
        W: Future<Output = Result<T, AttemptError>>,
    {
        let done = retrying(&self.connection.options().retries, work).await;
        done.map_err(|error| HttpError::of(error, resource.name))
    }

    /// Asks once, following redirects, until there is content (200) or, where `headers` have
    /// conditions, and not otherwise, none that is newer (304).
    pub(crate) async fn get(
        &self,
        resource: Resource<'_>,
        headers: &HeaderMap,
    ) -> Result<Answer, AttemptError> {
        let request = Request::new(Method::GET, resource.url.clone(), resource.name.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(name.clone(), value.clone())
        });
        let answer = self.connection.ask(&request).await?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            304 if !headers.is_empty() => Ok(answer),
            // Another success is none here.
            201..300 => Err(answer.into_error().await.into()),
            _ => answer.success().await,
        }
    }

    /// Streams a body that may be large to `sink`, which is not flushed, and shows each piece, with
    /// the size of the whole where the server states it. A body that brings too little for too long
    /// is given up. Returns how many bytes it had.
    pub(crate) async fn stream(
        &self,
        mut answer: Answer,
        resource: Resource<'_>,
        limit: u64,
        mut sink: impl AsyncWrite + Unpin,
        mut seen: impl FnMut(&[u8], Option<u64>),
    ) -> Result<u64, StreamError> {
        let over = || {
            StreamError::Http(AttemptError::from(countersign_oci::Error::Limit {
                what: resource.name.to_string(),
                limit,
                unit: "bytes",
            }))
        };
        let size = answer.content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(over());
        }
        let mut pace = Pace::new(&self.connection.options().timeouts);
        let mut bytes = 0_u64;
        while let Some(chunk) = answer.chunk(&mut pace).await? {
            bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes > limit {
                return Err(over());
            }
            sink.write_all(&chunk).await.map_err(StreamError::Sink)?;
            seen(&chunk, size);
        }
        Ok(bytes)
    }
}

/// Why a body could not be streamed.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// It could not be had.
    Http(AttemptError),
    /// It could not be written.
    Sink(std::io::Error),
}

impl From<AttemptError> for StreamError {
    fn from(failure: AttemptError) -> Self {
        Self::Http(failure)
    }
}

pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
