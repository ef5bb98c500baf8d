//! One source's turn: admit what it has, as the plan requires, and put it in place.

use std::path::Path;
use std::sync::Arc;

use countersign_oci::{Digest, Platform, Reference, ResolvedImage};
use countersign_policy::Policy;

use super::Outcome;
use crate::admitted::{AdmittedImage, ImageVerifier};
use crate::archive::{self, AdmittedArchive};
use crate::content::Content;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::grounds::Grounds;
use crate::install::Installer;
use crate::lock::{LockedEntry, LockedGrounds};
use crate::options::{Downgrade, InstallOptions, WhenSame};
use crate::plan::{Locked, Plan};
use crate::planned::{PlannedSource, Role};
use crate::record::{Installed, Provenance, Recorded};
use crate::requirement::Proof;
use crate::source::{Source, Tarball};
use crate::target::{Held, Staging};
use crate::unpack::{self, CancelOnDrop, blocking};

/// One source's turn.
pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) planned: &'a PlannedSource,
    pub(super) platform: &'a Platform,
    pub(super) held: &'a Arc<Held>,
    /// The record of what is installed.
    pub(super) there: Option<&'a Recorded>,
    pub(super) options: InstallOptions,
    pub(super) skipped: Vec<String>,
    /// What the source is to be asked for and, afterwards, what it resolved to.
    pub(super) pinned: Option<Digest>,
    pub(super) events: Events<'a>,
}

impl<V: ImageVerifier> Installer<V> {
    pub(super) async fn attempt(&self, attempt: &mut Attempt<'_>) -> Result<Outcome, Error> {
        match &attempt.planned.source {
            Source::Image { reference } => self.attempt_image(reference, attempt).await,
            Source::Tarball(tarball) => self.attempt_tarball(tarball, attempt).await,
            Source::Directory { path } => self.attempt_directory(path, attempt).await,
            Source::Layout { path } => {
                let reference = Reference::from(path.clone());
                self.attempt_image(&reference, attempt).await
            }
        }
    }

    async fn attempt_image(
        &self,
        reference: &Reference,
        attempt: &mut Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let asked = match &attempt.pinned {
            Some(digest) => reference.pinned_to(digest.clone()),
            None => reference.clone(),
        };
        let resolved = self.resolve(&asked, attempt.events).await?;
        let resolved = resolved.asked_as(attempt.name(reference));
        attempt.pinned = Some(resolved.digest().clone());
        let image = self.admit_as_required(resolved, attempt).await?;
        let content = Content::of(&image);
        let locked = attempt.locked_entry(content);
        if let Some(unchanged) = attempt.unchanged(content)? {
            return Ok(unchanged);
        }
        let staging = unpack::stage(attempt.held).await?;
        let installed = self
            .unpack_staged(
                image,
                reference,
                attempt.platform,
                staging,
                attempt.provenance(),
                attempt.events,
            )
            .await?;
        Ok(attempt.replacing(installed, locked))
    }

    /// Admits an image on what the plan requires, and on nothing less.
    async fn admit_as_required(
        &self,
        resolved: ResolvedImage,
        attempt: &Attempt<'_>,
    ) -> Result<AdmittedImage, Error> {
        let requirement = attempt.plan.requirement();
        let (platform, events) = (attempt.platform, attempt.events);
        if let Some(policy) = requirement.policy() {
            return match attempt.plan.locked_to() {
                None => {
                    self.admit_resolved(resolved, platform, policy, events)
                        .await
                }
                Some(locked) => self.admit_locked(resolved, locked, policy, attempt).await,
            };
        }
        let Some(permit) = requirement.permit(resolved.digest()) else {
            return Err(Error::Unverifiable {
                location: resolved.reference().to_string(),
                required: requirement.to_string(),
            });
        };
        self.admit_unverified(permit, &resolved, platform, events)
            .await
    }

    /// Admits an image by the gallery's policy for the locked signer alone.
    ///
    /// Whether there is a signature by somebody else that the policy would accept is asked only to
    /// say so: nothing is admitted by that.
    async fn admit_locked(
        &self,
        resolved: ResolvedImage,
        locked: &Locked,
        policy: &Policy,
        attempt: &Attempt<'_>,
    ) -> Result<AdmittedImage, Error> {
        let (platform, events) = (attempt.platform, attempt.events);
        let narrowed = locked.policy().unwrap_or(policy);
        let admitted = self
            .admit_resolved(resolved.clone(), platform, narrowed, events)
            .await;
        let refusal = match admitted {
            Err(error) if locked.policy().is_some() && error.is_refusal() => error,
            other => return other,
        };
        let by_others = self.admit_resolved(resolved, platform, policy, &|_| {});
        let Ok(image) = by_others.await else {
            return Err(refusal);
        };
        match attempt.check_locked(Content::of(&image)) {
            Err(other) => Err(other),
            Ok(()) => Err(refusal),
        }
    }

    async fn attempt_tarball(
        &self,
        tarball: &Tarball,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        // What the digest promises is there already: it needn't be fetched to be thrown away.
        if let Proof::Digest(digest) = attempt.plan.requirement().proof()
            && let Some(unchanged) =
                attempt.unchanged(Content::archive(digest, &Grounds::Digest))?
        {
            return Ok(unchanged);
        }
        let progress = |bytes, size: Option<u64>| {
            (attempt.events)(Event::ArchiveProgress {
                source: attempt.planned.source.to_string(),
                bytes,
                size,
            });
        };
        let staging = unpack::stage(attempt.held).await?;
        let path = staging.blob_path(0);
        let fetched = archive::fetch(self.http()?, tarball, self.limits(), &path, &progress);
        let archive = fetched.await?.admit(attempt.plan.requirement())?;
        self.put_in_place(archive, staging, attempt).await
    }

