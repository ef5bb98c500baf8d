//! Why a plan could not be carried out: what each of its sources said.

use std::fmt;

use countersign_oci::{Digest, ErrorKind, with_causes};

use super::next::{Fallbacks, decisive};
use crate::error::Error;
use crate::lock::LockedEntry;
use crate::plan::Plan;
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
        f.write_str(&with_causes(&self.error))
    }
}

/// Why a plan could not be carried out: what is wrong with the place to install to, or the failure
/// of each source that was tried, in order.
#[derive(Debug)]
pub struct PlanFailure {
    pub(super) name: String,
    pub(super) locked: Option<Digest>,
    pub(super) purpose: Purpose,
    pub(super) cause: Cause,
}

/// What a plan was carried out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Install,
    Prove,
}

impl Purpose {
    fn as_participle(self) -> &'static str {
        match self {
            Self::Install => "installed",
            Self::Prove => "proven",
        }
    }

    /// Whether tags are asked in place of those that the plan names. A copy by another tag is another image.
    pub(super) fn asks_fallbacks(self) -> Fallbacks {
        match self {
            Self::Install => Fallbacks::Asked,
            Self::Prove => Fallbacks::LeftOut,
        }
    }
}

/// What a plan failed by.
#[derive(Debug)]
pub(super) enum Cause {
    /// The place to install to, or what asks. No source was asked.
    Before(Error),
    /// Each source that was tried, in order.
    Sources(Vec<SourceFailure>),
}

impl PlanFailure {
    pub(super) fn of(plan: &Plan, purpose: Purpose, cause: Cause) -> Self {
        Self {
            name: plan.name().to_owned(),
            locked: plan.lock().map(LockedEntry::requested).cloned(),
            purpose,
            cause,
        }
    }

    /// What kind of failure it is: that of the [decisive](Self::decisive) error.
    pub fn kind(&self) -> ErrorKind {
        self.decisive().map_or(ErrorKind::Internal, Error::kind)
    }

    /// The digest that the plan is locked to, if it is.
    pub fn locked(&self) -> Option<&Digest> {
        self.locked.as_ref()
    }

    /// What failed before any source was asked: the place to install to, or what asks.
    pub fn before(&self) -> Option<&Error> {
        match &self.cause {
            Cause::Before(error) => Some(error),
            Cause::Sources(_) => None,
        }
    }

    /// The failure of each source that was tried, in their order.
    pub fn failures(&self) -> &[SourceFailure] {
        match &self.cause {
            Cause::Before(_) => &[],
            Cause::Sources(failures) => failures,
        }
    }

    /// The same failures, by value.
    pub fn into_failures(self) -> Vec<SourceFailure> {
        match self.cause {
            Cause::Before(_) => Vec::new(),
            Cause::Sources(failures) => failures,
        }
    }

    /// The error that speaks for all: the one before any source was asked; else the first that says more
    /// than *not found* or *unreachable*, else the first. But if that one says that something is lacking there (access,
    /// the image or its signatures), and another source is unreachable, it is that of the unreachable source: it may have
    /// it, and answer later.
    pub fn decisive(&self) -> Option<&Error> {
        match &self.cause {
            Cause::Before(error) => Some(error),
            Cause::Sources(failures) => {
                let failure = failures.get(decisive_source(failures)?)?;
                Some(&failure.error)
            }
        }
    }

    /// The same error, by value.
    pub fn into_decisive(self) -> Option<Error> {
        match self.cause {
            Cause::Before(error) => Some(error),
            Cause::Sources(mut failures) => {
                let at = decisive_source(&failures)?;
                Some(failures.swap_remove(at).error)
            }
        }
    }
}

fn decisive_source(failures: &[SourceFailure]) -> Option<usize> {
    let errors = || failures.iter().map(|failure| &failure.error);
    let sorted = |error: &Error| (error.kind(), error.consequence());
    let decisive = decisive(errors().map(sorted))?;
    match errors().nth(decisive)?.kind() {
        ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::Unsigned => {
            let later = errors().position(|error| error.kind() == ErrorKind::Unreachable);
            later.or(Some(decisive))
        }
        ErrorKind::Internal
        | ErrorKind::Machine
        | ErrorKind::Usage
        | ErrorKind::Policy
        | ErrorKind::Invalid
        | ErrorKind::Unreachable
        | ErrorKind::Differs => Some(decisive),
    }
}

