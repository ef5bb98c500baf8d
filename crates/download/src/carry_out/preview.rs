//! What an installation would do: the same sources, the same proofs and the same rules, and nothing is written.
//!
//! Of an image the configuration is read too: by it an installation refuses before it unpacks anything.

use std::path::Path;

use countersign_oci::{Digest, Reference};

use super::attempt::Attempt;
use super::goal::Goal;
use super::put_in_place::fetching;
use super::replacement::Replacement;
use crate::admitted::{AdmittedImage, ImageVerifier};
use crate::content::Content;
use crate::error::Error;
use crate::grounds::Grounds;
use crate::install::Installer;
use crate::record::{Provenance, Recorded};
use crate::source::Tarball;
use crate::unpack::{Ahead, Selection};

/// What an installation would do.
#[derive(Debug, Clone)]
pub enum Preview {
    /// This would be installed.
    Install {
        /// What was found.
        found: Box<Available>,
        /// What that would do to what is there.
        replacement: Replacement,
        /// What is there, by its record.
        installed: Option<Box<Recorded>>,
    },
    /// The record says that this digest is installed already, on grounds that are as strong.
    Unchanged {
        /// What the record says.
        recorded: Box<Recorded>,
    },
    /// It is an archive or a directory, and nothing says what is in it before it is fetched or read.
    Unknown {
        /// Where it would be from.
        provenance: Option<Provenance>,
        /// What is there, by its record.
        installed: Option<Box<Recorded>>,
    },
}

/// What a source has, and the proof of it. Nothing of its content was fetched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Available {
    /// The image as the source names it; `None` for content that is no image.
    pub reference: Option<Reference>,
    /// Digest of the platform's manifest, or of the archive's bytes.
    pub digest: Digest,
    /// Digest of the index that named it, if it was found by one.
    pub index: Option<Digest>,
    /// What was proven.
    pub grounds: Grounds,
    /// Which entry of which gallery it is, and which source has it; `None` where the image was asked for by
    /// itself.
    pub provenance: Option<Provenance>,
}

impl Preview {
    /// What is installed now, by its record.
    pub fn installed(&self) -> Option<&Recorded> {
        match self {
            Self::Install { installed, .. } | Self::Unknown { installed, .. } => {
                installed.as_deref()
            }
            Self::Unchanged { recorded } => Some(recorded),
        }
    }
}

/// To know what an installation would do.
pub(super) struct Look;

impl<V: ImageVerifier> Goal<V> for Look {
    type Output = Preview;

    fn ahead<'a>(
        &'a self,
        _: &'a Installer<V>,
        _: &'a Attempt<'_>,
    ) -> Option<(Selection, Ahead<'a>)> {
        None
    }

    async fn image(
        &self,
        installer: &Installer<V>,
        image: Box<AdmittedImage>,
        requested: &Reference,
        _: Option<Ahead<'_>>,
        attempt: &Attempt<'_>,
    ) -> Result<Preview, Error> {
        let content = Content::of(&image);
        if let Some(unchanged) = unchanged(attempt, content)? {
            return Ok(unchanged);
        }
        let fetching = fetching(installer, attempt);
        fetching.check(image.reference(), image.manifest()).await?;
        Ok(installs(attempt, content, Some(requested.clone())))
    }

    async fn tarball(
        &self,
        installer: &Installer<V>,
        tarball: &Tarball,
        attempt: &Attempt<'_>,
    ) -> Result<Preview, Error> {
        installer.http(tarball)?;
        // A lock pins a digest; without one the index may.
        let pinned = attempt.digest.as_ref().or(tarball.digest());
        archive(attempt, pinned)
    }

    async fn directory(
        &self,
        _: &Installer<V>,
        _: &Path,
        attempt: &Attempt<'_>,
    ) -> Result<Preview, Error> {
        archive(attempt, attempt.digest.as_ref())
    }
}

/// What an archive would do whose bytes have to be of the digest `pinned`, if they have to be of any.
fn archive(attempt: &Attempt<'_>, pinned: Option<&Digest>) -> Result<Preview, Error> {
    let required = attempt.archive_requirement(pinned)?;
    match required.digest() {
        Some(digest) => {
            let grounds = required.grounds();
            let content = Content::archive(digest, &grounds);
            let unchanged = unchanged(attempt, content)?;
            Ok(unchanged.unwrap_or_else(|| installs(attempt, content, None)))
        }
        None => Ok(Preview::Unknown {
            provenance: attempt.provenance(),
            installed: attempt.target.recorded().cloned().map(Box::new),
        }),
    }
}

/// What is installed already, if `content` is that.
fn unchanged(attempt: &Attempt<'_>, content: Content<'_>) -> Result<Option<Preview>, Error> {
    let kept = attempt.kept(content)?;
    Ok(kept.map(|recorded| Preview::Unchanged {
        recorded: Box::new(recorded.clone()),
    }))
}

fn installs(attempt: &Attempt<'_>, content: Content<'_>, reference: Option<Reference>) -> Preview {
    let installed = attempt.target.recorded();
    Preview::Install {
        replacement: attempt.replacement(content),
        installed: installed.cloned().map(Box::new),
        found: Box::new(Available {
            reference,
            digest: content.digest.clone(),
            index: content.index.cloned(),
            grounds: content.grounds.clone(),
            provenance: attempt.provenance(),
        }),
    }
}
