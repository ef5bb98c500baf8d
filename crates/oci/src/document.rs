//! Documents: manifests and indexes, recognised by their bytes.
//!
//! Unknown fields are allowed, because the bytes are what is signed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::descriptor::{Descriptor, DocumentKind, kind_of, media_type};
use crate::digest::Digest;
use crate::excerpt::excerpt;
use crate::index::Index;
use crate::manifest::{Manifest, ManifestError};

/// The content at a manifest's digest: an image manifest or an index.
#[expect(
    clippy::large_enum_variant,
    reason = "documents are few and live behind references; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image or artifact.
    Manifest(Manifest),
    /// An index of several manifests.
    Index(Index),
}

impl Document {
    /// Whether this is an index with `digest` in its list.
    pub fn lists(&self, digest: &Digest) -> bool {
        match self {
            Self::Index(index) => index.manifests.iter().any(|child| child.digest == *digest),
            Self::Manifest(_) => false,
        }
    }

    /// Parses a manifest or index. The `mediaType` decides which of the two it is, or else the
    /// fields. A document with both `manifests` and `layers` or `config` is refused, because one
    /// reader could take it for an index and another for an image (CVE-2021-41190). `content_type`
    /// is the media type by the registry or by the parent's descriptor. It must not name the other
    /// kind than the `mediaType` field. OCI's type is allowed where the document has Docker's, and
    /// so is a type of neither kind, such as `application/json`.
    ///
    /// # Errors
    /// [`ManifestError`], if it is neither or both.
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
            (Some(DocumentKind::Index) | None, true, false) => DocumentKind::Index,
            (Some(DocumentKind::Manifest) | None, false, true) => DocumentKind::Manifest,
            // Go leaves an empty `manifests` list out.
            (Some(DocumentKind::Index), false, false) => DocumentKind::Index,
            (Some(_), _, _) | (None, false, false) => {
                return Err(ManifestError::Unknown {
                    found: excerpt(named.unwrap_or("no media type")),
                });
            }
        };
        match kind {
            DocumentKind::Index => serde_json::from_slice(bytes).map(Self::Index),
            DocumentKind::Manifest => serde_json::from_slice(bytes).map(Self::Manifest),
        }
        .map_err(ManifestError::Json)
    }

    /// The document's media type: its own field, or else the OCI type of its kind.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(m) => m.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST),
            Self::Index(i) => i.media_type.as_deref().unwrap_or(media_type::OCI_INDEX),
        }
    }

    /// The document's artifact type.
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => manifest.artifact_type.as_deref(),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// The document's subject, if it is a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// The document's annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Manifest(manifest) => &manifest.annotations,
            Self::Index(index) => &index.annotations,
        }
    }
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    #[test]
    fn an_array_is_no_object_anywhere_in_a_document() {
        let config = serde_json::to_value(Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
        let fields = json!([config["mediaType"], config["digest"], config["size"]]);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
        let index = json!({"schemaVersion": 2, "manifests": []});
        let with = |document: &Value, key: &str, value: Value| {
            let mut document = document.clone();
            document[key] = value;
            document
        };
        for document in [
            json!([2, null, null, config, []]),
            with(&manifest, "config", fields.clone()),
            with(&manifest, "layers", json!([fields.clone()])),
            with(&manifest, "subject", fields.clone()),
            with(&index, "subject", fields.clone()),
        ] {
            let parsed = parse(&document.to_string(), Some(media_type::OCI_MANIFEST));
            let parsed = parsed.or_else(|_| parse(&document.to_string(), None));
            assert!(
                matches!(parsed, Err(ManifestError::Json(_))),
                "{document}: {parsed:?}"
            );
        }
        // An index leaves out what it can't read.
        let platform = with(&config, "platform", json!(["linux", "amd64"]));
        for entry in [fields, platform] {
            let index = with(&index, "manifests", json!([entry]));
            let Ok(Document::Index(index)) = parse(&index.to_string(), None) else {
                panic!("{index}");
            };
            assert_eq!(index.manifests, []);
        }
    }
}
