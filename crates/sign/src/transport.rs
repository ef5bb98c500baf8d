//! How requests to the signing services travel.
//!
//! They use the connection that reaches registries, so the same proxy. Each answer has a bound in bytes and in time. No
//! redirect is followed. A failure that may pass is tried again by [`retrying`], as for registries.
//!
//! The clients of the `sigstore-*` crates are not used for this: they read bodies of any length,
//! and keep from their callers the headers that matter here, `Retry-After` and the `Location` by
//! which Rekor names an entry that it has already.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use countersign_oci::http::{
    Answer, AttemptError, Body, Connection, Credential, Request, retrying, status_may_pass,
};
use countersign_oci::{ErrorKind, Patience, Retries, StatusMeaning, excerpt};
use reqwest::Method;
use reqwest::header::{self, HeaderValue};
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Service};
use crate::secret::without;

/// Bytes of an answer: a bundle is made of them, and verifiers take bundles up to this size.
const ANSWER_MAX: u64 = 1 << 20;
/// Bytes of an error's body that are read.
const ERROR_MAX: usize = 16 << 10;
/// For one request, from its start to the end of its answer. Rekor v2 answers when the entry is
/// included, which takes seconds.
const REQUEST: Duration = Duration::from_secs(60);

/// How often services are asked again: more often than registries, since without them a whole build
/// was for nothing. With these pauses it takes half a minute.
fn retries() -> Retries {
    Retries {
        times: 6,
        pause: Duration::from_millis(500),
        ..Retries::default()
    }
}

/// The way to the services.
#[derive(Clone)]
pub(crate) struct Transport {
    connection: Connection,
    retries: Retries,
    /// For one request, from its start to the end of its answer.
    answer: Duration,
}

impl Transport {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            retries: retries(),
            answer: REQUEST,
        }
    }

    /// The way to what hands out identity tokens: an OIDC issuer, or a CI's endpoint. It takes GitHub well under a
    /// second to answer, so this waits 15 seconds for one answer, and asks again four times.
    pub(crate) fn for_identity(connection: Connection) -> Self {
        let retries = Retries {
            times: 4,
            ..retries()
        };
        let transport = Self::new(connection).with_retries(retries);
        transport.with_answer_time(Duration::from_secs(15))
    }

    pub(crate) fn with_answer_time(self, answer: Duration) -> Self {
        Self { answer, ..self }
    }

    pub(crate) fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.retries.patience = Some(patience);
        self
    }

    /// The same way, on which patience ends at `end` at the latest.
    pub(crate) fn until(&self, end: Instant) -> Self {
        let mut ending = self.clone();
        let patience = self.patience();
        ending.retries.patience = patience.map(|patience| patience.no_later_than(end));
        ending
    }

    pub(crate) fn retries(&self) -> &Retries {
        &self.retries
    }

    pub(crate) fn patience(&self) -> Option<&Patience> {
        self.retries.patience.as_ref()
    }

    /// Asks until there is an answer that says it went well, and returns its body.
    pub(crate) async fn ask(&self, call: &Call) -> Result<Bytes, NoAnswer> {
        self.ask_for(call, Ok).await
    }

    /// As [`Self::ask`], for what `read` makes of the body. An error of `read` is final, unless it is
    /// [`AttemptError::passing`]. Whoever waits is told which service failed, and not what it said.
    pub(crate) async fn ask_for<T>(
        &self,
        call: &Call,
        read: impl Fn(Bytes) -> Result<T, AttemptError<NoAnswer>>,
    ) -> Result<T, NoAnswer> {
        let failed = |reason| FailedService {
            service: call.service,
            reason,
        };
        let asked = retrying(&self.retries, || async {
            let read = self.attempt(call).await.and_then(&read);
            read.map_err(|failure| {
                // A failure of another kind would end with the advice that the same request gets the same answer.
                debug_assert!(!failure.may_pass() || failure.error.kind() != ErrorKind::Rejected);
                failure.map(failed)
            })
        });
        asked.await.map_err(|failed| failed.reason)
    }

    /// Asks once with what counts once. The error doesn't quote it, and doesn't say that it may pass.
    pub(crate) async fn spend(
        &self,
        secret: SingleUse,
        call: impl FnOnce(&str) -> Call,
    ) -> Result<Bytes, NoAnswer> {
        let answer = self.attempt(&call(&secret.0)).await;
        answer.map_err(|failure| failure.error.without(&secret.0))
    }

    /// One try of a request that may be repeated, for a caller that repeats it in its own way. It takes the
    /// secrets out of the error first: [`Self::ask_for`] does.
    pub(crate) async fn attempt(&self, call: &Call) -> Result<Bytes, AttemptError<NoAnswer>> {
        let request = call.request.clone();
        let request = request.without_redirects().answer_time(self.answer);
        // To Fulcio the body is a secret, and to nobody else is it of use.
        let mut body = match &call.body {
            Some(bytes) => Body::Secret(bytes.clone()),
            None => Body::Empty,
        };
        let asking = async {
            let credential = call.credential.as_ref();
            let asked = self.connection.exchange(&request, credential, &mut body);
            read(asked.await.map_err(|failure| failure.map(NoAnswer::from))?).await
        };
        let asked = tokio::time::timeout(self.answer, asking).await;
        asked.unwrap_or_else(|_| {
            Err(AttemptError::passing(NoAnswer::Late {
                answer_time: self.answer,
            }))
        })
    }
}

