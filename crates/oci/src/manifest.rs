//! Manifests, indexes and the descriptors that tie them together.
//!
//! A [`Document`] is parsed from bytes whose digest was checked first; [`ResolvedImage`] keeps the
//! two together. Unknown fields are left alone, since the bytes are what is signed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::excerpt::excerpt;
use crate::index::Index;
use crate::platform::Platform;
use crate::reference::{PinnedReference, Reference, Repository};

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
    /// The empty JSON object, `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
}

/// Points at content: what it is, how to check it, how long it is (OCI image specification,
/// "Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content, in bytes.
    pub size: u64,
    /// In an index: the platform the image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In a referrers list: what the referrer says it is. Registries get it wrong; judge by the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Remarks by whoever wrote the descriptor.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

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
}

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

/// What a registry keeps under a manifest digest.
#[expect(
    clippy::large_enum_variant,
    reason = "documents are few and live behind references; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image or artifact.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

impl Document {
    /// Parses a manifest or index. Which of the two it is follows from its `mediaType`, else from
    /// its fields; a document with both `manifests` and `layers` or `config` is refused, because
    /// two readers could take it for two things (CVE-2021-41190). `content_type` is what the registry
    /// or the parent's descriptor calls it. It must not name the other kind than the `mediaType`
    /// field; OCI's name where the document has Docker's is no contradiction, nor is a type that is
    /// neither's, such as `application/json`.
    ///
    /// # Errors
    /// [`ManifestError`], when it is neither or both.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            schema_version: Option<u32>,
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
            layers: Option<serde::de::IgnoredAny>,
            config: Option<serde::de::IgnoredAny>,
            #[serde(rename = "fsLayers")]
            fs_layers: Option<serde::de::IgnoredAny>,
        }
        let probe: Probe = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if probe.schema_version == Some(1) || probe.fs_layers.is_some() {
            return Err(ManifestError::SchemaOne);
        }
        let content_type = content_type.map(essence);
        if let (Some(inner), Some(outer)) = (&probe.media_type, content_type)
            && let (Some(inner_kind), Some(outer_kind)) = (kind_of(inner), kind_of(outer))
            && inner_kind != outer_kind
        {
            return Err(ManifestError::MediaTypeMismatch {
                expected: outer.into(),
                found: excerpt(inner),
            });
        }
        let image_fields = probe.layers.is_some() || probe.config.is_some();
        let named = probe.media_type.as_deref().or(content_type);
        let inner_kind = probe.media_type.as_deref().and_then(kind_of);
        let kind = match (
            inner_kind.or_else(|| content_type.and_then(kind_of)),
            probe.manifests.is_some(),
            image_fields,
        ) {
            (_, true, true) => return Err(ManifestError::Ambiguous),
            (Some(Kind::Index) | None, true, false) => Kind::Index,
            (Some(Kind::Manifest) | None, false, true) => Kind::Manifest,
            // An empty list: Go leaves `manifests` out.
            (Some(Kind::Index), false, false) => Kind::Index,
            (Some(_), _, _) | (None, false, false) => {
                return Err(ManifestError::Unknown {
                    found: excerpt(named.unwrap_or("no media type")),
                });
            }
        };
        match kind {
            Kind::Index => serde_json::from_slice(bytes).map(Self::Index),
            Kind::Manifest => serde_json::from_slice(bytes).map(Self::Manifest),
        }
        .map_err(ManifestError::Json)
    }

    /// The media type the document goes by: its own field, else the OCI type of its kind.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(m) => m.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST),
            Self::Index(i) => i.media_type.as_deref().unwrap_or(media_type::OCI_INDEX),
        }
    }
}

/// Whether a descriptor says that it is of an index.
pub(crate) fn is_index(descriptor: &Descriptor) -> bool {
    kind_of(&descriptor.media_type) == Some(Kind::Index)
}

