//! Which entry of an index a name stands for, on a machine of a given capability.
//!
//! Names are looked up, never guessed: first as an exact name, then as the alias of a single entry. A
//! meta entry leads to another entry by capability, and every step is kept. The capability is the
//! caller's value; nothing here looks at the machine.

mod ways;

use std::fmt;
use std::str::FromStr;

use countersign_oci::{ErrorKind, excerpt};
use countersign_policy::{EntryContent, GalleryEntry, GalleryIndex, PolicyError};

use crate::limits::Limits;

pub(crate) use ways::{entries_of, leading_on};

/// Candidates that an error lists.
const LISTED: usize = 20;

/// The key that serves every machine.
const DEFAULT: &str = "default";

/// Another name for the same. Some indexes have it instead of `default`, never beside it.
const CPU: &str = "cpu";

/// The hardware of a machine that an image can use: `default`, `nvidia`, `nvidia-cuda-12`, `metal`…
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability(String);

impl Capability {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The keys of a meta entry that serve this capability, the best first: its own name; the name
    /// without the CUDA version, or without the platform of `metal-darwin-arm64`; `default`; `cpu`.
    ///
    /// As LocalAI has it, `nvidia-l4t` does not lead to `nvidia`: those images are for x86.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.own_keys().chain([DEFAULT, CPU])
    }

    /// The keys of [`Self::keys`] that are for some capabilities only.
    pub fn own_keys(&self) -> impl Iterator<Item = &str> {
        let family = ["-cuda-", "-darwin-"]
            .into_iter()
            .find_map(|end| self.0.split_once(end))
            .map(|(family, _)| family);
        [Some(self.0.as_str()), family].into_iter().flatten()
    }
}

/// The capability of a machine without an accelerator.
impl Default for Capability {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.0
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.len() <= 64
            && text
                .split('-')
                .all(|w| !w.is_empty() && w.chars().all(word))
        {
            return Ok(Self(text.into()));
        }
        Err(CapabilityError {
            found: excerpt(text),
        })
    }
}

/// A text that is not a [`Capability`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a capability such as default, nvidia, amd, intel, metal, vulkan, nvidia-cuda-12 or nvidia-l4t, found `{found}`"
)]
pub struct CapabilityError {
    found: String,
}

/// An entry with content, and how a name led to it.
#[derive(Debug, Clone)]
pub struct ResolvedEntry<'a> {
    entry: &'a GalleryEntry,
    via: Vec<&'a GalleryEntry>,
}

impl<'a> ResolvedEntry<'a> {
    /// The entry that `name` stands for: the first of that name, else the only one of that alias. A
    /// meta entry is followed to the entry for `capability`.
    ///
    /// # Errors
    /// [`EntryError`]
    pub fn by_name(
        index: &'a GalleryIndex,
        name: &str,
        capability: &Capability,
    ) -> Result<Self, EntryError> {
        let entry = match index.named(name) {
            Some(entry) => entry,
            None => by_alias(index, name)?,
        };
        Self::of(index, entry, capability)
    }

    /// As [`by_name`](Self::by_name), but where the name leads to the entry `kept` by some capability, it is that entry,
    /// whatever this machine has.
    ///
    /// # Errors
    /// [`EntryError`], also where `kept` can't be read or is missing: another one is not taken in its place.
    pub fn by_name_keeping(
        index: &'a GalleryIndex,
        name: &str,
        kept: &str,
        capability: &Capability,
    ) -> Result<Self, EntryError> {
        let entry = match index.named(name) {
            Some(entry) => entry,
            None => by_alias(index, name)?,
        };
        match ways::way_to(index, entry, kept)? {
            Some(found) => Ok(found),
            None => Self::of(index, entry, capability),
        }
    }

    /// What `entry` of `index` stands for: itself, or the entry that it leads to if it is a meta entry.
    ///
    /// # Errors
    /// [`EntryError`], except that the name is unknown or ambiguous.
    pub fn of(
        index: &'a GalleryIndex,
        entry: &'a GalleryEntry,
        capability: &Capability,
    ) -> Result<Self, EntryError> {
        let mut entry = entry;
        let mut via: Vec<&GalleryEntry> = Vec::new();
        loop {
            match entry.content() {
                EntryContent::At(_) => break,
                EntryContent::Meta => {}
                EntryContent::Unreadable(fault) => {
                    return Err(EntryError::unreadable(entry, fault));
                }
            }
            if via.iter().any(|meta| meta.name == entry.name) {
                return Err(EntryError::Cycle {
                    names: via
                        .iter()
                        .chain([&entry])
                        .map(|e| excerpt(&e.name))
                        .collect(),
                });
            }
            if via.len() == Limits::META_ENTRIES {
                return Err(EntryError::TooManySteps {
                    name: via
                        .first()
                        .map(|first| excerpt(&first.name))
                        .unwrap_or_default(),
                    limit: Limits::META_ENTRIES,
                });
            }
            via.push(entry);
            entry = target(index, entry, capability)?;
        }
        Ok(Self { entry, via })
    }

    /// The entry with content.
    pub fn entry(&self) -> &'a GalleryEntry {
        self.entry
    }

    /// The meta entries that were followed, in order; none if the name is the entry's own.
    pub fn via(&self) -> &[&'a GalleryEntry] {
        &self.via
    }
}

