//! Work that blocks a thread, as seen from asynchronous code: while it waits for a disk, other work goes on.

use crate::failure::{Failure, Kind};

/// Runs `work` on a thread that may block. Work that has begun ends, though nobody waits for it any more.
///
/// # Errors
/// If the thread panicked, or the program ends before the work has begun.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = "work on another thread did not end".to_owned();
        Failure::caused(Kind::Internal, message, error)
    })
}
