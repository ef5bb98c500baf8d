//! Documents with the bytes they were parsed from.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Reference};

/// A manifest or index with the bytes it was parsed from, whose digest is the reference's.
///
/// Made only by the registry client and by [`ResolvedImage::from_bytes`]: in either case the
/// digest was computed over these very bytes.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    reference: PinnedReference,
    asked: Reference,
    bytes: Bytes,
    document: Document,
}

impl ResolvedImage {
    /// Parses `bytes` as found at `location`, under the SHA-256 digest computed from them.
    ///
    /// # Errors
    /// When they are not a manifest or an index.
    pub fn from_bytes(
        location: &Location,
        bytes: Bytes,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let reference = location.at(Digest::sha256(&bytes));
        Self::checked(reference, bytes, content_type)
    }

    /// As [`Self::from_bytes`], for bytes that the caller has checked against `reference`.
    pub(crate) fn checked(
        reference: PinnedReference,
        bytes: Bytes,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let document = Document::parse(&bytes, content_type)?;
        Ok(Self {
            asked: reference.clone().into(),
            reference,
            bytes,
            document,
        })
    }

    /// The same image, as what was asked for by `reference`: by way of an index, of a mirror, or by
    /// the digest that a tag was resolved to before.
    #[must_use]
    pub fn asked_as(self, reference: Reference) -> Self {
        Self {
            asked: reference,
            ..self
        }
    }

    /// The reference that it was asked for by: what a signature that names an image has to name.
    pub fn asked(&self) -> &Reference {
        &self.asked
    }

    /// Where it is, by digest.
    pub fn reference(&self) -> &PinnedReference {
        &self.reference
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        self.reference.digest()
    }

    /// The bytes, as served.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the bytes say.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// A descriptor of this document, as a referrer's `subject` wants it.
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
