//! Joins the images that a build made, one for each platform, into one multi-platform image, and lets
//! tags name it only once its signatures are proven.
//!
//! The order is the promise: [`Merge::plan`] reads the images and makes the index, without writing anything.
//! [`Merge::publish`] copies what the target repositories lack, pushes the index by its digest, signs the index
//! and everything in it, verifies all of that anew with a client that has seen nothing of it, and then writes
//! the tags. Whatever fails before leaves every tag where it was. There is no moment in which a tag that this
//! wrote names an image without a signature that the consumer accepts: that part is
//! [`Publication`](crate::Publication)'s. A run that is repeated goes on from where the last one ended, because
//! everything before the tags is kept by digest.

mod contents;
mod error;
mod join;
mod publish;

pub use error::MergeError;
pub use publish::{Merged, MergedManifest};

use std::collections::BTreeMap;

use bytes::Bytes;
use countersign_oci::{Digest, PinnedReference, Platform, Reference, Registry, ResolvedImage};

use crate::error::Error;

/// The index that a merge will publish, and the images in it.
#[derive(Debug)]
pub struct Merge {
    media_type: &'static str,
    bytes: Bytes,
    digest: Digest,
    members: Vec<Member>,
}

/// A manifest that the index lists.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Where it is now.
    image: ResolvedImage,
    /// The media type that it is listed, and therefore pushed, with.
    media_type: String,
    /// Its platform; `None` for what is no image, such as an attestation.
    platform: Option<Platform>,
    /// Its entry in the index, with all fields that the builder gave it.
    entry: serde_json::Value,
}

impl Merge {
    /// Reads `sources`, and makes the index of them, by platform. Each is an image, or an index of
    /// images and their attestations, and is named by digest. The platform of an image is the one of
    /// its entry in the index, else the one that its configuration names. `annotations` become the
    /// index's own.
    ///
    /// The same sources and annotations make the same bytes, in whatever order they are given, and so the same digest.
    ///
    /// # Errors
    /// [`MergeError`] for sources that can't be joined: one without a digest, one that is given twice, two
    /// images for one platform, an image without a platform, nothing at all; the others about the registry.
    pub async fn plan(
        registry: &Registry,
        sources: &[Reference],
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        join::plan(registry, sources, annotations).await
    }

    /// The index, as it will be pushed.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the index.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The index's media type: OCI's, or Docker's where all images in it are Docker's.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.media_type
    }

    /// The manifests in the index, in its order, with the platform of each that is an image.
    pub fn members(&self) -> impl Iterator<Item = (&PinnedReference, Option<&Platform>)> {
        let members = self.members.iter();
        members.map(|member| (member.image.reference(), member.platform.as_ref()))
    }
}
