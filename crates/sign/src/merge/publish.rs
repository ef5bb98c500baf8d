//! Copies, signs, proves, and only then writes the tags.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_oci::http::{AttemptError, retrying};
use countersign_oci::{
    Digest, Error as RegistryError, Location, PinnedReference, Platform, Reference, Registry,
    ResolvedImage, Retries,
};
use serde::Serialize;

use super::{Merge, MergeError, MergeEvent, MergeFailure, contents};
use crate::error::Error;
use crate::outcome::{Signed, Stopped};
use crate::signer::Signer;
use crate::token::IdentityToken;

/// What a merge is published with.
pub struct Publication<'a> {
    /// The client that copies, and that writes the tags.
    pub registry: &'a Registry,
    /// A client that has asked for nothing yet: what it is told is what anybody is told.
    pub stranger: &'a Registry,
    /// Signs, with [`Tags::Later`](crate::Tags::Later).
    pub signer: &'a Signer,
    /// Who signs.
    pub token: &'a IdentityToken,
    /// What the signed statements say besides.
    pub annotations: &'a BTreeMap<String, String>,
}

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
    /// [`MergeFailure`], which says where the tags are. Before everything is proven no tag is
    /// touched.
    pub async fn publish(
        &self,
        with: &Publication<'_>,
        tags: &[Reference],
        events: &(dyn Fn(MergeEvent) + Send + Sync),
    ) -> Result<Merged, MergeFailure> {
        let untouched = |stopped: Stopped| MergeFailure {
            error: stopped.error,
            moved: Vec::new(),
            unclear: None,
            left: tags.to_vec(),
            signed: stopped.signed,
            unsigned: stopped.unsigned,
        };
        let names = names(tags).map_err(|error| untouched(Error::from(error).into()))?;
        let (indexes, signed) = self.prove(with, &names, events).await.map_err(untouched)?;
        events(MergeEvent::Proven);
        let mut moved = Vec::new();
        for (at, (tag, name)) in names.iter().enumerate() {
            let index = indexes
                .iter()
                .find(|index| index.reference().location() == tag.location());
            let written = match index {
                Some(index) => write(with, tag, name, index).await,
                None => Err(Unwritten::left(self.unproven(tag.location(), &self.digest))),
            };
            if let Err(Unwritten { error, unclear }) = written {
                let rest = names.iter().skip(at + usize::from(unclear));
                return Err(MergeFailure {
                    error,
                    moved,
                    unclear: unclear.then(|| tag.clone()),
                    left: rest.map(|(tag, _)| tag.clone()).collect(),
                    signed,
                    unsigned: Vec::new(),
                });
            }
            events(MergeEvent::Tagged { tag: tag.clone() });
            moved.push(tag.clone());
        }
        let manifests = self.members.iter().map(|member| MergedManifest {
            digest: member.image.digest().clone(),
            platform: member.platform.clone(),
            source: member.image.reference().clone(),
        });
        Ok(Merged {
            digest: self.digest.clone(),
            media_type: self.media_type.to_owned(),
            manifests: manifests.collect(),
            signed,
            tags: moved,
        })
    }

    /// Everything before the tags: the index in each repository, and the signatures, all of them
    /// verified.
    async fn prove(
        &self,
        with: &Publication<'_>,
        names: &[(Reference, String)],
        events: &(dyn Fn(MergeEvent) + Send + Sync),
    ) -> Result<(Vec<ResolvedImage>, Vec<Signed>), Stopped> {
        let mut indexes: Vec<ResolvedImage> = Vec::new();
        for (tag, _) in names {
            let there = |index: &ResolvedImage| index.reference().location() == tag.location();
            if !indexes.iter().any(there) {
                let target = tag.location().writable().map_err(Error::from)?;
                indexes.push(contents::copy(with.registry, self, target, events).await?);
            }
        }
        let to_sign = names
            .iter()
            .map(|(tag, _)| tag.pinned_to(self.digest.clone()));
        let to_sign: Vec<Reference> = to_sign.collect();
        let signing = |event| events(MergeEvent::Signing(event));
        let signed = with
            .signer
            .sign(&to_sign, with.token, with.annotations, &signing)
            .await?;
        let proven = async {
            self.require_all(names, &signed)?;
            with.signer
                .verify_as_stranger(with.stranger, &signed, with.annotations)
                .await
        };
        match proven.await {
            Ok(()) => Ok((indexes, signed)),
            Err(error) => Err(Stopped {
                error,
                signed,
                unsigned: Vec::new(),
            }),
        }
    }

    /// Index and images are all among what was signed, under each name.
    fn require_all(&self, names: &[(Reference, String)], signed: &[Signed]) -> Result<(), Error> {
        let members = self.members.iter().map(|member| member.image.digest());
        for digest in std::iter::once(&self.digest).chain(members) {
            for (tag, _) in names {
                let is = |one: &&Signed| {
                    one.digest == *digest
                        && one.reference.location() == tag.location()
                        && one.reference.tag() == tag.tag()
                };
                if !signed.iter().any(|one| is(&one)) {
                    return Err(self.unproven(tag.location(), digest));
                }
            }
        }
        Ok(())
    }

    fn unproven(&self, location: &Location, digest: &Digest) -> Error {
        MergeError::Unproven {
            image: Box::new(location.at(digest.clone())),
            expected: "a signature for each tag".to_owned(),
        }
        .into()
    }
}