/// A secret that a service takes once only, such as the code of a login: whoever sends it twice looks like a thief.
///
/// Only [`Transport::spend`] can read it, and that uses it up. So no request with it can be repeated: that
/// doesn't compile. It can't be cloned or shown.
pub(crate) struct SingleUse(Zeroizing<String>);

impl SingleUse {
    pub(crate) fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// One question to a service. It may hold a token, so it isn't `Debug`.
pub(crate) struct Call {
    service: Service,
    request: Request,
    credential: Option<Credential>,
    body: Option<Bytes>,
}

impl Call {
    /// Posts `body`.
    pub(crate) fn post(
        service: Service,
        url: Url,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let request = Request::new(Method::POST, url, service.to_string())
            .header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self {
            service,
            request,
            credential: None,
            body: Some(body.into()),
        }
    }

    /// Says that the server at `place` named this call's URL, so that the rule for redirects holds
    /// for it.
    pub(crate) fn named_by(mut self, place: &Url) -> Self {
        self.request = self.request.named_by(place);
        self
    }

    /// Gets what is at `url`.
    pub(crate) fn get(service: Service, url: Url) -> Self {
        Self {
            service,
            request: Request::new(Method::GET, url, service.to_string()),
            credential: None,
            body: None,
        }
    }

    /// Gets what is at `url` for whoever has the bearer token.
    pub(crate) fn get_as(service: Service, url: Url, bearer: &str) -> Result<Self, NoAnswer> {
        let credential = Credential::new(&format!("Bearer {bearer}"), &url);
        Ok(Self {
            credential: Some(credential.ok_or(NoAnswer::Header)?),
            ..Self::get(service, url)
        })
    }
}

/// A service gave no usable answer. What it said is left out: it may quote the token.
pub(crate) struct FailedService {
    pub(crate) service: Service,
    pub(crate) reason: NoAnswer,
}

impl fmt::Display for FailedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.status() {
            Some(status) => write!(f, "{} failed (HTTP status {status})", self.service),
            None => write!(f, "{} failed", self.service),
        }
    }
}

