//! What is wrong with an index, for whoever writes it: entry by entry, for every machine that it names.

use std::collections::HashMap;

use countersign_oci::excerpt;
use countersign_policy::{GalleryEntry, GalleryIndex, MisspeltKey, nearest};

use crate::capability::{Capability, EntryError, ResolvedEntry};
use crate::limits::Limits;
use crate::source::{Source, SourceError};
use crate::store::{Name, NameError};

/// Something that is wrong with an entry, or that looks wrong.
#[derive(Debug)]
#[non_exhaustive]
pub struct IndexFinding {
    /// The entry, by its name or, if that can't be read, its number.
    pub entry: String,
    /// What it is.
    pub fault: IndexFault,
}

/// What is wrong with an entry, or looks wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFault {
    /// It leads to no content, on one of the machines that it names at least.
    #[error(transparent)]
    Entry(EntryError),
    /// A `uri`, a mirror or a `sha256` that can't be read.
    #[error(transparent)]
    Source(SourceError),
    /// More mirrors than anybody needs.
    #[error("expected at most {limit} mirrors, found {found}")]
    Mirrors {
        /// How many may be.
        limit: usize,
        /// How many are.
        found: usize,
    },
    /// Entry number `first`, counted from 1, has the same name: this one can't be asked for.
    #[error("entry {first} of the index has the same name, and is the one that is installed")]
    SameName {
        /// From 1.
        first: usize,
    },
    /// A name that no installation can have, and no other name leads to it.
    #[error(transparent)]
    Name(NameError),
    /// A key that nothing reads, and that looks like one that something reads.
    #[error("{}: nothing reads the key `{}`; did you mean `{}`?", .0.place, excerpt(&.0.found), .0.meant)]
    Misspelt(MisspeltKey),
    /// A capability that no machine has.
    #[error("no machine has the capability `{found}`{}", .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownCapability {
        /// The key.
        found: String,
        /// The most similar one that a machine has.
        nearest: Option<String>,
    },
}

impl IndexFault {
    /// Whether the entry, or what it leads to on some machine, can't be installed. What only looks wrong is none.
    pub fn is_error(&self) -> bool {
        match self {
            Self::Entry(_) | Self::Source(_) | Self::Mirrors { .. } | Self::Name(_) => true,
            Self::SameName { .. } | Self::Misspelt(_) | Self::UnknownCapability { .. } => false,
        }
    }
}

/// Looks at each entry of an index. `known` are the capabilities that machines have.
pub fn check_index(index: &GalleryIndex, known: &[&str]) -> Vec<IndexFinding> {
    let mut misspelt: HashMap<usize, Vec<MisspeltKey>> = HashMap::new();
    for (entry, key) in index.misspelt_keys() {
        misspelt.entry(entry).or_default().push(key);
    }
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut findings = Vec::new();
    for (at, entry) in index.entries().iter().enumerate() {
        let mut faults = Vec::new();
        let before = *first.entry(&entry.name).or_insert(at);
        if before != at {
            faults.push(IndexFault::SameName { first: before + 1 });
        }
        if EntryError::of_fault(entry).is_none() && !has_other_name(index, entry) {
            let name = entry.name.parse::<Name>();
            faults.extend(name.err().map(IndexFault::Name));
        }
        leads(index, entry, known, &mut faults);
        sources(entry, &mut faults);
        let keys = misspelt.remove(&at).unwrap_or_default();
        faults.extend(keys.into_iter().map(IndexFault::Misspelt));
        findings.extend(faults.into_iter().map(|fault| IndexFinding {
            entry: excerpt(&entry.name),
            fault,
        }));
    }
    findings
}

/// Whether an installation of it can have another name than its own: its alias, or that of a meta entry.
fn has_other_name(index: &GalleryIndex, entry: &GalleryEntry) -> bool {
    let alias = entry.alias.as_deref();
    let led = |meta: &GalleryEntry| meta.capabilities.values().any(|name| *name == entry.name);
    alias.is_some_and(|alias| alias.parse::<Name>().is_ok()) || index.entries().iter().any(led)
}