/// Whether a descriptor says that it is of a manifest or an index.
pub(crate) fn is_document(descriptor: &Descriptor) -> bool {
    kind_of(&descriptor.media_type).is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

fn kind_of(media_type: &str) -> Option<Kind> {
    match media_type {
        media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Some(Kind::Manifest),
        media_type::OCI_INDEX | media_type::DOCKER_INDEX => Some(Kind::Index),
        _ => None,
    }
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
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
    /// Parses `bytes` as found in `repository`, under the SHA-256 digest computed from them.
    ///
    /// # Errors
    /// When they are not a manifest or an index.
    pub fn from_bytes(
        repository: &Repository,
        bytes: Bytes,
        content_type: Option<&str>,
    ) -> Result<Self, ManifestError> {
        let reference = repository.at(Digest::sha256(&bytes));
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

/// Go writes a nil map or slice as `null`.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, content_type: Option<&str>) -> Result<Document, ManifestError> {
        Document::parse(json.as_bytes(), content_type)
    }

    fn manifest_json(extra: &str) -> String {
        let config = serde_json::to_string(&Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]{extra}}}"#)
    }

    #[test]
    fn kind_follows_fields_where_no_type_is_named() {
        assert!(matches!(
            parse(&manifest_json(""), None),
            Ok(Document::Manifest(_))
        ));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(parse(index, None), Ok(Document::Index(_))));
        let of_nobody = r#"{"schemaVersion":2,"manifests":null}"#;
        let index_type = Some(media_type::OCI_INDEX);
        assert!(matches!(
            parse(of_nobody, index_type),
            Ok(Document::Index(_))
        ));
    }

    #[test]
    fn a_document_of_both_kinds_is_refused() {
        let both = manifest_json(r#","manifests":[]"#);
        for content_type in [
            None,
            Some(media_type::OCI_INDEX),
            Some(media_type::OCI_MANIFEST),
        ] {
            assert!(matches!(
                parse(&both, content_type),
                Err(ManifestError::Ambiguous)
            ));
        }
    }

    #[test]
    fn a_document_that_contradicts_its_descriptor_is_refused() {
        for (inner, outer) in [
            (media_type::OCI_MANIFEST, media_type::OCI_INDEX),
            (media_type::DOCKER_MANIFEST, media_type::OCI_INDEX),
            (media_type::OCI_INDEX, media_type::DOCKER_MANIFEST),
        ] {
            let json = manifest_json(&format!(r#","mediaType":"{inner}""#));
            let error = parse(&json, Some(outer)).unwrap_err();
            let ManifestError::MediaTypeMismatch { expected, found } = error else {
                panic!("{error:?}");
            };
            assert_eq!((&*expected, &*found), (outer, inner));
        }
    }

    #[test]
    fn other_names_for_the_same_kind_are_no_contradiction() {
        let json = "application/json";
        for (inner, outer) in [
            (
                Some(media_type::DOCKER_MANIFEST),
                Some(media_type::OCI_MANIFEST),
            ),
            (
                Some(media_type::OCI_MANIFEST),
                Some(media_type::DOCKER_MANIFEST),
            ),
            (Some(media_type::OCI_MANIFEST), Some(json)),
            (Some(json), Some(media_type::OCI_MANIFEST)),
            (Some(json), None),
            (None, Some(media_type::DOCKER_MANIFEST)),
            (None, Some("text/plain; charset=utf-8")),
            (None, Some(json)),
        ] {
            let named = inner.map(|inner| format!(r#","mediaType":"{inner}""#));
            let parsed = parse(&manifest_json(&named.unwrap_or_default()), outer);
            assert!(
                matches!(parsed, Ok(Document::Manifest(_))),
                "{inner:?} {outer:?}"
            );
        }
    }

    #[test]
    fn schema_one_and_html_are_named() {
        let old = parse(r#"{"schemaVersion":1,"fsLayers":[]}"#, None);
        assert!(matches!(old, Err(ManifestError::SchemaOne)));
        assert!(matches!(parse("<html>", None), Err(ManifestError::Json(_))));
        assert!(matches!(
            parse("{}", None),
            Err(ManifestError::Unknown { .. })
        ));
    }
}
