//! Repeating requests: which failures may pass, and how long to wait.
//!
//! All requests go through [`retrying`]. Callers can use their own error type.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use reqwest::StatusCode;

use crate::error::Error;
use crate::kind::StatusMeaning;
use crate::options::Retries;

/// An error, and whether the same request may succeed later.
#[derive(Debug)]
pub struct AttemptError<E = Error> {
    /// What went wrong.
    pub error: E,
    again: Again,
}

#[derive(Debug, Clone, Copy)]
enum Again {
    Never,
    /// At once, with a new token.
    WithNewLogin,
    Soon,
    After(Duration),
}

/// Whether the request may succeed later.
#[must_use]
pub fn status_may_pass(status: StatusCode) -> bool {
    match StatusMeaning::of(status.as_u16()) {
        StatusMeaning::NotNow => true,
        StatusMeaning::Absent | StatusMeaning::NotAble | StatusMeaning::Refused => false,
    }
}

impl<E> AttemptError<E> {
    /// A failure that may pass.
    #[must_use]
    pub fn passing(error: E) -> Self {
        Self {
            error,
            again: Again::Soon,
        }
    }

    /// A failure that may pass. The server said how long to wait.
    #[must_use]
    pub fn passing_after(error: E, pause: Duration) -> Self {
        Self {
            error,
            again: Again::After(pause),
        }
    }

    /// A refusal after which the login was renewed. The caller may send the request once more.
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

    /// The same failure, with its error in another type.
    #[must_use]
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> AttemptError<F> {
        AttemptError {
            error: change(self.error),
            again: self.again,
        }
    }
}

impl<E: Display> AttemptError<E> {
    /// How long to wait before the next try. `scheduled` is the next pause of the schedule. `None`
    /// if there is no next try. Tells the [`Patience`](crate::Patience), if there is one, what
    /// failed.
    pub(crate) fn pause(&self, scheduled: Option<Duration>, retries: &Retries) -> Option<Duration> {
        let pause = match self.again {
            Again::Never | Again::WithNewLogin => None,
            Again::Soon => scheduled,
            Again::After(wanted)
                if retries.patience.is_none() && wanted > retries.longest_pause =>
            {
                None
            }
            Again::After(wanted) => scheduled.map(|pause| pause.max(wanted)),
        }?;
        match &retries.patience {
            Some(patience) if !patience.allows(&self.error, pause) => None,
            Some(_) | None => Some(pause),
        }
    }
}

/// By default, an error is final.
impl<E> From<E> for AttemptError<E> {
    fn from(error: E) -> Self {
        Self {
            error,
            again: Again::Never,
        }
    }
}

/// Repeats `attempt` until it succeeds, until it fails with an error that can't pass, or until the
/// limits of `retries` are reached.
///
/// # Errors
/// The error of the last try.
pub async fn retrying<T, E, Attempt, Running>(retries: &Retries, attempt: Attempt) -> Result<T, E>
where
    E: Display,
    Attempt: FnMut() -> Running,
    Running: Future<Output = Result<T, AttemptError<E>>>,
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
    let growing = ExponentialBuilder::new()
        .with_min_delay(retries.pause)
        .with_max_delay(retries.longest_pause)
        .with_factor(2.0)
        .with_jitter();
    match &retries.patience {
        // Patience has an end time, so the number of tries needs no limit.
        Some(_) => growing.without_max_times(),
        None => growing.with_max_times(retries.times),
    }
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
        assert_eq!(AttemptError::from(error()).pause(second, &retries), None);
        assert_eq!(
            AttemptError::passing(error()).pause(second, &retries),
            second
        );
        let after = |pause, scheduled| {
            AttemptError::passing_after(error(), Duration::from_secs(pause))
                .pause(scheduled, &retries)
        };
        assert_eq!(after(7, second), Some(Duration::from_secs(7)));
        assert_eq!(after(0, second), second);
        assert_eq!(after(31, second), None);
        assert_eq!(after(7, None), None);
    }
}
