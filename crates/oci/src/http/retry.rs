//! Asking again: which failures may pass, and how long to wait for it.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use reqwest::StatusCode;

use crate::error::{Error, Result};
use crate::options::Retries;

/// An error, and whether the same request may succeed later.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    again: Again,
}

#[derive(Debug, Clone, Copy)]
enum Again {
    Never,
    /// At once, since we have another token now.
    WithNewLogin,
    Soon,
    After(Duration),
}

/// The statuses of answers that another try may bring a better one than: 408, 425, 429, and those of
/// a server in trouble.
pub(super) fn status_may_pass(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 425 | 429 => true,
        // What a server doesn't implement it won't learn in a minute.
        501 | 505 => false,
        status => status >= 500,
    }
}

impl Failure {
    /// May pass by itself.
    #[must_use]
    pub fn passing(error: Error) -> Self {
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

    /// Refused for its login, which we have renewed. Whoever sent the request may send it once more.
    pub(crate) fn with_new_login(self) -> Self {
        Self {
            again: Again::WithNewLogin,
            ..self
        }
    }

    /// Whether the login was renewed after this refusal.
    pub(crate) fn has_new_login(&self) -> bool {
        matches!(self.again, Again::WithNewLogin)
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.again, Again::Soon | Again::After(_))
    }

    /// How long to wait before the next try, given what the schedule has; `None` if there should
    /// be no next try.
    pub(crate) fn pause(&self, scheduled: Option<Duration>, retries: &Retries) -> Option<Duration> {
        match self.again {
            Again::Never | Again::WithNewLogin => None,
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
///
/// # Errors
/// That of the last try.
pub async fn retrying<T, Attempt, Running>(retries: &Retries, attempt: Attempt) -> Result<T>
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
pub(crate) fn pauses(retries: &Retries) -> ExponentialBackoff {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_may_pass_and_refusals_are_final() {
        let passes = |status: u16| status_may_pass(StatusCode::from_u16(status).unwrap());
        for status in [408, 425, 429, 500, 502, 503, 504, 520, 599] {
            assert!(passes(status), "{status}");
        }
        for status in [200, 301, 304, 400, 401, 403, 404, 409, 422, 501, 505] {
            assert!(!passes(status), "{status}");
        }
    }

    #[test]
    fn a_wanted_pause_is_kept_or_the_server_left_alone() {
        let retries = Retries::default();
        let second = Some(Duration::from_secs(1));
        let error = || Error::Status {
            url: String::new(),
            status: 503,
            detail: None,
        };
        assert_eq!(Failure::from(error()).pause(second, &retries), None);
        assert_eq!(Failure::passing(error()).pause(second, &retries), second);
        let after = |pause, scheduled| {
            Failure::passing_after(error(), Duration::from_secs(pause)).pause(scheduled, &retries)
        };
        assert_eq!(after(7, second), Some(Duration::from_secs(7)));
        assert_eq!(after(0, second), second);
        assert_eq!(after(31, second), None);
        assert_eq!(after(7, None), None);
    }
}
