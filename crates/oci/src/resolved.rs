//! Documents together with the bytes that they were parsed from.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::checked::Checked;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::index::{UnreadEntries, all_children};
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Reference};

/// A manifest or index with its bytes. The reference has the digest of these bytes.
///
/// Only the registry client and [`ResolvedImage::from_bytes`] make one. Both compute the digest
/// from these bytes.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    reference: PinnedReference,
    requested: Reference,
    bytes: Bytes,
    document: Document,
}

impl ResolvedImage {
    /// Parses `bytes` from `location`, with the SHA-256 digest computed from them.
    ///
    /// # Errors
    /// An error, if they are not a manifest or an index.
    pub fn from_bytes(
        location: &Location,
        bytes: Bytes,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        Self::parse(Checked::computed(location, bytes), content_type)
    }

    /// Parses bytes with their digest.
    pub(crate) fn parse(
        checked: Checked,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let (reference, bytes) = checked.into_parts();
        let document = Document::parse(&bytes, content_type)?;
        Ok(Self {
            requested: reference.clone().into(),
            reference,
            bytes,
            document,
        })
    }

    /// What an index lists; nothing, if this is a manifest. [`Index::manifests`](crate::Index::manifests) leaves out
    /// what can't be read, and here that is an error: for whoever has to do something with all of it.
    ///
    /// # Errors
    /// [`UnreadEntries`].
    pub fn all_children(&self) -> Result<&[Descriptor], UnreadEntries> {
        match &self.document {
            Document::Index(index) => all_children(index, &self.bytes),
            Document::Manifest(_) => Ok(&[]),
        }
    }

    /// The same bytes at another place.
    pub(crate) fn at(self, location: &Location) -> Self {
        let reference = location.at(self.digest().clone());
        Self {
            requested: reference.clone().into(),
            reference,
            ..self
        }
    }

    /// The same image, requested by another `reference`: by an index, by a mirror, or by a digest
    /// to which a tag was resolved before.
    #[must_use]
    pub fn requested_as(self, reference: Reference) -> Self {
        Self {
            requested: reference,
            ..self
        }
    }

    /// The reference that the image was requested by. If a signature names an image, it must name
    /// this one.
    pub fn requested(&self) -> &Reference {
        &self.requested
    }

    /// The image's location and digest.
    pub fn reference(&self) -> &PinnedReference {
        &self.reference
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        self.reference.digest()
    }

    /// The bytes, as the registry sent them.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The parsed document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// A descriptor of this document, for a referrer's `subject`.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.document.media_type().into(),
            digest: self.digest().clone(),
            size: self.bytes.len() as u64,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}
