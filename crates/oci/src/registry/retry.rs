//! Asking again: which failures may pass, and how long to wait for it.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};

use super::options::Retries;
use crate::error::{Error, Result};

/// An error, and whether the same request may succeed later.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    again: Again,
}

#[derive(Debug, Clone, Copy)]
enum Again {
    Never,
    Soon,
    After(Duration),
}

impl Failure {
    /// May pass by itself.
    pub(super) fn passing(error: Error) -> Self {
        Self {
            error,
            again: Again::Soon,
        }
    }

    /// May pass, and the server says when.
    pub(super) fn passing_after(error: Error, pause: Duration) -> Self {
        Self {
            error,
            again: Again::After(pause),
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self.again, Again::Never)
    }

    /// How long to wait before the next try, given what the schedule has; `None` if there should
    /// be no next try.
    pub(super) fn pause(&self, scheduled: Option<Duration>, retries: &Retries) -> Option<Duration> {
        match self.again {
            Again::Never => None,
            Again::Soon => scheduled,
            Again::After(wanted) if wanted > retries.longest_pause => None,
            Again::After(wanted) => scheduled.map(|pause| pause.max(wanted)),
        }
    }
}

/// Errors are final unless said otherwise.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            again: Again::Never,
        }
    }
}

/// Runs `attempt` until it succeeds, fails for good, or has been tried as often as `retries` allow.
pub(super) async fn retrying<T, Attempt, Running>(retries: &Retries, attempt: Attempt) -> Result<T>
where
    Attempt: FnMut() -> Running,
    Running: Future<Output = Result<T, Failure>>,
{
    attempt
        .retry(schedule(retries))
        .adjust(|failure, scheduled| failure.pause(scheduled, retries))
        .notify(|failure, pause| {
            tracing::debug!(error = %failure.error, ?pause, "asking again");
        })
        .await
        .map_err(|failure| failure.error)
}

/// The pauses between tries.
pub(super) fn pauses(retries: &Retries) -> ExponentialBackoff {
    schedule(retries).build()
}

fn schedule(retries: &Retries) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(retries.pause)
        .with_max_delay(retries.longest_pause)
        .with_factor(2.0)
        .with_jitter()
        .with_max_times(retries.times)
}
