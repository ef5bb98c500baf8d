//! Why a plan could not be carried out: what each of its sources said.

use std::fmt;

use countersign_oci::{Digest, ErrorKind};

use super::next::decisive;
use crate::error::Error;
use crate::planned::PlannedSource;

/// Why one source of a plan did not serve.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceFailure {
    /// The source.
    pub planned: PlannedSource,
    /// Why not.
    pub error: Error,
}

/// One line and those of the causes, for a person.
impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedSource { role, source } = &self.planned;
        write!(f, "{} {source}: ", role.as_str())?;
        with_causes(&self.error, f)
    }
}

fn with_causes(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

/// Why a plan could not be carried out: what is wrong with the place to install to, or the failure
/// of each source that was tried, in order.
#[derive(Debug)]
pub struct PlanFailure {
    pub(super) name: String,
    pub(super) locked: Option<Digest>,
    pub(super) target: Option<Error>,
    pub(super) failures: Vec<SourceFailure>,
}

impl PlanFailure {
    /// What kind of failure it is: that of the [decisive](Self::decisive) error.
    pub fn kind(&self) -> ErrorKind {
        self.decisive().map_or(ErrorKind::Internal, Error::kind)
    }

    /// The digest that the plan is locked to, if it is.
    pub fn locked(&self) -> Option<&Digest> {
        self.locked.as_ref()
    }

    /// What is wrong with the place to install to. No source was asked then.
    pub fn target(&self) -> Option<&Error> {
        self.target.as_ref()
    }

    /// The failure of each source that was tried, in their order.
    pub fn failures(&self) -> &[SourceFailure] {
        &self.failures
    }

    /// The same failures, by value.
    pub fn into_failures(self) -> Vec<SourceFailure> {
        self.failures
    }

    /// The error that speaks for all: that of the place to install to; else the first that says more
    /// than *not found* or *unreachable*, else the first.
    pub fn decisive(&self) -> Option<&Error> {
        let of_a_source = || self.failures.get(self.decisive_source()?);
        let of_a_source = || of_a_source().map(|failure| &failure.error);
        self.target.as_ref().or_else(of_a_source)
    }

    /// The same error, by value.
    pub fn into_decisive(mut self) -> Option<Error> {
        if self.target.is_some() {
            return self.target;
        }
        let at = self.decisive_source()?;
        Some(self.failures.swap_remove(at).error)
    }

    fn decisive_source(&self) -> Option<usize> {
        let errors = self.failures.iter().map(|failure| &failure.error);
        decisive(errors.map(Error::consequence))
    }
}

impl fmt::Display for PlanFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.target {
            return with_causes(error, f);
        }
        let name = countersign_oci::excerpt(&self.name);
        match &self.locked {
            None => write!(f, "`{name}` can't be installed from any source")?,
            Some(digest) => write!(
                f,
                "`{name}` is locked to {digest}, and can't be installed from any source"
            )?,
        }
        for failure in &self.failures {
            let lines = failure.to_string().replace('\n', "\n  ");
            write!(f, "\n  {lines}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanFailure {}
