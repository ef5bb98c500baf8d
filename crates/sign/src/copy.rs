//! Copies an image that a policy accepts, with everything that refers to it.
//!
//! The order is the promise. [`CopyPlan::read`] takes a proof, and reads what there is to copy; nothing is
//! written. [`CopyPlan::write`] copies the blobs, and the manifests, each behind its blobs and what it lists. A
//! client that has asked for nothing yet reads the manifests back and verifies the copy. Only then is
//! the tag written. What fails before leaves the tag where it was. Everything before the tag is kept by
//! its digest, so a run that is repeated goes on from where the last one ended.
//!
//! What refers to the image was made by anybody, and is not proven. It is copied as it is. If it
//! can't be read, it is left out and told: it must not keep the image from being copied.

mod beside;
mod blobs;
mod division;
mod error;
mod gather;
mod platforms;
mod target;
mod write;

pub use error::CopyError;

use std::num::NonZeroUsize;
use std::ops::AddAssign;
use std::sync::Arc;

use countersign_oci::{
    Copied, CosignTag, Digest, LayoutDraft, Location, PinnedReference, Platform, Reference,
    Registry, Repository, ResolvedImage, in_one_line,
};
use countersign_verify::{Evidence, VerifiedImage, Verifier};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;

/// An image that the policy accepts, and all that is copied with it.
#[derive(Debug)]
pub struct CopyPlan {
    registry: Registry,
    proof: VerifiedImage,
    /// The image first, with all that it lists, then what is attached. Each part is behind what led to it.
    parts: Vec<Part>,
    not_copied: Vec<NotCopied>,
}

/// A manifest or an index that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Where it is now.
    image: ResolvedImage,
    /// The media type that it is pushed with.
    media_type: String,
    /// The image and what it lists, or something that refers to these.
    role: Role,
    /// Tags that cosign's older forms are found by.
    tags: Vec<BesideTag>,
}

/// Why a manifest is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It is the image, or the image's index lists it.
    Image,
    /// It refers to something that is copied, or is a part of what does.
    Attached,
}

/// A tag that names what is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BesideTag {
    tag: String,
    content: CosignTag,
}

/// How many characters of a reason are kept.
const REASON_MAX: usize = 500;

/// Something that refers to the image and was not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCopied {
    /// Its digest, or the tag it is found by.
    pub name: String,
    /// Why not, in one line.
    pub reason: String,
}

impl NotCopied {
    /// The error with its causes.
    fn reason(error: &dyn std::error::Error) -> String {
        in_one_line(error, REASON_MAX)
    }
}

/// Where an image is copied to.
#[derive(Debug, Clone, Copy)]
pub enum CopyPlace<'a> {
    /// A repository.
    Repository {
        /// The repository.
        repository: &'a Repository,
        /// The tag to write. Without one the copy is found by its digest alone.
        tag: Option<&'a str>,
    },
    /// A layout. Its `index.json` lists the copy when it is proven.
    Layout {
        /// The layout.
        draft: &'a LayoutDraft,
        /// The name to list the image by. Without one it is found by its digest alone.
        name: Option<&'a Reference>,
    },
}

/// Where an image is copied to, and who looks at the copy.
pub struct Destination<'a> {
    /// The place.
    pub place: CopyPlace<'a>,
    /// The client that writes into a repository. The source is read by the client of [`CopyPlan::read`], which may be
    /// limited to other addresses.
    pub registry: &'a Registry,
    /// A client that has asked for nothing yet: what it is told is what anybody is told. It sees the
    /// draft of a layout ([`Registry::seeing`]).
    pub stranger: &'a Registry,
    /// A verifier of that client.
    pub verifier: &'a Verifier,
    /// How many blobs are copied at the same time.
    pub turns: &'a BlobTurns,
}

/// How many blobs are copied at the same time, by all copies that share it. Clones share it too.
#[derive(Debug, Clone)]
pub struct BlobTurns(Arc<Semaphore>);

impl BlobTurns {
    /// So many at the same time.
    pub fn new(at_once: NonZeroUsize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.get())))
    }

    async fn next(&self) -> Option<SemaphorePermit<'_>> {
        // An error would mean that the semaphore is closed. Nothing closes it.
        self.0.acquire().await.ok()
    }
}

