//! Connections and answers that break off.

use std::convert::Infallible;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

/// When a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request is served: nothing is read or stored.
    BeforeServing,
    /// After the request was served: only the answer is lost.
    AfterServing,
}

/// Closes the connection of the request that is being served, without an answer.
pub(crate) fn disconnect() -> ! {
    // Each connection is a task, which ends here and closes its socket. Nothing is printed.
    resume_unwind(Box::new("the connection is closed as the test wants it"))
}

/// The headers of the whole answer and the first bytes of its body. Then the connection is closed.
pub(crate) async fn truncated(mut response: Response, after: usize) -> Response {
    let start = start_of(&mut response, after).await;
    let cut = stream::once(async {
        // Gives the connection time to send what it has before it is closed.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let whole = stream::once(async { Ok(start) }).chain(cut);
    *response.body_mut() = Body::from_stream(whole);
    response
}

/// The answer, whose body comes in pieces with a pause before each.
pub(crate) async fn dripping(mut response: Response, piece: usize, pause: Duration) -> Response {
    let whole = start_of(&mut response, usize::MAX).await;
    let pieces = stream::unfold(whole, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let now = rest.split_to(piece.clamp(1, rest.len()));
        Some((Ok::<_, Infallible>(now), rest))
    });
    *response.body_mut() = Body::from_stream(pieces);
    response
}

/// Takes the body out of the answer and returns its first bytes. `Content-Length` stays.
pub(crate) async fn start_of(response: &mut Response, length: usize) -> Bytes {
    let body = std::mem::take(response.body_mut());
    // Bodies here are in memory, so reading one can't fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    bytes.slice(..length.min(bytes.len()))
}
