//! Finds what is copied with an image: first the image, then what refers to it, level by level. Each number has a bound.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_oci::{
    CosignTag, Descriptor, Digest, Document, Error as RegistryError, Location, PinnedReference,
    Platform, Registry, ResolvedImage, UnreadEntries,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::platforms::chosen;
use super::{BesideTag, CopyError, NotCopied, Part, Role};
use crate::blobs::blobs_of;
use crate::error::Error;

/// How many manifests are copied with one image.
const MANIFESTS_MAX: usize = 1024;
/// How many bytes these manifests have in all: 64 MiB.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// How many levels of indexes there are below the image, and as many of what refers to something.
const LEVELS_MAX: usize = 8;
/// How many bytes the blobs have in all that refer to the image: 4 GiB. The image's own are bounded by what was
/// signed.
const ATTACHED_BYTES_MAX: u64 = 4 << 30;
/// How many manifests are looked at at the same time.
const AT_ONCE: usize = 4;

/// The image and all that is copied with it, and what can't be.
pub(super) async fn gather(
    registry: &Registry,
    image: &ResolvedImage,
    elsewhere: &[Location],
    platforms: &[Platform],
) -> Result<(Vec<Part>, Vec<NotCopied>), Error> {
    let search = ReferrerSearch {
        registry,
        root: image.reference(),
        elsewhere,
        platforms,
        left: AtomicUsize::new(MANIFESTS_MAX),
    };
    let mut found = Found {
        search: &search,
        parts: Vec::new(),
        known: HashMap::new(),
        bytes: 0,
        attached_bytes: 0,
        not_copied: Vec::new(),
    };
    found.add(Part {
        media_type: image.document().media_type().to_owned(),
        image: image.clone(),
        role: Role::Image,
        tags: Vec::new(),
    })?;
    for pass in [Pass::Image, Pass::Attached] {
        let mut done = 0;
        for level in 0.. {
            let parts: Vec<Part> = found.parts.iter().skip(done).cloned().collect();
            if parts.is_empty() {
                break;
            }
            if level > LEVELS_MAX {
                return Err(search.limit(LEVELS_MAX as u64, "levels"));
            }
            done = found.parts.len();
            let around: Vec<Around> = stream::iter(parts)
                .map(|part| search.around(part, pass))
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            for Around { parts, not_copied } in around {
                found.not_copied.extend(not_copied);
                for part in parts {
                    found.add(part)?;
                }
            }
        }
    }
    Ok((found.parts, found.not_copied))
}

/// What is looked for. The image comes first, with all that it lists: what is attached was made by anybody, and must
/// not stand for a part of the image that is found later.
#[derive(Clone, Copy)]
enum Pass {
    Image,
    Attached,
}

struct ReferrerSearch<'a> {
    registry: &'a Registry,
    root: &'a PinnedReference,
    /// Other places where signatures may be.
    elsewhere: &'a [Location],
    /// The platforms of the image that are wanted; all, if there are none.
    platforms: &'a [Platform],
    /// How many more manifests may be fetched.
    left: AtomicUsize,
}

/// What was found around one manifest.
#[derive(Default)]
struct Around {
    parts: Vec<Part>,
    not_copied: Vec<NotCopied>,
}

