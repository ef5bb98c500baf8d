//! Where and when a signature was seen: by a log and at times that are proven, at proven times alone, or nowhere.

use countersign_policy::LogUse;
use jiff::Timestamp;

use crate::genuine::SignedByKey;
use crate::log::LogProven;
use crate::log_entries::Unlogged;
use crate::timestamp::SigningTimes;

/// Where and when a signature was seen.
#[derive(Debug)]
pub(crate) enum LogAndTimes {
    /// A log has it, and there are proven times.
    Seen {
        logged: LogProven,
        times: SigningTimes,
    },
    /// The instance has no log. A timestamp authority proves the times. [`LogAndTimes::without_log`] makes it.
    Stamped { times: SigningTimes },
    /// Nothing was read. Only a policy that accepts a key so permits that.
    NotRead(NotRead),
}

/// A policy's permission to read no log entry and no timestamp. Only [`NotRead::of`] makes one.
#[derive(Debug)]
pub(crate) struct NotRead(());

impl NotRead {
    /// The permission, if the policy gives it for this key.
    pub(crate) fn of(by_key: SignedByKey<'_>) -> Option<Self> {
        match by_key.signer().log {
            LogUse::Ignored => Some(Self(())),
            LogUse::Demanded => None,
        }
    }
}

impl LogAndTimes {
    /// Seen by a timestamp authority alone.
    pub(crate) fn without_log(_: Unlogged, times: SigningTimes) -> Self {
        Self::Stamped { times }
    }

    /// The earliest known time: of a signature by a certificate, its start counts too.
    pub(crate) fn earliest(&self, certificate_not_before: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Seen { times, .. } | Self::Stamped { times } => {
                Some(times.earliest(certificate_not_before))
            }
            Self::NotRead(_) => None,
        }
    }

    /// The latest proven time.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        match self {
            Self::Seen { times, .. } | Self::Stamped { times } => Some(times.latest()),
            Self::NotRead(_) => None,
        }
    }

    /// The log's entry, if a log was read.
    pub(crate) fn logged(&self) -> Option<&LogProven> {
        match self {
            Self::Seen { logged, .. } => Some(logged),
            Self::Stamped { .. } | Self::NotRead(_) => None,
        }
    }

    /// The proven times, sorted, each once.
    pub(crate) fn into_times(self) -> Vec<Timestamp> {
        match self {
            Self::Seen { times, .. } | Self::Stamped { times } => times.into_inner(),
            Self::NotRead(_) => Vec::new(),
        }
    }
}