    async fn attempt_directory(
        &self,
        directory: &Path,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let staging = unpack::stage(attempt.held).await?;
        let (from, to) = (directory.to_owned(), staging.blob_path(0));
        let (limits, held) = (self.limits().clone(), Arc::clone(&staging));
        let guard = CancelOnDrop::default();
        let cancellation = guard.cancellation();
        let packed = blocking(move || {
            let packed = archive::pack(&from, &limits, &to, cancellation);
            drop(held);
            packed
        });
        let archive = packed.await?.admit(attempt.plan.requirement())?;
        drop(guard);
        self.put_in_place(archive, staging, attempt).await
    }

    async fn put_in_place(
        &self,
        archive: AdmittedArchive,
        staging: Arc<Staging>,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        if let Grounds::Nothing = archive.grounds() {
            (attempt.events)(Event::Unverified {
                digest: archive.digest().clone(),
            });
        }
        let content = Content::archive(archive.digest(), archive.grounds());
        let locked = attempt.locked_entry(content);
        if let Some(unchanged) = attempt.unchanged(content)? {
            return Ok(unchanged);
        }
        let installed = self
            .unpack_archive(
                archive,
                attempt.platform,
                staging,
                attempt.provenance(),
                attempt.events,
            )
            .await?;
        Ok(attempt.replacing(installed, locked))
    }
}

impl Attempt<'_> {
    /// What the plan asks for when it asks for `reference`: a mirror holds a copy of what the
    /// primary's name stands for, and a fallback is another tag of the primary's repository.
    fn name(&self, reference: &Reference) -> Reference {
        let primary = self.plan.sources().first().map(|first| &first.source);
        match (primary, self.planned.role) {
            (Some(Source::Image { reference: primary }), Role::Fallback) => {
                primary.with_tag_of(reference)
            }
            (Some(Source::Image { reference: primary }), _) => primary.clone(),
            _ => reference.clone(),
        }
    }

    /// `None` for an image by itself, whose reference says it all.
    fn provenance(&self) -> Option<Provenance> {
        Some(Provenance {
            gallery: self.plan.gallery()?.to_owned(),
            name: self.plan.name().to_owned(),
            entry: self.plan.entry()?.name.clone(),
            role: self.planned.role,
            source: self.planned.source.to_string(),
            skipped: self.skipped.clone(),
        })
    }

    /// Whether admitted content is what is there already; nothing where it is to take its place.
    ///
    /// # Errors
    /// When it may not take its place, or is not what was locked.
    fn unchanged(&self, content: Content<'_>) -> Result<Option<Outcome>, Error> {
        self.check_locked(content)?;
        let Some(recorded) = self.there else {
            return Ok(None);
        };
        let Content {
            digest, grounds, ..
        } = content;
        self.succeeds(recorded, digest, grounds)?;
        // On stronger grounds than before the same content is installed anew: its record tells.
        let same = recorded.digest == *digest && !recorded.grounds.weaker_than(grounds);
        Ok(
            (same && self.options.same == WhenSame::Keep).then(|| Outcome::Unchanged {
                recorded: Box::new(recorded.clone()),
                locked: self.locked_entry(content).map(Box::new),
            }),
        )
    }

    /// Holds admitted content against the lock, where the plan is locked.
    fn check_locked(&self, content: Content<'_>) -> Result<(), Error> {
        match self.plan.locked_to() {
            Some(locked) => locked.check(content),
            None => Ok(()),
        }
    }

    /// What a lock keeps of admitted content; `None` where no gallery names it.
    fn locked_entry(&self, content: Content<'_>) -> Option<LockedEntry> {
        Some(LockedEntry {
            name: self.plan.name().to_owned(),
            platform: self.platform.clone(),
            gallery: self.plan.gallery()?.to_owned(),
            entry: self.plan.entry()?.name.clone(),
            source: self.planned.source.to_string(),
            index: content.index.cloned(),
            digest: content.digest.clone(),
            grounds: LockedGrounds::of(content.grounds),
        })
    }

    /// Whether content may take the place of what is installed: never on weaker grounds, whatever
    /// is asked for, and only with leave on an older signature.
    ///
    /// Compared are the times that nobody but the signer can move ([`Evidence::earliest`]).
    fn succeeds(
        &self,
        recorded: &Recorded,
        digest: &Digest,
        grounds: &Grounds,
    ) -> Result<(), Error> {
        let content = || format!("{} ({digest})", self.planned.source);
        recorded.give_way(content(), grounds)?;
        let earliest = |grounds: &Grounds| Some(grounds.evidence()?.earliest());
        match (earliest(&recorded.grounds), earliest(grounds)) {
            (Some(installed), Some(found))
                if found < installed && self.options.downgrade == Downgrade::Refuse =>
            {
                Err(Error::Older {
                    content: content(),
                    installed,
                    found,
                })
            }
            _ => Ok(()),
        }
    }

    fn replacing(&self, installed: Installed, locked: Option<LockedEntry>) -> Outcome {
        Outcome::Installed {
            installed: Box::new(installed),
            replaced: self.there.map(|recorded| recorded.digest.clone()),
            locked: locked.map(Box::new),
        }
    }
}