impl fmt::Display for PlanFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = match &self.cause {
            Cause::Before(error) => return f.write_str(&with_causes(error)),
            Cause::Sources(failures) => failures,
        };
        let name = countersign_oci::excerpt(&self.name);
        let done = self.purpose.as_participle();
        match &self.locked {
            None => write!(f, "`{name}` can't be {done} from any source")?,
            Some(digest) => write!(
                f,
                "`{name}` is locked to {digest}, and can't be {done} from any source"
            )?,
        }
        for failure in failures {
            let lines = failure.to_string().replace('\n', "\n  ");
            write!(f, "\n  {lines}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanFailure {}

#[cfg(test)]
mod tests {
    use countersign_oci::Consequence::{self, TryNext, TrySameDigest};
    use countersign_oci::ErrorKind::{Invalid, NotFound, Policy, Rejected, Unreachable, Unsigned};

    use super::*;

    /// An error of this kind that means this for the other sources.
    fn error(kind: ErrorKind, consequence: Consequence) -> Error {
        let of_registries = countersign_oci::samples::errors();
        let of_registries = of_registries.into_iter().map(Error::Registry);
        let no_signature = countersign_verify::samples::refusal(Vec::new());
        let unsigned = countersign_verify::Error::Refused(Box::new(no_signature));
        let errors = crate::samples::errors().into_iter().chain(of_registries);
        let mut errors = errors.chain([Error::Verify(unsigned)]);
        let found = errors.find(|one| (one.kind(), one.consequence()) == (kind, consequence));
        found.unwrap()
    }

    #[test]
    fn where_a_source_may_answer_later_the_same_command_may_work_later() {
        let rows = [
            // 503; then 403 of a web server, or a redirect that is not followed.
            (
                vec![(Unreachable, TryNext), (Rejected, TrySameDigest)],
                Unreachable,
            ),
            (
                vec![(Rejected, TrySameDigest), (Unreachable, TryNext)],
                Unreachable,
            ),
            // 401 of a registry.
            (
                vec![(Rejected, TryNext), (Unreachable, TryNext)],
                Unreachable,
            ),
            (
                vec![(Unreachable, TryNext), (Rejected, TryNext)],
                Unreachable,
            ),
            (
                vec![(NotFound, TryNext), (Unreachable, TryNext)],
                Unreachable,
            ),
            (
                vec![(Unreachable, TryNext), (NotFound, TryNext)],
                Unreachable,
            ),
            // None of them says that it is another answer later.
            (vec![(Rejected, TryNext), (NotFound, TryNext)], Rejected),
            (
                vec![(NotFound, TryNext), (Rejected, TrySameDigest)],
                Rejected,
            ),
            (vec![(NotFound, TryNext), (NotFound, TryNext)], NotFound),
            // A copy without the signatures, which are where the image is from.
            (
                vec![(Unreachable, TryNext), (Unsigned, TrySameDigest)],
                Unreachable,
            ),
            (
                vec![(Unsigned, TrySameDigest), (Unreachable, TryNext)],
                Unreachable,
            ),
            (
                vec![(NotFound, TryNext), (Unsigned, TrySameDigest)],
                Unsigned,
            ),
            // What is wrong with the content stays wrong.
            (
                vec![(Unreachable, TryNext), (Policy, TrySameDigest)],
                Policy,
            ),
            (
                vec![(Unreachable, TryNext), (Invalid, TrySameDigest)],
                Invalid,
            ),
            (
                vec![(Invalid, TrySameDigest), (Unreachable, TryNext)],
                Invalid,
            ),
        ];
        let source = crate::samples::sources().swap_remove(0);
        for (failed, expected) in rows {
            let sources = failed.iter().map(|(kind, consequence)| SourceFailure {
                planned: PlannedSource {
                    role: crate::planned::Role::Mirror,
                    source: source.clone(),
                },
                error: error(*kind, *consequence),
            });
            let failure = PlanFailure {
                name: "app".to_owned(),
                locked: None,
                purpose: Purpose::Install,
                cause: Cause::Sources(sources.collect()),
            };
            assert_eq!(failure.kind(), expected, "{failed:?}");
            // Its hint is of the same failure.
            assert_eq!(failure.into_decisive().unwrap().kind(), expected);
        }
    }
}
