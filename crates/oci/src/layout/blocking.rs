//! Runs what blocks on a thread that may block.

use crate::error::{Error, Result};

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(Error::Io {
                what: "an image layout".into(),
                source: std::io::Error::other(cancelled),
            }),
        },
    }
}
