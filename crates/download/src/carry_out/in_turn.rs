//! The sources of a plan in turn, and what became of those that were asked. It asks nobody.

use countersign_oci::Digest;

use super::failure::{Cause, PlanFailure, Purpose, SourceFailure};
use super::next::{self, FailedAttempt, NextSource};
use crate::error::Error;
use crate::lock::LockedEntry;
use crate::plan::Plan;
use crate::planned::PlannedSource;

/// What became of an attempt.
pub(super) struct AttemptResult<T> {
    /// What the source was asked for or, where it resolved a name, what that resolved to.
    pub(super) digest: Option<Digest>,
    pub(super) result: Result<T, Error>,
}

/// Which sources of a plan have failed, and which is asked next.
pub(super) struct InTurn<'p> {
    plan: &'p Plan,
    purpose: Purpose,
    attempts: Vec<FailedAttempt>,
    failures: Vec<SourceFailure>,
}

impl<'p> InTurn<'p> {
    /// All sources are still to be asked.
    pub(super) fn of(plan: &'p Plan, purpose: Purpose) -> Self {
        Self {
            plan,
            purpose,
            attempts: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The source to ask now; `None` if no source is left that may be asked. It stays the same until [`Self::record`]
    /// has what came of it.
    pub(super) fn to_ask_now(&self) -> Option<NextSource<'p>> {
        let locked = self.plan.lock().map(LockedEntry::requested);
        let fallbacks = self.purpose.asks_fallbacks();
        next::next(self.plan.sources(), fallbacks, locked, &self.attempts)
    }

    /// Records what came of asking a source, and gives what it served; `None` if it failed.
    pub(super) fn record<T>(
        &mut self,
        planned: &PlannedSource,
        attempt: AttemptResult<T>,
    ) -> Option<T> {
        let error = match attempt.result {
            Ok(output) => return Some(output),
            Err(error) => error,
        };
        self.attempts.push(FailedAttempt {
            digest: attempt.digest,
            consequence: error.consequence(),
        });
        self.failures.push(SourceFailure {
            planned: planned.clone(),
            error,
        });
        None
    }

    /// The failure of each source that was asked, in their order.
    pub(super) fn failures(&self) -> &[SourceFailure] {
        &self.failures
    }

    /// The same failures, by value.
    pub(super) fn into_failures(self) -> Vec<SourceFailure> {
        self.failures
    }

    /// No source has served, and none is left.
    pub(super) fn none_served(self) -> PlanFailure {
        PlanFailure::of(self.plan, self.purpose, Cause::Sources(self.failures))
    }

    /// No source can be asked at all.
    pub(super) fn not_begun(self, error: Error) -> PlanFailure {
        PlanFailure::of(self.plan, self.purpose, Cause::Before(error))
    }
}
