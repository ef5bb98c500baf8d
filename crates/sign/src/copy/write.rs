//! Writes a copy: blobs, manifests, the proof, the tag.

use std::collections::{HashMap, HashSet};

use countersign_oci::{
    Digest, Error as RegistryError, LayoutDraft, LayoutTurn, ListedAs, Location, Reference,
    Repository,
};
use countersign_verify::VerifiedImage;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};

use super::blobs::{Blob, Blobs, CopiedBlobs, Failed};
use super::division::{Division, Image, children, subject};
use super::target::{Lists, Target};
use super::{
    BlobCounts, CopiedImage, CopyError, CopyEvent, CopyPlace, CopyPlan, Destination, Events,
    NotCopied, Part, Role,
};
use crate::blobs::{AT_ONCE, blobs_of};
use crate::error::Error;
use crate::publication::{NotWritten, PublicationError, TagName, Taggable};

pub(super) async fn write(
    copy: &CopyPlan,
    to: &Destination<'_>,
    events: &Events,
) -> Result<CopiedImage, Error> {
    let end = End::of(copy, to)?;
    let target = Target::new(to, &copy.registry);
    let mut writing = Writing {
        copy,
        target,
        location: target.location(),
        lost: HashSet::new(),
        not_copied: copy.not_copied.clone(),
    };
    let (blobs, behind) = writing.content(to, events).await?;
    // Several images may be on their way into a layout, and one of them at a time is listed.
    let turn = end.turn().await;
    let proof = writing.until_proven(behind, &turn, to, events).await?;
    let tag = turn.publish(to, &proof, events).await?;
    let count = |role| copy.parts.iter().filter(|part| part.role == role).count();
    Ok(CopiedImage {
        image: writing.location.at(copy.proof.digest().clone()),
        tag,
        evidence: proof.evidence().clone(),
        further_evidence: proof.further_evidence().to_vec(),
        manifests: count(Role::Image),
        attached: count(Role::Attached) - writing.lost.len(),
        blobs,
        not_copied: writing.not_copied,
    })
}

/// What makes the copy known, when it is proven.
enum End<'a> {
    Repository {
        repository: &'a Repository,
        tag: Option<TagName>,
    },
    Layout {
        draft: &'a LayoutDraft,
        name: Option<&'a Reference>,
    },
}

/// As [`End`], when it is this image's turn to be listed in a layout.
enum Turn<'a> {
    Repository {
        repository: &'a Repository,
        tag: Option<TagName>,
    },
    Layout {
        turn: LayoutTurn<'a>,
        name: Option<&'a Reference>,
    },
}

impl<'a> End<'a> {
    fn of(copy: &CopyPlan, to: &Destination<'a>) -> Result<Self, Error> {
        let (repository, tag) = match to.place {
            CopyPlace::Layout { draft, name } => return Ok(Self::Layout { draft, name }),
            CopyPlace::Repository { repository, tag } => (repository, tag),
        };
        let Some(tag) = tag else {
            return Ok(Self::Repository {
                repository,
                tag: None,
            });
        };
        let copied = Reference::from(repository.at(copy.proof.digest().clone()));
        let name = copied.with_tag(tag);
        let name = name.map_err(|source| PublicationError::NotATag {
            tag: tag.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self::Repository {
            repository,
            tag: Some(TagName::new(&name)?),
        })
    }

    async fn turn(self) -> Turn<'a> {
        match self {
            Self::Repository { repository, tag } => Turn::Repository { repository, tag },
            Self::Layout { draft, name } => Turn::Layout {
                turn: draft.turn().await,
                name,
            },
        }
    }
}

impl Turn<'_> {
    fn lists(&self) -> Lists<'_> {
        match self {
            Self::Repository { repository, .. } => Lists::Repository(repository),
            Self::Layout { turn, .. } => Lists::Layout(turn),
        }
    }

    /// Adds the image to what the layout will list, for those who read the draft.
    fn stage(&self, copy: &CopyPlan) -> Result<(), Error> {
        let Self::Layout { turn, name } = self else {
            return Ok(());
        };
        let image = copy.proof.image();
        let listed_as = match name {
            Some(name) => ListedAs::Image(name),
            None => ListedAs::Unnamed,
        };
        turn.list(image, image.document().media_type(), listed_as);
        Ok(turn.stage()?)
    }

    /// Writes the tag, or lists the image. Returns its name.
    async fn publish(
        self,
        to: &Destination<'_>,
        proof: &VerifiedImage,
        events: &Events,
    ) -> Result<Option<Reference>, Error> {
        match self {
            Self::Repository { tag: None, .. } => Ok(None),
            Self::Repository { tag: Some(tag), .. } => {
                events(CopyEvent::Tagging {
                    tag: tag.reference().clone(),
                });
                let written = tag
                    .write(to.registry, to.stranger, Taggable::of(proof))
                    .await;
                written.map_err(|not| match not {
                    NotWritten::Left(error) | NotWritten::Unclear(error) => error,
                })?;
                Ok(Some(tag.reference().clone()))
            }
            Self::Layout { turn, name } => {
                events(CopyEvent::Listing {
                    image: proof.reference().clone(),
                });
                turn.accept().await?;
                Ok(name.cloned())
            }
        }
    }
}

