//! How requests to the signing services travel.
//!
//! By the connection that registries are reached by, so by the same proxy. No answer is read further
//! than its bound or waited for longer than its time, and no redirect is followed.
//! What may pass is asked for again, not before the service wants to be asked (`Retry-After`).
//!
//! The clients of the `sigstore-*` crates are not used for this: they read bodies of any length,
//! and keep from their callers the headers that matter here, `Retry-After` and the `Location` by
//! which Rekor names an entry that it has already.

use std::time::Duration;

use bytes::Bytes;
use countersign_oci::excerpt;
use countersign_oci::http::{Answer, Body, Connection, Credential, Request};
use reqwest::Method;
use reqwest::header::{self, HeaderValue};
use url::Url;

use crate::error::{Error, Service};
use crate::retry::{Pause, Retries, retrying};
use crate::secret::without;

/// Bytes of an answer: a bundle is made of them, and verifiers take bundles up to this size.
const ANSWER_MAX: u64 = 1 << 20;
/// Bytes of an error's body that are read.
const ERROR_MAX: usize = 16 << 10;
/// For one request, from its start to the end of its answer. Rekor v2 answers when the entry is
/// included, which takes seconds.
const REQUEST: Duration = Duration::from_secs(60);

/// The way to the services.
pub(crate) struct Transport {
    connection: Connection,
    retries: Retries,
    /// For one request, from its start to the end of its answer.
    patience: Duration,
}

impl Transport {
    pub(crate) fn new(connection: Connection, retries: Retries) -> Self {
        Self {
            connection,
            retries,
            patience: REQUEST,
        }
    }

    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(crate) fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    pub(crate) fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Posts `body`, and returns the body of an answer that says it went well.
    pub(crate) async fn post(
        &self,
        service: Service,
        url: Url,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, Failure> {
        let body = body.into();
        let request = Request::new(Method::POST, url, service.to_string())
            .header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        // To Fulcio the body is a secret, and to nobody else is it of use.
        retrying(service, &self.retries, || {
            self.ask(&request, None, Body::Secret(body.clone()))
        })
        .await
    }

    /// Gets the body of an answer that says it went well.
    pub(crate) async fn get(&self, service: Service, url: Url) -> Result<Bytes, Failure> {
        self.get_as(service, url, None).await
    }

    /// As [`Self::get`], as who has the bearer token.
    pub(crate) async fn get_as(
        &self,
        service: Service,
        url: Url,
        bearer: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let credential = bearer.map(|bearer| Credential::new(&format!("Bearer {bearer}"), &url));
        let credential = match credential {
            Some(None) => return Err(Failure::Header),
            Some(Some(credential)) => Some(credential),
            None => None,
        };
        let request = Request::new(Method::GET, url, service.to_string());
        retrying(service, &self.retries, || {
            self.ask(&request, credential.as_ref(), Body::Empty)
        })
        .await
    }

    async fn ask(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        mut body: Body,
    ) -> Result<Bytes, Failure> {
        let request = request.clone().without_redirects().patience(self.patience);
        let asking = async {
            let asked = self.connection.exchange(&request, credential, &mut body);
            read(asked.await.map_err(|failure| failure.error)?).await
        };
        let asked = tokio::time::timeout(self.patience, asking).await;
        asked.unwrap_or_else(|_| {
            Err(Failure::Late {
                patience: self.patience,
            })
        })
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
pub(crate) enum Failure {
    /// It answered with a status of failure.
    #[error("it answered: {}", if .said.is_empty() { "nothing more".into() } else { excerpt(.said) })]
    Status {
        status: u16,
        /// The body, up to a bound.
        said: String,
        /// The `Location` header.
        location: Option<String>,
        /// The `Retry-After` header.
        pause: Option<Duration>,
    },
    /// There was no answer, or part of one.
    #[error("there was no whole answer")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There was no whole answer in time.
    #[error("there was no whole answer in {} s", .patience.as_secs_f64())]
    Late { patience: Duration },
    /// It leads elsewhere, or there is no way to ask it.
    #[error("it can't be asked")]
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

impl Failure {
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
            source: Box::new(self),
        }
    }

    /// The status of the answer, if it was one of failure.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Without `secret`, which a service may have quoted.
    pub(crate) fn without(self, secret: &str) -> Self {
        match self {
            Self::Status {
                status,
                said,
                location,
                pause,
            } => Self::Status {
                status,
                said: without(&said, secret),
                location,
                pause,
            },
            Self::Answer { expected, found } => Self::Answer {
                expected,
                found: without(&found, secret),
            },
            other => other,
        }
    }

    /// Whether, and when, the same request may go well. Busy, overloaded and unreachable services
    /// may be back soon; a refusal stays one.
    pub(crate) fn pause(&self) -> Pause {
        match self {
            Self::Status {
                status: 408 | 425 | 429 | 500..=599,
                pause,
                ..
            } => pause.map_or(Pause::Scheduled, Pause::AtLeast),
            Self::Network(_) | Self::Late { .. } => Pause::Scheduled,
            _ => Pause::Never,
        }
    }
}

/// The error's URL goes: which service it was is known.
impl From<countersign_oci::Error> for Failure {
    fn from(error: countersign_oci::Error) -> Self {
        match error {
            countersign_oci::Error::Network { source, .. } => Self::Network(source),
            countersign_oci::Error::Limit { limit, .. } => Self::Length { limit },
            other => Self::Connection(Box::new(other)),
        }
    }
}

/// Reads an answer within its bound.
async fn read(answer: Answer) -> Result<Bytes, Failure> {
    let status = answer.status();
    if status.is_success() {
        let read = answer.bytes(ANSWER_MAX).await;
        return Ok(read.map_err(|failure| failure.error)?);
    }
    let location = answer.header(&header::LOCATION).map(str::to_owned);
    let pause = answer.retry_after();
    let said = answer.beginning(ERROR_MAX).await;
    Err(Failure::Status {
        status: status.as_u16(),
        said: String::from_utf8_lossy(&said).into_owned(),
        location,
        pause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, pause: Option<Duration>) -> Failure {
        Failure::Status {
            status,
            said: String::new(),
            location: None,
            pause,
        }
    }

    #[test]
    fn overload_may_pass_and_refusals_are_final() {
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(status(code, None).pause(), Pause::Scheduled, "{code}");
        }
        for code in [301, 400, 401, 403, 404, 409, 422] {
            assert_eq!(status(code, None).pause(), Pause::Never, "{code}");
        }
        assert_eq!(Failure::Length { limit: 1 }.pause(), Pause::Never);
    }

    #[test]
    fn paths_go_below_a_base_with_or_without_its_slash() {
        for base in ["https://rekor.example/log", "https://rekor.example/log/"] {
            let url = below(&base.parse().unwrap(), "/api/v1");
            assert_eq!(url.as_str(), "https://rekor.example/log/api/v1");
        }
    }
}
