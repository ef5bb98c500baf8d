//! Asks again where that may help, not too soon and not too often.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::error::Service;
use crate::transport::Failure;

/// How often to ask a signing service again after a failure that may pass: no connection, a broken
/// one, 408, 425, 429 and 5xx. A registry's referrers list that lags behind is asked for again
/// likewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Tries beyond the first. Default 6, which with the default pauses takes half a minute.
    pub times: usize,
    /// The first pause; each one after it is twice as long, and all are varied at random so that
    /// many jobs don't come back at once. Default 500 ms.
    pub pause: Duration,
    /// The longest pause, that of a service's `Retry-After` included. A service that wants a longer
    /// one is not asked again: asking earlier would break its rule. Default 30 seconds.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            times: 6,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
        }
    }
}

impl Retries {
    /// The pauses between tries.
    pub(crate) fn schedule(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.pause)
            .with_max_delay(self.longest_pause)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(self.times)
    }

    /// How long to wait, where the schedule has `scheduled`; `None` if there should be no next try.
    fn pause(&self, wanted: Pause, scheduled: Option<Duration>) -> Option<Duration> {
        match wanted {
            Pause::Never => None,
            Pause::Scheduled => scheduled,
            Pause::AtLeast(pause) if pause > self.longest_pause => None,
            Pause::AtLeast(pause) => scheduled.map(|scheduled| scheduled.max(pause)),
        }
    }
}

/// When a failed request may go well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    Never,
    Scheduled,
    AtLeast(Duration),
}

/// Runs `ask` until it succeeds, fails for good, or has been tried as often as `retries` allow.
pub(crate) async fn retrying<T, F>(
    service: Service,
    retries: &Retries,
    ask: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    ask.retry(retries.schedule())
        .when(|failure| failure.pause() != Pause::Never)
        .adjust(|failure, scheduled| retries.pause(failure.pause(), scheduled))
        // Not what the service says: it may quote the token.
        .notify(|failure, pause| {
            let status = failure.status();
            tracing::warn!(%service, status, ?pause, "asking again");
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_pause_is_kept_or_the_service_left_alone() {
        let retries = Retries::default();
        let second = Some(Duration::from_secs(1));
        let pause = |wanted, scheduled| retries.pause(wanted, scheduled);
        assert_eq!(pause(Pause::Never, second), None);
        assert_eq!(pause(Pause::Scheduled, second), second);
        let wanted = Duration::from_secs(7);
        assert_eq!(pause(Pause::AtLeast(wanted), second), Some(wanted));
        assert_eq!(pause(Pause::AtLeast(Duration::ZERO), second), second);
        assert_eq!(pause(Pause::AtLeast(Duration::from_secs(31)), second), None);
        assert_eq!(pause(Pause::AtLeast(wanted), None), None);
    }
}
