//! A server's answer: status, headers, and a body of limited size.
//!
//! Every read has a limit in bytes and in time. Text for errors is cut to one line, without control
//! characters. URLs in errors have no query, because a query may hold a signature or a token.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::pace::Pace;
use super::rate_limit::RateLimit;
use super::redacted::{host, shown};
use super::retry::{AttemptError, status_may_pass};
use crate::error::{Error, TooSlow};
use crate::excerpt::excerpt;

/// How many bytes of an error body are read, to find the registry's message.
const ERROR_BODY_MAX: u64 = 16 << 10;

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    /// The requested content, as errors name it.
    what: String,
    /// Whether a redirect led to another origin, which then answered.
    elsewhere: bool,
    deadline: Instant,
}

impl Answer {
    pub(super) fn new(response: Response, what: &str, elsewhere: bool, deadline: Instant) -> Self {
        Self {
            response,
            what: what.into(),
            elsewhere,
            deadline,
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The URL that answered, after redirects.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.response.url()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether a redirect led to another origin, which then answered.
    pub(crate) fn is_from_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The value of a header, if the header exists and its value is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// How long to wait before the next request, by the server's `Retry-After` header, which holds
    /// seconds or a date. If there were too many requests (429), also by the time at which the server
    /// begins to count anew.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        RateLimit::of(self.status(), self.headers()).pause
    }

    /// The first bytes of the body, at most `limit`. Returns what was read before any error: the
    /// text only explains another error.
    pub async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.chunk_until(self.deadline).await {
            let rest = limit.saturating_sub(body.len());
            body.extend(chunk.iter().take(rest));
            if chunk.len() >= rest {
                break;
            }
        }
        body
    }

