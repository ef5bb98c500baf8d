//! Descriptors, by which manifests and indexes refer to other content, and their media types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::from_object_alone;
use crate::json::{null_is_empty, written_as_derived};
use crate::platform::Platform;

/// Media types of the OCI image specification 1.1 and of Docker's schema 2.
pub mod media_type {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// The empty JSON object, `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
}

/// Refers to content, with its media type, digest and size (OCI image specification,
/// "Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content, in bytes.
    pub size: u64,
    /// In an index: the image's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In a list of referrers: the referrer's type. Registries get it wrong, so decide by the
    /// manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations by the descriptor's author.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

from_object_alone!(Descriptor);
written_as_derived!(Descriptor);

impl Descriptor {
    /// A descriptor of `bytes`, with nothing optional set.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.into(),
            digest: Digest::sha256(bytes),
            size: bytes.len() as u64,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether `bytes` have the size and the digest of this descriptor.
    pub fn describes(&self, bytes: &[u8]) -> bool {
        self.size == bytes.len() as u64 && self.digest.matches(bytes)
    }

    /// Whether this entry of an index is what BuildKit lists beside images: provenance and SBOM of one of them, for the
    /// platform `unknown/unknown` or for none. What is for another platform is an image, since it is installed there.
    pub fn is_attestation(&self) -> bool {
        match &self.platform {
            Some(platform) => platform.is_unknown(),
            None => self.annotations.contains_key(ATTESTATION_TYPE),
        }
    }

    /// Whether the media type is an index's, OCI's or Docker's.
    pub fn is_index(&self) -> bool {
        kind_of(&self.media_type) == Some(DocumentKind::Index)
    }

    /// Whether the media type is a manifest's or an index's, OCI's or Docker's.
    pub fn is_document(&self) -> bool {
        kind_of(&self.media_type).is_some()
    }
}

/// By this annotation BuildKit says what an attestation is: an entry without a platform that has it is no image.
const ATTESTATION_TYPE: &str = "vnd.docker.reference.type";

/// The two kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Manifest,
    Index,
}

/// The kind of document that a media type names; `None` for other types.
pub(crate) fn kind_of(media_type: &str) -> Option<DocumentKind> {
    match media_type {
        media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Some(DocumentKind::Manifest),
        media_type::OCI_INDEX | media_type::DOCKER_INDEX => Some(DocumentKind::Index),
        _ => None,
    }
}
