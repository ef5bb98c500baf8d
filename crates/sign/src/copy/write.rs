//! Writes a copy: blobs, manifests, the proof, the tag.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use countersign_oci::{
    Copied, Descriptor, Digest, Document, Error as RegistryError, LayoutDraft, ListedAs, Location,
    Reference,
};
use countersign_verify::VerifiedImage;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::target::Target;
use super::{
    BlobCounts, CopiedImage, Copy, CopyError, CopyEvent, Destination, Events, NotCopied, Part,
    Place, Role,
};
use crate::blobs::{AT_ONCE, blobs_of};
use crate::error::Error;
use crate::publication::{NotWritten, PublicationError, TagName};

pub(super) async fn write(
    copy: &Copy,
    to: &Destination<'_>,
    events: &Events,
) -> Result<CopiedImage, Error> {
    let end = End::of(copy, to)?;
    let target = Target::new(&copy.registry, to.place);
    let mut writing = Writing {
        copy,
        target,
        location: target.location(),
        lost: HashMap::new(),
        not_copied: copy.not_copied.clone(),
    };
    let written = writing.until_proven(&end, to, events).await;
    if let (End::List { draft, .. }, Err(_)) = (&end, &written) {
        draft.forget();
    }
    let (blobs, proof) = written?;
    let tag = end.name(copy, to, &proof, events).await?;
    let count = |role| copy.parts.iter().filter(|part| part.role == role).count();
    Ok(CopiedImage {
        image: writing.location.at(copy.proof.digest().clone()),
        tag,
        evidence: proof.evidence().clone(),
        manifests: count(Role::Image),
        attached: count(Role::Attached) - writing.lost.len(),
        blobs,
        not_copied: writing.not_copied,
    })
}

/// What makes the copy known, when it is proven.
enum End<'a> {
    Nothing,
    Tag(TagName),
    List {
        draft: &'a LayoutDraft,
        name: Option<&'a Reference>,
    },
}

impl<'a> End<'a> {
    fn of(copy: &Copy, to: &Destination<'a>) -> Result<Self, Error> {
        let (repository, tag) = match to.place {
            Place::Layout { draft, name } => return Ok(Self::List { draft, name }),
            Place::Repository { tag: None, .. } => return Ok(Self::Nothing),
            Place::Repository {
                repository,
                tag: Some(tag),
            } => (repository, tag),
        };
        let copied = Reference::from(repository.at(copy.proof.digest().clone()));
        let name = copied.with_tag(tag);
        let name = name.map_err(|source| PublicationError::NotATag {
            tag: tag.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self::Tag(TagName::new(&name)?))
    }

    /// Adds the image to what the layout will list, for those who read the draft.
    async fn stage(&self, copy: &Copy) -> Result<(), Error> {
        let Self::List { draft, name } = self else {
            return Ok(());
        };
        let image = copy.proof.image();
        let listed_as = match name {
            Some(name) => ListedAs::Image(name),
            None => ListedAs::Unnamed,
        };
        draft.list(image, image.document().media_type(), listed_as);
        Ok(draft.stage().await?)
    }

    /// Writes the tag, or lists the image. Returns its name.
    async fn name(
        self,
        copy: &Copy,
        to: &Destination<'_>,
        proof: &VerifiedImage,
        events: &Events,
    ) -> Result<Option<Reference>, Error> {
        match self {
            Self::Nothing => Ok(None),
            Self::Tag(tag) => {
                events(CopyEvent::Tagging {
                    tag: tag.reference().clone(),
                });
                let written = tag.write(&copy.registry, to.stranger, proof.image()).await;
                written.map_err(|not| match not {
                    NotWritten::Left(error) | NotWritten::Unclear(error) => error,
                })?;
                Ok(Some(tag.reference().clone()))
            }
            Self::List { draft, name } => {
                events(CopyEvent::Listing {
                    image: proof.reference().clone(),
                });
                draft.accept().await?;
                Ok(name.cloned())
            }
        }
    }
}

struct Writing<'a> {
    copy: &'a Copy,
    target: Target<'a>,
    location: Location,
    /// Attached manifests that can't be copied, since a part of them can't be read.
    lost: HashMap<Digest, String>,
    not_copied: Vec<NotCopied>,
}

