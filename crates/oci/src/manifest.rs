//! Image manifests, and what can be wrong with a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::json::null_is_empty;
use crate::platform::Platform;

/// An image manifest: one platform's config and layers, or an artifact such as a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the manifest itself; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is, where it isn't an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration blob.
    pub config: Descriptor,
    /// The layers, lowest first. Go writes a list of none as `null`, or leaves it out.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to, for a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Remarks by the builder.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are not a manifest or an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or fields missing or of another type.
    #[error("expected an image manifest or index in JSON")]
    Json(#[source] serde_json::Error),
    /// Docker's schema 1, which has no content-addressed config.
    #[error(
        "the manifest is of Docker's schema 1, which can't be verified; push the image again with a current tool"
    )]
    SchemaOne,
    /// Has the fields of an index and of a manifest.
    #[error(
        "the document has the fields of an index (manifests) and of an image manifest (layers, config): refused as ambiguous"
    )]
    Ambiguous,
    /// Neither.
    #[error("expected an image manifest or index, found {found}")]
    Unknown {
        /// The media type, or that there is none.
        found: String,
    },
    /// A referrer was expected, but the manifest refers to nothing.
    #[error("expected a manifest with a subject, found one without")]
    NoSubject,
    /// An index was expected.
    #[error("expected an index, found an image manifest")]
    NoIndex,
    /// The entry of an index that is for the platform asked for can't be read.
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
    /// An image's configuration is no JSON, or its platform is of another form.
    #[error("the image's configuration can't be read")]
    Configuration(#[source] serde_json::Error),
    /// The document calls itself something else than the registry or its parent does.
    #[error(
        "the registry or the parent index calls the document {expected}, it calls itself {found}"
    )]
    MediaTypeMismatch {
        /// From the descriptor or the response header.
        expected: String,
        /// From the document.
        found: String,
    },
}
