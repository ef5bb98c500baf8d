//! How requests to the signing services travel.
//!
//! No answer is read further than its bound or waited for longer than its time, no redirect is
//! followed (a token would go along), and the environment's proxies are not heard. What may pass
//! is asked for again, not before the service wants to be asked (`Retry-After`).
//!
//! The clients of the `sigstore-*` crates are not used for this: they read bodies of any length,
//! and keep from their callers the headers that matter here, `Retry-After` and the `Location` by
//! which Rekor names an entry that it has already.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_oci::excerpt;
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response};
use url::Url;

use crate::error::{Error, Service};
use crate::retry::{Pause, Retries, retrying};
use crate::secret::without;

/// Bytes of an answer: a bundle is made of them, and verifiers take bundles up to this size.
const ANSWER_MAX: usize = 1 << 20;
/// Bytes of an error's body that are read.
const ERROR_MAX: usize = 16 << 10;
/// For a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// For one request, from its start to the end of its answer. Rekor v2 answers when the entry is
/// included, which takes seconds.
const REQUEST: Duration = Duration::from_secs(60);

/// The way to the services.
pub(crate) struct Transport {
    client: Client,
    retries: Retries,
    /// For one request, from its start to the end of its answer.
    patience: Duration,
}

impl Transport {
    pub(crate) fn new(retries: Retries) -> Result<Self, Error> {
        let client = http_client()?;
        Ok(Self {
            client,
            retries,
            patience: REQUEST,
        })
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
        retrying(service, &self.retries, || async {
            let request = self.client.post(url.clone());
            let request = request.header(header::CONTENT_TYPE, content_type);
            read(request.body(body.clone()).send().await?).await
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
        retrying(service, &self.retries, || async {
            let request = self.client.get(url.clone()).timeout(self.patience);
            let request = match bearer {
                Some(bearer) => request.bearer_auth(bearer),
                None => request,
            };
            read(request.send().await?).await
        })
        .await
    }
}

/// A client for the signing services, and for the TUF repository that names them.
pub(crate) fn http_client() -> Result<Client, Error> {
    Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| Error::Services {
            expected: "a working HTTP client".into(),
            found: source.to_string(),
        })
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
    Network(#[source] reqwest::Error),
    /// It answered at a length that nothing it could say has.
    #[error("its answer is too long: expected {limit} bytes at most, found more")]
    Length { limit: usize },
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
            Self::Network(_) => Pause::Scheduled,
            _ => Pause::Never,
        }
    }
}

/// The error's URL goes: which service it was is known, and a URL may hold a login.
impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Network(error.without_url())
    }
}

/// Reads an answer within its bound.
async fn read(mut response: Response) -> Result<Bytes, Failure> {
    let status = response.status();
    if status.is_success() {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > ANSWER_MAX {
                return Err(Failure::Length { limit: ANSWER_MAX });
            }
            body.extend_from_slice(&chunk);
        }
        return Ok(body.freeze());
    }
    let mut said = BytesMut::new();
    // What can't be read of an explanation is not worth another error.
    while let Ok(Some(chunk)) = response.chunk().await {
        let rest = ERROR_MAX.saturating_sub(said.len());
        said.extend(chunk.iter().take(rest));
        if chunk.len() >= rest {
            break;
        }
    }
    Err(Failure::Status {
        status: status.as_u16(),
        said: String::from_utf8_lossy(&said).into_owned(),
        location: text(response.headers(), &header::LOCATION),
        pause: text(response.headers(), &header::RETRY_AFTER).and_then(|value| seconds(&value)),
    })
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// `Retry-After` in seconds, as Sigstore's services and the proxies in front of them have it. Its
/// other form, a date, leaves the schedule as it is.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
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
    fn a_service_says_when_to_come_back() {
        let pause = seconds("7");
        assert_eq!(
            status(429, pause).pause(),
            Pause::AtLeast(Duration::from_secs(7))
        );
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), None);
    }

    #[test]
    fn paths_go_below_a_base_with_or_without_its_slash() {
        for base in ["https://rekor.example/log", "https://rekor.example/log/"] {
            let url = below(&base.parse().unwrap(), "/api/v1");
            assert_eq!(url.as_str(), "https://rekor.example/log/api/v1");
        }
    }
}
