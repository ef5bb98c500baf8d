//! One attempt: admits what one source has, as the plan requires, and puts it in place.

use std::path::Path;
use std::sync::Arc;

use countersign_oci::{Digest, Platform, Reference, ResolvedImage};

use super::Outcome;
use super::replace::{Decision, TargetState, decide};
use super::replacement::Replacement;
use crate::admitted::{AdmittedImage, ImageVerifier};
use crate::archive::{self, AdmittedArchive};
use crate::blocking::{CancelOnDrop, blocking};
use crate::content::Content;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::grounds::Grounds;
use crate::hold::stage;
use crate::install::Installer;
use crate::lock::{LockedEntry, LockedGrounds};
use crate::options::InstallOptions;
use crate::plan::Plan;
use crate::planned::{PlannedSource, Role};
use crate::record::{Installed, Provenance, Record};
use crate::requirement::RequirementKind;
use crate::source::{Source, Tarball};
use crate::target::{Held, Staging};
use crate::unpack::{Fetching, unpack_archive};

/// An attempt to install from one source.
pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) planned: &'a PlannedSource,
    /// The digest that the source is asked for; `None` where its name decides.
    pub(super) digest: Option<Digest>,
    pub(super) platform: &'a Platform,
    pub(super) held: &'a Arc<Held>,
    pub(super) target: &'a TargetState,
    pub(super) options: InstallOptions,
    /// Why nothing was installed from the sources before, a text each.
    pub(super) skipped: Vec<String>,
    pub(super) events: Events<'a>,
}

/// What became of an attempt.
pub(super) struct AttemptResult {
    /// What the source was asked for or, where it resolved a name, what that resolved to.
    pub(super) digest: Option<Digest>,
    pub(super) result: Result<Outcome, Error>,
}

/// What a source has, admitted and not yet unpacked.
enum Admitted {
    Image {
        image: Box<AdmittedImage>,
        /// As the source names it.
        requested: Reference,
    },
    Archive {
        archive: AdmittedArchive,
        /// Where it is quarantined.
        staging: Arc<Staging>,
    },
}

impl<V: ImageVerifier> Installer<V> {
    pub(super) async fn attempt(&self, attempt: Attempt<'_>) -> AttemptResult {
        match &attempt.planned.source {
            Source::Image { reference } => self.attempt_image(reference, &attempt).await,
            Source::Layout { path } => {
                let reference = Reference::from(path.clone());
                self.attempt_image(&reference, &attempt).await
            }
            Source::Tarball(tarball) => AttemptResult {
                result: self.attempt_tarball(tarball, &attempt).await,
                digest: attempt.digest,
            },
            Source::Directory { path } => AttemptResult {
                result: self.attempt_directory(path, &attempt).await,
                digest: attempt.digest,
            },
        }
    }

    async fn attempt_image(&self, reference: &Reference, attempt: &Attempt<'_>) -> AttemptResult {
        let requested = match &attempt.digest {
            Some(digest) => reference.pinned_to(digest.clone()),
            None => reference.clone(),
        };
        match self.resolve(&requested, attempt.events).await {
            Ok(resolved) => AttemptResult {
                digest: Some(resolved.digest().clone()),
                result: self.attempt_resolved(resolved, reference, attempt).await,
            },
            Err(error) => AttemptResult {
                digest: attempt.digest.clone(),
                result: Err(error),
            },
        }
    }

    async fn attempt_resolved(
        &self,
        resolved: ResolvedImage,
        reference: &Reference,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let resolved = resolved.requested_as(attempt.name(reference));
        let image = Box::new(self.admit_as_required(resolved, attempt).await?);
        let requested = reference.clone();
        self.put_in_place(Admitted::Image { image, requested }, attempt)
            .await
    }

    async fn attempt_tarball(
        &self,
        tarball: &Tarball,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        // If the bytes of this digest are installed already, they need not be fetched again.
        if let RequirementKind::Digest(digest) = attempt.plan.requirement().kind()
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
        let staging = stage(attempt.held).await?;
        let path = staging.blob_path(0);
        let fetched = archive::fetch(self.http()?, tarball, self.limits(), &path, &progress);
        let archive = fetched.await?.admit(attempt.plan.requirement())?;
        self.put_in_place(Admitted::Archive { archive, staging }, attempt)
            .await
    }

