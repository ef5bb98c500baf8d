//! Where the browser comes back to: a port of 127.0.0.1 (RFC 8252, section 7.3).
//!
//! Everything on this machine can connect, and every web page that a browser on it shows. Only the
//! request that has the state of this login counts; any other is told so, and the wait goes on. Each
//! connection is bounded in bytes and in time, and so is their number.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countersign_oci::MachineFault;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::error::LoginError;
use crate::transport::SingleUse;

/// As Sigstore's other clients have it.
const PATH: &str = "/auth/callback";
/// For one connection, from its start to the end of the answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// After a connection that was not accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections at once. A browser opens some that it doesn't use.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request's head. It is the least that `hyper` can be told.
const HEAD_MAX: usize = 8 << 10;

const LOGGED_IN: &str = "You have logged in. Close this page and go back to the terminal.\n";
const REFUSED: &str = "The login was refused. Close this page and go back to the terminal.\n";
const OTHER: &str = "This is not the login that the terminal waits for.\n";
const NOT_FOUND: &str = "There is nothing here.\n";

/// The code, or why there is none.
type Outcome = Result<SingleUse, LoginError>;

/// A port that waits for the browser.
pub(super) struct Callback {
    listener: TcpListener,
    redirect: Url,
    state: Zeroizing<String>,
    connection: Duration,
    outcome: Mutex<Option<Outcome>>,
}