impl Writing<'_> {
    async fn until_proven(
        &mut self,
        end: &End<'_>,
        to: &Destination<'_>,
        events: &Events,
    ) -> Result<(BlobCounts, VerifiedImage), Error> {
        let blobs = self.blobs(events).await?;
        self.manifests().await?;
        end.stage(self.copy).await?;
        events(CopyEvent::Verifying {
            image: self.location.at(self.copy.proof.digest().clone()),
        });
        Ok((blobs, self.prove(to).await?))
    }

    /// Copies all blobs, each once.
    async fn blobs(&mut self, events: &Events) -> Result<BlobCounts, Error> {
        let mut seen = HashSet::new();
        let mut blobs: Vec<(Role, Location, Descriptor)> = Vec::new();
        for part in &self.copy.parts {
            let source = part.image.reference().location();
            for blob in blobs_of(&part.image) {
                if seen.insert(&blob.digest) {
                    blobs.push((part.role, source.clone(), blob.clone()));
                }
            }
        }
        // All are named before the first is copied, so that the total is known.
        for (_, _, blob) in &blobs {
            events(CopyEvent::Blob {
                digest: blob.digest.clone(),
                bytes: 0,
                size: blob.size,
            });
        }
        let this = &*self;
        let copies = blobs.into_iter().map(|(role, source, blob)| async move {
            let copied = this.blob(&source, &blob, events).await;
            (role, blob, copied)
        });
        let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
        let (mut counts, mut failed) = (BlobCounts::default(), HashMap::new());
        while let Some((role, blob, copied)) = copies.next().await {
            match copied {
                Ok(Copied::Present) => counts.present += 1,
                Ok(Copied::Mounted) => counts.mounted += 1,
                Ok(Copied::Sent) => {
                    counts.sent += 1;
                    counts.sent_bytes += blob.size;
                }
                Err(error) if role == Role::Attached && error.spoils_one_candidate() => {
                    failed.insert(blob.digest, error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(copies);
        self.lose(&failed);
        Ok(counts)
    }

    async fn blob(
        &self,
        source: &Location,
        blob: &Descriptor,
        events: &Events,
    ) -> Result<Copied, RegistryError> {
        let (digest, size) = (blob.digest.clone(), blob.size);
        let (named, tell) = (digest.clone(), Arc::clone(events));
        let progress = Arc::new(move |bytes| {
            tell(CopyEvent::Blob {
                digest: named.clone(),
                bytes,
                size,
            });
        });
        let copied = self.target.blob(source, blob, progress).await?;
        events(CopyEvent::BlobDone {
            digest,
            size,
            copied,
        });
        Ok(copied)
    }

    /// Leaves out what is attached and has a blob that can't be read, and what lists that.
    fn lose(&mut self, failed: &HashMap<Digest, String>) {
        if failed.is_empty() {
            return;
        }
        // What lists something stands before it.
        for part in self.copy.parts.iter().rev() {
            if part.role == Role::Image {
                continue;
            }
            let blobs = blobs_of(&part.image).into_iter();
            let blob = blobs
                .filter_map(|blob| failed.get(&blob.digest).cloned())
                .next();
            let reason = blob.or_else(|| {
                let listed = children(part).find(|child| self.lost.contains_key(*child));
                listed.map(|child| format!("{child}, which it lists, can't be copied"))
            });
            if let Some(reason) = reason {
                self.not_copied.push(NotCopied {
                    name: part.image.digest().to_string(),
                    reason: reason.clone(),
                });
                self.lost.insert(part.image.digest().clone(), reason);
            }
        }
    }

    /// Pushes all manifests, each behind what it lists and what it refers to.
    async fn manifests(&mut self) -> Result<(), Error> {
        let copied: HashSet<&Digest> = self
            .copy
            .parts
            .iter()
            .map(|part| part.image.digest())
            .collect();
        // What refers to the same subject may be listed at one tag, which one client writes at a time.
        let mut by_subject: Vec<(&Digest, Vec<&Part>)> = Vec::new();
        for part in self.in_order() {
            if self.lost.contains_key(part.image.digest()) {
                continue;
            }
            let subject = part.image.document().subject();
            match subject.map(|subject| &subject.digest) {
                Some(subject) if copied.contains(subject) => {
                    match by_subject.iter_mut().find(|(known, _)| *known == subject) {
                        Some((_, parts)) => parts.push(part),
                        None => by_subject.push((subject, vec![part])),
                    }
                }
                _ => self.target.push(part).await?,
            }
        }
        let groups = by_subject.into_iter().map(|(_, parts)| async {
            for part in parts {
                self.target.push_referrer(part).await?;
            }
            Ok::<(), Error>(())
        });
        stream::iter(groups)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        let mut left = Vec::new();
        for part in &self.copy.parts {
            if self.lost.contains_key(part.image.digest()) {
                continue;
            }
            for tag in &part.tags {
                left.extend(self.target.beside(part, tag).await?);
            }
        }
        self.not_copied.extend(left);
        Ok(())
    }

    /// The parts, each behind what it lists.
    fn in_order(&self) -> Vec<&Part> {
        let parts = self.copy.parts.iter();
        let by_digest: HashMap<&Digest, &Part> =
            parts.map(|part| (part.image.digest(), part)).collect();
        let (mut order, mut visited) = (Vec::new(), HashSet::new());
        for part in &self.copy.parts {
            // Not on the stack: who made what is attached decides how deep it goes.
            let mut open = vec![(part, false)];
            while let Some((part, has_children_before)) = open.pop() {
                if has_children_before {
                    order.push(part);
                } else if visited.insert(part.image.digest()) {
                    open.push((part, true));
                    let children = children(part).filter_map(|child| by_digest.get(child));
                    open.extend(children.map(|child| (*child, false)));
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
                source: Box::new(source),
            }
            .into()
        })
    }
}

/// What an index lists.
fn children(part: &Part) -> impl Iterator<Item = &Digest> {
    let listed = match part.image.document() {
        Document::Index(index) => index.manifests.as_slice(),
        Document::Manifest(_) => &[],
    };
    listed.iter().map(|child| &child.digest)
}
