//! How long an outage is waited for.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often it is told what is waited for.
const TOLD: Duration = Duration::from_secs(60);

/// Until when failures that may pass are waited for, by all clients that share it.
///
/// Every client asks again until then, with growing pauses. What is waited for is told when the first
/// request fails, and once a minute after that.
#[derive(Clone)]
pub struct Patience {
    shared: Arc<Shared>,
    end: Instant,
}

struct Shared {
    told: Mutex<Option<Instant>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Patience {
    /// Patience until `end`. `tell` is given one line, without a secret: what failed last.
    pub fn until(end: Instant, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let shared = Shared {
            told: Mutex::default(),
            tell: Box::new(tell),
        };
        Self {
            shared: Arc::new(shared),
            end,
        }
    }

    /// The same patience, which ends at `end` if it doesn't end earlier.
    #[must_use]
    pub fn no_later_than(&self, end: Instant) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            end: self.end.min(end),
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end <= Instant::now()
    }

    /// Whether there is time for another try after `pause`. If so, tells what failed, unless something
    /// was told within a minute.
    pub fn bears(&self, failed: &impl Display, pause: Duration) -> bool {
        self.bears_at(Instant::now(), failed, pause)
    }

    fn bears_at(&self, now: Instant, failed: &impl Display, pause: Duration) -> bool {
        if now + pause >= self.end {
            return false;
        }
        let mut told = self
            .shared
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| now.duration_since(told) >= TOLD) {
            *told = Some(now);
            (self.shared.tell)(&failed.to_string());
        }
        true
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_once_a_minute_until_the_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&lines);
        let mut now = Instant::now();
        let end = now + Duration::from_secs(150);
        let patience = Patience::until(end, move |line| told.lock().unwrap().push(line.to_owned()));
        let pause = Duration::from_secs(10);
        let mut tries = 0;
        while patience.bears_at(now, &format_args!("down, try {tries}"), pause) {
            now += pause;
            tries += 1;
        }
        assert_eq!(tries, 14);
        let lines = lines.lock().unwrap();
        assert_eq!(*lines, ["down, try 0", "down, try 6", "down, try 12"]);
    }
}
