//! A server's answer: its head, and its body within bounds.
//!
//! Nothing here reads more than it was allowed to, or waits longer. What goes into errors is cut
//! to a line and cleaned of control characters, and URLs lose their queries, which may hold
//! signatures and tokens.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::pace::{Pace, TooSlow};
use super::redacted::{host, shown};
use super::retry::{Failure, status_may_pass};
use crate::error::Error;
use crate::excerpt::excerpt;

/// Bytes of an error body that are looked at for the registry's message.
const ERROR_BODY_MAX: u64 = 16 << 10;

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    /// What was asked for, as errors name it.
    what: String,
    /// Whether another origin answered than the one that was asked.
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

    /// Where the answer is from, after redirects.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.response.url()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether the answer came from another origin than the one asked, by redirection.
    pub(crate) fn is_from_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// How long the server wants not to be asked: its `Retry-After`, in seconds or as a date.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.header(&header::RETRY_AFTER).and_then(retry_after)
    }

    /// The beginning of the body, of at most `limit` bytes, as far as it can be read: what a server
    /// says for an explanation is not worth another error.
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

    /// The media type without parameters, in lower case.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.header(&header::CONTENT_TYPE)?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        Some(essence.to_ascii_lowercase())
    }

    /// The body's length as announced.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header(&header::CONTENT_LENGTH)?.parse().ok()
    }

    /// Passes on answers that the caller can judge; turns into failures those that mean the same
    /// for every request: refused access, too many requests, a server in trouble.
    pub(crate) async fn settled(self, login: &str) -> Result<Self, Failure> {
        match self.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.refused(login).await.into())
            }
            status if status_may_pass(status) => Err(self.passing().await),
            _ => Ok(self),
        }
    }

    /// Passes on success only.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Status`]; the latter may pass by some statuses.
    pub async fn success(self) -> Result<Self, Failure> {
        if self.status().is_success() {
            Ok(self)
        } else {
            match self.status() {
                status if status_may_pass(status) => Err(self.passing().await),
                _ => Err(self.into_error().await.into()),
            }
        }
    }

    /// What is wrong, for an answer that isn't what the caller can use: [`Error::NotFound`] or
    /// [`Error::Status`].
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

    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Network`]
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, Failure> {
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

    /// The next piece of a body that may take long; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Network`]: the connection broke, stands still, or is slower than `pace` allows, which
    /// another try doesn't mend.
    pub async fn chunk(&mut self, pace: &mut Pace) -> Result<Option<Bytes>, Failure> {
        let asked = Instant::now();
        let chunk = self.chunk_until(pace.stalled_at()).await?;
        pace.fed(chunk.as_ref().map_or(0, Bytes::len), asked.elapsed())
            .map_err(|slow| too_slow(self.url(), slow))?;
        Ok(chunk)
    }

    async fn chunk_until(&mut self, deadline: Instant) -> Result<Option<Bytes>, Failure> {
        match tokio::time::timeout_at(deadline, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(source)) => Err(network(self.url(), source)),
            Err(_) => Err(timed_out(self.url(), "the rest of the answer's body")),
        }
    }

    /// Refuses a page made for people, which is what captive portals and login walls answer.
    pub(crate) fn expect_machine_readable(&self, expected: &str) -> Result<(), Error> {
        match self.content_type() {
            Some(found) if found == "text/html" => {
                Err(self.unlike(expected, "a web page (text/html)"))
            }
            _ => Ok(()),
        }
    }

    /// An error that says what this answer lacks.
    pub(crate) fn unlike(&self, expected: &str, found: impl Into<String>) -> Error {
        Error::Protocol {
            url: shown(self.url()),
            expected: expected.into(),
            found: excerpt(&found.into()),
        }
    }

    /// The code and message in an error body of the form that the distribution specification
    /// gives ("Error Codes"); `None` when it has another form.
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

    async fn passing(self) -> Failure {
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
            Some(pause) => Failure::passing_after(error, pause),
            None => Failure::passing(error),
        }
    }
}

/// What a registry says is wrong.
#[derive(Debug)]
pub(crate) struct ErrorMessage {
    /// The code, such as `NAME_UNKNOWN`.
    pub(crate) code: String,
    /// Message and code, in one line.
    pub(crate) text: String,
}

/// Why there is no answer, where the transport has no error of its own for it.
#[derive(Debug, thiserror::Error)]
#[error("timed out waiting for {0}")]
struct TimedOut(&'static str);

pub(crate) fn too_slow(url: &Url, slow: TooSlow) -> Failure {
    Failure::from(Error::Network {
        url: shown(url),
        source: Box::new(slow),
    })
}

pub(super) fn timed_out(url: &Url, waiting_for: &'static str) -> Failure {
    Failure::passing(Error::Network {
        url: shown(url),
        source: Box::new(TimedOut(waiting_for)),
    })
}

/// A failure below HTTP. The transport's error loses its URL, whose query may hold a token.
pub(super) fn network(url: &Url, source: reqwest::Error) -> Failure {
    Failure::passing(Error::Network {
        url: shown(url),
        source: Box::new(source.without_url()),
    })
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let pause = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(pause).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
    }
}
