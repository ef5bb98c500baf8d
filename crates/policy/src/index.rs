//! Gallery indexes: the images that a gallery lists.
//!
//! An index is data from the network, not a policy. Unknown keys in its entries are ignored, and nothing in it can
//! make an image accepted. Reading has limits. YAML merges are applied, because LocalAI's index uses them.

mod each;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{KeyPath, Place, PolicyError, Problem};
use crate::nearest::nearest;
use crate::node::Node;
use crate::yaml::{self, Bounds};
use countersign_oci::excerpt;

/// A gallery's index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GalleryIndex {
    entries: Vec<GalleryEntry>,
    /// The first entry of each name, by name: where it is among the entries.
    by_name: Box<[usize]>,
    text: Box<str>,
    file_name: String,
}

/// A key of an entry that nothing reads, and that looks like one that something reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MisspeltKey {
    /// Where it is.
    pub place: Place,
    /// The key.
    pub found: String,
    /// The key that is probably meant.
    pub meant: String,
}

impl GalleryIndex {
    /// Reads an index, YAML or JSON. `file_name` (or URL) is only for errors. An entry that can't be read is
    /// [`EntryContent::Unreadable`], and doesn't keep the others from being read.
    ///
    /// # Errors
    ///
    /// If it is not a list, or if no entry of it can be read: the first thing that is wrong, with line, column and the
    /// keys that lead there.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, PolicyError> {
        let entries = match yaml::parse(text, file_name, &Bounds::INDEX) {
            Ok(entries) => entries,
            Err(error) => {
                each_of(&error, text, file_name).ok_or_else(|| completed(error, text, file_name))?
            }
        };
        Ok(Self {
            by_name: by_name(&entries),
            entries,
            text: text.into(),
            file_name: file_name.to_owned(),
        })
    }

    /// Where its entries stand. It costs as much as reading the index again.
    pub fn places(&self) -> IndexPlaces<'_> {
        IndexPlaces {
            tree: yaml::parse(&self.text, &self.file_name, &Bounds::INDEX).ok(),
            file_name: &self.file_name,
        }
    }

    /// The entries, in the index's order.
    pub fn entries(&self) -> &[GalleryEntry] {
        &self.entries
    }

    /// The first entry of this name.
    pub fn named(&self, name: &str) -> Option<&GalleryEntry> {
        let before = |at: &usize| name_at(&self.entries, *at) < Some(name);
        let found = *self.by_name.get(self.by_name.partition_point(before))?;
        self.entries.get(found).filter(|entry| entry.name == name)
    }

    /// The entry whose name is most similar to `name`, for messages about a wrong name.
    pub fn nearest(&self, name: &str) -> Option<String> {
        nearest(name, self.entries.iter().map(|entry| entry.name.as_str()))
    }
}

/// Where the entries of an index stand, and what they have.
#[derive(Debug)]
pub struct IndexPlaces<'a> {
    tree: Option<Node>,
    file_name: &'a str,
}

impl IndexPlaces<'_> {
    /// Keys that nothing reads, and that look like one that something reads: `mirror` for `mirrors`. Each with the
    /// number of its entry, from 0.
    pub fn misspelt_keys(&self) -> Vec<(usize, MisspeltKey)> {
        let tree = self.tree.as_ref();
        tree.map_or_else(Vec::new, |tree| each::misspelt(tree, self.file_name))
    }

    /// Where entry number `entry`, from 0, stands.
    pub fn entry(&self, entry: usize) -> Place {
        self.place(KeyPath::default().index(entry))
    }

    /// Where the value of a key of an entry stands.
    pub fn value(&self, entry: usize, key: &str) -> Place {
        self.place(KeyPath::default().index(entry).key(key))
    }

    /// Where number `item`, from 0, of the list at a key of an entry stands.
    pub fn item(&self, entry: usize, key: &str, item: usize) -> Place {
        self.place(KeyPath::default().index(entry).key(key).index(item))
    }

    fn place(&self, path: KeyPath) -> Place {
        Place {
            file: Some(self.file_name.to_owned()),
            position: self.tree.as_ref().map(|tree| tree.position_of(&path)),
            path,
        }
    }
}

/// Names are looked up for every step from entry to entry, and an index may have very many.
fn by_name(entries: &[GalleryEntry]) -> Box<[usize]> {
    let mut places: Vec<usize> = (0..entries.len()).collect();
    // Stable: of the same name the first one stays.
    places.sort_by_key(|at| name_at(entries, *at));
    places.dedup_by_key(|at| name_at(entries, *at));
    places.into()
}