/// The tags, each once, with the tag's own text.
fn names(tags: &[Reference]) -> Result<Vec<(Reference, String)>, MergeError> {
    let mut names: Vec<(Reference, String)> = Vec::new();
    for reference in tags {
        let target = |expected| MergeError::Target {
            reference: Box::new(reference.clone()),
            expected,
        };
        if reference.digest().is_some() {
            return Err(target("no digest: the merged image's own is not known yet"));
        }
        let tag = reference.tag().ok_or_else(|| target("a tag"))?;
        if !names.iter().any(|(known, _)| known == reference) {
            names.push((reference.clone(), tag.to_owned()));
        }
    }
    if names.is_empty() {
        let found = "no tag is given for the merged image".to_owned();
        return Err(MergeError::Nothing { found });
    }
    Ok(names)
}

/// A tag that was not written, or perhaps was.
struct Unwritten {
    error: Error,
    /// The registry may have taken it all the same.
    unclear: bool,
}

impl Unwritten {
    fn left(error: Error) -> Self {
        Self {
            error,
            unclear: false,
        }
    }
}

/// Makes `tag` name `index`, and reads it back. Some registries show an old answer for a moment.
async fn write(
    with: &Publication<'_>,
    tag: &Reference,
    name: &str,
    index: &ResolvedImage,
) -> Result<(), Unwritten> {
    let written = with.registry.tag(index, name).await;
    let read = || async {
        let named = with.stranger.resolve(tag).await?;
        match named.digest() == index.digest() {
            true => Ok(()),
            false => Err(Error::from(MergeError::TagMoved {
                tag: Box::new(tag.clone()),
                expected: index.digest().clone(),
                found: named.digest().clone(),
            })),
        }
    };
    match written {
        Ok(()) => retrying(&reading_back(), || async { read().await.map_err(early) })
            .await
            .map_err(|error| Unwritten {
                error,
                unclear: true,
            }),
        // The answer may have been lost, and not the request.
        Err(error) => match read().await {
            Ok(()) => Ok(()),
            Err(Error::Registry(RegistryError::NotFound { .. }) | Error::Merge(_)) => {
                Err(Unwritten::left(error.into()))
            }
            Err(_) => Err(Unwritten {
                error: error.into(),
                unclear: true,
            }),
        },
    }
}

/// How long a registry may show what a tag named before: about three seconds in all.
fn reading_back() -> Retries {
    Retries {
        times: 4,
        pause: Duration::from_millis(200),
        ..Retries::default()
    }
}

/// A tag that was just written may not have come through yet.
fn early(error: Error) -> AttemptError<Error> {
    match error {
        Error::Merge(MergeError::TagMoved { .. })
        | Error::Registry(RegistryError::NotFound { .. }) => AttemptError::passing(error),
        other => other.into(),
    }
}
