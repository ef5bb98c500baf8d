//! Reads an index entry by entry, where it can't be read as a whole: what is wrong with one entry is of that one alone.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::error::{KeyPath, Place, PolicyError, Problem};
use crate::nearest::nearest;
use crate::node::Node;
use crate::yaml::{self, Bounds};

use super::{GalleryEntry, MisspeltKey};

/// The keys of an entry, each with the form of its value.
const KEYS: [(&str, Shape); 11] = [
    ("name", Shape::Text),
    ("alias", Shape::Text),
    ("uri", Shape::Text),
    ("mirrors", Shape::Texts),
    ("sha256", Shape::Text),
    ("capabilities", Shape::Words),
    ("tags", Shape::Texts),
    ("urls", Shape::Texts),
    ("license", Shape::Text),
    ("icon", Shape::Text),
    ("description", Shape::Text),
];

/// The form of a value.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// A list of texts.
    Texts,
    /// A mapping to texts.
    Words,
}

/// The entries of `text`, each with what is wrong with it. `tree` is the same text.
///
/// # Errors
/// If it is no list, or something else is wrong than the forms of its entries.
pub(super) fn entries(
    tree: &Node,
    text: &str,
    file_name: &str,
) -> Result<Vec<GalleryEntry>, PolicyError> {
    let items = tree.items().into_iter().flatten().enumerate();
    let broken = items.filter_map(|(at, node)| {
        let looking = Looking {
            file_name,
            entry: KeyPath::default().index(at),
            tree,
            node,
        };
        let entry = looking.check().err().map(|fault| {
            // A name that is its alias leads to it, and is not taken for somebody else's.
            let (name, alias) = (looking.name(), looking.alias());
            GalleryEntry::unreadable(name, alias, looking.may_have_any_name(), fault)
        });
        Some((at, entry?))
    });
    let around = Around {
        broken: broken.collect(),
    };
    yaml::parse_seeded(around, text, file_name, &Bounds::INDEX)
}

/// Reads a list of entries around those that are known to be broken.
struct Around {
    broken: BTreeMap<usize, GalleryEntry>,
}

impl<'de> DeserializeSeed<'de> for Around {
    type Value = Vec<GalleryEntry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Around {
    type Value = Vec<GalleryEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        loop {
            let entry = match self.broken.remove(&entries.len()) {
                Some(broken) => access.next_element::<IgnoredAny>()?.map(|_| broken),
                None => access.next_element()?,
            };
            match entry {
                Some(entry) => entries.push(entry),
                None => return Ok(entries),
            }
        }
    }
}

/// Keys of entries that nothing reads, and that look like one that something reads.
pub(super) fn misspelt(tree: &Node, file_name: &str) -> Vec<(usize, MisspeltKey)> {
    let keys = KEYS.map(|(key, _)| key);
    let mut found = Vec::new();
    for (at, node) in tree.items().into_iter().flatten().enumerate() {
        let entry = KeyPath::default().index(at);
        for key in node.keys().filter(|key| !keys.contains(key)) {
            let Some(meant) = nearest(key, keys) else {
                continue;
            };
            let path = entry.key(key);
            let key = MisspeltKey {
                place: place(file_name, tree, path),
                found: key.to_owned(),
                meant,
            };
            found.push((at, key));
        }
    }
    found
}

fn place(file_name: &str, tree: &Node, path: KeyPath) -> Place {
    Place {
        file: Some(file_name.to_owned()),
        position: Some(tree.position_of(&path)),
        path,
    }
}

/// A look at one entry: whether each of its values has the form that it is read as.
struct Looking<'a> {
    file_name: &'a str,
    /// The path to it.
    entry: KeyPath,
    tree: &'a Node,
    node: &'a Node,
}

impl Looking<'_> {
    /// Its name; if that can't be read, its number.
    fn name(&self) -> String {
        let name = self.node.value("name").and_then(Node::text);
        name.map_or_else(|| self.entry.to_string(), ToOwned::to_owned)
    }

    fn alias(&self) -> Option<String> {
        let alias = self.node.value("alias").and_then(Node::text);
        alias.map(ToOwned::to_owned)
    }

    fn may_have_any_name(&self) -> bool {
        let is_text = |(node, _): (&Node, KeyPath)| node.text().is_some();
        !self.value("name").is_some_and(is_text) || !self.value("alias").is_none_or(is_text)
    }

    fn check(&self) -> Result<(), PolicyError> {
        if !self.node.is_mapping() {
            return Err(self.other_form(&self.entry, "a mapping", self.node));
        }
        if self.value("name").is_none() {
            return Err(self.fault(&self.entry, Problem::MissingKey { key: "name" }));
        }
        for (key, shape) in KEYS {
            if let Some((node, path)) = self.value(key) {
                self.has_shape(shape, node, &path)?;
            }
        }
        Ok(())
    }

    fn has_shape(&self, shape: Shape, node: &Node, path: &KeyPath) -> Result<(), PolicyError> {
        match shape {
            Shape::Text => self.text(node, path),
            Shape::Texts => {
                let items = node.items();
                let items = items.ok_or_else(|| self.other_form(path, "a list", node))?;
                let mut items = items.iter().enumerate();
                items.try_for_each(|(at, item)| self.text(item, &path.index(at)))
            }
            Shape::Words if !node.is_mapping() => Err(self.other_form(path, "a mapping", node)),
            Shape::Words => {
                let mut pairs = node.pairs();
                pairs.try_for_each(|(key, value)| self.text(value, &path.key(key)))
            }
        }
    }

    /// The value of a key, if it has one.
    fn value(&self, key: &str) -> Option<(&Node, KeyPath)> {
        let node = self.node.value(key).filter(|node| !node.is_nothing())?;
        Some((node, self.entry.key(key)))
    }

    fn text(&self, node: &Node, path: &KeyPath) -> Result<(), PolicyError> {
        match node.text() {
            Some(_) => Ok(()),
            None => Err(self.other_form(path, "a text", node)),
        }
    }

    fn other_form(&self, path: &KeyPath, expected: &str, found: &Node) -> PolicyError {
        let problem = Problem::Form {
            expected: expected.to_owned(),
            found: Some(found.describe()),
        };
        self.fault(path, problem)
    }

    fn fault(&self, path: &KeyPath, problem: Problem) -> PolicyError {
        PolicyError::new(place(self.file_name, self.tree, path.clone()), problem)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde::de::value::Error;
    use serde::de::{Deserialize as _, Error as _};

    use super::*;

    /// Notes which fields are asked for.
    struct Asked<'a>(&'a Cell<&'static [&'static str]>);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("no struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0.set(fields);
            Err(Error::custom("there is no value"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    #[test]
    fn the_keys_are_the_fields_that_are_read() {
        let fields = Cell::default();
        GalleryEntry::deserialize(Asked(&fields)).unwrap_err();
        assert_eq!(fields.get(), KEYS.map(|(key, _)| key));
    }
}
