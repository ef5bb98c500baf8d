//! A lock as one more condition of a plan. It is checked before any registry is asked, and again on
//! the content that was admitted.

use countersign_oci::{Digest, Platform, Reference, excerpt};
use countersign_policy::{OneSigner, Policy};
use countersign_verify::Evidence;

use super::Plan;
use crate::content::Content;
use crate::error::Error;
use crate::grounds::LockedSigner;
use crate::lock::{Lock, LockedEntry, LockedError, LockedGrounds};
use crate::planned::{PlannedSource, Role};
use crate::requirement::{Integrity, RequirementKind};
use crate::source::Source;

/// What a plan is locked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) entry: LockedEntry,
    /// The gallery's policy for the locked signer alone; `None` where no signer is locked.
    policy: Option<Policy>,
}

impl Plan {
    /// The plan for what `lock` has of the plan's name and `platform`: it asks every source for the
    /// locked digest, whatever its tag names now, and admits it by the locked signer alone. The
    /// requirement stays what the gallery makes it; a lock takes nothing from it.
    ///
    /// # Errors
    /// [`LockedError`] where the plan is not of what was locked, or where the gallery asks for less
    /// than it was locked on.
    pub fn locked(self, lock: &Lock, platform: &Platform) -> Result<Self, LockedError> {
        let entry = lock.entry(self.name(), platform)?;
        let name = || excerpt(&entry.name);
        // A single image has no gallery and no entry: it is never what was locked.
        let gallery = self.gallery();
        if gallery != Some(&entry.gallery) {
            return Err(LockedError::Gallery {
                name: name(),
                expected: excerpt(&entry.gallery),
                found: excerpt(gallery.unwrap_or_default()),
            });
        }
        let planned = self.entry().map(|entry| entry.name.as_str());
        if planned != Some(&entry.entry) {
            return Err(LockedError::Entry {
                name: name(),
                expected: excerpt(&entry.entry),
                found: excerpt(planned.unwrap_or_default()),
            });
        }
        let locked = Locked {
            policy: narrowed_policy(&self, entry)?,
            entry: entry.clone(),
        };
        let sources = sources(&self, entry)?;
        Ok(self.narrowed(sources, locked))
    }
}

/// The policy for the locked signer alone; `None` if no signer is locked.
///
/// # Errors
/// If the plan asks for less than the lock was made on, names another digest, or no longer accepts
/// the locked signer.
fn narrowed_policy(plan: &Plan, entry: &LockedEntry) -> Result<Option<Policy>, LockedError> {
    let name = || excerpt(&entry.name);
    let weaker = || LockedError::Weaker {
        name: name(),
        expected: entry.grounds.to_string(),
        found: plan.requirement().to_string(),
    };
    let proof = plan.requirement().kind();
    if let RequirementKind::Digest(digest) = proof {
        same(entry, &entry.digest, digest)?;
    }
    match (&entry.grounds, proof) {
        (LockedGrounds::Signature { signer, .. }, RequirementKind::Signature(policy)) => {
            let signers: Vec<OneSigner<'_>> =
                entry.grounds.signers().map(LockedSigner::as_one).collect();
            let narrowed = policy.only_each(&signers);
            narrowed.map(Some).ok_or_else(|| LockedError::Signer {
                name: name(),
                found: Box::new(signer.clone()),
            })
        }
        (LockedGrounds::Signature { .. }, RequirementKind::Digest(_) | RequirementKind::None)
        | (LockedGrounds::Digest, RequirementKind::None) => Err(weaker()),
        (LockedGrounds::Digest, RequirementKind::Signature(_) | RequirementKind::Digest(_)) => {
            Ok(None)
        }
        (
            LockedGrounds::Nothing,
            RequirementKind::Signature(_) | RequirementKind::Digest(_) | RequirementKind::None,
        ) => match plan.integrity() {
            Integrity::Strict => Err(LockedError::Unverified { name: name() }),
            Integrity::Permissive => Ok(None),
        },
    }
}

