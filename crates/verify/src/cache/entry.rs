//! A file of the cache: one line of JSON, then the documents one after the other.
//!
//! Each document is checked against the digest that leads to it, as if a registry had sent it: the image against
//! the digest that was asked for, and the content of a layer against the manifest that holds it. The digest of a
//! signature manifest leads to nothing. It is recorded as evidence, so it is computed from the bytes.

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{Digest, Document, PinnedReference, ResolvedImage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bundle::BUNDLE_MEDIA_TYPE_PREFIX;
use crate::names::SIMPLE_SIGNING_LAYER;
use crate::signature::FetchedLayer;

/// The version of this form.
const VERSION: u32 = 1;
/// The most bytes of the first line.
const HEAD_MAX: usize = 16 << 10;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// The name of the file.
    name: Digest,
    kept_at: Timestamp,
    image: Part,
    signatures: Vec<Signature>,
}

/// A document that follows, a manifest or an index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    media_type: String,
    size: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    manifest: Part,
    /// The position of the layer in the manifest.
    layer: usize,
    /// The size of the layer's content.
    size: usize,
}

/// What was kept of one image.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) image: ResolvedImage,
    pub(crate) signatures: Vec<FetchedLayer>,
    pub(crate) kept_at: Timestamp,
}

/// The bytes of a file. `None` for what can't be kept: digests that are not SHA-256, a holder that is an index, a layer
/// that its holder doesn't list, more signatures than a file may have.
pub(super) fn encode(
    name: &Digest,
    image: &ResolvedImage,
    signatures: &[FetchedLayer],
    now: Timestamp,
) -> Option<Vec<u8>> {
    let kept = signatures.iter().map(
        |FetchedLayer {
             holder,
             layer,
             content,
         }| {
            let Document::Manifest(manifest) = holder.document() else {
                return None;
            };
            Some(Signature {
                manifest: Part::of(holder)?,
                layer: manifest.layers.iter().position(|other| other == layer)?,
                size: content.len(),
            })
        },
    );
    let head = Head {
        version: VERSION,
        name: name.clone(),
        kept_at: now,
        image: Part::of(image)?,
        signatures: kept.collect::<Option<_>>()?,
    };
    let mut bytes = serde_json::to_vec(&head).ok()?;
    if bytes.len() >= HEAD_MAX {
        return None;
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(image.bytes());
    for FetchedLayer {
        holder, content, ..
    } in signatures
    {
        bytes.extend_from_slice(holder.bytes());
        bytes.extend_from_slice(content);
    }
    Some(bytes)
}

impl Entry {
    /// Reads the bytes of the file with this name. `None` if they are anything but the whole of a file about
    /// `image`.
    pub(super) fn decode(bytes: &Bytes, name: &Digest, image: &PinnedReference) -> Option<Self> {
        let end = bytes
            .iter()
            .take(HEAD_MAX)
            .position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(bytes.get(..end)?).ok()?;
        if head.version != VERSION || head.name != *name {
            return None;
        }
        let mut rest = Rest(bytes.slice(end + 1..));
        let found = rest.document(&head.image, image)?;
        if found.digest() != image.digest() {
            return None;
        }
        let signatures = head
            .signatures
            .iter()
            .map(|kept| rest.signature(kept, image));
        let signatures = signatures.collect::<Option<Vec<_>>>()?;
        rest.0.is_empty().then_some(Self {
            image: found,
            signatures,
            kept_at: head.kept_at,
        })
    }
}

impl Part {
    fn of(document: &ResolvedImage) -> Option<Self> {
        let recomputed = Digest::sha256(document.bytes());
        (recomputed == *document.digest()).then(|| Self {
            media_type: document.document().media_type().to_owned(),
            size: document.bytes().len(),
        })
    }
}

/// The bytes that are not read yet.
struct Rest(Bytes);

impl Rest {
    fn take(&mut self, size: usize) -> Option<Bytes> {
        (size <= self.0.len()).then(|| self.0.split_to(size))
    }

    /// A document, with the digest of its bytes.
    fn document(&mut self, part: &Part, image: &PinnedReference) -> Option<ResolvedImage> {
        let bytes = self.take(part.size)?;
        ResolvedImage::from_bytes(image.location(), bytes, Some(&part.media_type)).ok()
    }

    fn signature(&mut self, kept: &Signature, image: &PinnedReference) -> Option<FetchedLayer> {
        let holder = self.document(&kept.manifest, image)?;
        let content = self.take(kept.size)?;
        let Document::Manifest(manifest) = holder.document() else {
            return None;
        };
        let layer = manifest.layers.get(kept.layer)?.clone();
        let signs = layer.media_type == SIMPLE_SIGNING_LAYER
            || layer.media_type.starts_with(BUNDLE_MEDIA_TYPE_PREFIX);
        (signs && layer.describes(&content)).then(|| FetchedLayer {
            holder: Arc::new(holder),
            layer,
            content,
        })
    }
}