/// `path`, which begins with a slash, below a service's base URL, which may end in one.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Why a service gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It answered with a status of failure.
    #[error("it answered: {}", if .said.is_empty() { "nothing more".into() } else { excerpt(.said) })]
    Status {
        status: u16,
        /// The body, up to a bound.
        said: String,
        /// The `Location` header.
        location: Option<String>,
    },
    /// There was no answer, or part of one.
    #[error("there was no whole answer")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There was no whole answer in time.
    #[error("there was no whole answer in {} s", .answer_time.as_secs_f64())]
    Late { answer_time: Duration },
    /// It leads elsewhere, or there is no way to ask it.
    #[error("it can't be reached")]
    Connection(#[source] Box<countersign_oci::Error>),
    /// The bearer token has characters that a header can't hold.
    #[error("the request can't be made: the bearer token has characters that no header can hold")]
    Header,
    /// It answered at a length that nothing it could say has.
    #[error("its answer is too long: expected {limit} bytes at most, found more")]
    Length { limit: u64 },
    /// It answered something else than its interface has.
    #[error("its answer can't be used: expected {expected}, found {found}")]
    Answer {
        expected: &'static str,
        found: String,
    },
    /// What it is to be asked can't be encoded.
    #[error("the request can't be encoded")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl NoAnswer {
    /// An answer of another form than `expected`; `error` says where it differs.
    pub(crate) fn answer(expected: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Answer {
            expected,
            found: excerpt(&error.to_string()),
        }
    }

    /// As an error of the crate.
    pub(crate) fn of(self, service: Service) -> Error {
        Error::Service {
            service,
            status: self.status(),
            kind: self.kind(),
            source: Box::new(self),
        }
    }

    /// What kind of failure it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Status { status, .. } => match StatusMeaning::of(*status) {
                StatusMeaning::NotNow | StatusMeaning::NotAble => ErrorKind::Unreachable,
                // A service that isn't there is no content that somebody else may have.
                StatusMeaning::Absent | StatusMeaning::Refused => ErrorKind::Rejected,
            },
            Self::Network(source) => ErrorKind::of_network(source.as_ref()),
            Self::Late { .. } => ErrorKind::Unreachable,
            Self::Connection(error) => error.kind(),
            Self::Header => ErrorKind::Usage,
            Self::Length { .. } | Self::Answer { .. } => ErrorKind::Rejected,
            Self::Request(_) => ErrorKind::Internal,
        }
    }

    /// The status of the answer, if it was one of failure.
    pub(crate) fn status(&self) -> Option<u16> {
        self.refused().map(|(status, ..)| status)
    }

    /// An answer of failure: its status, its body up to a bound, and its `Location` header.
    pub(crate) fn refused(&self) -> Option<(u16, &str, Option<&str>)> {
        match self {
            Self::Status {
                status,
                said,
                location,
            } => Some((*status, said, location.as_deref())),
            Self::Network(_)
            | Self::Late { .. }
            | Self::Connection(_)
            | Self::Header
            | Self::Length { .. }
            | Self::Answer { .. }
            | Self::Request(_) => None,
        }
    }

    /// Without `secret`, which a service may have quoted.
    pub(crate) fn without(mut self, secret: &str) -> Self {
        match &mut self {
            Self::Status { said: quoted, .. } | Self::Answer { found: quoted, .. } => {
                *quoted = without(quoted, secret);
            }
            Self::Network(_)
            | Self::Late { .. }
            | Self::Connection(_)
            | Self::Header
            | Self::Length { .. }
            | Self::Request(_) => {}
        }
        self
    }
}

/// The error's URL goes: which service it was is known.
impl From<countersign_oci::Error> for NoAnswer {
    fn from(error: countersign_oci::Error) -> Self {
        match error {
            countersign_oci::Error::Network { source, .. } => Self::Network(source),
            countersign_oci::Error::Limit { limit, .. } => Self::Length { limit },
            other => Self::Connection(Box::new(other)),
        }
    }
}

/// Reads an answer within its bound.
async fn read(answer: Answer) -> Result<Bytes, AttemptError<NoAnswer>> {
    let status = answer.status();
    if status.is_success() {
        let read = answer.bytes(ANSWER_MAX).await;
        return read.map_err(|failure| failure.map(NoAnswer::from));
    }
    let location = answer.header(&header::LOCATION).map(str::to_owned);
    let pause = answer.retry_after();
    let said = answer.beginning(ERROR_MAX).await;
    let refused = NoAnswer::Status {
        status: status.as_u16(),
        said: String::from_utf8_lossy(&said).into_owned(),
        location,
    };
    Err(match (status_may_pass(status), pause) {
        (false, _) => refused.into(),
        (true, None) => AttemptError::passing(refused),
        (true, Some(pause)) => AttemptError::passing_after(refused, pause),
    })
}

#[cfg(test)]
mod tests;
