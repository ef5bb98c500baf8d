//! How the services are served, what was asked of them, and their faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::breakdown::{Moment, disconnect, truncated};
use crate::server::{Binding, Server};

/// One of the services of a Sigstore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// The OIDC issuer.
    Oidc,
    /// The certificate authority.
    Fulcio,
    /// The first generation of the transparency log.
    RekorV1,
    /// The second generation of the transparency log.
    RekorV2,
    /// The RFC 3161 timestamp authority.
    TimestampAuthority,
    /// The TUF repository.
    Tuf,
}

impl Service {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::successors(Some(Self::Oidc), |service| service.next())
    }

    /// The one after it. It names each, so that a new one has to be put in.
    fn next(self) -> Option<Self> {
        match self {
            Self::Oidc => Some(Self::Fulcio),
            Self::Fulcio => Some(Self::RekorV1),
            Self::RekorV1 => Some(Self::RekorV2),
            Self::RekorV2 => Some(Self::TimestampAuthority),
            Self::TimestampAuthority => Some(Self::Tuf),
            Self::Tuf => None,
        }
    }
}

/// A request that a service answered, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceRequest {
    /// The service asked.
    pub service: Service,
    /// The HTTP method.
    pub method: Method,
    /// The path, with the query where there is one.
    pub path: String,
    /// The status answered.
    pub status: StatusCode,
}

/// A service's misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceFault {
    /// It does nothing and answers with this status.
    Refuse {
        /// The status.
        status: StatusCode,
        /// What `Retry-After` says, in whole seconds, if anything.
        retry_after: Option<Duration>,
    },
    /// It does nothing and answers with this status and body.
    Answer {
        /// The status.
        status: StatusCode,
        /// The body.
        body: &'static [u8],
    },
    /// It never answers.
    Hang,
    /// The connection is closed without an answer.
    Disconnect(Moment),
    /// It does its work, and the connection is closed after the headers and this many bytes of the
    /// answer's body.
    Truncate {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// It does its work, and answers this late.
    Delay(Duration),
    /// It does its work, and the client is told 504 by a gateway in between.
    LoseAnswer,
    /// It does its work, and answers at the next full second, as a log does that writes one batch a
    /// second.
    AnswerOnTheSecond,
}

/// What was asked, and the faults still to come.
#[derive(Debug, Default)]
pub(super) struct Record {
    requests: Mutex<Vec<ServiceRequest>>,
    /// What happens to the next requests of each service, in turn.
    faults: Mutex<Vec<Injected>>,
}

#[derive(Debug)]
struct Injected {
    service: Service,
    /// `None` is no fault.
    fault: Option<ServiceFault>,
    times: usize,
    happened: usize,
}

impl Record {
    pub(super) fn requests(&self) -> Vec<ServiceRequest> {
        lock(&self.requests).clone()
    }

    pub(super) fn inject(&self, service: Service, fault: Option<ServiceFault>, times: usize) {
        lock(&self.faults).push(Injected {
            service,
            fault,
            times,
            happened: 0,
        });
    }

    pub(super) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// Takes the next fault of a service.
    fn next_fault(&self, service: Service) -> Option<ServiceFault> {
        let mut faults = lock(&self.faults);
        let next = faults
            .iter_mut()
            .find(|one| one.service == service && one.happened < one.times)?;
        next.happened += 1;
        next.fault
    }

    /// The first fault that never happened.
    pub(super) fn unused(&self) -> Option<(Service, ServiceFault)> {
        let faults = lock(&self.faults);
        let unused = faults.iter().filter(|one| one.happened == 0);
        unused
            .filter_map(|one| Some((one.service, one.fault?)))
            .next()
    }
}

/// The base URL of the service that will serve at this binding.
pub(super) fn base(binding: &Binding) -> std::io::Result<Url> {
    Url::parse(&format!("http://{}/", binding.address())).map_err(std::io::Error::other)
}

/// Serves a service by its `router` until the server is dropped.
pub(super) fn serve(
    binding: Binding,
    service: Service,
    router: Router,
    record: &Arc<Record>,
) -> std::io::Result<Server> {
    let state = (service, Arc::clone(record));
    binding.serve(router.layer(middleware::from_fn_with_state(state, observe)))
}

/// Notes every request, and plays the faults.
async fn observe(
    State((service, record)): State<(Service, Arc<Record>)>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.uri().to_string();
    let response = match record.next_fault(service) {
        None => next.run(request).await,
        Some(ServiceFault::Answer { status, body }) => (status, body).into_response(),
        Some(ServiceFault::Hang) => std::future::pending().await,
        Some(ServiceFault::Disconnect(Moment::BeforeServing)) => disconnect(),
        Some(ServiceFault::Disconnect(Moment::AfterServing)) => {
            next.run(request).await;
            disconnect()
        }
        Some(ServiceFault::Truncate { after }) => truncated(next.run(request).await, after).await,
        Some(ServiceFault::Delay(delay)) => {
            let response = next.run(request).await;
            tokio::time::sleep(delay).await;
            response
        }
        Some(ServiceFault::LoseAnswer) => {
            next.run(request).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(ServiceFault::AnswerOnTheSecond) => {
            let response = next.run(request).await;
            tokio::time::sleep(until_next_second()).await;
            response
        }
        Some(ServiceFault::Refuse {
            status,
            retry_after,
        }) => {
            let mut response = status.into_response();
            if let Some(delay) = retry_after {
                let seconds = HeaderValue::from(delay.as_secs());
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    };
    let status = response.status();
    tracing::debug!(?service, %method, path, %status, "sandbox request");
    lock(&record.requests).push(ServiceRequest {
        service,
        method,
        path,
        status,
    });
    response
}

fn until_next_second() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let past = now.map_or(0, |now| now.subsec_nanos());
    Duration::from_secs(1).saturating_sub(Duration::from_nanos(past.into()))
}

/// A panic of another test thread leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
