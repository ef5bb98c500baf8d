//! Adds one entry to a list of referrers. The text of all other entries and fields stays the same.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::entries::{ListError, Sink, walk};
use crate::descriptor::{Descriptor, media_type};
use crate::digest::Digest;

/// The list.
#[derive(Debug)]
pub(super) struct OpenList {
    /// The text of the index before the new entry.
    before: String,
    /// The fields after the list.
    after: String,
    has_entries: bool,
    names_it: bool,
}

impl OpenList {
    /// A list without entries.
    pub(super) fn empty() -> Self {
        let media_type = media_type::OCI_INDEX;
        Self {
            before: format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":["#),
            after: String::new(),
            has_entries: false,
            names_it: false,
        }
    }

    /// Reads an index of at most `limit` entries. `wanted` is the digest that the list should have.
    pub(super) fn read(bytes: &[u8], limit: usize, wanted: &Digest) -> Result<Self, ListError> {
        let mut copy = Copy {
            wanted: wanted.to_string(),
            before: "{".into(),
            after: String::new(),
            list: false,
            has_entries: false,
            names_it: false,
        };
        walk(bytes, limit, &mut copy)?;
        if !copy.list {
            copy.list();
        }
        Ok(Self {
            before: copy.before,
            after: copy.after,
            has_entries: copy.has_entries,
            names_it: copy.names_it,
        })
    }

    /// Whether the list has that digest.
    pub(super) fn names_it(&self) -> bool {
        self.names_it
    }

    /// The index, with this entry at the end of its list.
    pub(super) fn with(self, entry: &Descriptor) -> Bytes {
        let Self {
            mut before, after, ..
        } = self;
        if self.has_entries {
            before.push(',');
        }
        before.push_str(&json!(entry).to_string());
        before.push(']');
        before.push_str(&after);
        before.push('}');
        before.into()
    }
}

struct Copy {
    wanted: String,
    before: String,
    after: String,
    list: bool,
    has_entries: bool,
    names_it: bool,
}

impl Sink for Copy {
    fn list(&mut self) {
        if self.before.len() > 1 {
            self.before.push(',');
        }
        self.before.push_str(r#""manifests":["#);
        self.list = true;
    }

    fn entry(&mut self, entry: &RawValue) {
        #[derive(Deserialize)]
        struct NamedDigest {
            digest: String,
        }
        let named = serde_json::from_str::<NamedDigest>(entry.get());
        self.names_it |= named.is_ok_and(|named| named.digest == self.wanted);
        if std::mem::replace(&mut self.has_entries, true) {
            self.before.push(',');
        }
        self.before.push_str(entry.get());
    }

    fn field(&mut self, name: &str, value: &RawValue) {
        let text = if self.list {
            self.after.push(',');
            &mut self.after
        } else {
            if self.before.len() > 1 {
                self.before.push(',');
            }
            &mut self.before
        };
        text.push_str(&json!(name).to_string());
        text.push(':');
        text.push_str(value.get());
    }
}

#[cfg(test)]
mod tests {
    use super::super::entries;
    use super::*;

    const OTHER: &str = r#"{"mediaType":"x","digest":"blake3:00", "size":1,"urls":["u"]}"#;

    fn entry(content: &str) -> Descriptor {
        Descriptor::of("application/json", content.as_bytes())
    }

    fn with_ours(list: &str) -> String {
        let ours = entry("ours");
        let list = OpenList::read(list.as_bytes(), 10, &ours.digest).unwrap();
        assert!(!list.names_it());
        String::from_utf8(list.with(&ours).to_vec()).unwrap()
    }

    #[test]
    fn an_entry_is_added_and_the_rest_stays_as_it_was() {
        let ours = json!(entry("ours"));
        for (list, expected) in [
            (
                format!(r#" {{"a":1, "manifests": [{OTHER} ], "\u0062": {{"c": [ ]}}}} "#),
                format!(r#"{{"a":1,"manifests":[{OTHER},{ours}],"b":{{"c": [ ]}}}}"#),
            ),
            (
                r#"{"manifests":null,"a":"x"}"#.to_owned(),
                format!(r#"{{"manifests":[{ours}],"a":"x"}}"#),
            ),
            (
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#.to_owned(),
                format!(
                    r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{ours}]}}"#
                ),
            ),
        ] {
            assert_eq!(with_ours(&list), expected);
        }
        let empty = OpenList::empty().with(&entry("ours"));
        let listed = entries::read(&empty, 1).unwrap();
        assert!(listed.says_index);
        assert_eq!(listed.descriptors, [entry("ours")]);
    }

    #[test]
    fn an_entry_that_is_there_is_found() {
        let ours = entry("ours");
        let list = format!(r#"{{"manifests":[1,{OTHER},{}]}}"#, json!(ours));
        let open = |limit| OpenList::read(list.as_bytes(), limit, &ours.digest);
        assert!(open(3).unwrap().names_it());
        assert!(matches!(open(2), Err(ListError::TooMany(2))));
    }
}
