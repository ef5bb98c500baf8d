//! Since when the proofs of some content are there, and which of two is the older.
//!
//! Times are those that nobody but the signer can move
//! ([`Evidence::earliest`](countersign_verify::Evidence::earliest)).

use countersign_verify::Evidence;
use jiff::Timestamp;

use crate::grounds::Grounds;

/// Since when all proofs of some grounds are there. Of several the oldest counts: the others can be made anew, a
/// scan's result every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// There is no signature.
    Unsigned,
    /// Nothing proves the time of one, which may be older than all others.
    Undated {
        /// That of the oldest of the others.
        earliest: Option<Timestamp>,
    },
    /// The time of the oldest.
    Since(Timestamp),
}

/// What is known of the age of content beside that of what is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It was signed before.
    Older {
        installed: Timestamp,
        found: Timestamp,
    },
    /// It was signed later.
    Later,
    /// Nothing proves when it was signed, and of what is installed something does.
    Undated { installed: Timestamp },
    /// The times are the same, or nothing is known of what is installed.
    Unknown,
}

impl Age {
    /// How this compares with the age of what is `installed`.
    pub(crate) fn after(self, installed: Self) -> Order {
        let Some(before) = installed.earliest() else {
            return Order::Unknown;
        };
        match self {
            Self::Since(now) if now > before => Order::Later,
            Self::Since(now)
            | Self::Undated {
                earliest: Some(now),
            } if now < before => Order::Older {
                installed: before,
                found: now,
            },
            Self::Since(_) => Order::Unknown,
            Self::Undated { .. } | Self::Unsigned => Order::Undated { installed: before },
        }
    }

    /// Whether less is known by this than by `known`: it is older, or nothing proves its time.
    pub(crate) fn says_less_than(self, known: Self) -> bool {
        let order = self.after(known);
        self != known && matches!(order, Order::Older { .. } | Order::Undated { .. })
    }

    fn earliest(self) -> Option<Timestamp> {
        match self {
            Self::Unsigned => None,
            Self::Undated { earliest } => earliest,
            Self::Since(time) => Some(time),
        }
    }
}

impl Grounds {
    /// Since when all proofs are there.
    pub(crate) fn age(&self) -> Age {
        let times = || self.all_evidence().map(Evidence::earliest);
        match (times().flatten().min(), times().any(|time| time.is_none())) {
            (earliest, true) => Age::Undated { earliest },
            (Some(time), false) => Age::Since(time),
            (None, false) => Age::Unsigned,
        }
    }
}