/// Copies the image's own blobs, and pushes its manifests.
async fn write_image(blobs: &Blobs<'_>, image: Image<'_>) -> Result<BlobCounts, Error> {
    let copied = blobs.copy(image.blobs).await?;
    for part in image.parts {
        blobs.target.push(part).await?;
    }
    Ok(copied.counts)
}

struct Writing<'a> {
    copy: &'a CopyPlan,
    target: Target<'a>,
    location: Location,
    /// Attached manifests that can't be copied, since a part of them can't be read.
    lost: HashSet<Digest>,
    not_copied: Vec<NotCopied>,
}

impl<'a> Writing<'a> {
    /// Copies all blobs, and pushes the manifests of the image. Of what refers to it, returns what has not been pushed.
    async fn content(
        &mut self,
        to: &Destination<'_>,
        events: &Events,
    ) -> Result<(BlobCounts, Vec<&'a Part>), Error> {
        let root = self.location.at(self.copy.proof.digest().clone());
        let Division {
            shared,
            image,
            attached,
            ahead,
            mut behind,
        } = Division::of(&self.copy.parts, self.in_order());
        let lists = if ahead.is_empty() {
            None
        } else {
            self.target.lists_ahead(&root).await?
        };
        let blobs = Blobs {
            target: self.target,
            turns: to.turns,
            events,
        };
        blobs.tell([&shared, &image.blobs, &attached]);
        let CopiedBlobs { mut counts, failed } = blobs.copy(shared).await?;
        // A part of the image that refers to another one is listed when it is its turn, with all others.
        let copied = self.copied();
        let refers = |part: &&Part| subject(part).is_some_and(|subject| copied.contains(subject));
        let referring: Vec<&Part> = image.parts.iter().copied().filter(refers).collect();
        let images = write_image(&blobs, image);
        let around = async {
            let copied = self.attached(&blobs, attached, failed).await?;
            let left = self.referrers_ahead(ahead, lists).await?;
            Ok((copied, left))
        };
        let (of_image, (of_attached, left)) = future::try_join(images, around).await?;
        counts += of_image;
        counts += of_attached;
        behind.splice(0..0, referring.into_iter().chain(left));
        Ok((counts, behind))
    }

    /// Copies the blobs of what refers to the image. What has one that can't be read is lost; `failed` are those of
    /// before.
    async fn attached(
        &mut self,
        blobs: &Blobs<'_>,
        attached: Vec<Vec<Blob<'a>>>,
        mut failed: Failed,
    ) -> Result<BlobCounts, Error> {
        let copied = blobs.copy(attached).await?;
        failed.extend(copied.failed);
        self.lose(&failed);
        Ok(copied.counts)
    }