fn name_at(entries: &[GalleryEntry], at: usize) -> Option<&str> {
    entries.get(at).map(|entry| entry.name.as_str())
}

/// The entries by themselves, where the index can't be read as a whole; `None` where none of them can be read.
fn each_of(error: &PolicyError, text: &str, file_name: &str) -> Option<Vec<GalleryEntry>> {
    if error.problem().is_of_the_text() {
        return None;
    }
    let tree = yaml::parse::<Node>(text, file_name, &Bounds::INDEX).ok()?;
    let entries = each::entries(&tree, text, file_name).ok()?;
    let any = entries.iter().any(|entry| entry.fault.is_none());
    any.then_some(entries)
}

/// Adds to an error what was found at its place.
fn completed(error: PolicyError, text: &str, file_name: &str) -> PolicyError {
    if error.problem().is_of_the_text() {
        return error;
    }
    // A tree costs as much as reading again, so it is made only after an error.
    let broken = match yaml::parse::<Node>(text, file_name, &Bounds::INDEX) {
        Ok(tree) => return tree.completed(error),
        Err(broken) => broken,
    };
    let (place, mut problem) = error.into_parts();
    // Behind the first column a list has begun, so it is an index, and its text is wrong. Most web pages are no valid
    // YAML either, and begin no list.
    let is_begun = place.position.is_some_and(|position| position.column > 1);
    if is_begun && broken.problem().is_of_the_text() {
        return broken;
    }
    let line = place.position.and_then(|position| {
        let above = usize::try_from(position.line).ok()?.checked_sub(1)?;
        text.lines().nth(above)
    });
    if let (Problem::Form { found, .. }, Some(line)) = (&mut problem, line) {
        found.get_or_insert_with(|| format!("`{}`", excerpt(line.trim())));
    }
    PolicyError::new(place, problem)
}

/// One entry of an index: an image, or a meta entry that stands for others by capability. What it is, its
/// [`content`](Self::content) says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GalleryEntry {
    /// The name by which a user installs it.
    pub name: String,
    /// The name that it goes by once installed.
    #[serde(default)]
    pub alias: Option<String>,
    /// Where its content is; `None` for a meta entry.
    #[serde(default)]
    pub uri: Option<String>,
    /// Other places of its content, in order of preference.
    #[serde(default, deserialize_with = "null_is_default")]
    pub mirrors: Vec<String>,
    /// For a tarball, the digest of its bytes in hex.
    #[serde(default)]
    pub sha256: Option<String>,
    /// From a hardware capability (`nvidia`, `metal`, `default`) to the entry that serves it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub capabilities: BTreeMap<String, String>,
    /// Free words.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
    /// Home pages.
    #[serde(default, deserialize_with = "null_is_default")]
    pub urls: Vec<String>,
    /// The content's licence.
    #[serde(default)]
    pub license: Option<String>,
    /// An image's URL.
    #[serde(default)]
    pub icon: Option<String>,
    /// In sentences.
    #[serde(default)]
    pub description: Option<String>,
    /// Why it can't be read. Then it has nothing but its alias and its name, or its number where that can't be
    /// read.
    #[serde(skip)]
    fault: Option<Box<PolicyError>>,
    /// Its name or its alias can't be read.
    #[serde(skip)]
    any_name: bool,
}

/// What an entry of an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryContent<'a> {
    /// It has content, at this place.
    At(&'a str),
    /// It has none, and stands for others by capability.
    Meta,
    /// It can't be read, so nothing is known of it but its name.
    Unreadable(&'a PolicyError),
}

/// An entry that merges another one removes a key with `null`.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl GalleryEntry {
    /// Where its content is, by its `uri`. An empty one is as good as none.
    pub fn content(&self) -> EntryContent<'_> {
        match (&self.fault, self.uri.as_deref()) {
            (Some(fault), _) => EntryContent::Unreadable(fault),
            (None, None | Some("")) => EntryContent::Meta,
            (None, Some(uri)) => EntryContent::At(uri),
        }
    }

    /// Its name or its alias can't be read: whoever asks for any name may mean it.
    pub fn may_have_any_name(&self) -> bool {
        self.any_name
    }

    /// An entry of which only its names are known, if they are.
    fn unreadable(name: String, alias: Option<String>, any_name: bool, fault: PolicyError) -> Self {
        Self {
            name,
            alias,
            uri: None,
            mirrors: Vec::new(),
            sha256: None,
            capabilities: BTreeMap::new(),
            tags: Vec::new(),
            urls: Vec::new(),
            license: None,
            icon: None,
            description: None,
            fault: Some(Box::new(fault)),
            any_name,
        }
    }
}