impl Around {
    /// Takes what was read. Something that refers to the image is left out if it is at fault itself.
    fn take(
        &mut self,
        name: impl FnOnce() -> String,
        read: Result<Part, RegistryError>,
    ) -> Result<(), Error> {
        match read {
            Ok(part) => match unread_entry(&part.image) {
                None => self.parts.push(part),
                Some(error) => self.not_copied.push(NotCopied {
                    name: name(),
                    reason: NotCopied::reason(&error),
                }),
            },
            Err(error) if error.is_absence() || error.spoils_one_candidate() => {
                self.not_copied.push(NotCopied {
                    name: name(),
                    reason: NotCopied::reason(&error),
                });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl ReferrerSearch<'_> {
    /// What `part` lists, or what refers to it. Of what is attached, both.
    async fn around(&self, part: Part, pass: Pass) -> Result<Around, Error> {
        let mut around = Around::default();
        match (pass, part.role) {
            (Pass::Image, _) => {
                self.listed(&part, &mut around).await?;
                return Ok(around);
            }
            (Pass::Attached, Role::Attached) => self.listed(&part, &mut around).await?,
            (Pass::Attached, Role::Image) => {}
        }
        let own = part.image.reference().location();
        let others = self.elsewhere.iter().filter(|location| *location != own);
        for location in std::iter::once(own).chain(others) {
            self.referring(location, &part, &mut around).await?;
            self.beside(location, &part, &mut around).await?;
        }
        Ok(around)
    }

    async fn listed(&self, part: &Part, around: &mut Around) -> Result<(), Error> {
        let Document::Index(index) = part.image.document() else {
            return Ok(());
        };
        if let Some(error) = unread_entry(&part.image) {
            return Err(error.into());
        }
        let wanted = match part.role {
            Role::Image => chosen(index, self.platforms),
            Role::Attached => index.manifests.iter().collect(),
        };
        self.account(wanted.len())?;
        let location = part.image.reference().location();
        let read = async |entry: &&Descriptor| {
            let image = self.registry.child(location, entry).await?;
            Ok(Part {
                media_type: entry.media_type.clone(),
                image,
                role: part.role,
                tags: Vec::new(),
            })
        };
        let read: Vec<Result<Part, RegistryError>> = stream::iter(&wanted)
            .map(read)
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (entry, read) in wanted.iter().zip(read) {
            match part.role {
                Role::Image => around.parts.push(read?),
                Role::Attached => around.take(|| entry.digest.to_string(), read)?,
            }
        }
        Ok(())
    }

    async fn referring(
        &self,
        location: &Location,
        part: &Part,
        around: &mut Around,
    ) -> Result<(), Error> {
        let subject = part.image.digest();
        let referrers = self
            .registry
            .referrers(&location.at(subject.clone()))
            .await?;
        self.account(referrers.len())?;
        let read = async |entry: &Descriptor| {
            let manifest = location.at(entry.digest.clone());
            self.registry.manifest(&manifest).await
        };
        let read: Vec<Result<ResolvedImage, RegistryError>> = stream::iter(&referrers)
            .map(read)
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (entry, read) in referrers.iter().zip(read) {
            if let Ok(image) = &read
                && image.document().subject().map(|found| &found.digest) != Some(subject)
            {
                around.not_copied.push(NotCopied {
                    name: entry.digest.to_string(),
                    reason: format!("it is listed, but does not refer to {subject}"),
                });
                continue;
            }
            let read = read.map(|image| attached(image, Vec::new()));
            around.take(|| entry.digest.to_string(), read)?;
        }
        Ok(())
    }

    /// What cosign's older forms have at tags beside the image.
    async fn beside(
        &self,
        location: &Location,
        part: &Part,
        around: &mut Around,
    ) -> Result<(), Error> {
        let image = location.at(part.image.digest().clone());
        let read = async |content: CosignTag| {
            let read = self.registry.beside(&image, content).await;
            (content, read.transpose())
        };
        let read: Vec<_> = stream::iter(CosignTag::ALL)
            .map(read)
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (content, read) in read {
            let Some(read) = read else { continue };
            self.account(1)?;
            let tag = image.digest().tag_beside(content);
            let name = format!("{location}:{tag}");
            let read = read.map(|image| attached(image, vec![BesideTag { tag, content }]));
            around.take(|| name, read)?;
        }
        Ok(())
    }

    fn account(&self, manifests: usize) -> Result<(), Error> {
        let less = |left: usize| left.checked_sub(manifests);
        let order = Ordering::Relaxed;
        match self.left.fetch_update(order, order, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.limit(MANIFESTS_MAX as u64, "manifests")),
        }
    }

    fn limit(&self, limit: u64, unit: &'static str) -> Error {
        CopyError::Limit {
            image: Box::new(self.root.clone()),
            limit,
            unit,
        }
        .into()
    }
}

/// What was found so far, each digest once.
struct Found<'a> {
    search: &'a ReferrerSearch<'a>,
    parts: Vec<Part>,
    known: HashMap<Digest, usize>,
    bytes: u64,
    attached_bytes: u64,
    not_copied: Vec<NotCopied>,
}

impl Found<'_> {
    fn add(&mut self, part: Part) -> Result<(), Error> {
        let at = match self.known.entry(part.image.digest().clone()) {
            Entry::Vacant(place) => *place.insert(self.parts.len()),
            Entry::Occupied(place) => {
                if let Some(known) = self.parts.get_mut(*place.get()) {
                    known.tags.extend(part.tags);
                }
                return Ok(());
            }
        };
        debug_assert_eq!(at, self.parts.len());
        self.bytes = self.bytes.saturating_add(part.image.bytes().len() as u64);
        if self.bytes > MANIFEST_BYTES_MAX {
            let limit = MANIFEST_BYTES_MAX >> 20;
            return Err(self.search.limit(limit, "MiB of manifests"));
        }
        if part.role == Role::Attached {
            let sizes = blobs_of(&part.image).into_iter().map(|blob| blob.size);
            self.attached_bytes = sizes.fold(self.attached_bytes, u64::saturating_add);
            if self.attached_bytes > ATTACHED_BYTES_MAX {
                let limit = ATTACHED_BYTES_MAX >> 30;
                return Err(self.search.limit(limit, "GiB of content that refers to it"));
            }
        }
        self.parts.push(part);
        Ok(())
    }
}

/// An entry of an index that can't be read, so that the index can't be copied whole.
fn unread_entry(image: &ResolvedImage) -> Option<CopyError> {
    let Document::Index(_) = image.document() else {
        return None;
    };
    let UnreadEntries { expected, found } = image.all_children().err()?;
    Some(CopyError::Entry {
        index: Box::new(image.reference().clone()),
        expected,
        found,
    })
}

fn attached(image: ResolvedImage, tags: Vec<BesideTag>) -> Part {
    Part {
        media_type: image.document().media_type().to_owned(),
        image,
        role: Role::Attached,
        tags,
    }
}
