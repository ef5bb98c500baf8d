//! Image manifests, and the errors of reading a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::from_object_alone;
use crate::json::{null_is_empty, written_as_derived};
use crate::platform::Platform;

/// An image manifest: one platform's config and layers, or an artifact such as a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the manifest itself; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The artifact type, if this isn't an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration blob.
    pub config: Descriptor,
    /// The layers, lowest first. Go writes an empty list as `null`, or leaves it out.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The subject, if this manifest is a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

from_object_alone!(Manifest);
written_as_derived!(Manifest);

/// Why bytes are not a manifest or an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes are not JSON, or fields are missing or have the wrong type.
    #[error("expected an image manifest or index in JSON")]
    Json(#[source] serde_json::Error),
    /// A manifest of Docker's schema 1, which has no config with a digest.
    #[error(
        "the manifest is of Docker's schema 1, which can't be verified; push the image again with a current tool"
    )]
    SchemaOne,
    /// The document has the fields of an index and of a manifest.
    #[error(
        "the document has the fields of an index (manifests) and of an image manifest (layers, config): refused as ambiguous"
    )]
    Ambiguous,
    /// The document is neither a manifest nor an index.
    #[error("expected an image manifest or index, found {found}")]
    Unknown {
        /// The media type, or a note that there is none.
        found: String,
    },
    /// A referrer was expected, but the manifest has no subject.
    #[error("expected a manifest with a subject, found one without")]
    NoSubject,
    /// An index was expected, but the document is a manifest.
    #[error("expected an index, found an image manifest")]
    NoIndex,
    /// The index's entry for the requested platform can't be read.
    #[error("entry {position} of the index, which is for {platform}, can't be read")]
    Child {
        /// Position of the entry, from 1.
        position: usize,
        /// The platform that it names.
        platform: Box<Platform>,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// An image's configuration is not JSON, or its platform has the wrong form.
    #[error("the image's configuration can't be read")]
    Configuration(#[source] serde_json::Error),
    /// The document's own media type is of another kind than the one by the registry or by its
    /// parent.
    #[error(
        "the media types differ: {expected} by the registry or the parent index, {found} by the document itself"
    )]
    MediaTypeMismatch {
        /// From the descriptor or the response header.
        expected: String,
        /// From the document.
        found: String,
    },
}
