//! Asks a signing service again where that may help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::error::Service;

/// Tries beyond the first: with doubling pauses from half a second, about half a minute in all.
const TIMES: usize = 6;

/// Runs `ask` until it succeeds, fails for good, or has been tried often enough. What may pass
/// (see [`may_pass`]) is tried again after growing, randomly varied pauses.
pub(crate) async fn retrying<T, E, F>(
    service: Service,
    status: impl Fn(&E) -> Answer,
    ask: impl FnMut() -> F,
) -> Result<T, E>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(TIMES)
        .with_jitter();
    ask.retry(pauses)
        .when(|error| may_pass(&status(error)))
        .notify(|error, pause| {
            tracing::warn!(%service, %error, ?pause, "asking again");
        })
        .await
}

/// What a failed request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The service answered with this HTTP status.
    Status(u16),
    /// No answer, or a part of one.
    None,
    /// An answer that no repetition will change.
    Final,
}

/// Busy, overloaded or unreachable services may be back soon.
fn may_pass(answer: &Answer) -> bool {
    match answer {
        Answer::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
        Answer::None => true,
        Answer::Final => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_final_and_overload_is_not() {
        for status in [429, 500, 502, 503, 504] {
            assert!(may_pass(&Answer::Status(status)), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422] {
            assert!(!may_pass(&Answer::Status(status)), "{status}");
        }
        assert!(may_pass(&Answer::None));
        assert!(!may_pass(&Answer::Final));
    }
}
