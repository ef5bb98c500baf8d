//! Signs images that are in their repositories by digest, proves the signatures, and only then writes
//! the tags.
//!
//! Everything is signed for each of its names. A client that has asked for nothing yet verifies each
//! image, as an installer does. Then the tags are written one after the other, and each is read back.
//! What fails before leaves every tag where it was, so no tag that this wrote ever names an unsigned
//! image. `sign --then-tag` and `merge` both go this way.

mod error;
mod event;
mod failure;
mod proven;
mod tag;

pub use error::PublicationError;
pub use event::PublicationEvent;
pub use failure::PublicationFailure;
pub(crate) use proven::{AllSigned, Taggable};
pub(crate) use tag::{NotWritten, TagName};

use std::collections::BTreeMap;

use countersign_oci::{Digest, Reference, Registry, ResolvedImage};
use tokio::sync::Semaphore;

use self::proven::ProvenTag;
use crate::error::Error;
use crate::outcome::{Signed, Stopped};
use crate::signer::Signer;
use crate::tags::{self, Tags};
use crate::token::IdentityToken;

/// Images that are looked up at once.
const IMAGES_AT_ONCE: usize = 8;

/// What images are published with.
pub struct Publication<'a> {
    /// Signs, with [`Tags::Later`].
    signer: Signer,
    /// A client that has asked for nothing yet: what it is told is what anybody is told.
    stranger: Registry,
    token: &'a IdentityToken,
    annotations: &'a BTreeMap<String, String>,
}

/// What was signed and tagged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Published {
    /// The signatures: of each image, and of everything in it, for each name.
    pub signed: Vec<Signed>,
    /// The tags that name the images now, in the order in which they were written.
    pub tags: Vec<Reference>,
}

/// A tag to write, and what must be proven before.
pub(crate) struct PlannedTag {
    pub(crate) name: TagName,
    /// The image that it is to name, in the tag's own repository.
    pub(crate) image: ResolvedImage,
    /// Digests of what must have signatures for this name, apart from what the signer finds.
    pub(crate) required: Vec<Digest>,
}

impl PlannedTag {
    /// The error that `digest` has no signature for this name.
    fn unsigned(&self, digest: &Digest) -> PublicationError {
        PublicationError::Unsigned {
            image: Box::new(self.name.location().at(digest.clone())),
            tag: Box::new(self.name.reference().clone()),
        }
    }
}