/// The plan's sources, each asked for the locked digest. Of several tags in one repository only one
/// remains, because all are the same by digest. If the locked tag is among them, it is that one: a
/// signature may be bound to the name. If the plan no longer has the locked source, its repository gets the locked tag
/// back: the tag that the index has now was never of the locked digest.
fn sources(plan: &Plan, entry: &LockedEntry) -> Result<Vec<PlannedSource>, LockedError> {
    let locked = Source::parse(&entry.source, None).ok();
    let is_there = |locked: &&Source| plan.sources().iter().any(|one| one.source == **locked);
    let locked_tag = locked.as_ref().filter(is_there).and_then(Source::tag);
    let moved = locked.as_ref().filter(|locked| !is_there(locked));
    let moved = moved.and_then(Source::reference).cloned();
    let mut kept: Vec<PlannedSource> = Vec::new();
    for planned in plan.sources() {
        let mut pinned = PlannedSource {
            role: planned.role,
            source: pinned(&planned.source, entry)?,
        };
        if let Some(moved) = &moved {
            pinned.source = as_locked(&pinned, moved, entry.requested());
        }
        let place =
            |planned: &PlannedSource| planned.source.reference().map(Reference::location).cloned();
        let same = |other: &&mut PlannedSource| {
            let other = place(other);
            other.is_some() && other == place(&pinned)
        };
        let is_locked = |planned: &PlannedSource| {
            let tag = planned.source.tag();
            tag.is_some() && tag == locked_tag
        };
        match kept.iter_mut().find(same) {
            None => kept.push(pinned),
            Some(other) if is_locked(&pinned) && !is_locked(other) => *other = pinned,
            Some(_) => {}
        }
    }
    Ok(kept)
}

/// The source by the tag that was locked, if it is of the same repository. What else is a copy has no tag then: nothing
/// says which one it had there. The primary's tag stays, as a signature may have to name it: a lock names another tag of
/// the repository, but does not take the tag away.
fn as_locked(planned: &PlannedSource, locked: &Reference, digest: &Digest) -> Source {
    let reference = match &planned.source {
        Source::Image { reference } => reference,
        // They have no tag that another one could take the place of.
        Source::Layout { .. } | Source::Tarball(_) | Source::Directory { .. } => {
            return planned.source.clone();
        }
    };
    let reference = match planned.role {
        Role::Primary | Role::Mirror if reference.location() == locked.location() => {
            match (reference.tag(), locked.tag()) {
                (Some(_), None) => reference.clone(),
                _ => reference.with_tag_of(locked).pinned_to(digest.clone()),
            }
        }
        Role::Mirror => reference.location().at(digest.clone()).into(),
        Role::Primary | Role::Fallback => reference.clone(),
    };
    Source::Image { reference }
}

/// A source that can only serve the locked digest, where sources of its kind have one.
fn pinned(source: &Source, entry: &LockedEntry) -> Result<Source, LockedError> {
    let (requested, bytes) = (entry.requested(), &entry.digest);
    if let Some(own) = source.own_digest() {
        let expected = match source.checksum() {
            Some(_) => bytes,
            None => requested,
        };
        same(entry, expected, own)?;
    }
    Ok(source.pinned_to(requested, bytes))
}

fn same(entry: &LockedEntry, expected: &Digest, found: &Digest) -> Result<(), LockedError> {
    if expected == found {
        return Ok(());
    }
    Err(LockedError::Digest {
        name: excerpt(&entry.name),
        expected: expected.clone(),
        found: found.clone(),
    })
}

impl Locked {
    /// The policy that the locked signer has to meet, where one is locked.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Refuses admitted content that is not what was locked. Everything that a locked plan installs is
    /// checked by this before it is unpacked.
    ///
    /// # Errors
    /// [`Error::OtherContent`] or [`Error::OtherSigner`].
    pub(crate) fn check(&self, found: Content<'_>) -> Result<(), Error> {
        self.check_digests(found.index, found.digest)?;
        self.check_signers(found.grounds.all_evidence())
    }

    /// Refuses content by its digests: of the index that led to it, and of the platform's manifest.
    ///
    /// # Errors
    /// [`Error::OtherContent`].
    pub(crate) fn check_digests(
        &self,
        index: Option<&Digest>,
        digest: &Digest,
    ) -> Result<(), Error> {
        let other = |expected: &Digest, found: &Digest| Error::OtherContent {
            expected: expected.clone(),
            found: found.clone(),
        };
        if *digest != self.entry.digest {
            return Err(other(&self.entry.digest, digest));
        }
        if index != self.entry.index.as_ref() {
            return Err(other(self.entry.requested(), index.unwrap_or(digest)));
        }
        Ok(())
    }

    /// Refuses what was proven by others than the locked signers.
    ///
    /// # Errors
    /// [`Error::OtherSigner`].
    pub(crate) fn check_signers<'a>(
        &self,
        proofs: impl Iterator<Item = &'a Evidence>,
    ) -> Result<(), Error> {
        let mut signers = proofs.map(LockedSigner::of);
        for expected in self.entry.grounds.signers() {
            let found = signers.next();
            if found.as_ref() != Some(expected) {
                return Err(Error::OtherSigner {
                    expected: Box::new(expected.clone()),
                    found: found.map(Box::new),
                });
            }
        }
        Ok(())
    }
}
