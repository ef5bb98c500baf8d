//! What is wrong with an index, for whoever writes it: entry by entry, for every machine that it names.

use std::collections::{HashMap, HashSet};

use countersign_oci::excerpt;
use countersign_policy::{
    EntryContent, GalleryEntry, GalleryIndex, IndexPlaces, MisspeltKey, Place, PolicyError, nearest,
};

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
    /// Where it stands in the index.
    pub place: Place,
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
    /// It has another form than an entry has.
    #[error("{}", .0.problem())]
    Form(Box<PolicyError>),
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
    /// Another entry before it has the same name: this one can't be asked for.
    #[error(
        "{}{} has the same name, and is the one that is installed",
        .first.path,
        .first.position.map(|at| format!(" in line {}", at.line)).unwrap_or_default()
    )]
    SameName {
        /// Where the other one stands.
        first: Place,
    },
    /// A name that no installation can have, and no other name leads to it.
    #[error(transparent)]
    Name(NameError),
    /// A key that nothing reads, and that looks like one that something reads.
    #[error("nothing reads the key `{}`; did you mean `{}`?", excerpt(&.0.found), .0.meant)]
    Misspelt(MisspeltKey),
    /// A mirror that is what the entry names already.
    #[error("the mirror is the same as the entry's `uri`")]
    SameAsUri,
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
            Self::Entry(_)
            | Self::Form(_)
            | Self::Source(_)
            | Self::Mirrors { .. }
            | Self::Name(_) => true,
            Self::SameName { .. }
            | Self::Misspelt(_)
            | Self::SameAsUri
            | Self::UnknownCapability { .. } => false,
        }
    }
}

/// Looks at each entry of an index. `known` are the capabilities that machines have.
pub fn check_index(index: &GalleryIndex, known: &[&str]) -> Vec<IndexFinding> {
    let places = &index.places();
    let mut misspelt: HashMap<usize, Vec<MisspeltKey>> = HashMap::new();
    for (entry, key) in places.misspelt_keys() {
        misspelt.entry(entry).or_default().push(key);
    }
    let metas = index.entries().iter();
    let led: HashSet<&str> = metas
        .flat_map(|meta| meta.capabilities.values().map(String::as_str))
        .collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut findings = Vec::new();
    for (at, entry) in index.entries().iter().enumerate() {
        let mut look = Look {
            index,
            entry,
            at,
            places,
            led: &led,
            found: Vec::new(),
        };
        let before = *first.entry(&entry.name).or_insert(at);
        if before != at {
            let first = places.entry(before);
            look.found_at(places.entry(at), IndexFault::SameName { first });
        }
        match entry.content() {
            EntryContent::Unreadable(fault) => {
                let fault = Box::new(fault.clone());
                look.found_at(fault.place().clone(), IndexFault::Form(fault));
            }
            EntryContent::At(uri) => look.check(known, Some(uri)),
            EntryContent::Meta => look.check(known, None),
        }
        for key in misspelt.remove(&at).unwrap_or_default() {
            look.found_at(key.place.clone(), IndexFault::Misspelt(key));
        }
        findings.append(&mut look.found);
    }
    findings
}

/// A look at one entry.
struct Look<'a> {
    index: &'a GalleryIndex,
    entry: &'a GalleryEntry,
    /// Its number, from 0.
    at: usize,
    places: &'a IndexPlaces<'a>,
    /// Names that meta entries lead to.
    led: &'a HashSet<&'a str>,
    found: Vec<IndexFinding>,
}

impl Look<'_> {
    fn found_at(&mut self, place: Place, fault: IndexFault) {
        self.found.push(IndexFinding {
            entry: excerpt(&self.entry.name),
            place,
            fault,
        });
    }

    /// Checks an entry that can be read. `uri` is where its content is, if it has some.
    fn check(&mut self, known: &[&str], uri: Option<&str>) {
        if let Err(error) = self.entry.name.parse::<Name>()
            && !has_other_name(self.led, self.entry)
        {
            self.found_at(self.places.value(self.at, "name"), IndexFault::Name(error));
        }
        self.leads(known, uri.is_none());
        self.sources(uri);
    }

    /// Follows the entry for each machine that it names.
    fn leads(&mut self, known: &[&str], is_meta: bool) {
        let Self { index, entry, .. } = *self;
        if entry.capabilities.is_empty() || !is_meta {
            let resolved = ResolvedEntry::of(index, entry, &Capability::default());
            if let Err(error) = resolved {
                self.found_at(self.places.entry(self.at), IndexFault::Entry(error));
            }
            return;
        }
        let place = self.places.value(self.at, "capabilities");
        for key in entry.capabilities.keys() {
            let capability = key.parse::<Capability>();
            let is_known =
                |capability: &Capability| capability.own_keys().any(|one| known.contains(&one));
            if !capability.as_ref().is_ok_and(is_known) {
                self.found_at(place.clone(), unknown(key, known));
            }
            let Ok(capability) = capability else {
                continue;
            };
            match ResolvedEntry::of(index, entry, &capability) {
                // What it leads to is for another machine, which is the other entry's matter.
                Ok(_) | Err(EntryError::NotForCapability { .. }) => {}
                Err(error) => self.found_at(place.clone(), IndexFault::Entry(error)),
            }
        }
    }

    /// Reads the places of its content.
    fn sources(&mut self, uri: Option<&str>) {
        let (entry, at, places) = (self.entry, self.at, self.places);
        if entry.mirrors.len() > Limits::MIRRORS {
            let fault = IndexFault::Mirrors {
                limit: Limits::MIRRORS,
                found: entry.mirrors.len(),
            };
            self.found_at(places.value(at, "mirrors"), fault);
        }
        let sha256 = entry.sha256.as_deref().filter(|text| !text.is_empty());
        let own = uri.and_then(|uri| Source::parse(uri, sha256).ok());
        let uri = uri.map(|uri| (None, uri));
        let mirrors = entry.mirrors.iter().take(Limits::MIRRORS).enumerate();
        let mirrors = mirrors.map(|(item, mirror)| (Some(item), mirror.as_str()));
        for (item, text) in uri.into_iter().chain(mirrors) {
            match Source::parse(text, sha256) {
                Ok(source) => {
                    if let Some(item) = item.filter(|_| own.as_ref() == Some(&source)) {
                        let place = places.item(at, "mirrors", item);
                        self.found_at(place, IndexFault::SameAsUri);
                    }
                }
                Err(error @ SourceError::Sha256 { .. }) => {
                    self.found_at(places.value(at, "sha256"), IndexFault::Source(error));
                    // It is the same for all of them.
                    return;
                }
                Err(error) => {
                    // A place is looked up where it is shown alone: each look goes through the entry's keys.
                    let place = match item {
                        None => places.value(at, "uri"),
                        Some(item) => places.item(at, "mirrors", item),
                    };
                    self.found_at(place, IndexFault::Source(error));
                }
            }
        }
    }
}