/// How far a copy is.
#[derive(Debug, Clone)]
pub enum CopyEvent {
    /// A blob is to be copied, or `bytes` of it have been read.
    Blob {
        /// Its digest.
        digest: Digest,
        /// How many bytes of it have been read.
        bytes: u64,
        /// Its size, in bytes.
        size: u64,
    },
    /// A blob is at the destination.
    BlobDone {
        /// Its digest.
        digest: Digest,
        /// Its size, in bytes.
        size: u64,
        /// How it came there.
        copied: Copied,
    },
    /// All manifests are at the destination. The copy is being verified.
    Verifying {
        /// The copy.
        image: PinnedReference,
    },
    /// The copy is proven. The tag is being written.
    Tagging {
        /// The tag.
        tag: Reference,
    },
    /// The copy is proven. The layout is to list it.
    Listing {
        /// The copy.
        image: PinnedReference,
    },
}

/// Whoever is told how far a copy is.
pub(crate) type Events = Arc<dyn Fn(CopyEvent) + Send + Sync>;

/// An image that was copied, proven and tagged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopiedImage {
    /// The copy, by its digest.
    pub image: PinnedReference,
    /// The tag that names it now, if one was to be written. In a layout, the name that it is listed by.
    pub tag: Option<Reference>,
    /// What was proven of the copy. If the policy requires several proofs, this is the first of them.
    pub evidence: Evidence,
    /// What was proven by the other proofs, in the policy's order.
    pub further_evidence: Vec<Evidence>,
    /// How many manifests and indexes the image has.
    pub manifests: usize,
    /// How many manifests were copied that refer to these.
    pub attached: usize,
    /// How the blobs came there.
    pub blobs: BlobCounts,
    /// What refers to the image and was not copied.
    pub not_copied: Vec<NotCopied>,
}

/// How blobs came to the destination. Each blob is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobCounts {
    /// Copied.
    pub sent: usize,
    /// The bytes of those that were copied.
    pub sent_bytes: u64,
    /// Mounted from another repository of the registry.
    pub mounted: usize,
    /// There already.
    pub present: usize,
}

impl AddAssign for BlobCounts {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.sent_bytes += more.sent_bytes;
        self.mounted += more.mounted;
        self.present += more.present;
    }
}

impl CopyPlan {
    /// Reads what is copied with an image: what its index lists, and what refers to each, to any
    /// depth that the bounds allow. Signatures are also looked for in the policy's other repositories
    /// ([`Policy::signature_sources`](countersign_policy::Policy::signature_sources)).
    ///
    /// With `platforms`, only what an index lists for these is copied. The index stays as it is, so
    /// that its digest and its signatures stay valid: the copy is a sparse index.
    ///
    /// # Errors
    /// [`CopyError::Limit`] and [`CopyError::Entry`], if the image can't be copied as a whole; [`CopyError::Platform`]; others about the registry.
    pub async fn read(
        registry: &Registry,
        proof: VerifiedImage,
        platforms: &[Platform],
    ) -> Result<Self, Error> {
        platforms::refuse_missing(registry, proof.image(), platforms).await?;
        let elsewhere = proof.policy().signature_sources().iter().cloned();
        let elsewhere: Vec<Location> = elsewhere.map(Location::from).collect();
        let (parts, not_copied) =
            gather::gather(registry, proof.image(), &elsewhere, platforms).await?;
        Ok(Self {
            registry: registry.clone(),
            proof,
            parts,
            not_copied,
        })
    }

    /// Copies everything to the destination, verifies the copy there, and writes the tag. Images stay
    /// what they are: all digests are the same at the destination.
    ///
    /// A legacy signature is added to those that stand at its tag. What else stands there is not
    /// overwritten.
    ///
    /// A registry without the referrers API gets what refers to the image before the image's manifests, since the
    /// client writes the lists there, and has to wait before it reads them back: the image's blobs are copied meanwhile.
    ///
    /// Several images may be on their way into a layout; they are listed one after the other. An archive appears with
    /// [`LayoutDraft::finish`].
    ///
    /// # Errors
    /// [`PublicationError::NotATag`](crate::PublicationError::NotATag) and
    /// [`PublicationError::OfSignatures`](crate::PublicationError::OfSignatures), before anything is written;
    /// [`CopyError::Refused`], if the copy does not pass the policy; others about the registries. No
    /// tag that names the image was written then, except after an error of
    /// [`PublicationError`](crate::PublicationError).
    pub async fn write(
        &self,
        to: &Destination<'_>,
        events: &Arc<dyn Fn(CopyEvent) + Send + Sync>,
    ) -> Result<CopiedImage, Error> {
        write::write(self, to, events).await
    }
}
