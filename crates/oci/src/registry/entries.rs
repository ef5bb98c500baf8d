//! Reads an index as a list: of referrers, or of the contents of an image layout.
//!
//! The list is read entry by entry. Only a small part of each entry is kept, and reading stops when
//! there are more entries than the limit. Otherwise 4 MiB of JSON could need hundreds of MiB of
//! memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::descriptor::{Descriptor, media_type};
use crate::digest::{Digest, DigestError};
use crate::excerpt::excerpt;
use crate::from_object_alone;
use crate::json::each_listed;
use crate::manifest::ManifestError;

/// How many annotations of an entry are kept. Signatures have three.
const ANNOTATIONS_MAX: usize = 16;
/// The longest annotation (name and value together) and the longest media type, in bytes. Longer
/// annotations are dropped. An entry with a longer media type is left out.
const TEXT_MAX: usize = 1024;

/// Why a list can't be read.
#[derive(Debug)]
pub(super) enum ListError {
    /// The text is not an index.
    Form(ManifestError),
    /// The list has more entries than this limit.
    TooMany(usize),
}

/// An index, read as a list.
#[derive(Debug)]
pub(super) struct Listed {
    /// Whether the index has the media type of an OCI image index.
    pub(super) says_index: bool,
    /// How many entries the list has.
    pub(super) entries: usize,
    /// The entries that are descriptors with a digest that we can check.
    pub(super) descriptors: Vec<Descriptor>,
    /// What the first entry without a digest has in its place.
    pub(super) malformed: Option<String>,
}

/// Reads an index of at most `limit` entries. Other entries than descriptors with a digest that we
/// can check are counted, but left out. Of a descriptor, platform and long or numerous annotations
/// are dropped.
pub(super) fn read(bytes: &[u8], limit: usize) -> Result<Listed, ListError> {
    struct Followed {
        descriptors: Vec<Descriptor>,
        malformed: Option<String>,
    }
    impl Sink for Followed {
        fn entry(&mut self, entry: &RawValue) {
            match serde_json::from_str::<Entry>(entry.get()).map(Descriptor::try_from) {
                Ok(Ok(descriptor)) => self.descriptors.push(descriptor),
                Ok(Err(reason)) => tracing::debug!(reason, "left out of the list"),
                Err(error) => {
                    tracing::debug!(
                        line = error.line(),
                        column = error.column(),
                        "an entry that is no descriptor is left out of the list"
                    );
                    if self.malformed.is_none() {
                        self.malformed = in_place_of_digest(entry);
                    }
                }
            }
        }
    }
    let mut followed = Followed {
        descriptors: Vec::new(),
        malformed: None,
    };
    let fields = walk(bytes, limit, &mut followed)?;
    Ok(Listed {
        says_index: fields.media_type.as_deref() == Some(media_type::OCI_INDEX),
        entries: fields.entries,
        descriptors: followed.descriptors,
        malformed: followed.malformed,
    })
}

/// What an entry has in the place of a digest, if that is no digest of any algorithm (OCI image specification, "Digests").
fn in_place_of_digest(entry: &RawValue) -> Option<String> {
    match serde_json::from_str::<Named>(entry.get()) {
        Ok(Named { digest }) if is_a_digest(&digest) => None,
        Ok(Named { digest }) => Some(excerpt(&digest)),
        Err(_) => Some(excerpt(entry.get())),
    }
}

/// Whether a text has the form of a digest, also of an algorithm that we can't compute.
fn is_a_digest(text: &str) -> bool {
    match text.parse::<Digest>() {
        Ok(_) => true,
        Err(DigestError::UnsupportedAlgorithm { .. }) => {
            text.split_once(':').is_some_and(|(algorithm, encoded)| {
                let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                let mut components = algorithm.split(['+', '.', '_', '-']);
                let encodes = |c: char| c.is_ascii_alphanumeric() || "=_-".contains(c);
                components.all(|one| !one.is_empty() && one.chars().all(lower))
                    && !encoded.is_empty()
                    && encoded.chars().all(encodes)
            })
        }
        Err(DigestError::NoAlgorithm { .. } | DigestError::Encoded { .. }) => false,
    }
}

/// Receives what [`walk`] finds.
pub(super) trait Sink {
    /// The list starts. It may be empty.
    fn list(&mut self) {}
    /// The next entry of the list.
    fn entry(&mut self, entry: &RawValue);
    /// Another field, in its order.
    fn field(&mut self, _name: &str, _value: &RawValue) {}
}

/// Reads an index once, from start to end. Image manifests are recognised by their fields: some
/// registries have served the image itself instead of the list.
pub(super) fn walk(bytes: &[u8], limit: usize, sink: &mut dyn Sink) -> Result<Fields, ListError> {
    let mut walk = Walk {
        sink,
        limit,
        too_many: false,
        fields: Fields::default(),
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json
        .deserialize_map(TopLevel(&mut walk))
        .and_then(|()| json.end());
    let Walk {
        too_many, fields, ..
    } = walk;
    if too_many {
        return Err(ListError::TooMany(limit));
    }
    // An image manifest is recognised even if it can't be read to its end.
    if fields.of_an_image {
        return Err(ListError::Form(ManifestError::NoIndex));
    }
    read.map_err(|error| ListError::Form(ManifestError::Json(error)))?;
    match (fields.list, fields.media_type.as_deref()) {
        // Go writes an empty list as `null`, or leaves it out.
        (true, _) | (false, Some(media_type::OCI_INDEX)) => Ok(fields),
        (false, named) => Err(ListError::Form(ManifestError::Unknown {
            found: excerpt(named.unwrap_or("no media type")),
        })),
    }
}

struct Walk<'a> {
    sink: &'a mut dyn Sink,
    limit: usize,
    too_many: bool,
    fields: Fields,
}