fn by_alias<'a>(index: &'a GalleryIndex, name: &str) -> Result<&'a GalleryEntry, EntryError> {
    let has_alias = |entry: &&GalleryEntry| entry.alias.as_deref() == Some(name);
    let found: Vec<_> = index.entries().iter().filter(has_alias).collect();
    match found.as_slice() {
        [] => Err(EntryError::Unknown {
            name: excerpt(name),
            nearest: index.nearest(name).as_deref().map(excerpt),
        }),
        [only] => Ok(only),
        several => Err(EntryError::Ambiguous {
            alias: excerpt(name),
            count: several.len(),
            names: some(several.iter().map(|entry| &entry.name)),
        }),
    }
}

fn target<'a>(
    index: &'a GalleryIndex,
    meta: &GalleryEntry,
    capability: &Capability,
) -> Result<&'a GalleryEntry, EntryError> {
    if meta.capabilities.is_empty() {
        return Err(EntryError::NoContent {
            name: excerpt(&meta.name),
        });
    }
    let served = capability
        .keys()
        .find_map(|key| meta.capabilities.get_key_value(key));
    let Some((key, target)) = served else {
        return Err(EntryError::NotForCapability {
            name: excerpt(&meta.name),
            capability: capability.clone(),
            count: meta.capabilities.len(),
            capabilities: some(meta.capabilities.keys()),
        });
    };
    index
        .named(target)
        .ok_or_else(|| EntryError::MissingTarget {
            name: excerpt(&meta.name),
            capability: excerpt(key),
            target: excerpt(target),
        })
}

/// As many as an error lists.
fn some<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.take(LISTED).map(|name| excerpt(name)).collect()
}

/// These names, and how many of `count` they leave out.
fn listed(names: &[String], count: usize) -> String {
    let shown = names.join(", ");
    match count.saturating_sub(names.len()) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Why a name does not lead to an entry with content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// No entry has this name or alias.
    #[error("there is no entry `{name}`{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The most similar name, if one is near.
        nearest: Option<String>,
    },
    /// Several entries have this alias, and none this name.
    #[error("`{alias}` is the alias of {count} entries: write the name of one, {}", listed(.names, *.count))]
    Ambiguous {
        /// The alias asked for.
        alias: String,
        /// How many entries have it.
        count: usize,
        /// The names of the first 20.
        names: Vec<String>,
    },
    /// A meta entry that serves other machines.
    #[error("`{name}` is not for the capability {capability}, only for {}", listed(.capabilities, *.count))]
    NotForCapability {
        /// The meta entry.
        name: String,
        /// The capability asked for.
        capability: Capability,
        /// How many it has.
        count: usize,
        /// The first 20 of them.
        capabilities: Vec<String>,
    },
    /// A meta entry that leads to an entry that is not there.
    #[error("`{name}` leads to `{target}` for {capability}, and there is no such entry")]
    MissingTarget {
        /// The meta entry.
        name: String,
        /// Its key.
        capability: String,
        /// The name that has no entry.
        target: String,
    },
    /// Meta entries that lead back to themselves.
    #[error("meta entries lead in a circle: {}", .names.join(" → "))]
    Cycle {
        /// The way, the last one a second time.
        names: Vec<String>,
    },
    /// A meta entry leads to another, that one to the next, and so on too often.
    #[error("`{name}` leads through too many meta entries: expected at most {limit}")]
    TooManySteps {
        /// The first meta entry.
        name: String,
        /// How many there may be.
        limit: usize,
    },
    /// Something in it has another form than an entry has.
    #[error("the entry `{name}` of the index can't be read")]
    Unreadable {
        /// The entry, by its name or its number.
        name: String,
        /// Why not.
        #[source]
        fault: Box<PolicyError>,
    },
    /// Neither content nor capabilities.
    #[error("`{name}` has neither a uri nor capabilities")]
    NoContent {
        /// The entry.
        name: String,
    },
}

impl EntryError {
    /// The entry, by the name that was asked for or by its own.
    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::Ambiguous { alias, .. } => alias,
            Self::Cycle { names } => names.first().map_or("", String::as_str),
            Self::Unknown { name, .. }
            | Self::NotForCapability { name, .. }
            | Self::MissingTarget { name, .. }
            | Self::TooManySteps { name, .. }
            | Self::Unreadable { name, .. }
            | Self::NoContent { name } => name,
        }
    }

    /// Why nothing is known of the entry but its name, if it can't be read.
    pub(crate) fn of_fault(entry: &GalleryEntry) -> Option<Self> {
        match entry.content() {
            EntryContent::Unreadable(fault) => Some(Self::unreadable(entry, fault)),
            EntryContent::At(_) | EntryContent::Meta => None,
        }
    }

    fn unreadable(entry: &GalleryEntry, fault: &PolicyError) -> Self {
        Self::Unreadable {
            name: excerpt(&entry.name),
            fault: Box::new(fault.clone()),
        }
    }

    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown { .. } | Self::NotForCapability { .. } => ErrorKind::NotFound,
            Self::Ambiguous { .. }
            | Self::MissingTarget { .. }
            | Self::Cycle { .. }
            | Self::TooManySteps { .. }
            | Self::Unreadable { .. }
            | Self::NoContent { .. } => ErrorKind::Usage,
        }
    }
}

#[cfg(test)]
mod tests;