impl<'a> Publication<'a> {
    /// What `signer` signs by `token` is published. The signed statements say `annotations` besides. Whatever
    /// the signer's [`Tags`] are, tags are written when everything is proven.
    ///
    /// # Errors
    /// If there can be no second client, which verifies what the signer pushed.
    pub fn new(
        signer: Signer,
        token: &'a IdentityToken,
        annotations: &'a BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            stranger: signer.registry().anew()?,
            signer: signer.with_tags(Tags::Later),
            token,
            annotations,
        })
    }

    /// The client that copies, and that writes the tags.
    pub(crate) fn registry(&self) -> &Registry {
        self.signer.registry()
    }

    /// Signs each image and everything in it, for each of `tags`, which are tags of the image's own
    /// repository. When all of it is proven, makes the tags name the images: first all tags of the
    /// first image, in their order, then those of the next.
    ///
    /// # Errors
    /// [`PublicationFailure`], which says where the tags are. Its error is [`PublicationError::ByTag`], if an image
    /// has no digest, and [`PublicationError::Target`], if one has a tag beside it. Before everything is
    /// proven no tag is touched.
    pub async fn sign_then_tag(
        &self,
        images: &[Reference],
        tags: &[String],
        events: &(dyn Fn(PublicationEvent) + Send + Sync),
    ) -> Result<Published, PublicationFailure> {
        let names = names_of_images(images, tags)
            .map_err(|error| unchanged(&[], Error::from(error).into()))?;
        let untouched = |error: Error| {
            let names = names.iter().flat_map(|(_, names)| names);
            unchanged(&names.cloned().collect::<Vec<_>>(), error.into())
        };
        let turns = Semaphore::new(IMAGES_AT_ONCE);
        let pinned: Vec<Reference> = names.iter().map(|(image, _)| (*image).clone()).collect();
        let resolved = tags::resolve(self.registry(), &pinned, Tags::Later, &turns).await;
        let resolved = resolved.map_err(|error| untouched(without_tags(error)))?;
        let planned = names.iter().zip(resolved).flat_map(|((_, names), image)| {
            names.iter().map(move |name| PlannedTag {
                name: name.clone(),
                image: image.clone(),
                required: vec![image.digest().clone()],
            })
        });
        self.publish(&planned.collect::<Vec<_>>(), events).await
    }

    /// Signs, proves and tags what is in its repositories.
    pub(crate) async fn publish(
        &self,
        planned: &[PlannedTag],
        events: &(dyn Fn(PublicationEvent) + Send + Sync),
    ) -> Result<Published, PublicationFailure> {
        let names: Vec<TagName> = planned.iter().map(|one| one.name.clone()).collect();
        events(PublicationEvent::Planned {
            tags: names.iter().map(|name| name.reference().clone()).collect(),
        });
        let proven = self.prove(planned, events).await;
        let (signed, proven) = proven.map_err(|stopped| unchanged(&names, stopped))?;
        events(PublicationEvent::Proven);
        let mut moved = Vec::new();
        for (at, one) in proven.iter().enumerate() {
            let name = &one.planned.name;
            let tag = name.reference().clone();
            events(PublicationEvent::Tagging { tag: tag.clone() });
            let written = name.write(self.registry(), &self.stranger, one.taggable());
            let (error, unclear) = match written.await {
                Ok(()) => {
                    events(PublicationEvent::Tagged { tag: tag.clone() });
                    moved.push(tag);
                    continue;
                }
                Err(NotWritten::Left(error)) => (error, None),
                Err(NotWritten::Unclear(error)) => (error, Some(tag)),
            };
            // One that may have been written is not among those that were left alone.
            let first_left = if unclear.is_some() { at + 1 } else { at };
            let left = names.iter().skip(first_left);
            return Err(PublicationFailure {
                error,
                moved,
                unclear,
                left: left.map(|name| name.reference().clone()).collect(),
                signed,
                unsigned: Vec::new(),
            });
        }
        Ok(Published {
            signed,
            tags: moved,
        })
    }

    /// Everything before the tags: the signatures for each name, all of them verified.
    async fn prove<'p>(
        &self,
        planned: &'p [PlannedTag],
        events: &(dyn Fn(PublicationEvent) + Send + Sync),
    ) -> Result<(Vec<Signed>, Vec<ProvenTag<'p>>), Stopped> {
        let to_sign = planned
            .iter()
            .map(|one| one.name.pinned_to(one.image.digest()));
        let to_sign: Vec<Reference> = to_sign.collect();
        let signing = |event| events(PublicationEvent::Signing(event));
        let signed = self
            .signer
            .sign(&to_sign, self.token, self.annotations, &signing)
            .await?;
        let proven = async {
            let signed = AllSigned::of(planned, &signed)?;
            let proofs = self
                .signer
                .verify_as_stranger(&self.stranger, &signed, self.annotations)
                .await?;
            Ok::<_, Error>(ProvenTag::all(planned, proofs)?)
        };
        match proven.await {
            Ok(proven) => Ok((signed, proven)),
            Err(error) => Err(Stopped {
                error,
                signed,
                unsigned: Vec::new(),
            }),
        }
    }
}

/// A failure before any tag was touched.
pub(crate) fn unchanged(names: &[TagName], stopped: Stopped) -> PublicationFailure {
    PublicationFailure {
        error: stopped.error,
        moved: Vec::new(),
        unclear: None,
        left: names.iter().map(|name| name.reference().clone()).collect(),
        signed: stopped.signed,
        unsigned: stopped.unsigned,
    }
}

/// Each image, once, with the names that it is to get.
fn names_of_images<'a>(
    images: &'a [Reference],
    tags: &[String],
) -> Result<Vec<(&'a Reference, Vec<TagName>)>, PublicationError> {
    if tags.is_empty() {
        return Err(PublicationError::NoTag);
    }
    let mut all: Vec<(&Reference, Vec<TagName>)> = Vec::new();
    for image in images {
        if all.iter().any(|(known, _)| *known == image) {
            continue;
        }
        if image.digest().is_some() && image.tag().is_some() {
            return Err(PublicationError::Target {
                reference: Box::new(image.clone()),
                expected: "a digest without a tag beside it",
            });
        }
        let mut names: Vec<TagName> = Vec::new();
        for tag in tags {
            let name = image.with_tag(tag);
            let name = name.map_err(|source| PublicationError::NotATag {
                tag: tag.clone(),
                source: Box::new(source),
            })?;
            let name = TagName::new(&name)?;
            let other = all.iter().find(|(_, names)| names.contains(&name));
            if let Some((other, _)) = other
                && let (Some(first), Some(second)) = (other.digest(), image.digest())
            {
                return Err(PublicationError::SameTag {
                    tag: Box::new(name.reference().clone()),
                    first: first.clone(),
                    second: second.clone(),
                });
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        all.push((image, names));
    }
    Ok(all)
}

/// What is said of images without a digest. The words to use instead are the digest alone, since the tags
/// are given apart.
fn without_tags(error: Error) -> Error {
    let Error::ByTag { pinned } = error else {
        return error;
    };
    let alone = |reference: &Reference| match reference.digest() {
        Some(digest) => reference.location().at(digest.clone()).into(),
        None => reference.clone(),
    };
    PublicationError::ByTag {
        given: pinned.iter().map(Reference::without_digest).collect(),
        pinned: pinned.iter().map(alone).collect(),
    }
    .into()
}