/// The fields of an index besides its list.
#[derive(Default)]
pub(super) struct Fields {
    media_type: Option<String>,
    list: bool,
    entries: usize,
    of_an_image: bool,
}

/// The index itself.
struct TopLevel<'a, 'w>(&'w mut Walk<'a>);

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(walk) = self;
        let mut named = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "manifests" {
                // If a name is there twice, some readers use the first and some the last.
                if std::mem::replace(&mut walk.fields.list, true) {
                    return Err(A::Error::duplicate_field("manifests"));
                }
                walk.sink.list();
                map.next_value_seed(Entries(walk))?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            match name.as_str() {
                "mediaType" => {
                    if std::mem::replace(&mut named, true) {
                        return Err(A::Error::duplicate_field("mediaType"));
                    }
                    walk.fields.media_type = serde_json::from_str(value.get()).ok();
                }
                "config" | "layers" => walk.fields.of_an_image = true,
                _ => {}
            }
            walk.sink.field(&name, value);
        }
        Ok(())
    }
}

/// The list.
struct Entries<'a, 'w>(&'w mut Walk<'a>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self(walk) = self;
        each_listed(deserializer, |entry| {
            if walk.fields.entries == walk.limit {
                walk.too_many = true;
                return Err("too many entries");
            }
            walk.fields.entries += 1;
            walk.sink.entry(entry);
            Ok(())
        })
    }
}

/// The parts of a descriptor that are kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Annotations,
}

/// The digest alone, as it is written.
#[derive(Deserialize)]
#[serde(remote = "Self")]
struct Named {
    digest: String,
}

from_object_alone!(Entry, Named);

impl TryFrom<Entry> for Descriptor {
    type Error = &'static str;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let artifact_type = entry.artifact_type.as_deref().unwrap_or_default();
        if entry.media_type.len() > TEXT_MAX || artifact_type.len() > TEXT_MAX {
            return Err("an entry whose media type is too long");
        }
        Ok(Self {
            media_type: entry.media_type,
            digest: entry.digest,
            size: entry.size,
            platform: None,
            artifact_type: entry.artifact_type,
            annotations: entry.annotations.0,
        })
    }
}

/// The first annotations of an entry. `null` counts as empty.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(BTreeMap::new())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if kept.len() == ANNOTATIONS_MAX {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value: String = map.next_value()?;
                    if name.len() + value.len() <= TEXT_MAX {
                        kept.insert(name, value);
                    }
                }
                Ok(kept)
            }
        }
        deserializer.deserialize_any(First).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(content: &str) -> Descriptor {
        Descriptor::of("application/json", content.as_bytes())
    }

    #[test]
    fn what_is_kept_of_an_entry_is_bounded() {
        let mut annotations: BTreeMap<String, String> = (0..100)
            .map(|n| (format!("{n:03}"), String::new()))
            .collect();
        annotations.insert("000".into(), "x".repeat(TEXT_MAX));
        let lavish = Descriptor {
            annotations,
            platform: Some("linux/amd64".parse().unwrap()),
            ..entry("lavish")
        };
        let long = entry("long");
        let long = Descriptor {
            media_type: "x".repeat(TEXT_MAX + 1),
            ..long
        };
        let list = json!({"manifests": [lavish, long, 1, null, entry("plain")]}).to_string();
        let listed = read(list.as_bytes(), 5).unwrap();
        let kept = (1..=ANNOTATIONS_MAX).map(|n| (format!("{n:03}"), String::new()));
        let lavish = Descriptor {
            annotations: kept.collect(),
            ..entry("lavish")
        };
        assert_eq!(listed.descriptors, [lavish, entry("plain")]);
        assert_eq!(listed.entries, 5);
        assert_eq!(listed.malformed.as_deref(), Some("1"));
        assert!(matches!(
            read(list.as_bytes(), 4),
            Err(ListError::TooMany(4))
        ));
    }

    #[test]
    fn a_digest_that_we_can_t_compute_is_one_and_a_path_is_none() {
        let hex = "0".repeat(64);
        for digest in [
            "blake3:00ff".to_owned(),
            "sha256+b64u:LCa0a2j_xo=-".to_owned(),
            format!("sha256:{hex}"),
        ] {
            assert!(is_a_digest(&digest), "{digest}");
        }
        for other in [
            "",
            ":",
            "sha256",
            "blake3:",
            "sha256:00",
            "sha256:../../../etc/passwd",
            "blake3:00/../../etc/passwd",
            "Blake3:00",
            "a+:00",
        ] {
            assert!(!is_a_digest(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_list_is_named() {
        let error = |json: &str| match read(json.as_bytes(), 5).unwrap_err() {
            ListError::Form(error) => error,
            ListError::TooMany(_) => panic!("{json} has few entries"),
        };
        for image in [
            r#"{"config":{},"layers":[]}"#,
            r#"{"manifests":[],"layers":[]}"#,
        ] {
            assert!(matches!(error(image), ManifestError::NoIndex), "{image}");
        }
        for broken in [
            "",
            "<html>",
            "[]",
            r#"{"manifests":[]"#,
            r#"{"manifests":[]} x"#,
            r#"{"manifests":{}}"#,
            r#"{"manifests":[],"manifests":[]}"#,
            r#"{"mediaType":"a","mediaType":"b","manifests":[]}"#,
        ] {
            assert!(matches!(error(broken), ManifestError::Json(_)), "{broken}");
        }
        for other in ["{}", r#"{"errors":[]}"#] {
            let error = error(other);
            assert!(
                matches!(&error, ManifestError::Unknown { found } if found == "no media type"),
                "{error:?}"
            );
        }
    }
}
