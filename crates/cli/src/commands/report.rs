//! The results of a run that has several, as they come, and the exit code that they have together.
//!
//! The exit code is never that of success if one of them failed.

use std::process::ExitCode;

use countersign_oci::excerpt;

use crate::failure::{Failure, Kind, exit_code, worst};
use crate::json::document::Streamed;
use crate::json::error::JsonError;
use crate::output::Output;

/// What became of each reference or name.
pub(super) struct Report<'a, R> {
    output: &'a Output,
    /// Keeps a result for a run that is ended before its end.
    keep: Option<fn(&Output, &R)>,
    results: Vec<R>,
    failed: Vec<Kind>,
    /// What was told of a trusted root that nobody knows now.
    absent_root: Option<String>,
    /// Entries that were not looked at for want of it.
    without_root: Vec<String>,
}

impl<'a, R> Report<'a, R> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self {
            output,
            keep: None,
            results: Vec::new(),
            failed: Vec::new(),
            absent_root: None,
            without_root: Vec::new(),
        }
    }

    /// Of a run whose document is `D`. If something ends the run, its results so far are told all the same.
    pub(super) fn kept<D: Streamed<Result = R>>(output: &'a Output) -> Self {
        Self {
            keep: Some(Output::keep_result::<D>),
            ..Self::new(output)
        }
    }

    pub(super) fn done(&mut self, result: R) {
        self.push(result);
    }

    /// It is done when the run comes to its end, and not before.
    pub(super) fn done_at_the_end(&mut self, result: R) {
        self.results.push(result);
    }

    fn push(&mut self, result: R) {
        if let Some(keep) = self.keep {
            keep(self.output, &result);
        }
        self.results.push(result);
    }

    /// Tells the failure, and makes the result that has it. That nobody knows the trusted root now is of the whole run, and
    /// is told once.
    pub(super) fn fail(&mut self, failure: &Failure, result: impl FnOnce(JsonError) -> R) {
        self.output.remember_failed(failure.kind);
        let absent = failure.is_of_absent_root().then(|| failure.line());
        if absent.is_none() || absent != self.absent_root {
            self.output.failure(failure);
        }
        if absent.is_some() {
            self.absent_root = absent;
        }
        self.push_failed(failure, result);
    }

    /// As [`Self::fail`], of the entry `name`. A failure of the trusted root names no entry: [`Self::end`] names
    /// them.
    pub(super) fn fail_entry(
        &mut self,
        name: &str,
        failure: &Failure,
        result: impl FnOnce(JsonError) -> R,
    ) {
        if failure.is_of_absent_root() {
            self.without_root.push(excerpt(name));
        }
        self.fail(failure, result);
    }

    /// `result` has the same failure as one before it, which was told then.
    pub(super) fn fail_too(&mut self, failure: &Failure, result: impl FnOnce(JsonError) -> R) {
        self.output.remember_failed(failure.kind);
        self.push_failed(failure, result);
    }

    fn push_failed(&mut self, failure: &Failure, result: impl FnOnce(JsonError) -> R) {
        let mut error = failure.to_json();
        if self.failed.is_empty() {
            error.hints.extend(self.output.hints_of_unused());
        }
        self.failed.push(failure.kind);
        self.push(result(error));
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// All results, and the exit code of the worst failure.
    pub(super) fn end(self) -> (Vec<R>, ExitCode) {
        // With one result, it is clear which.
        if !self.without_root.is_empty() && self.results.len() > 1 {
            self.output.note(&format!(
                "for want of the trusted root, these were not looked at: {}",
                self.without_root.join(", ")
            ));
        }
        let code = worst(&self.failed).map_or(ExitCode::SUCCESS, |kind| exit_code(kind).into());
        (self.results, code)
    }
}
