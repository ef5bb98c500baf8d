//! What `index.json` lists. Fields and entries that nobody here knows stay as they are.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde_json::{Map, Value, json};

use super::ListedAs;
use crate::descriptor::{Descriptor, media_type};
use crate::digest::Digest;
use crate::layout::{IMAGE_NAME, REF_NAME};
use crate::manifest::ManifestError;

pub(super) struct Listing {
    fields: Map<String, Value>,
    /// What the layout lists, by the last file that was accepted.
    accepted: Vec<Value>,
    entries: Vec<Value>,
}

impl Listing {
    /// Reads an `index.json`; no bytes are an empty one.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut fields = match bytes {
            [] => Map::new(),
            bytes => serde_json::from_slice(bytes).map_err(ManifestError::Json)?,
        };
        let entries = match fields.remove("manifests") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                let wrong = "expected a list in `manifests`, found something else";
                return Err(ManifestError::Json(serde_json::Error::custom(wrong)));
            }
        };
        fields.entry("schemaVersion").or_insert(json!(2));
        fields
            .entry("mediaType")
            .or_insert(json!(media_type::OCI_INDEX));
        Ok(Self {
            fields,
            accepted: entries.clone(),
            entries,
        })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut index = self.fields.clone();
        index.insert("manifests".to_owned(), json!(self.entries));
        Value::Object(index).to_string().into_bytes()
    }

    pub(super) fn accept(&mut self) {
        self.accepted.clone_from(&self.entries);
    }

    /// Drops what was not accepted. Returns whether there was something.
    pub(super) fn forget(&mut self) -> bool {
        let some = self.entries != self.accepted;
        if some {
            self.entries.clone_from(&self.accepted);
        }
        some
    }

    pub(super) fn at(&self, tag: &str) -> Option<Digest> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| name(entry, REF_NAME) == Some(tag))?;
        entry.get("digest")?.as_str()?.parse().ok()
    }

    pub(super) fn add(&mut self, descriptor: &Descriptor, listed_as: ListedAs<'_>) {
        let digest = descriptor.digest.to_string();
        let mut annotations = BTreeMap::new();
        let same_content = |other: &Value| other.get("digest") == Some(&json!(digest));
        match listed_as {
            ListedAs::Unnamed => {
                if self.entries.iter().any(same_content) {
                    return;
                }
            }
            ListedAs::Tag(tag) => {
                self.entries.retain(|other| {
                    name(other, REF_NAME) != Some(tag) || name(other, IMAGE_NAME).is_some()
                });
                annotations.insert(REF_NAME.to_owned(), tag.to_owned());
            }
            ListedAs::Image(reference) => {
                let full = reference.to_string();
                let unnamed = |other: &Value| {
                    name(other, IMAGE_NAME).is_none() && name(other, REF_NAME).is_none()
                };
                self.entries.retain(|other| {
                    name(other, IMAGE_NAME) != Some(&full)
                        && !(same_content(other) && unnamed(other))
                });
                if let Some(tag) = reference.tag() {
                    annotations.insert(REF_NAME.to_owned(), tag.to_owned());
                }
                annotations.insert(IMAGE_NAME.to_owned(), full);
            }
        }
        self.entries.push(json!(Descriptor {
            annotations,
            ..descriptor.clone()
        }));
    }
}

fn name<'a>(entry: &'a Value, annotation: &str) -> Option<&'a str> {
    entry.get("annotations")?.get(annotation)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(listing: &Listing) -> Vec<(String, String)> {
        let named = listing.entries.iter().map(|entry| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let names = &entry["annotations"];
            (text(&names[IMAGE_NAME]), text(&names[REF_NAME]))
        });
        named.collect()
    }

    fn descriptor(content: &str) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, content.as_bytes())
    }

    #[test]
    fn a_name_moves_and_what_others_listed_stays() {
        let others = r#"{"schemaVersion":2,"annotations":{"a":"b"},"manifests":[{"digest":"x","odd":1,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}"#;
        let mut listing = Listing::read(others.as_bytes()).unwrap();
        let v1 = "ghcr.io/acme/app:v1".parse().unwrap();
        listing.add(&descriptor("one"), ListedAs::Unnamed);
        listing.add(&descriptor("one"), ListedAs::Image(&v1));
        listing.add(&descriptor("one"), ListedAs::Unnamed);
        listing.add(&descriptor("two"), ListedAs::Image(&v1));
        let entry = |full: &str, tag: &str| (full.to_owned(), tag.to_owned());
        let expected = [entry("-", "v1"), entry("ghcr.io/acme/app:v1", "v1")];
        assert_eq!(named(&listing), expected);
        let written: Value = serde_json::from_slice(&listing.bytes()).unwrap();
        assert_eq!(written["annotations"], json!({"a": "b"}));
        assert_eq!(written["manifests"][0]["odd"], 1);
        assert_eq!(written["mediaType"], media_type::OCI_INDEX);
        let digest = descriptor("two").digest.to_string();
        assert_eq!(written["manifests"][1]["digest"], digest);
    }

    #[test]
    fn what_is_not_accepted_can_be_forgotten() {
        let mut listing = Listing::read(b"").unwrap();
        listing.add(&descriptor("one"), ListedAs::Tag("sha256-x.sig"));
        listing.accept();
        listing.add(&descriptor("two"), ListedAs::Tag("sha256-x.sig"));
        listing.forget();
        assert_eq!(
            named(&listing),
            [("-".to_owned(), "sha256-x.sig".to_owned())]
        );
        let digest = descriptor("one").digest.to_string();
        assert_eq!(listing.entries[0]["digest"], digest);
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        let wrong = [b"[]".as_slice(), br#"{"manifests":{}}"#, b"{"];
        let reasons = wrong.map(|bytes| match Listing::read(bytes) {
            Err(ManifestError::Json(error)) => error.to_string(),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("read: {bytes:?}"),
        });
        insta::assert_snapshot!(reasons.join("\n"), @r#"
    invalid type: sequence, expected a map at line 1 column 0
    expected a list in `manifests`, found something else
    EOF while parsing an object at line 1 column 1
    "#);
    }
}
