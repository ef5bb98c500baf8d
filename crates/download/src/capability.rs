//! Which entry of an index a name stands for, on a machine of a given capability.
//!
//! Names are looked up, never guessed: an exact name first, then an alias that a single entry has.
//! A meta entry leads to another by capability, and every step is kept. The capability is the
//! caller's value; nothing here looks at the machine.

use std::fmt;
use std::str::FromStr;

use countersign_oci::excerpt;
use countersign_policy::{GalleryEntry, GalleryIndex};
use serde::Serialize;

/// Candidates that an error lists.
const LISTED: usize = 20;

/// The key that serves every machine.
const DEFAULT: &str = "default";

/// Indexes also call it this: some have it instead of `default`, never beside it.
const CPU: &str = "cpu";

/// What hardware a machine has for an image to use: `default`, `nvidia`, `nvidia-cuda-12`, `metal`…
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
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
        let family = ["-cuda-", "-darwin-"]
            .into_iter()
            .find_map(|end| self.0.split_once(end))
            .map(|(family, _)| family);
        [Some(self.0.as_str()), family, Some(DEFAULT), Some(CPU)]
            .into_iter()
            .flatten()
    }
}

/// That of a machine without an accelerator.
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
    /// The entry that `name` stands for: the first of that name, else the only one of that alias;
    /// through meta entries, if need be, by `capability`.
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

    /// What `entry` of `index` stands for: itself, or, of a meta entry, what it leads to.
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
        while uri(entry).is_none() {
            if via.iter().any(|meta| meta.name == entry.name) {
                return Err(EntryError::Cycle {
                    names: via
                        .iter()
                        .chain([&entry])
                        .map(|e| excerpt(&e.name))
                        .collect(),
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

    /// The meta entries on the way, in order; none where the name is the entry's own.
    pub fn via(&self) -> &[&'a GalleryEntry] {
        &self.via
    }
}

/// Where an entry's content is. An empty text is as good as none, which is how LocalAI reads it.
pub(crate) fn uri(entry: &GalleryEntry) -> Option<&str> {
    entry.uri.as_deref().filter(|uri| !uri.is_empty())
}

fn by_alias<'a>(index: &'a GalleryIndex, name: &str) -> Result<&'a GalleryEntry, EntryError> {
    let has_alias = |entry: &&GalleryEntry| entry.alias.as_deref() == Some(name);
    let found: Vec<_> = index.entries().iter().filter(has_alias).collect();
    match found.as_slice() {
        [] => Err(EntryError::Unknown {
            name: excerpt(name),
            nearest: nearest(index, name),
        }),
        [only] => Ok(only),
        several => Err(EntryError::Ambiguous {
            alias: excerpt(name),
            count: several.len(),
            names: several
                .iter()
                .take(LISTED)
                .map(|e| excerpt(&e.name))
                .collect(),
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
            capabilities: meta
                .capabilities
                .keys()
                .take(LISTED)
                .map(|key| excerpt(key))
                .collect(),
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

/// The name most like `text`, if it is near enough to be a misspelling.
fn nearest(index: &GalleryIndex, text: &str) -> Option<String> {
    if text.len() > 128 {
        return None;
    }
    let names = index.entries().iter().map(|entry| entry.name.as_str());
    names
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, name)| *distance <= name.chars().count().div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| excerpt(name))
}

/// Why a name does not lead to an entry with content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// No entry has this name or alias.
    #[error("expected the name of an entry, found `{name}`{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The most similar name, if one is near.
        nearest: Option<String>,
    },
    /// Several entries have this alias, and none this name.
    #[error("expected the name of one entry, found `{alias}`, by which {count} go: {}", .names.join(", "))]
    Ambiguous {
        /// The alias asked for.
        alias: String,
        /// How many entries have it.
        count: usize,
        /// Their names, the first 20 at most.
        names: Vec<String>,
    },
    /// A meta entry that serves other machines.
    #[error("`{name}` is not for the capability {capability}, only for {}", .capabilities.join(", "))]
    NotForCapability {
        /// The meta entry.
        name: String,
        /// The capability asked for.
        capability: Capability,
        /// Those that it has, the first 20 at most.
        capabilities: Vec<String>,
    },
    /// A meta entry that leads to an entry that is not there.
    #[error(
        "`{name}` leads to `{target}` for {capability}, expected an entry of that name, found none"
    )]
    MissingTarget {
        /// The meta entry.
        name: String,
        /// Its key.
        capability: String,
        /// The name that has no entry.
        target: String,
    },
    /// Meta entries that lead back to themselves.
    #[error("expected an entry with content, found meta entries that lead in a circle: {}", .names.join(" → "))]
    Cycle {
        /// The way, the last one a second time.
        names: Vec<String>,
    },
    /// Neither content nor capabilities.
    #[error("expected `{name}` to have a uri or capabilities, found neither")]
    NoContent {
        /// The entry.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str) -> GalleryIndex {
        GalleryIndex::parse(text, "index.yaml").unwrap()
    }

    fn capability(text: &str) -> Capability {
        text.parse().unwrap()
    }

    fn resolve(index: &GalleryIndex, name: &str, with: &str) -> Result<String, EntryError> {
        ResolvedEntry::by_name(index, name, &capability(with))
            .map(|resolved| resolved.entry().name.clone())
    }

    const CHAT: &str = "
