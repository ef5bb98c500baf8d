//! Copies the images, and has the index signed, proven and tagged.

use countersign_oci::{Digest, PinnedReference, Platform, Reference, ResolvedImage};
use serde::Serialize;

use super::{Merge, contents};
use crate::error::Error;
use crate::outcome::Signed;
use crate::publication::{
    PlannedTag, Publication, PublicationError, PublicationEvent, PublicationFailure, TagName,
    unchanged,
};

/// An image that was merged, signed and tagged.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Merged {
    /// The digest of the index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// What it lists, in its order.
    pub manifests: Vec<MergedManifest>,
    /// The signatures, of the index and of everything in it, for each name.
    pub signed: Vec<Signed>,
    /// The tags that name it now.
    pub tags: Vec<Reference>,
}

/// A manifest in a merged index.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MergedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its platform; `None` for what is no image, such as an attestation.
    pub platform: Option<Platform>,
    /// Where it was merged from.
    #[serde(serialize_with = "as_text")]
    pub source: PinnedReference,
}

fn as_text<S: serde::Serializer>(
    reference: &PinnedReference,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}

impl Merge {
    /// Publishes the merged image under `tags`, which may be of several repositories and registries.
    /// First the images are copied to each repository, and the index is pushed by its digest. Then
    /// all of it is signed for each name, with one certificate. Then a client that has seen nothing
    /// of it verifies index and images in each repository as an installer does. Only when everything
    /// is proven everywhere are the tags written, in their order, and read back.
    ///
    /// # Errors
    /// [`PublicationFailure`], which says where the tags are. Before everything is proven no tag is
    /// touched.
    pub async fn publish(
        &self,
        with: &Publication<'_>,
        tags: &[Reference],
        events: &(dyn Fn(PublicationEvent) + Send + Sync),
    ) -> Result<Merged, PublicationFailure> {
        let untouched = |error: Error| PublicationFailure {
            left: tags.to_vec(),
            ..unchanged(&[], error.into())
        };
        let names = names(tags).map_err(|error| untouched(error.into()))?;
        let planned = self.copy(with, &names, events).await.map_err(untouched)?;
        let published = with.publish(&planned, events).await?;
        let manifests = self.members.iter().map(|member| MergedManifest {
            digest: member.image.digest().clone(),
            platform: member.platform.clone(),
            source: member.image.reference().clone(),
        });
        Ok(Merged {
            digest: self.digest.clone(),
            media_type: self.media_type.to_owned(),
            manifests: manifests.collect(),
            signed: published.signed,
            tags: published.tags,
        })
    }

    /// Puts images and index into the repository of each name, once.
    async fn copy(
        &self,
        with: &Publication<'_>,
        names: &[TagName],
        events: &(dyn Fn(PublicationEvent) + Send + Sync),
    ) -> Result<Vec<PlannedTag>, Error> {
        let members = self.members.iter().map(|member| member.image.digest());
        let required: Vec<Digest> = std::iter::once(&self.digest)
            .chain(members)
            .cloned()
            .collect();
        let mut planned: Vec<PlannedTag> = Vec::new();
        for name in names {
            let there = |image: &ResolvedImage| image.reference().location() == name.location();
            let copied = planned.iter().find(|one| there(&one.image));
            let image = match copied {
                Some(one) => one.image.clone(),
                None => {
                    let target = name.location().writable()?;
                    contents::copy(with.registry(), self, target, events).await?
                }
            };
            planned.push(PlannedTag {
                name: name.clone(),
                image,
                required: required.clone(),
            });
        }
        Ok(planned)
    }
}

/// The tags, each once.
fn names(tags: &[Reference]) -> Result<Vec<TagName>, PublicationError> {
    let mut names: Vec<TagName> = Vec::new();
    for reference in tags {
        let name = TagName::new(reference)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        Err(PublicationError::NoTag)
    } else {
        Ok(names)
    }
}