/// Follows the entry for each machine that it names.
fn leads(index: &GalleryIndex, entry: &GalleryEntry, known: &[&str], faults: &mut Vec<IndexFault>) {
    if entry.capabilities.is_empty() || entry.content().is_some() {
        let resolved = ResolvedEntry::of(index, entry, &Capability::default());
        faults.extend(resolved.err().map(IndexFault::Entry));
        return;
    }
    for key in entry.capabilities.keys() {
        let capability = key.parse::<Capability>();
        let is_known =
            |capability: &Capability| capability.own_keys().any(|one| known.contains(&one));
        match capability {
            Ok(capability) => {
                if !is_known(&capability) {
                    faults.push(unknown(key, known));
                }
                match ResolvedEntry::of(index, entry, &capability) {
                    // What it leads to is for another machine, which is the other entry's matter.
                    Ok(_) | Err(EntryError::NotForCapability { .. }) => {}
                    Err(error) => faults.push(IndexFault::Entry(error)),
                }
            }
            Err(_) => faults.push(unknown(key, known)),
        }
    }
}

fn unknown(key: &str, known: &[&str]) -> IndexFault {
    IndexFault::UnknownCapability {
        found: excerpt(key),
        nearest: nearest(key, known.iter().copied()),
    }
}

/// Reads the places of its content.
fn sources(entry: &GalleryEntry, faults: &mut Vec<IndexFault>) {
    if entry.mirrors.len() > Limits::MIRRORS {
        faults.push(IndexFault::Mirrors {
            limit: Limits::MIRRORS,
            found: entry.mirrors.len(),
        });
    }
    let sha256 = entry.sha256.as_deref().filter(|text| !text.is_empty());
    let mirrors = entry.mirrors.iter().map(String::as_str);
    for text in entry.content().into_iter().chain(mirrors) {
        let source = Source::parse(text, sha256);
        faults.extend(source.err().map(IndexFault::Source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["default", "nvidia", "metal"];

    /// What is found, a line each.
    fn found(index: &str) -> Vec<String> {
        let index = GalleryIndex::parse(index, "index.yaml").unwrap();
        let findings = check_index(&index, &KNOWN);
        let line = |IndexFinding { entry, fault }: IndexFinding| {
            let level = if fault.is_error() { "error" } else { "warning" };
            format!("{level} {entry}: {fault}")
        };
        findings.into_iter().map(line).collect()
    }

    #[test]
    fn an_index_without_mistakes_has_no_findings() {
        let index = "
- {name: a, uri: 'quay.io/a/a:1', mirrors: ['ghcr.io/a/a:1'], icon: x.png}
- {name: m, capabilities: {default: a, nvidia: a}}";
        assert_eq!(found(index), <[String; 0]>::default());
    }

    #[test]
    fn a_name_that_nothing_can_be_installed_by_is_an_error() {
        let index = "
- {name: T 7, uri: 'quay.io/a/a:1'}
- {name: ../t, uri: 'quay.io/a/a:2'}
- {name: C P U, uri: 'quay.io/a/a:3'}
- {name: A B, alias: ab, uri: 'quay.io/a/a:4'}
- {name: draw, capabilities: {default: C P U}}";
        let expected = "expected a name of at most 128 letters, digits";
        let found = found(index);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with(&format!("error T 7: {expected}")),
            "{found:#?}"
        );
        assert!(
            found[1].starts_with(&format!("error ../t: {expected}")),
            "{found:#?}"
        );
    }

    #[test]
    fn each_mistake_is_found_beside_its_entry() {
        let index = "
- {name: a, uri: 'quay.io/a/a:1', mirror: ['ghcr.io/a/a:1']}
- {name: a, uri: 'quay.io/a/a:2'}
- {name: none}
- {name: lost, capabilities: {default: a, nvidia: b, metla: a}}
- {name: round, capabilities: {default: round}}
- {name: bad, uri: 'oci://'}
- {name: list, uri: ['quay.io/a/a:1']}
- [not, an, entry]";
        insta::assert_snapshot!(found(index).join("\n"), @"
        warning a: index.yaml:2:35: [0].mirror: nothing reads the key `mirror`; did you mean `mirrors`?
        warning a: entry 1 of the index has the same name, and is the one that is installed
        error none: `none` has neither a uri nor capabilities
        warning lost: no machine has the capability `metla`; did you mean `metal`?
        error lost: `lost` leads to `b` for nvidia, and there is no such entry
        error round: meta entries lead in a circle: round → round
        error bad: `` is not an image reference (registry/repository:tag or registry/repository@sha256:…): it is empty
        error list: the entry `list` of the index can't be read
        error [7]: the entry `[7]` of the index can't be read
        ");
    }
}
