//! A registry for tests, which can also misbehave.
//!
//! [`RegistryServer`] implements the OCI distribution specification 1.1, so that cosign, crane and
//! oci-client can use it. It keeps everything in memory, records every request, and misbehaves
//! where a [`Fault`] says so. Tests can change its store without HTTP, to store what no registry
//! would accept. It is only for tests: it listens on loopback, without TLS, and protects nothing.

mod access;
mod answer;
mod api;
mod auth;
mod call;
mod fault;
mod limiter;
mod route;
mod store;
mod upload;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use countersign_oci::{Reference, ReferenceError, Repository};

pub use self::auth::Auth;
use self::auth::Gate;
use self::call::{Call, RegistryBehaviour};
pub use self::call::{DashedTags, Mounts};
use self::fault::Faults;
pub use self::fault::{Effect, Fault};
use self::limiter::Limiter;
pub use self::limiter::{RateLimit, ToldBy};
use self::route::Route;
use self::store::Store;
use crate::server::Server;

/// The largest body of a request, in bytes. A larger one is answered with 413.
const BODY_MAX: usize = 1 << 30;

/// How the server behaves. By default it is like GHCR without a login: no referrers API.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Serves `/referrers/`; without it, that path answers 404.
    pub referrers_api: bool,
    /// Answers a manifest that has a subject with `OCI-Subject`, even without the referrers API.
    pub claims_subjects: bool,
    /// How the fallback tags for referrers are read.
    pub dashed_tags: DashedTags,
    /// The logins and permissions.
    pub auth: Auth,
    /// Faults from the start; [`RegistryServer::add_fault`] adds more.
    pub faults: Vec<Fault>,
    /// Whether a blob can be mounted from another repository.
    pub mounts: Mounts,
    /// Referrers per page; all on one page by default.
    pub page_size: Option<usize>,
    /// With [`Auth::Bearer`]: how many requests a token is valid for. Unlimited by default.
    pub token_requests: Option<usize>,
    /// With [`Auth::Bearer`]: an identity (refresh) token that the token endpoint accepts by POST
    /// instead of name and password. If there is one, no anonymous tokens are given.
    pub identity_token: Option<String>,
    /// How often the registry may be asked. Unlimited by default.
    pub rate_limit: Option<RateLimit>,
}

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `PUT`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark; empty if there is none.
    pub query: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
}

impl Request {
    fn of(head: &Parts) -> Self {
        let authorization = head.headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            authorization: authorization.map(str::to_owned),
            headers: head.headers.clone(),
        }
    }

    /// Method and path, as a [`Fault`]'s pattern sees them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The value of a header, if the header exists and its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A registry on loopback, on a port that the system picks. It stops when it is dropped.
pub struct RegistryServer {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: RegistryBehaviour,
    gate: Gate,
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
    rate_limit: Option<RateLimit>,
    limiter: Mutex<Limiter>,
}

impl RegistryServer {
    /// Starts an empty registry.
    ///
    /// # Errors
    /// An error, if there is no free port or thread.
    pub async fn start(options: RegistryOptions) -> io::Result<Self> {
        let mut shared = None;
        let server = Server::start(|address| {
            let state = Arc::new(Shared::new(options, address));
            shared = Some(Arc::clone(&state));
            Router::new().fallback(handle).with_state(state)
        })?;
        let shared = shared.ok_or(io::ErrorKind::NotConnected)?;
        Ok(Self { server, shared })
    }

    /// `127.0.0.1:port`, as references have it.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// `http://127.0.0.1:port`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The repository at `path` on this server.
    ///
    /// # Panics
    /// If `path` is not a repository path.
    #[expect(clippy::expect_used, reason = "test only: the path is the test's own")]
    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.host())
            .parse()
            .expect("a repository path")
    }

    /// A reference to an image on this server: `app:latest`, `app@sha256:…`.
    ///
    /// # Errors
    /// An error, if `name` is not such a reference.
    pub fn reference(&self, name: &str) -> Result<Reference, ReferenceError> {
        format!("{}/{name}", self.host()).parse()
    }

    /// All requests so far, in order, including refused ones.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn reset_requests(&self) {
        lock(&self.shared.requests).clear();
        lock(&self.shared.limiter).reset();
    }

    /// How many requests were too many, by [`RegistryOptions::rate_limit`].
    pub fn refused(&self) -> usize {
        lock(&self.shared.limiter).refused()
    }

    /// How many requests were open at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        lock(&self.shared.limiter).most_open()
    }

    /// Adds a fault. Faults that were added earlier apply first. One that never happens fails the test, when the server
    /// is dropped.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }
}

/// A test whose fault never happens would test nothing, and pass.
impl Drop for RegistryServer {
    #[expect(clippy::panic, reason = "test only: it fails the test")]
    fn drop(&mut self) {
        let unused = lock(&self.shared.faults).unused().map(str::to_owned);
        if let Some(pattern) = unused
            && !std::thread::panicking()
        {
            panic!(
                "no request was `{pattern}`, so this fault never happened; `clear_faults` takes back what is not needed"
            );
        }
    }
}

impl std::fmt::Debug for RegistryServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RegistryServer").field(&self.host()).finish()
    }
}