    /// Pushes what refers to the image before the image, if the registry takes it so. Returns what it didn't take. The
    /// pause that a list needs is over when the image's blobs are there.
    async fn referrers_ahead(
        &self,
        ahead: Vec<&'a Part>,
        lists: Option<Lists<'_>>,
    ) -> Result<Vec<&'a Part>, Error> {
        let Some(lists) = lists else {
            return Ok(ahead);
        };
        match self.referrers(&ahead, lists).await {
            Ok(()) => Ok(Vec::new()),
            Err(Error::Registry(error)) if wants_the_image_first(&error) => Ok(ahead),
            Err(error) => Err(error),
        }
    }

    /// Pushes what is left of what refers to the image, and proves the copy.
    async fn until_proven(
        &mut self,
        behind: Vec<&Part>,
        turn: &Turn<'_>,
        to: &Destination<'_>,
        events: &Events,
    ) -> Result<VerifiedImage, Error> {
        self.referrers(&behind, turn.lists()).await?;
        self.beside(turn.lists()).await?;
        turn.stage(self.copy)?;
        events(CopyEvent::Verifying {
            image: self.location.at(self.copy.proof.digest().clone()),
        });
        self.prove(to).await
    }

    /// Leaves out what is attached and has a blob that can't be read, and what lists something that isn't copied.
    fn lose(&mut self, failed: &Failed) {
        let copied = self.copied();
        for part in self.in_order() {
            if part.role == Role::Image {
                continue;
            }
            let blobs = blobs_of(&part.image).into_iter();
            let blob = blobs
                .filter_map(|blob| failed.get(&(blob.digest.clone(), blob.size)).cloned())
                .next();
            let reason = blob.or_else(|| {
                let is_lost =
                    |child: &&Digest| self.lost.contains(*child) || !copied.contains(child);
                let listed = children(part).find(is_lost);
                listed.map(|child| format!("{child}, which it lists, can't be copied"))
            });
            if let Some(reason) = reason {
                self.not_copied.push(NotCopied {
                    name: part.image.digest().to_string(),
                    reason,
                });
                self.lost.insert(part.image.digest().clone());
            }
        }
    }

    /// Pushes what refers to the image, each behind what it lists. What only refers to something is listed together.
    async fn referrers(&self, parts: &[&Part], lists: Lists<'_>) -> Result<(), Error> {
        let copied = self.copied();
        // A registry may refuse an index before it has what the index lists. What the image lists is there.
        let indexes = self.copy.parts.iter();
        let indexes = indexes.filter(|part| part.role == Role::Attached);
        let listed: HashSet<&Digest> = indexes.flat_map(children).collect();
        let mut referrers = Vec::new();
        for part in parts {
            let digest = part.image.digest();
            if self.lost.contains(digest) {
                continue;
            }
            match subject(part).filter(|subject| copied.contains(subject)) {
                None => self.target.push(part).await?,
                Some(_) if part.role == Role::Attached && listed.contains(digest) => {
                    self.target.push_referrers(&[part], lists).await?;
                }
                Some(_) => referrers.push(*part),
            }
        }
        self.target.push_referrers(&referrers, lists).await
    }

    fn copied(&self) -> HashSet<&'a Digest> {
        let copy = self.copy;
        copy.parts.iter().map(|part| part.image.digest()).collect()
    }

    /// Makes the tags of cosign's older forms name what they name at the source.
    async fn beside(&mut self, lists: Lists<'_>) -> Result<(), Error> {
        let parts = self.copy.parts.iter();
        let parts = parts.filter(|part| !self.lost.contains(part.image.digest()));
        let tags = parts.flat_map(|part| part.tags.iter().map(move |tag| (part, tag)));
        let target = self.target;
        let put = tags.map(|(part, tag)| async move { target.beside(part, tag, lists).await });
        // Lists, here and below: a future with closures in it would not be `Send` for every lifetime.
        let put: Vec<_> = put.collect();
        let at_once = match lists {
            Lists::Repository(_) => AT_ONCE,
            // Two may be for one tag.
            Lists::Layout(_) => 1,
        };
        let left: Vec<Option<NotCopied>> =
            stream::iter(put).buffered(at_once).try_collect().await?;
        self.not_copied.extend(left.into_iter().flatten());
        Ok(())
    }

    /// The parts, each behind what it lists and what it refers to.
    fn in_order(&self) -> Vec<&'a Part> {
        let copy = self.copy;
        let parts = copy.parts.iter();
        let by_digest: HashMap<&Digest, &Part> =
            parts.map(|part| (part.image.digest(), part)).collect();
        let (mut order, mut visited) = (Vec::new(), HashSet::new());
        for part in &copy.parts {
            // Not on the stack: who made what is attached decides how deep it goes.
            let mut open = vec![(part, false)];
            while let Some((part, has_others_before)) = open.pop() {
                if has_others_before {
                    order.push(part);
                } else if visited.insert(part.image.digest()) {
                    open.push((part, true));
                    let before = children(part).chain(subject(part));
                    let before = before.filter_map(|digest| by_digest.get(digest));
                    open.extend(before.map(|part| (*part, false)));
                }
            }
        }
        order
    }

    /// Reads the copy with a client that has asked for nothing yet, and verifies it as an installer does
    /// that has it from a mirror.
    async fn prove(&self, to: &Destination<'_>) -> Result<VerifiedImage, Error> {
        let proof = &self.copy.proof;
        let pinned = self.location.at(proof.digest().clone());
        let parts = self.copy.parts.iter();
        let images = parts.filter(|part| part.role == Role::Image);
        let reads = images.map(|part| {
            let there = self.location.at(part.image.digest().clone());
            async move { to.stranger.manifest(&there).await }
        });
        let reads: Vec<_> = reads.collect();
        stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await?;
        let image = to.stranger.manifest(&pinned).await?;
        let image = image.requested_as(proof.image().requested().clone());
        let verified = to.verifier.verify(&image, proof.policy()).await;
        verified.map_err(|source| {
            CopyError::Refused {
                image: Box::new(pinned),
                not_copied: self.not_copied.clone(),
                source: Box::new(source),
            }
            .into()
        })
    }
}

/// Whether a registry refuses what refers to the image, or a list of that, which it may take when the image is there.
fn wants_the_image_first(error: &RegistryError) -> bool {
    error.is_refused_request() || matches!(error, RegistryError::NoReferrers { .. })
}
