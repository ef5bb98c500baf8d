//! How long to wait during an outage.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// How often to report what failed.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// A common end time for retries, shared by several clients.
///
/// Each client repeats failed requests until then, with growing pauses. The first failure is
/// reported, and after that one failure a minute.
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
    /// Patience until `end`. `tell` gets one line without secrets, which says what failed last.
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

    /// The same patience, with `end` as its end if that is earlier.
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

    /// Whether there is time for another try after `pause`. If there is, it reports what failed, at
    /// most once a minute.
    pub fn allows(&self, failed: &impl Display, pause: Duration) -> bool {
        self.allows_at(Instant::now(), failed, pause)
    }

    fn allows_at(&self, now: Instant, failed: &impl Display, pause: Duration) -> bool {
        // A server says how long the pause is: it may be longer than any clock can count.
        if now.checked_add(pause).is_none_or(|then| then >= self.end) {
            return false;
        }
        let mut told = lock(&self.shared.told);
        if told.is_none_or(|told| now.duration_since(told) >= REPORT_EVERY) {
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
        while patience.allows_at(now, &format_args!("down, try {tries}"), pause) {
            now += pause;
            tries += 1;
        }
        assert_eq!(tries, 14);
        let lines = lines.lock().unwrap();
        assert_eq!(*lines, ["down, try 0", "down, try 6", "down, try 12"]);
    }

    #[test]
    fn a_pause_that_no_clock_can_count_is_not_borne() {
        let now = Instant::now();
        let patience = Patience::until(now + Duration::from_secs(150), |line| panic!("{line}"));
        for pause in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert!(!patience.allows_at(now, &"down", pause));
        }
    }
}