impl Callback {
    /// Listens on a port that the system picks.
    pub(super) async fn listen(state: &str) -> Result<Self, LoginError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(LoginError::Listener)?;
        let address = listener.local_addr().map_err(LoginError::Listener)?;
        let redirect = Url::parse(&format!("http://{address}{PATH}"));
        Ok(Self {
            listener,
            redirect: redirect
                .map_err(|error| LoginError::Listener(std::io::Error::other(error)))?,
            state: Zeroizing::new(state.to_owned()),
            connection: CONNECTION_TIME_MAX,
            outcome: Mutex::default(),
        })
    }

    /// Where the issuer sends the browser.
    pub(super) fn redirect(&self) -> &Url {
        &self.redirect
    }

    /// Waits for the code. The port is closed when this ends.
    pub(super) async fn code(self) -> Outcome {
        let accept = || async { self.listener.accept().await.map(|(stream, _)| stream) };
        self.code_by(accept).await
    }

    async fn code_by<A>(&self, accept: impl Fn() -> A) -> Outcome
    where
        A: Future<Output = io::Result<TcpStream>>,
    {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok(stream) => connections.push(self.serve(stream)),
                    Err(error) if may_pass(&error) => {
                        tracing::debug!(%error, "a connection to the login's port was not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    Err(error) => return Err(LoginError::Listener(error)),
                },
                Some(()) = connections.next() => {
                    if let Some(outcome) = self.lock().take() {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Answers one request. What goes wrong with a connection is its own end, and nothing more.
    async fn serve(&self, stream: TcpStream) {
        let service = service_fn(|request| {
            let answer = self.answer(&request);
            async { Ok::<_, Infallible>(answer) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.connection)
            .max_buf_size(HEAD_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::time::timeout(self.connection, serving).await;
        if !matches!(ended, Ok(Ok(()))) {
            // What it held may be the code.
            tracing::debug!("a connection to the login's port has failed");
        }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let uri = request.uri();
        if request.method() != Method::GET || uri.path() != PATH {
            return page(StatusCode::NOT_FOUND, NOT_FOUND);
        }
        let Some(outcome) = outcome(uri.query().unwrap_or_default(), &self.state) else {
            return page(StatusCode::BAD_REQUEST, OTHER);
        };
        let answer = match outcome {
            Ok(_) => page(StatusCode::OK, LOGGED_IN),
            Err(_) => page(StatusCode::FORBIDDEN, REFUSED),
        };
        let mut first = self.lock();
        if first.is_some() {
            return page(StatusCode::BAD_REQUEST, OTHER);
        }
        *first = Some(outcome);
        answer
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the next connection may be accepted: this one broke off, or the machine has run out of something for
/// now.
fn may_pass(error: &io::Error) -> bool {
    let broken = matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
    );
    let ran_out = matches!(
        MachineFault::of(error),
        Some(MachineFault::Descriptors | MachineFault::Memory)
    );
    broken || ran_out
}

fn page(status: StatusCode, text: &str) -> Response<String> {
    let mut answer = Response::new(text.to_owned());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What the issuer says by the browser (RFC 6749, section 4.1.2); `None`, if it isn't about the
/// login of this state.
fn outcome(query: &str, state: &str) -> Option<Outcome> {
    let value = |name: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes())
            .filter_map(|(key, value)| (key == name).then_some(value));
        // A parameter that is there twice says nothing (RFC 6749, section 3.1).
        let only = values.next().filter(|_| values.next().is_none())?;
        (!only.is_empty()).then(|| only.into_owned())
    };
    verify_slices_are_equal(value("state")?.as_bytes(), state.as_bytes()).ok()?;
    if let Some(error) = value("error") {
        let description = value("error_description");
        return Some(Err(LoginError::Refused { error, description }));
    }
    Some(Ok(SingleUse::new(value("code")?)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const STATE: &str = "the-state";
    const GOOD: &str = "/auth/callback?code=hunter2&state=the-state";

    async fn callback() -> Callback {
        Callback::listen(STATE).await.unwrap()
    }

    async fn connect(redirect: &Url) -> std::io::Result<TcpStream> {
        let address = redirect.socket_addrs(|| None).unwrap();
        TcpStream::connect(address[0]).await
    }

    /// What the port answers to these bytes.
    async fn send(redirect: &Url, bytes: &str) -> String {
        let mut stream = connect(redirect).await.unwrap();
        // The port may close before it has taken all of it.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(redirect: &Url, path: &str) -> String {
        send(redirect, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    #[test]
    fn only_the_login_of_the_state_counts() {
        for query in [
            "",
            "code=a",
            "code=a&state=",
            "code=a&state=other",
            "code=a&state=the-state&state=the-state",
            "error=access_denied&state=other",
            "state=the-state",
            "code=&state=the-state",
            "code=a&code=b&state=the-state",
        ] {
            assert!(outcome(query, STATE).is_none(), "{query}");
        }
        let code = outcome("state=the-state&code=a%2Bb", STATE).unwrap();
        assert_eq!(code.unwrap().text(), "a+b");
        let query = "error=access_denied&error_description=no+way&state=the-state";
        let error = outcome(query, STATE).unwrap().err().unwrap();
        let said = "the login was refused: the OIDC issuer says `access_denied` (no way)";
        assert_eq!(error.to_string(), said);
    }

    #[tokio::test]
    async fn requests_of_others_are_told_so_until_the_right_one_comes() {
        let callback = callback().await;
        let redirect = callback.redirect().clone();
        let browser = async {
            for (request, status) in [
                ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404"),
                (format!("POST {GOOD} HTTP/1.1\r\nHost: x\r\n\r\n"), "404"),
                (format!("GET {GOOD}x HTTP/1.1\r\nHost: x\r\n\r\n"), "400"),
                (
                    format!("GET {GOOD}&a={} HTTP/1.1\r\n", "a".repeat(HEAD_MAX)),
                    "431",
                ),
                ("hello\r\n\r\n".to_owned(), "400"),
            ] {
                let answer = send(&redirect, &request).await;
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status} ")),
                    "{answer}"
                );
                assert!(!answer.contains("hunter2"), "{answer}");
            }
            get(&redirect, GOOD).await
        };
        let (code, answer) = tokio::join!(callback.code(), browser);
        assert_eq!(code.unwrap().text(), "hunter2");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with(LOGGED_IN), "{answer}");
    }

    #[tokio::test]
    async fn the_port_closes_behind_the_right_request() {
        let callback = callback().await;
        let redirect = callback.redirect().clone();
        let (code, _) = tokio::join!(callback.code(), get(&redirect, GOOD));
        assert_eq!(code.unwrap().text(), "hunter2");
        let closed = async {
            // A program that another test starts has the port, too, until it runs.
            while connect(&redirect).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), closed).await;
        waited.expect("the port closes");
    }

    #[tokio::test]
    async fn a_connection_that_is_not_accepted_ends_no_login() {
        let too_many_files = || io::Error::from_raw_os_error(24);
        let passing = [
            io::Error::from(ErrorKind::ConnectionAborted),
            too_many_files(),
        ];
        let callback = callback().await;
        let redirect = callback.redirect().clone();
        let passing = Mutex::new(Vec::from(passing));
        let accept = || async {
            if let Some(error) = passing.lock().unwrap().pop() {
                return Err(error);
            }
            callback.listener.accept().await.map(|(stream, _)| stream)
        };
        let (code, answer) = tokio::join!(callback.code_by(accept), get(&redirect, GOOD));
        assert_eq!(code.unwrap().text(), "hunter2");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(passing.lock().unwrap().is_empty());

        let broken = || async { Err(io::Error::from(ErrorKind::InvalidInput)) };
        let error = callback.code_by(broken).await.err().unwrap();
        assert!(matches!(error, LoginError::Listener(_)), "{error:?}");
    }

    #[tokio::test]
    async fn of_two_at_once_the_first_counts() {
        let callback = callback().await;
        let first = Request::get(GOOD).body(()).unwrap();
        let second = "/auth/callback?error=access_denied&state=the-state";
        let second = Request::get(second).body(()).unwrap();
        assert_eq!(callback.answer(&first).status(), 200);
        assert_eq!(callback.answer(&second).status(), 400);
        assert_eq!(callback.answer(&first).status(), 400);
        assert_eq!(
            callback.lock().as_ref().unwrap().as_ref().unwrap().text(),
            "hunter2"
        );
    }

    #[tokio::test]
    async fn who_sends_nothing_is_hung_up_on_and_holds_nobody_up() {
        let mut callback = callback().await;
        callback.connection = Duration::from_millis(200);
        let redirect = callback.redirect().clone();
        let browser = async {
            let mut idle = Vec::new();
            for _ in 0..CONNECTIONS_MAX + 4 {
                let mut stream = connect(&redirect).await.unwrap();
                stream.write_all(b"GET /auth").await.unwrap();
                idle.push(stream);
            }
            // It gets its turn when the first of them are hung up on.
            let answer = get(&redirect, GOOD).await;
            let mut rest = Vec::new();
            let _ = idle[0].read_to_end(&mut rest).await;
            answer
        };
        let both = async { tokio::join!(callback.code(), browser) };
        let both = tokio::time::timeout(Duration::from_secs(20), both).await;
        let (code, answer) = both.expect("bounded");
        assert_eq!(code.unwrap().text(), "hunter2");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}
