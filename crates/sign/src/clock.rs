//! This machine's clock, held against those of others.
//!
//! A verifier refuses an entry whose time is later than the verifier's own clock. If this machine's clock is behind,
//! its own verification would refuse the new signature until the clock has caught up. If that takes a few seconds, the
//! run waits. Otherwise it ends before anything is published.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// How far this machine's clock may be behind.
pub(crate) const BEARABLE: SignedDuration = SignedDuration::from_secs(30);

/// A clock that is wrong: what it shows, and what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// What this machine's clock shows.
    pub here: Timestamp,
    /// The time by somebody else.
    pub there: Timestamp,
}

impl Skew {
    /// How far this clock is behind; zero if it is ahead.
    ///
    /// # Errors
    /// The skew, where that is more than can be waited for.
    pub(crate) fn bearable(self) -> Result<SignedDuration, Self> {
        let behind = self.there.duration_since(self.here);
        if behind > BEARABLE {
            return Err(self);
        }
        Ok(behind.max(SignedDuration::ZERO))
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { here, there } = self;
        let by = here.duration_since(*there);
        let direction = if by.is_negative() { "behind" } else { "ahead" };
        let by = SignedDuration::from_secs(by.abs().as_secs());
        write!(
            f,
            "expected about {there}, found {here} ({by:#} {direction})"
        )
    }
}

/// Cuts `time` to whole seconds: certificates and logs have no fractions.
pub(crate) fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Waits until this machine's clock shows `there`.
///
/// # Errors
/// The skew, where that would take too long.
pub(crate) async fn wait_until(there: Timestamp) -> Result<(), Skew> {
    let here = Timestamp::now();
    let behind = Skew { here, there }.bearable()?;
    if behind.is_zero() {
        return Ok(());
    }
    tracing::warn!(%behind, "this machine's clock is behind: waiting for it");
    // More than a tick of the clock, so that it has passed.
    let pause = behind.unsigned_abs() + std::time::Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(here: i64, there: i64) -> Skew {
        let at = |second| Timestamp::from_second(second).unwrap();
        Skew {
            here: at(here),
            there: at(there),
        }
    }

    #[test]
    fn seconds_behind_are_bearable_and_minutes_are_not() {
        assert_eq!(skew(100, 130).bearable(), Ok(SignedDuration::from_secs(30)));
        assert_eq!(skew(100, 131).bearable(), Err(skew(100, 131)));
        assert_eq!(skew(1000, 100).bearable(), Ok(SignedDuration::ZERO));
    }

    #[test]
    fn a_skew_is_told_with_its_direction_and_both_times() {
        let text = skew(0, 125).to_string();
        assert_eq!(
            text,
            "expected about 1970-01-01T00:02:05Z, found 1970-01-01T00:00:00Z (2m 5s behind)"
        );
        assert!(skew(60, 0).to_string().ends_with("(1m ahead)"));
    }
}