/// Whether an installation of it can have another name than its own: its alias, or that of a meta entry.
fn has_other_name(led: &HashSet<&str>, entry: &GalleryEntry) -> bool {
    let alias = entry.alias.as_deref();
    alias.is_some_and(|alias| alias.parse::<Name>().is_ok()) || led.contains(entry.name.as_str())
}

fn unknown(key: &str, known: &[&str]) -> IndexFault {
    IndexFault::UnknownCapability {
        found: excerpt(key),
        nearest: nearest(key, known.iter().copied()),
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
        let line = |IndexFinding {
                        entry,
                        place,
                        fault,
                    }: IndexFinding| {
            let level = if fault.is_error() { "error" } else { "warning" };
            format!("{level} {entry}: {place}: {fault}")
        };
        findings.into_iter().map(line).collect()
    }

    /// An index from a server may have as many as its limits permit: a look at all for each would take minutes.
    #[test]
    fn many_entries_and_many_mirrors_are_each_looked_at_once() {
        let many = 20_000;
        let entries: String = (0..many)
            .map(|n| format!("- {{name: 'a b {n}'}}\n"))
            .collect();
        let keys: String = (0..many).map(|n| format!("unread{n}: 1, ")).collect();
        let mirrors = "quay.io/a/a, ".repeat(many);
        let index =
            format!("{entries}- {{{keys}name: m, uri: 'quay.io/a/a', mirrors: [{mirrors}]}}");
        let found = found(&index);
        let names = found
            .iter()
            .filter(|line| line.contains("expected a name of"));
        assert_eq!(names.count(), many);
        let limit = |line: &&String| line.starts_with("error m: ") && line.contains("mirrors");
        assert_eq!(found.iter().filter(limit).count(), 1);
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
            found[0].starts_with(&format!("error T 7: index.yaml:2:4: [0].name: {expected}")),
            "{found:#?}"
        );
        assert!(
            found[1].starts_with(&format!("error ../t: index.yaml:3:4: [1].name: {expected}")),
            "{found:#?}"
        );
    }

    #[test]
    fn a_mirror_that_is_no_other_place_is_told() {
        let index = "
- {name: a, uri: 'quay.io/a/a:1', mirrors: ['ghcr.io/a/a:1', 'quay.io/a/a:1']}
- {name: b, uri: 'quay.io/a/a:2'}";
        insta::assert_snapshot!(
            found(index).join("\n"),
            @"warning a: index.yaml:2:62: [0].mirrors[1]: the mirror is the same as the entry's `uri`"
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
- {name: bad, uri: 'oci://', mirrors: ['quay.io/a/a:1', '']}
- {name: here, uri: 'file:./dir', mirrors: ['https://quay.io/a/a:1', 'docker://a/a']}
- {name: list, uri: ['quay.io/a/a:1']}
- [not, an, entry]";
        insta::assert_snapshot!(found(index).join("\n"), @"
        warning a: index.yaml:2:35: [0].mirror: nothing reads the key `mirror`; did you mean `mirrors`?
        warning a: index.yaml:3:3: [1]: [0] in line 2 has the same name, and is the one that is installed
        error none: index.yaml:4:3: [2]: `none` has neither a uri nor capabilities
        warning lost: index.yaml:5:16: [3].capabilities: no machine has the capability `metla`; did you mean `metal`?
        error lost: index.yaml:5:16: [3].capabilities: `lost` leads to `b` for nvidia, and there is no such entry
        error round: index.yaml:6:17: [4].capabilities: meta entries lead in a circle: round → round
        error bad: index.yaml:7:15: [5].uri: `` is not an image reference (registry/repository:tag or registry/repository@sha256:…): it is empty
        error bad: index.yaml:7:57: [5].mirrors[1]: expected an image reference or a URI, found nothing
        error here: index.yaml:8:16: [6].uri: expected file:// and an absolute path, such as file:///srv/content, found `file:./dir`
        error here: index.yaml:8:45: [6].mirrors[0]: expected a URL whose path ends in one of .tar, .tar.gz, .tgz, .tar.zst, found `/a/a:1`; an image is written without https://
        error here: index.yaml:8:70: [6].mirrors[1]: expected oci://, ocifile://, https://, http:// or file://, or an image without any of them, found `docker://`
        error list: index.yaml:9:16: [7].uri: expected a text, found a list
        error [8]: index.yaml:10:3: [8]: expected a mapping, found a list
        ");
    }
}
