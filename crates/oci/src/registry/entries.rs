//! A list of referrers as JSON: entries and fields that we don't know keep their form, so that a
//! list can be read in part and written back whole.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::digest::Digest;
use crate::excerpt::excerpt;
use crate::manifest::{Descriptor, ManifestError, media_type};

/// An image index whose entries may be anything.
#[derive(Debug)]
pub(super) struct Entries {
    fields: Map<String, Value>,
    manifests: Vec<Value>,
}

impl Entries {
    /// The list of nobody.
    pub(super) fn none() -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".into(), json!(2));
        fields.insert("mediaType".into(), json!(media_type::OCI_INDEX));
        Self {
            fields,
            manifests: Vec::new(),
        }
    }

    /// Reads an index. Image manifests are told apart by their fields, because registries have
    /// served the subject itself in place of the list.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if fields.contains_key("config") || fields.contains_key("layers") {
            return Err(ManifestError::NoIndex);
        }
        let named = fields.get("mediaType").and_then(Value::as_str);
        let manifests = match (fields.get("manifests"), named) {
            (Some(Value::Array(entries)), _) => entries.clone(),
            // Go writes a list of none as null, or not at all.
            (Some(Value::Null), _) | (None, Some(media_type::OCI_INDEX)) => Vec::new(),
            (_, named) => {
                return Err(ManifestError::Unknown {
                    found: excerpt(named.unwrap_or("no media type")),
                });
            }
        };
        fields.insert("manifests".into(), Value::Null);
        Ok(Self { fields, manifests })
    }

    /// The entries that are descriptors which we can follow.
    pub(super) fn descriptors(self) -> impl Iterator<Item = Descriptor> {
        self.manifests.into_iter().filter_map(|entry| {
            serde_json::from_value(entry)
                .inspect_err(|error| tracing::debug!(%error, "left out of the referrers list"))
                .ok()
        })
    }

    /// Whether there is an entry for `digest`.
    pub(super) fn names(&self, digest: &Digest) -> bool {
        let wanted = digest.to_string();
        let digests = self.manifests.iter().map(|entry| entry.get("digest"));
        digests
            .flatten()
            .any(|found| found.as_str() == Some(&wanted))
    }

    /// Adds an entry at the end.
    pub(super) fn add(&mut self, entry: &Descriptor) {
        self.manifests.push(json!(entry));
    }

    /// The index to write back.
    pub(super) fn into_bytes(mut self) -> Bytes {
        // Takes the place that the list had, or the last one.
        let manifests = Value::Array(self.manifests);
        self.fields.insert("manifests".into(), manifests);
        Bytes::from(Value::Object(self.fields).to_string())
    }
}