- &chat
  name: chat
  alias: chat
  capabilities: {default: cpu-chat, nvidia: cuda12-chat, nvidia-cuda-13: cuda13-chat, nvidia-l4t: l4t-chat, metal: metal-chat}
- {<<: *chat, name: cpu-chat, uri: quay.io/acme/chat:cpu}
- {<<: *chat, name: cuda12-chat, uri: quay.io/acme/chat:cuda12}
- {<<: *chat, name: cuda13-chat, uri: quay.io/acme/chat:cuda13}
- {<<: *chat, name: l4t-chat, uri: quay.io/acme/chat:l4t}
- {<<: *chat, name: metal-chat, uri: quay.io/acme/chat:metal}
";

    #[test]
    fn a_meta_entry_serves_the_exact_capability_its_family_or_the_default() {
        let index = index(CHAT);
        for (capability, expected) in [
            ("default", "cpu-chat"),
            ("nvidia", "cuda12-chat"),
            ("nvidia-cuda-13", "cuda13-chat"),
            ("nvidia-cuda-12", "cuda12-chat"),
            ("nvidia-l4t", "l4t-chat"),
            ("nvidia-l4t-cuda-13", "l4t-chat"),
            ("metal", "metal-chat"),
            ("metal-darwin-arm64", "metal-chat"),
            ("amd", "cpu-chat"),
            ("vulkan", "cpu-chat"),
        ] {
            let found = resolve(&index, "chat", capability);
            assert_eq!(found.as_deref(), Ok(expected), "{capability}");
        }
    }

    #[test]
    fn jetson_does_not_fall_to_the_images_of_other_nvidia_machines() {
        let index = index(
            "
- {name: chat, capabilities: {default: cpu, nvidia: cuda}}
- {name: cpu, uri: quay.io/acme/chat:cpu}
- {name: cuda, uri: quay.io/acme/chat:cuda}
",
        );
        assert_eq!(
            resolve(&index, "chat", "nvidia-l4t-cuda-12").as_deref(),
            Ok("cpu")
        );
    }

    #[test]
    fn cpu_stands_in_for_a_default_that_is_not_there() {
        let index = index(
            "
- {name: chat, capabilities: {cpu: cpu-chat, nvidia: cpu-chat}}
- {name: cpu-chat, uri: quay.io/acme/chat:cpu}
",
        );
        for capability in ["default", "amd"] {
            assert_eq!(
                resolve(&index, "chat", capability).as_deref(),
                Ok("cpu-chat")
            );
        }
    }

    #[test]
    fn the_way_through_meta_entries_is_kept() {
        let index = index(
            "
- {name: a, capabilities: {default: b}}
- {name: b, capabilities: {default: c}}
- {name: c, uri: quay.io/acme/c:1, capabilities: {default: a}}
",
        );
        let resolved = ResolvedEntry::by_name(&index, "a", &Capability::default()).unwrap();
        let via: Vec<&str> = resolved.via().iter().map(|e| e.name.as_str()).collect();
        assert_eq!((resolved.entry().name.as_str(), via), ("c", vec!["a", "b"]));
    }

    #[test]
    fn an_empty_uri_is_as_good_as_none() {
        let index = index(
            "
- {name: a, uri: '', capabilities: {default: b}}
- {name: b, uri: quay.io/acme/b:1}
",
        );
        assert_eq!(resolve(&index, "a", "default").as_deref(), Ok("b"));
    }

    #[test]
    fn a_name_goes_before_an_alias_and_an_alias_must_be_one_entry_s() {
        let index = index(
            "
- {name: one, alias: two, uri: quay.io/acme/one:1}
- {name: two, alias: shared, uri: quay.io/acme/two:1}
- {name: three, alias: shared, uri: quay.io/acme/three:1}
- {name: four, alias: only, uri: quay.io/acme/four:1}
",
        );
        assert_eq!(resolve(&index, "two", "default").as_deref(), Ok("two"));
        assert_eq!(resolve(&index, "only", "default").as_deref(), Ok("four"));
        assert_eq!(
            resolve(&index, "shared", "default"),
            Err(EntryError::Ambiguous {
                alias: "shared".into(),
                count: 2,
                names: vec!["two".into(), "three".into()],
            })
        );
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let index = index(CHAT);
        assert_eq!(
            resolve(&index, "cuda14-chat", "default"),
            Err(EntryError::Unknown {
                name: "cuda14-chat".into(),
                nearest: Some("cuda12-chat".into()),
            })
        );
        assert_eq!(
            resolve(&index, "weather", "default"),
            Err(EntryError::Unknown {
                name: "weather".into(),
                nearest: None,
            })
        );
    }

    #[test]
    fn meta_entries_that_lead_nowhere_are_refused() {
        let index = index(
            "
- {name: gpu-only, capabilities: {nvidia: gone}}
- {name: ring-a, capabilities: {default: ring-b}}
- {name: ring-b, capabilities: {default: ring-a}}
- {name: hollow}
",
        );
        assert_eq!(
            resolve(&index, "gpu-only", "amd"),
            Err(EntryError::NotForCapability {
                name: "gpu-only".into(),
                capability: capability("amd"),
                capabilities: vec!["nvidia".into()],
            })
        );
        assert_eq!(
            resolve(&index, "gpu-only", "nvidia-cuda-12"),
            Err(EntryError::MissingTarget {
                name: "gpu-only".into(),
                capability: "nvidia".into(),
                target: "gone".into(),
            })
        );
        assert_eq!(
            resolve(&index, "ring-a", "default"),
            Err(EntryError::Cycle {
                names: vec!["ring-a".into(), "ring-b".into(), "ring-a".into()],
            })
        );
        assert_eq!(
            resolve(&index, "hollow", "default"),
            Err(EntryError::NoContent {
                name: "hollow".into()
            })
        );
    }

    #[test]
    fn a_capability_is_words_joined_by_dashes() {
        for text in ["", "Nvidia", "nvidia cuda", "-nvidia", "nvidia-", "a\n"] {
            assert!(text.parse::<Capability>().is_err(), "{text:?}");
        }
        assert_eq!(
            capability("nvidia-l4t-cuda-12").as_str(),
            "nvidia-l4t-cuda-12"
        );
    }
}
