//! The error of a body that is too slow.

use std::time::Duration;

/// The transfer is slower than the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the transfer is too slow: expected at least {slowest} bytes a second, not counting the first {grace:?}; found {bytes} bytes in {} s",
    .waited.as_secs()
)]
#[non_exhaustive]
pub struct TooSlow {
    /// The limit, in bytes per second.
    pub slowest: u64,
    /// The time at the start that doesn't count.
    pub grace: Duration,
    /// The number of bytes that moved.
    pub bytes: u64,
    /// How long we waited for them.
    pub waited: Duration,
}
