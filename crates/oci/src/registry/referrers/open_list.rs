//! A list of referrers, to which entries are added. The text of all other entries and fields stays the
//! same.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::append::EntryList;
use super::super::entries::{ListError, Sink, walk};
use crate::descriptor::media_type;

/// The list.
#[derive(Debug)]
pub(super) struct OpenList {
    /// The text of the index before its entries.
    before: String,
    entries: Vec<Box<RawValue>>,
    /// The fields after the list.
    after: String,
}

impl OpenList {
    /// A list without entries.
    pub(super) fn empty() -> Self {
        let media_type = media_type::OCI_INDEX;
        Self {
            before: format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":["#),
            entries: Vec::new(),
            after: String::new(),
        }
    }

    /// Reads an index of at most `limit` entries.
    pub(super) fn read(bytes: &[u8], limit: usize) -> Result<Self, ListError> {
        let mut copy = ListCopy {
            open: Self {
                before: "{".into(),
                entries: Vec::new(),
                after: String::new(),
            },
            list: false,
        };
        walk(bytes, limit, &mut copy)?;
        if !copy.list {
            copy.list();
        }
        Ok(copy.open)
    }

    /// The digest of what an entry names, or else its text. Entries of one digest are the same.
    pub(super) fn key(entry: &RawValue) -> String {
        #[derive(Deserialize)]
        struct NamedDigest {
            digest: String,
        }
        match serde_json::from_str(entry.get()) {
            Ok(NamedDigest { digest }) => digest,
            Err(_) => entry.get().to_owned(),
        }
    }
}

impl EntryList for OpenList {
    type Entry = Box<RawValue>;

    fn entries(&self) -> &[Box<RawValue>] {
        &self.entries
    }

    fn append(&mut self, entry: Box<RawValue>) {
        self.entries.push(entry);
    }

    fn blob(&self) -> Option<Bytes> {
        None
    }

    fn media_type(&self) -> &str {
        media_type::OCI_INDEX
    }

    fn bytes(&self) -> Bytes {
        let entries: Vec<&str> = self.entries.iter().map(|entry| entry.get()).collect();
        format!("{}{}]{}}}", self.before, entries.join(","), self.after).into()
    }
}

struct ListCopy {
    open: OpenList,
    /// Whether the list has begun.
    list: bool,
}

impl Sink for ListCopy {
    fn list(&mut self) {
        let before = &mut self.open.before;
        if before.len() > 1 {
            before.push(',');
        }
        before.push_str(r#""manifests":["#);
        self.list = true;
    }

    fn entry(&mut self, entry: &RawValue) {
        self.open.entries.push(entry.to_owned());
    }

    fn field(&mut self, name: &str, value: &RawValue) {
        let text = if self.list {
            self.open.after.push(',');
            &mut self.open.after
        } else {
            if self.open.before.len() > 1 {
                self.open.before.push(',');
            }
            &mut self.open.before
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
    use crate::descriptor::Descriptor;

    const OTHER: &str = r#"{"mediaType":"x","digest":"blake3:00", "size":1,"urls":["u"]}"#;

    fn entry(content: &str) -> Descriptor {
        Descriptor::of("application/json", content.as_bytes())
    }

    fn raw(entry: &Descriptor) -> Box<RawValue> {
        serde_json::value::to_raw_value(entry).unwrap()
    }

    fn with_ours(mut list: OpenList) -> String {
        list.append(raw(&entry("ours")));
        String::from_utf8(list.bytes().to_vec()).unwrap()
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
            let list = OpenList::read(list.as_bytes(), 10).unwrap();
            assert_eq!(with_ours(list), expected);
        }
        let empty = with_ours(OpenList::empty());
        let listed = entries::read(empty.as_bytes(), 1).unwrap();
        assert!(listed.says_index);
        assert_eq!(listed.descriptors, [entry("ours")]);
    }

    #[test]
    fn entries_of_one_digest_are_the_same() {
        let ours = entry("ours");
        let annotated = Descriptor {
            annotations: [("by".to_owned(), "another".to_owned())].into(),
            ..ours.clone()
        };
        let list = format!(r#"{{"manifests":[1,{OTHER},{}]}}"#, json!(annotated));
        let open = |limit| OpenList::read(list.as_bytes(), limit);
        let keys: Vec<_> = open(3)
            .unwrap()
            .entries()
            .iter()
            .map(|e| OpenList::key(e))
            .collect();
        assert_eq!(
            keys,
            [
                "1".to_owned(),
                "blake3:00".to_owned(),
                OpenList::key(&raw(&ours))
            ]
        );
        assert!(matches!(open(2), Err(ListError::TooMany(2))));
    }
}
