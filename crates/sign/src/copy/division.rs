//! Divides what is copied into what has to wait for the image and what has not.

use std::collections::{HashMap, HashSet};

use countersign_oci::{Digest, Document};

use super::blobs::Blob;
use super::{Part, Role};
use crate::blobs::blobs_of;

/// All that is copied. Each blob and each manifest is in one place. Blobs of one digest are together. Manifests stand behind what they list.
pub(super) struct Division<'a> {
    /// Blobs of the image that something has too that refers to it. They are copied first.
    pub(super) shared: Vec<Vec<Blob<'a>>>,
    pub(super) image: Image<'a>,
    /// The other blobs of what refers to the image.
    pub(super) attached: Vec<Vec<Blob<'a>>>,
    /// What refers to the image, and lists nothing of it: a registry that knows no subjects takes it before the image.
    pub(super) ahead: Vec<&'a Part>,
    /// What else refers to it.
    pub(super) behind: Vec<&'a Part>,
}

/// The image and what it lists.
pub(super) struct Image<'a> {
    pub(super) blobs: Vec<Vec<Blob<'a>>>,
    pub(super) parts: Vec<&'a Part>,
}

impl<'a> Division<'a> {
    /// Of all `parts`, which are also given `in_order`, each behind what it lists.
    pub(super) fn of(parts: &'a [Part], in_order: Vec<&'a Part>) -> Self {
        let of_attached: HashSet<&Digest> = parts
            .iter()
            .filter(|part| part.role == Role::Attached)
            .flat_map(|part| blobs_of(&part.image))
            .map(|blob| &blob.digest)
            .collect();
        let (mut shared, mut image, mut attached) = (Vec::new(), Vec::new(), Vec::new());
        for blobs in by_digest(parts) {
            let Some(first) = blobs.first() else { continue };
            let place = match first.role {
                Role::Attached => &mut attached,
                Role::Image if of_attached.contains(&first.descriptor.digest) => &mut shared,
                Role::Image => &mut image,
            };
            place.push(blobs);
        }
        // What a part waits for: the image, and what waits for it.
        let images = parts.iter().filter(|part| part.role == Role::Image);
        let mut waited_for: HashSet<&Digest> = images.map(|part| part.image.digest()).collect();
        let (mut of_image, mut ahead, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for part in in_order {
            if part.role == Role::Image {
                of_image.push(part);
            } else if children(part).any(|child| waited_for.contains(child)) {
                waited_for.insert(part.image.digest());
                behind.push(part);
            } else {
                ahead.push(part);
            }
        }
        Self {
            shared,
            attached,
            image: Image {
                blobs: image,
                parts: of_image,
            },
            ahead,
            behind,
        }
    }
}

/// All blobs. What is attached may say another size of a blob than the image: those of one digest are together, the
/// image's first.
fn by_digest(parts: &[Part]) -> Vec<Vec<Blob<'_>>> {
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    let mut sizes: HashSet<(&Digest, u64)> = HashSet::new();
    let mut blobs: Vec<Vec<Blob<'_>>> = Vec::new();
    for part in parts {
        for descriptor in blobs_of(&part.image) {
            let place = *places.entry(&descriptor.digest).or_insert(blobs.len());
            if place == blobs.len() {
                blobs.push(Vec::new());
            }
            let Some(known) = blobs.get_mut(place) else {
                continue;
            };
            if sizes.insert((&descriptor.digest, descriptor.size)) {
                known.push(Blob {
                    role: part.role,
                    source: part.image.reference().location(),
                    descriptor,
                });
            }
        }
    }
    blobs
}

/// What a part refers to.
pub(super) fn subject(part: &Part) -> Option<&Digest> {
    let subject = part.image.document().subject();
    subject.map(|subject| &subject.digest)
}

/// What an index lists.
pub(super) fn children(part: &Part) -> impl Iterator<Item = &Digest> {
    let listed = match part.image.document() {
        Document::Index(index) => index.manifests.as_slice(),
        Document::Manifest(_) => &[],
    };
    listed.iter().map(|child| &child.digest)
}
