//! One attempt: which source is asked, for what, and what may become of what it has.

use countersign_oci::{Digest, Platform, Reference};

use super::prove;
use super::replace::{Decision, TargetState, decide, keeps_grounds};
use super::replacement::Replacement;
use crate::content::Content;
use crate::error::Error;
use crate::events::Events;
use crate::grounds::Grounds;
use crate::lock::{Lock, LockedEntry, LockedGrounds};
use crate::options::InstallOptions;
use crate::plan::Plan;
use crate::planned::{PlannedSource, Role};
use crate::record::{Provenance, Recorded};
use crate::requirement::ArchiveRequirement;

/// An attempt to install from one source.
pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) planned: &'a PlannedSource,
    /// The digest that the source is asked for; `None` where its name decides.
    pub(super) digest: Option<Digest>,
    pub(super) platform: &'a Platform,
    pub(super) target: &'a TargetState,
    pub(super) options: InstallOptions,
    /// The lock that it is to be put into.
    pub(super) lock: Option<&'a Lock>,
    /// Why nothing was installed from the sources before, a text each.
    pub(super) skipped: Vec<String>,
    pub(super) events: Events<'a>,
}

impl Attempt<'_> {
    /// What the plan asks for when it asks for `reference`.
    pub(super) fn name(&self, reference: &Reference) -> Reference {
        prove::name(self.plan, self.planned, reference)
    }

    /// Where it is from; `None` for an image by itself, whose reference says that.
    pub(super) fn provenance(&self) -> Option<Provenance> {
        Some(Provenance {
            gallery: self.plan.gallery()?.to_owned(),
            name: self.plan.name().to_owned(),
            entry: self.plan.entry()?.name.clone(),
            role: self.planned.role,
            source: self.planned.source.to_string(),
            skipped: self.skipped.clone(),
            file: self.plan.gallery_file().map(ToOwned::to_owned),
        })
    }

    /// The record of the same content, where that is there already and stays; `None` where what was admitted is
    /// to be put in place.
    ///
    /// # Errors
    /// When it is not what was locked, or may not replace what is installed or what is to be locked anew.
    pub(super) fn kept(&self, content: Content<'_>) -> Result<Option<&Recorded>, Error> {
        self.check_locked(content)?;
        let kept = self.kept_of_installed(content)?;
        if let (Some(lock), Some(entry)) = (self.lock, self.locked_entry(content)) {
            lock.require_replaceable(&entry, self.options.downgrade)?;
        }
        Ok(kept)
    }

    fn kept_of_installed(&self, content: Content<'_>) -> Result<Option<&Recorded>, Error> {
        let Some(recorded) = self.target.recorded() else {
            return Ok(None);
        };
        let refused = || format!("{} ({})", self.planned.source, content.digest);
        let other = || self.is_of_another(recorded).then(|| recorded.describe());
        // Nothing says for which platform the content of an archive is.
        let is_image = self.planned.source.can_be_signed();
        let platform = is_image.then_some(self.platform);
        match decide(recorded, content, platform, self.options) {
            Decision::Install => Ok(None),
            // The record has to say which entry it is: an upgrade stays with that. A time that is known is worth more.
            Decision::Keep
                if self.is_of_another_entry(recorded) && self.kept_grounds(content).is_none() =>
            {
                Ok(None)
            }
            Decision::Keep => Ok(Some(recorded)),
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
                other: other(),
                installed,
                found,
            }),
        }
    }

    /// The grounds that the record keeps, though `content` is put in place; `None` if it gets those of `content`.
    pub(super) fn kept_grounds(&self, content: Content<'_>) -> Option<&Grounds> {
        let recorded = self.target.recorded()?;
        keeps_grounds(recorded, content, self.options.downgrade).then_some(&recorded.grounds)
    }

    /// What putting `content` in place does to what is there.
    pub(super) fn replacement(&self, content: Content<'_>) -> Replacement {
        match self.target.recorded() {
            Some(recorded) if self.is_of_another(recorded) || !recorded.is_for(self.platform) => {
                Replacement::Replaced
            }
            recorded => Replacement::of(recorded, content),
        }
    }

    /// Whether `recorded` is another entry, or an image of another repository: the ages of the two say nothing.
    fn is_of_another(&self, recorded: &Recorded) -> bool {
        match (&recorded.provenance, self.plan.entry()) {
            (Some(installed), Some(entry)) => {
                // A mirror may have been taken out of the gallery since. Any other source is of the entry's own repository.
                installed.entry != entry.name
                    || (installed.role != Role::Mirror && self.is_of_another_repository(recorded))
            }
            (Some(_), None) | (None, _) => self.is_of_another_repository(recorded),
        }
    }

    /// Whether `recorded` is another entry of a gallery, or one of another gallery. It may have the same content.
    fn is_of_another_entry(&self, recorded: &Recorded) -> bool {
        match (&recorded.provenance, self.plan.entry()) {
            (Some(installed), Some(entry)) => {
                installed.entry != entry.name
                    || Some(installed.gallery.as_str()) != self.plan.gallery()
            }
            (Some(_), None) | (None, _) => false,
        }
    }

    /// Whether `recorded` is an image of a repository that none of the plan's sources names, where these are images.
    fn is_of_another_repository(&self, recorded: &Recorded) -> bool {
        let Some(installed) = recorded.reference.as_ref().map(Reference::location) else {
            return false;
        };
        let sources = self.plan.sources().iter();
        let mut found = sources.filter_map(|one| one.source.reference().map(Reference::location));
        self.planned.source.reference().is_some() && !found.any(|found| found == installed)
    }

    /// What has to be known of the archive that the source has, of which something names the digest `named`.
    ///
    /// # Errors
    /// [`Error::Unverifiable`], if a signature is required.
    pub(super) fn archive_requirement(
        &self,
        named: Option<&Digest>,
    ) -> Result<ArchiveRequirement, Error> {
        let requirement = self.plan.requirement();
        requirement.of_archive(named, &self.planned.source)
    }

    /// Compares admitted content with the lock, where the plan is locked.
    pub(super) fn check_locked(&self, content: Content<'_>) -> Result<(), Error> {
        match self.plan.locked_to() {
            Some(locked) => locked.check(content),
            None => Ok(()),
        }
    }

    /// What a lock keeps of admitted content; `None` where no gallery names it.
    pub(super) fn locked_entry(&self, content: Content<'_>) -> Option<LockedEntry> {
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
