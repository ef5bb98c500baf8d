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
        lost: HashSet::new(),
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
    lost: HashSet<Digest>,
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
        let blobs = self.by_digest();
        // All are named before the first is copied, so that the total is known.
        for Wanted { blob, .. } in blobs.iter().filter_map(|wanted| wanted.first()) {
            events(CopyEvent::Blob {
                digest: blob.digest.clone(),
                bytes: 0,
                size: blob.size,
            });
        }
        let this = &*self;
        let copies = blobs
            .into_iter()
            .map(|wanted| this.one_of_sizes(wanted, events));
        let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
        let (mut counts, mut failed) = (BlobCounts::default(), HashMap::new());
        while let Some(ended) = copies.next().await {
            for (Wanted { role, blob, .. }, copied) in ended {
                match copied {
                    Ok(Copied::Present) => counts.present += 1,
                    Ok(Copied::Mounted) => counts.mounted += 1,
                    Ok(Copied::Sent) => {
                        counts.sent += 1;
                        counts.sent_bytes += blob.size;
                    }
                    Err(error) if role == Role::Attached && error.spoils_one_candidate() => {
                        failed.insert((blob.digest, blob.size), error.to_string());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        drop(copies);
        self.lose(&failed);
        Ok(counts)
    }

    /// All blobs. What is attached may say another size of a blob than the image: those of one digest are together,
    /// the image's first.
    fn by_digest(&self) -> Vec<Vec<Wanted>> {
        let mut places: HashMap<&Digest, usize> = HashMap::new();
        let mut blobs: Vec<Vec<Wanted>> = Vec::new();
        for part in &self.copy.parts {
            for blob in blobs_of(&part.image) {
                let place = *places.entry(&blob.digest).or_insert(blobs.len());
                if place == blobs.len() {
                    blobs.push(Vec::new());
                }
                let Some(known) = blobs.get_mut(place) else {
                    continue;
                };
                if !known.iter().any(|known| known.blob.size == blob.size) {
                    known.push(Wanted {
                        role: part.role,
                        source: part.image.reference().location().clone(),
                        blob: blob.clone(),
                    });
                }
            }
        }
        blobs
    }

    /// Copies a blob with the first of these sizes that it has. The others are wrong then.
    async fn one_of_sizes(
        &self,
        wanted: Vec<Wanted>,
        events: &Events,
    ) -> Vec<(Wanted, Result<Copied, RegistryError>)> {
        let (mut ended, mut size) = (Vec::with_capacity(wanted.len()), None);
        for wanted in wanted {
            let Wanted { source, blob, .. } = &wanted;
            let copied = match size {
                None => self.blob(source, blob, events).await,
                Some(found) => Err(RegistryError::SizeMismatch {
                    what: Box::new(source.at(blob.digest.clone())),
                    expected: blob.size,
                    found,
                }),
            };
            if copied.is_ok() {
                size = Some(blob.size);
            }
            ended.push((wanted, copied));
        }
        ended
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
    fn lose(&mut self, failed: &HashMap<(Digest, u64), String>) {
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
                .filter_map(|blob| failed.get(&(blob.digest.clone(), blob.size)).cloned())
                .next();
            let reason = blob.or_else(|| {
                let listed = children(part).find(|child| self.lost.contains(*child));
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

    /// Pushes all manifests, each behind what it lists and what it refers to, then what cosign's tags name.
    async fn manifests(&mut self) -> Result<(), Error> {
        let by_subject = self.push_in_order().await?;
        self.push_referrers(by_subject).await?;
        self.write_tags().await
    }

    /// Pushes the parts, each behind what it lists. Returns what only refers to something, by its subject.
    async fn push_in_order(&self) -> Result<Vec<(&Digest, Vec<&Part>)>, Error> {
        let parts = &self.copy.parts;
        let copied: HashSet<&Digest> = parts.iter().map(|part| part.image.digest()).collect();
        // A registry may refuse an index before it has what the index lists.
        let listed: HashSet<&Digest> = parts.iter().flat_map(children).collect();
        let mut by_subject: Vec<(&Digest, Vec<&Part>)> = Vec::new();
        for part in self.in_order() {
            let digest = part.image.digest();
            if self.lost.contains(digest) {
                continue;
            }
            match subject(part).filter(|subject| copied.contains(subject)) {
                None => self.target.push(part).await?,
                Some(_) if listed.contains(digest) => self.target.push_referrer(part).await?,
                Some(subject) => match by_subject.iter_mut().find(|(known, _)| *known == subject) {
                    Some((_, parts)) => parts.push(part),
                    None => by_subject.push((subject, vec![part])),
                },
            }
        }
        Ok(by_subject)
    }

    /// What refers to the same subject may be listed at one tag, which one client writes at a time.
    async fn push_referrers(&self, by_subject: Vec<(&Digest, Vec<&Part>)>) -> Result<(), Error> {
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
        Ok(())
    }

    async fn write_tags(&mut self) -> Result<(), Error> {
        let mut left = Vec::new();
        for part in &self.copy.parts {
            if self.lost.contains(part.image.digest()) {
                continue;
            }
            for tag in &part.tags {
                left.extend(self.target.beside(part, tag).await?);
            }
        }
        self.not_copied.extend(left);
        Ok(())
    }

    /// The parts, each behind what it lists and what it refers to.
    fn in_order(&self) -> Vec<&Part> {
        let parts = self.copy.parts.iter();
        let by_digest: HashMap<&Digest, &Part> =
            parts.map(|part| (part.image.digest(), part)).collect();
        let (mut order, mut visited) = (Vec::new(), HashSet::new());
        for part in &self.copy.parts {
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

/// A blob as one part names it.
struct Wanted {
    role: Role,
    source: Location,
    blob: Descriptor,
}

/// What a part refers to.
fn subject(part: &Part) -> Option<&Digest> {
    let subject = part.image.document().subject();
    subject.map(|subject| &subject.digest)
}

/// What an index lists.
fn children(part: &Part) -> impl Iterator<Item = &Digest> {
    let listed = match part.image.document() {
        Document::Index(index) => index.manifests.as_slice(),
        Document::Manifest(_) => &[],
    };
    listed.iter().map(|child| &child.digest)
}