    async fn attempt_directory(
        &self,
        directory: &Path,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let staging = stage(attempt.held).await?;
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
        self.put_in_place(Admitted::Archive { archive, staging }, attempt)
            .await
    }

    /// Unpacks what was admitted and puts it in the target's place, unless it is there already.
    async fn put_in_place(
        &self,
        admitted: Admitted,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let content = admitted.content();
        match content.grounds {
            Grounds::Nothing => (attempt.events)(Event::Unverified {
                digest: content.index.unwrap_or(content.digest).clone(),
            }),
            Grounds::Signature { .. } | Grounds::Digest => {}
        }
        if let Some(unchanged) = attempt.unchanged(content)? {
            return Ok(unchanged);
        }
        let locked = attempt.locked_entry(content);
        let replacement = Replacement::of(attempt.target.recorded(), content);
        let (digest, index) = (content.digest.clone(), content.index.cloned());
        let grounds = content.grounds.clone();
        let (reference, unpacked) = match admitted {
            Admitted::Image { image, requested } => {
                let staging = stage(attempt.held).await?;
                let fetching = Fetching {
                    platform: attempt.platform,
                    registry: self.registry(),
                    limits: self.limits(),
                    events: attempt.events,
                };
                (Some(requested), fetching.unpack(&image, staging).await?)
            }
            Admitted::Archive { archive, staging } => {
                let unpacked = unpack_archive(self.limits(), archive, staging, attempt.events);
                (None, unpacked.await?)
            }
        };
        let installed = Installed {
            reference,
            platform: attempt.platform.clone(),
            digest,
            index,
            grounds,
            files: unpacked.files(),
            bytes: unpacked.bytes(),
            warnings: unpacked.warnings(),
            inventory: unpacked.inventory().clone(),
            provenance: attempt.provenance(),
        };
        let record = Record::new(&installed);
        unpacked.commit(record, attempt.options.durability).await?;
        let recorded = attempt.target.recorded();
        Ok(Outcome::Installed {
            installed: Box::new(installed),
            replacement,
            replaced: recorded.map(|recorded| recorded.digest.clone()),
            locked: locked.map(Box::new),
        })
    }
}

impl Admitted {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Image { image, .. } => Content::of(image),
            Self::Archive { archive, .. } => Content::archive(archive.digest(), archive.grounds()),
        }
    }
}

impl Attempt<'_> {
    /// What the plan asks for when it asks for `reference`: a mirror holds a copy of what the
    /// primary's name stands for, and a fallback is another tag of the primary's repository.
    fn name(&self, reference: &Reference) -> Reference {
        let primary = self.plan.sources().first().map(|first| &first.source);
        let Some(primary) = primary.and_then(Source::reference) else {
            return reference.clone();
        };
        match self.planned.role {
            Role::Primary | Role::Mirror => primary.clone(),
            Role::Fallback => primary.with_tag_of(reference),
        }
    }

    /// Where it is from; `None` for an image by itself, whose reference says that.
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

    /// Whether admitted content is there already; `None` where it is to be put in place.
    ///
    /// # Errors
    /// When it is not what was locked, or may not replace what is installed.
    fn unchanged(&self, content: Content<'_>) -> Result<Option<Outcome>, Error> {
        self.check_locked(content)?;
        let Some(recorded) = self.target.recorded() else {
            return Ok(None);
        };
        let refused = || format!("{} ({})", self.planned.source, content.digest);
        match decide(recorded, content, self.options) {
            Decision::Install => Ok(None),
            Decision::Keep => Ok(Some(Outcome::Unchanged {
                recorded: Box::new(recorded.clone()),
                locked: self.locked_entry(content).map(Box::new),
            })),
            Decision::Weaker => Err(Error::Weaker {
                content: refused(),
                installed: Box::new(recorded.grounds.clone()),
                found: Box::new(content.grounds.clone()),
            }),
            Decision::Undated { installed } => Err(Error::Undated {
                content: refused(),
                installed,
            }),
            Decision::Older { installed, found } => Err(Error::Older {
                content: refused(),
                installed,
                found,
            }),
        }
    }

    /// Compares admitted content with the lock, where the plan is locked.
    pub(super) fn check_locked(&self, content: Content<'_>) -> Result<(), Error> {
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
}
