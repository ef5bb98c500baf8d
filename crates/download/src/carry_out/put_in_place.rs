//! Installs: unpacks what was admitted, and puts it in the target's place.

use std::path::Path;
use std::sync::Arc;

use countersign_oci::Reference;

use super::Outcome;
use super::attempt::Attempt;
use super::goal::Goal;
use crate::admitted::{AdmittedImage, ImageVerifier};
use crate::archive::{self, AdmittedArchive};
use crate::blocking::{CancelOnDrop, blocking};
use crate::content::Content;
use crate::error::Error;
use crate::events::Event;
use crate::grounds::Grounds;
use crate::hold::stage;
use crate::install::Installer;
use crate::record::{Installed, Record};
use crate::requirement::ArchiveRequirement;
use crate::source::Tarball;
use crate::target::{Held, Staging};
use crate::unpack::{Ahead, Fetching, Selection, unpack_archive};

/// To have it in the place of what is there.
pub(super) struct PutInPlace {
    /// The target, which nobody else installs to meanwhile.
    pub(super) held: Arc<Held>,
}

/// What a source has, admitted and not yet unpacked.
enum Admitted<'a> {
    Image {
        image: Box<AdmittedImage>,
        /// As the source names it.
        requested: Reference,
        /// What was fetched of it already.
        ahead: Option<Ahead<'a>>,
    },
    Archive {
        archive: AdmittedArchive,
        /// Where it is quarantined.
        staging: Arc<Staging>,
    },
}

impl<V: ImageVerifier> Goal<V> for PutInPlace {
    type Output = Outcome;

    fn ahead<'a>(
        &'a self,
        installer: &'a Installer<V>,
        attempt: &'a Attempt<'_>,
    ) -> Option<(Selection, Ahead<'a>)> {
        let installed = attempt.target.recorded();
        Some(Ahead::new(
            fetching(installer, attempt),
            &self.held,
            installed.map(|recorded| &recorded.digest),
        ))
    }

    async fn image(
        &self,
        installer: &Installer<V>,
        image: Box<AdmittedImage>,
        requested: &Reference,
        ahead: Option<Ahead<'_>>,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let admitted = Admitted::Image {
            image,
            requested: requested.clone(),
            ahead,
        };
        self.put_in_place(installer, admitted, attempt).await
    }

    async fn tarball(
        &self,
        installer: &Installer<V>,
        tarball: &Tarball,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        // If the bytes of this digest are installed already, they need not be fetched again.
        let required = attempt.archive_requirement(tarball.digest())?;
        if let ArchiveRequirement::Digest(digest) = &required
            && let Some(unchanged) = unchanged(attempt, Content::archive(digest, &Grounds::Digest))?
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
        let staging = stage(&self.held).await?;
        let path = staging.blob_path(0);
        let fetched = archive::fetch(
            installer.http(tarball)?,
            tarball,
            installer.limits(),
            &path,
            &progress,
        );
        let archive = fetched.await?.admit(&required)?;
        self.put_in_place(installer, Admitted::Archive { archive, staging }, attempt)
            .await
    }

    async fn directory(
        &self,
        installer: &Installer<V>,
        directory: &Path,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let required = attempt.archive_requirement(None)?;
        let staging = stage(&self.held).await?;
        let (from, to) = (directory.to_owned(), staging.blob_path(0));
        let (limits, held) = (installer.limits().clone(), Arc::clone(&staging));
        let guard = CancelOnDrop::default();
        let cancellation = guard.cancellation();
        let packed = blocking(move || {
            let packed = archive::pack(&from, &limits, &to, cancellation);
            drop(held);
            packed
        });
        let archive = packed.await?.admit(&required)?;
        drop(guard);
        self.put_in_place(installer, Admitted::Archive { archive, staging }, attempt)
            .await
    }
}

impl PutInPlace {
    /// Unpacks what was admitted and puts it in the target's place, unless it is there already.
    async fn put_in_place<V: ImageVerifier>(
        &self,
        installer: &Installer<V>,
        admitted: Admitted<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<Outcome, Error> {
        let content = admitted.content();
        match content.grounds {
            Grounds::Nothing => (attempt.events)(Event::Unverified {
                digest: content.index.unwrap_or(content.digest).clone(),
            }),
            Grounds::Signature { .. } | Grounds::Digest => {}
        }
        if let Some(unchanged) = unchanged(attempt, content)? {
            return Ok(unchanged);
        }
        let locked = attempt.locked_entry(content);
        let replacement = attempt.replacement(content);
        let (digest, index) = (content.digest.clone(), content.index.cloned());
        let grounds = content.grounds.clone();
        let kept_grounds = attempt.kept_grounds(content).cloned();
        let (reference, unpacked) = match admitted {
            Admitted::Image {
                image,
                requested,
                ahead,
            } => {
                let unpacked = fetching(installer, attempt).unpack(&image, &self.held, ahead);
                (Some(requested), unpacked.await?)
            }
            Admitted::Archive { archive, staging } => {
                let unpacked = unpack_archive(installer.limits(), archive, staging, attempt.events);
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
        let recorded = Installed {
            grounds: kept_grounds.unwrap_or_else(|| installed.grounds.clone()),
            ..installed.clone()
        };
        let record = Record::new(&recorded);
        unpacked.commit(record, attempt.options.durability).await?;
        let recorded = attempt.target.recorded();
        Ok(Outcome::Installed {
            installed: Box::new(installed),
            replacement,
            replaced: recorded.cloned().map(Box::new),
            locked: locked.map(Box::new),
        })
    }
}

/// How the content of an image is fetched in `attempt`.
pub(super) fn fetching<'a, V: ImageVerifier>(
    installer: &'a Installer<V>,
    attempt: &'a Attempt<'_>,
) -> Fetching<'a> {
    Fetching {
        platform: attempt.platform,
        registry: installer.registry(),
        limits: installer.limits(),
        layers: installer.layers(),
        events: attempt.events,
    }
}

/// What an attempt comes to where the admitted content is there already; `None` where it is to be put in place.
fn unchanged(attempt: &Attempt<'_>, content: Content<'_>) -> Result<Option<Outcome>, Error> {
    let kept = attempt.kept(content)?;
    Ok(kept.map(|recorded| Outcome::Unchanged {
        recorded: Box::new(recorded.clone()),
        locked: attempt.locked_entry(content).map(Box::new),
    }))
}

impl Admitted<'_> {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Image { image, .. } => Content::of(image),
            Self::Archive { archive, .. } => Content::archive(archive.digest(), archive.grounds()),
        }
    }
}