impl Shared {
    fn new(options: RegistryOptions, address: SocketAddr) -> Self {
        let realm = format!("http://{address}/token");
        let gate = Gate::new(
            options.auth,
            options.identity_token,
            options.token_requests,
            realm,
        );
        Self {
            behaviour: RegistryBehaviour {
                referrers_api: options.referrers_api,
                claims_subjects: options.claims_subjects,
                dashed_tags: options.dashed_tags,
                page_size: options.page_size,
                mounts: options.mounts,
            },
            gate,
            store: Mutex::default(),
            faults: Mutex::new(options.faults.into()),
            requests: Mutex::default(),
            rate_limit: options.rate_limit,
            limiter: Mutex::default(),
        }
    }
}

/// Counts a request, and handles it if there are not too many.
async fn handle(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let taken = {
        let mut limiter = lock(&shared.limiter);
        limiter.open();
        let limit = shared.rate_limit.as_ref();
        limit.map(|limit| limiter.take(limit)).transpose()
    };
    let response = match taken {
        Ok(told) => {
            let mut response = admitted(&shared, request).await;
            if let Some(told) = told {
                told.tell(&mut response);
            }
            response
        }
        Err(refused) => {
            lock(&shared.requests).push(Request::of(&request.into_parts().0));
            *refused
        }
    };
    lock(&shared.limiter).close();
    response
}

/// Handles one request: records it, checks its login, serves it, and applies a fault if there is
/// one.
async fn admitted(shared: &Shared, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let request = Request::of(&head);
    let (path, query) = (request.path.as_str(), request.query.as_str());
    let authorization = request.authorization.as_deref();
    let line = request.line();
    tracing::debug!(line, query);
    lock(&shared.requests).push(request.clone());

    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return answer::empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let route = Route::of(path);
    let token_request = route == Route::Token;
    if !token_request && let Err(challenge) = shared.gate.admit(&head.method, &route, authorization)
    {
        return challenge;
    }
    let path_and_query = head
        .uri
        .path_and_query()
        .map_or(path, |whole| whole.as_str());
    let hit = lock(&shared.faults).hit(&line);
    if let Some(instead) = hit
        .as_ref()
        .and_then(|hit| hit.effect.instead(path_and_query))
    {
        return instead;
    }
    let mut headers = head.headers.clone();
    if let Some(Effect::IgnoreRange) = hit.as_ref().map(|hit| &hit.effect) {
        headers.remove(header::RANGE);
    }
    let response = if token_request {
        shared.gate.token(&head.method, query, &body, authorization)
    } else {
        let call = Call {
            method: &head.method,
            route: &route,
            path,
            query,
            headers: &headers,
            body,
        };
        serve(shared, &call, hit.as_ref())
    };
    let response = match hit {
        Some(hit) => hit.effect.distort(response, path_and_query).await,
        None => response,
    };
    if head.method == Method::HEAD {
        // `Content-Length` stays the one that a GET would have.
        return response.map(|_| axum::body::Body::empty());
    }
    response
}

/// Serves a request under one lock of the store. Nobody sees the store between the request and what
/// another client does before or after it by a fault.
fn serve(shared: &Shared, call: &Call, hit: Option<&fault::FaultHit>) -> Response {
    let mut store = lock(&shared.store);
    let Route::Manifest { name, reference } = call.route else {
        return api::serve(&mut store, shared.behaviour, call);
    };
    let Some(fault::FaultHit { effect, earlier }) = hit else {
        return api::serve(&mut store, shared.behaviour, call);
    };
    match effect {
        Effect::Manifests(digests) => {
            let turn = digests.iter().cycle().nth(*earlier % digests.len().max(1));
            let reference = turn.map_or_else(|| reference.clone(), ToString::to_string);
            let route = Route::Manifest {
                name: name.clone(),
                reference,
            };
            let call = Call {
                route: &route,
                body: call.body.clone(),
                ..*call
            };
            api::serve(&mut store, shared.behaviour, &call)
        }
        Effect::WriteAfterRead(entry) => {
            let response = api::serve(&mut store, shared.behaviour, call);
            let read = api::tagged(&store, name, reference);
            api::append_to_tag(&mut store, name, reference, read, entry.clone());
            response
        }
        Effect::LostUpdate(entry) => {
            let read = api::tagged(&store, name, reference);
            let response = api::serve(&mut store, shared.behaviour, call);
            api::append_to_tag(&mut store, name, reference, read, entry.clone());
            response
        }
        Effect::OvertakenUpdate(entry) => {
            let read = api::tagged(&store, name, reference);
            api::append_to_tag(&mut store, name, reference, read, entry.clone());
            answer::error(StatusCode::SERVICE_UNAVAILABLE, "UNSUPPORTED", "busy")
        }
        // These are before it, or change its answer.
        Effect::Status { .. }
        | Effect::Redirect(_)
        | Effect::HtmlLogin
        | Effect::Disconnect(_)
        | Effect::Delay(_)
        | Effect::Body(_)
        | Effect::Truncate { .. }
        | Effect::Stall { .. }
        | Effect::Corrupt { .. }
        | Effect::Drip { .. }
        | Effect::IgnoreRange
        | Effect::Header { .. }
        | Effect::Endless
        | Effect::ContentDigest(_)
        | Effect::ContentType(_)
        | Effect::LinkToItself
        | Effect::NextPage(_)
        | Effect::WithoutHeader(_) => api::serve(&mut store, shared.behaviour, call),
    }
}

/// A test that panicked while it held the lock didn't leave a half-done change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
