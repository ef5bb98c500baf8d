//! Checks that a body moves fast enough.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::TooSlow;
use crate::options::Timeouts;

/// If fewer bytes than this move in the stall time, the transfer has stopped.
const PROGRESS: u64 = 16 << 10;

/// Watches the speed of one body, or of all pieces of a body that is fetched in several requests. A
/// transfer fails if it stops, or if it is slower than [`Timeouts::slowest`].
#[derive(Debug, Clone)]
pub struct Pace {
    stall: Duration,
    grace: Duration,
    slowest: u64,
    /// When the transfer counts as stopped.
    stalled_at: Instant,
    /// Bytes since the stall time began.
    since: u64,
    bytes: u64,
    /// How long we waited for bytes. Time that the caller needs for its own work doesn't count.
    waited: Duration,
}

impl Pace {
    /// Starts a watch.
    #[must_use]
    pub fn new(timeouts: &Timeouts) -> Self {
        Self {
            stall: timeouts.stall,
            grace: timeouts.grace,
            slowest: timeouts.slowest,
            stalled_at: Instant::now() + timeouts.stall,
            since: 0,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Continues with the next piece, on a new connection.
    pub(crate) fn restart(&mut self) {
        (self.stalled_at, self.since) = (Instant::now() + self.stall, 0);
    }

    pub(super) fn stalled_at(&self) -> Instant {
        self.stalled_at
    }

    /// Counts bytes that came, and how long we waited for them.
    pub(super) fn fed(&mut self, bytes: usize, waited: Duration) -> Result<(), TooSlow> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.since = self.since.saturating_add(bytes as u64);
        if self.since >= PROGRESS {
            self.restart();
        }
        self.waits(waited)
    }

    /// Counts time in which no byte came.
    pub(crate) fn waits(&mut self, waited: Duration) -> Result<(), TooSlow> {
        self.waited = self.waited.saturating_add(waited);
        check(self.bytes, self.waited, self.grace, self.slowest)
    }
}

/// Whether `bytes` are enough for the time that we waited.
pub(super) fn check(
    bytes: u64,
    waited: Duration,
    grace: Duration,
    slowest: u64,
) -> Result<(), TooSlow> {
    let counted = waited.saturating_sub(grace);
    let floor = u128::from(slowest) * counted.as_millis() / 1000;
    if u128::from(bytes) >= floor {
        return Ok(());
    }
    Err(TooSlow {
        slowest,
        grace,
        bytes,
        waited,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_given_up_below_the_floor_and_not_above_it() {
        let mut pace = Pace::new(&Timeouts::default());
        let second = Duration::from_secs(1);
        // The slowest speed that doesn't count as stopped: 16 KiB in 30 seconds.
        let drip = |pace: &mut Pace| pace.fed(16 << 10, 30 * second);
        assert_eq!(drip(&mut pace), Ok(()));
        assert_eq!(drip(&mut pace), Ok(()));
        let given_up = TooSlow {
            slowest: 32 << 10,
            grace: 60 * second,
            bytes: 48 << 10,
            waited: 90 * second,
        };
        assert_eq!(drip(&mut pace), Err(given_up));

        let mut pace = Pace::new(&Timeouts::default());
        for _ in 0..1000 {
            assert_eq!(pace.fed(32 << 10, second), Ok(()));
        }
        // A fast start leaves more time later.
        assert_eq!(pace.waits(60 * second), Ok(()));
        let given_up = TooSlow {
            slowest: 32 << 10,
            grace: 60 * second,
            bytes: 1000 * (32 << 10),
            waited: 1062 * second,
        };
        assert_eq!(pace.waits(2 * second), Err(given_up));
    }
}
