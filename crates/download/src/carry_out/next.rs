//! Which source of a plan is asked next, by what became of those before it.
//!
//! A function of its arguments alone: it asks nobody and knows no clock, so that the whole rule is
//! one table of tests.
//!
//! - The sources are asked in the plan's order, one after the other.
//! - After a source that is *not found* or *unreachable* comes the next one.
//!   What a status means, [`countersign_oci::StatusMeaning`] says. A registry that refuses access (401 or 403) counts as
//!   unreachable: some answer so for an image that doesn't exist.
//! - After a web server that refuses access to a tarball (401 or 403), only copies of the tarball's
//!   digest are asked.
//! - After a source whose content doesn't hold, only other copies of the digest that it resolved to
//!   are asked, and never a fallback tag.
//! - After any other error no source is asked.
//! - The first source of a tag that resolves it decides for all sources of that tag: they are asked
//!   for the digest that it resolved to. A mirror can't choose what is installed.
//! - A locked plan has the digest from the start.

use countersign_oci::{Consequence, Digest, ErrorKind};

use crate::planned::{PlannedSource, Role};
use crate::source::Source;

/// What to ask for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextSource<'p> {
    pub(super) planned: &'p PlannedSource,
    /// The digest that it has to be; `None` where the source's name decides.
    pub(super) digest: Option<Digest>,
}

/// What became of a source that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedAttempt {
    /// What the source was asked for or, where it resolved a name, what that resolved to.
    pub(super) digest: Option<Digest>,
    /// What its error means for the other sources.
    pub(super) consequence: Consequence,
}

/// Whether fallback tags are asked, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallbacks {
    Asked,
    LeftOut,
}

/// The source to ask after those that `failed`, which are the first of `sources`; `None` where
/// the plan has failed.
pub(super) fn next<'p>(
    sources: &'p [PlannedSource],
    fallbacks: Fallbacks,
    locked: Option<&Digest>,
    failed: &[FailedAttempt],
) -> Option<NextSource<'p>> {
    let planned = sources.get(failed.len())?;
    let digests = failed.iter().map(|attempt| attempt.digest.as_ref());
    let pin = pin(sources.iter().zip(digests));
    let digest = match locked {
        Some(locked) => Some(locked.clone()),
        None => digest_to_ask(planned, pin.as_ref()),
    };
    let is_copy = match (&pin, &digest) {
        (Some(pin), Some(digest)) => pin.digest == digest,
        (None, _) | (_, None) => false,
    };
    if planned.role == Role::Fallback && fallbacks == Fallbacks::LeftOut {
        return None;
    }
    let may_be_asked = failed.iter().all(|one| match one.consequence {
        Consequence::TryNext => true,
        Consequence::TrySameDigest => is_copy && planned.role != Role::Fallback,
        Consequence::End => false,
    });
    may_be_asked.then_some(NextSource { planned, digest })
}

/// Which of the failures speaks for all: the first that says more than *not found* or *unreachable*,
/// else the first; `None` where there is none.
pub(super) fn decisive(
    failures: impl IntoIterator<Item = (ErrorKind, Consequence)>,
) -> Option<usize> {
    let mut first = None;
    for (at, (kind, consequence)) in failures.into_iter().enumerate() {
        if says_more_than_not_there(kind, consequence) {
            return Some(at);
        }
        first.get_or_insert(at);
    }
    first
}

/// By both: that the next source is asked doesn't make a failure one of a server.
fn says_more_than_not_there(kind: ErrorKind, consequence: Consequence) -> bool {
    match kind {
        ErrorKind::NotFound | ErrorKind::Unreachable | ErrorKind::Rejected => match consequence {
            Consequence::TryNext => false,
            Consequence::TrySameDigest | Consequence::End => true,
        },
        ErrorKind::Internal
        | ErrorKind::Machine
        | ErrorKind::Usage
        | ErrorKind::Policy
        | ErrorKind::Unsigned
        | ErrorKind::Invalid
        | ErrorKind::Differs => true,
    }
}

/// The digest that the sources of one group are asked for.
struct Pin<'a> {
    group: Group<'a>,
    digest: &'a Digest,
}

/// Sources that name the same content.
#[derive(Debug, PartialEq, Eq)]
enum Group<'a> {
    /// The primary and its mirrors.
    Named,
    /// A fallback tag of them.
    Fallback(Option<&'a str>),
}

impl<'a> Group<'a> {
    fn of(planned: &'a PlannedSource) -> Self {
        match planned.role {
            Role::Primary | Role::Mirror => Self::Named,
            Role::Fallback => Self::Fallback(planned.source.tag()),
        }
    }
}

/// The digest to ask a source for after those `before` it, each with what it was asked for or resolved to. It is for
/// who asks every source, whatever became of the others: for an audit.
pub(crate) fn digest_after(
    before: &[(PlannedSource, Option<Digest>)],
    planned: &PlannedSource,
) -> Option<Digest> {
    let before = before.iter();
    let pin = pin(before.map(|(planned, digest)| (planned, digest.as_ref())));
    digest_to_ask(planned, pin.as_ref())
}

/// What the last source that has a digest pins its group to.
fn pin<'a>(
    asked: impl DoubleEndedIterator<Item = (&'a PlannedSource, Option<&'a Digest>)>,
) -> Option<Pin<'a>> {
    let mut pins = asked.filter_map(|(planned, digest)| {
        let group = Group::of(planned);
        digest.map(|digest| Pin { group, digest })
    });
    pins.next_back()
}

/// The digest to ask a source for, where there is one. Other sources of its group decide for an
/// image; what a tarball has to be only its entry says, and a directory can't be asked for a digest.
fn digest_to_ask(planned: &PlannedSource, pin: Option<&Pin<'_>>) -> Option<Digest> {
    match &planned.source {
        Source::Image { .. } | Source::Layout { .. } => match pin {
            Some(pin) if pin.group == Group::of(planned) => Some(pin.digest.clone()),
            Some(_) | None => planned.source.own_digest().cloned(),
        },
        Source::Tarball(_) | Source::Directory { .. } => planned.source.own_digest().cloned(),
    }
}

#[cfg(test)]
mod tests;