    /// The `Content-Type` in lower case, without parameters.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.header(&header::CONTENT_TYPE)?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        Some(essence.to_ascii_lowercase())
    }

    /// The body's length by its `Content-Length` header, in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header(&header::CONTENT_LENGTH)?.parse().ok()
    }

    /// Returns the answer if its status concerns this one request. Otherwise returns an error:
    /// refused access, too many requests, or a server error.
    pub(crate) async fn settled(self, login: &str) -> Result<Self, AttemptError> {
        match self.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.refused(login).await.into())
            }
            status if status_may_pass(status) => Err(self.passing().await),
            _ => Ok(self),
        }
    }

    /// Returns the answer if its status means success.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Status`]. Some statuses may pass, so that the request can be
    /// repeated.
    pub async fn success(self) -> Result<Self, AttemptError> {
        if self.status().is_success() {
            Ok(self)
        } else {
            match self.status() {
                status if status_may_pass(status) => Err(self.passing().await),
                _ => Err(self.into_error().await.into()),
            }
        }
    }

    /// The error for a status that the caller can't use: [`Error::NotFound`] or [`Error::Status`].
    pub async fn into_error(self) -> Error {
        if self.status() == StatusCode::NOT_FOUND {
            return Error::NotFound { what: self.what };
        }
        let (url, status) = (shown(self.url()), self.status().as_u16());
        Error::Status {
            url,
            status,
            detail: self.error_message().await.map(|message| message.text),
        }
    }

    /// Reads the whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Network`]
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, AttemptError> {
        let over = |what: String| Error::Limit {
            what,
            limit,
            unit: "bytes",
        };
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(over(self.what).into());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk_until(self.deadline).await? {
            if (body.len() as u64).saturating_add(chunk.len() as u64) > limit {
                return Err(over(self.what).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The next piece of a long body. `None` at the end.
    ///
    /// # Errors
    /// [`Error::Network`], if the connection broke or stopped; [`Error::TooSlow`], if it is slower than
    /// `pace` allows. A slow transfer is not tried again.
    pub async fn chunk(&mut self, pace: &mut Pace) -> Result<Option<Bytes>, AttemptError> {
        let asked = Instant::now();
        let chunk = self.chunk_until(pace.stalled_at()).await?;
        pace.fed(chunk.as_ref().map_or(0, Bytes::len), asked.elapsed())
            .map_err(|slow| too_slow(self.url(), slow))?;
        Ok(chunk)
    }

    async fn chunk_until(&mut self, deadline: Instant) -> Result<Option<Bytes>, AttemptError> {
        match tokio::time::timeout_at(deadline, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(source)) => Err(network(self.url(), source)),
            Err(_) => Err(timed_out(self.url(), "the rest of the answer's body")),
        }
    }

    /// Refuses HTML. Captive portals and login pages answer with HTML.
    pub(crate) fn expect_machine_readable(&self, expected: &str) -> Result<(), Error> {
        match self.content_type() {
            Some(found) if found == "text/html" => {
                Err(self.unlike(expected, "a web page (text/html)"))
            }
            _ => Ok(()),
        }
    }

    /// The error for an answer that doesn't follow the specification.
    pub(crate) fn unlike(&self, expected: &str, found: impl Into<String>) -> Error {
        Error::Protocol {
            url: shown(self.url()),
            expected: expected.into(),
            found: excerpt(&found.into()),
        }
    }

    /// The code and message of an error body ("Error Codes" in the distribution specification).
    /// `None` if the body has another form.
    pub(crate) async fn error_message(self) -> Option<ErrorMessage> {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let bytes = self.bytes(ERROR_BODY_MAX).await.ok()?;
        let body: Body = serde_json::from_slice(&bytes).ok()?;
        let Entry { code, message } = body.errors.into_iter().next()?;
        let text = match (code.is_empty(), message.is_empty()) {
            (_, true) => excerpt(&code),
            (true, false) => excerpt(&message),
            (false, false) => excerpt(&format!("{message} ({code})")),
        };
        (!text.is_empty()).then_some(ErrorMessage { code, text })
    }

    async fn refused(self, login: &str) -> Error {
        let (status, what) = (self.status().as_u16(), self.what.clone());
        let registry = host(self.url());
        let said = self.error_message().await;
        let said = said.map(|m| format!(": {}", m.text)).unwrap_or_default();
        Error::Unauthorized {
            registry,
            what,
            detail: format!("it answered {status}{said} (we asked {login})"),
        }
    }

    async fn passing(self) -> AttemptError {
        let after = self.retry_after();
        let (url, status) = (shown(self.url()), self.status().as_u16());
        let said = self.error_message().await.map(|message| message.text);
        let wait = after.map(|pause| format!("it asks for a pause of {} s", pause.as_secs()));
        let detail = match (said, wait) {
            (Some(said), Some(wait)) => Some(format!("{said}; {wait}")),
            (said, wait) => said.or(wait),
        };
        let error = Error::Status {
            url,
            status,
            detail,
        };
        match after {
            Some(pause) => AttemptError::passing_after(error, pause),
            None => AttemptError::passing(error),
        }
    }
}

/// A registry's own description of an error.
#[derive(Debug)]
pub(crate) struct ErrorMessage {
    /// The code, such as `NAME_UNKNOWN`.
    pub(crate) code: String,
    /// Message and code, on one line.
    pub(crate) text: String,
}

/// The time ran out. The transport has no error of its own for this.
#[derive(Debug, thiserror::Error)]
#[error("timed out waiting for {0}")]
struct TimedOut(&'static str);

pub(crate) fn too_slow(url: &Url, slow: TooSlow) -> AttemptError {
    AttemptError::from(Error::TooSlow {
        url: shown(url),
        source: slow,
    })
}

pub(super) fn timed_out(url: &Url, waiting_for: &'static str) -> AttemptError {
    AttemptError::passing(Error::Network {
        url: shown(url),
        source: Box::new(TimedOut(waiting_for)),
    })
}

/// An error of the transport. Its URL is removed, because the query may hold a token.
pub(super) fn network(url: &Url, source: reqwest::Error) -> AttemptError {
    AttemptError::passing(Error::Network {
        url: shown(url),
        source: Box::new(source.without_url()),
    })
}
