//! Where an index leads by all capabilities, not by one.
//!
//! Whoever serves the index writes it: it may have very many entries, and each may lead to all others. So every walk
//! looks at each entry once.

use std::collections::{HashMap, HashSet};
use std::ptr;

use countersign_oci::excerpt;
use countersign_policy::{EntryContent, GalleryEntry, GalleryIndex};

use super::{EntryError, ResolvedEntry, by_alias};
use crate::limits::Limits;

/// Entries by what they are, not by what they say: two may be equal.
type Seen = HashSet<*const GalleryEntry>;

/// Whether the entry has no content and may lead to others.
fn leads_on(entry: &GalleryEntry) -> bool {
    match entry.content() {
        EntryContent::Meta => true,
        EntryContent::At(_) | EntryContent::Unreadable(_) => false,
    }
}

/// The entries with content that `name` stands for, one for each capability: an entry by itself, or all that a meta entry
/// leads to. None if there is no such name.
pub(crate) fn entries_of<'a>(index: &'a GalleryIndex, name: &str) -> Vec<&'a GalleryEntry> {
    let named = index.named(name).or_else(|| by_alias(index, name).ok());
    let mut next: Vec<&GalleryEntry> = named.into_iter().collect();
    let (mut seen, mut found) = (Seen::new(), Vec::new());
    while let Some(entry) = next.pop() {
        if !seen.insert(entry) {
            continue;
        }
        // What can't be read is told by whoever plans it.
        if leads_on(entry) {
            let targets = entry.capabilities.values();
            next.extend(targets.filter_map(|target| index.named(target)));
        } else {
            found.push(entry);
        }
    }
    found
}

/// The meta entries that lead to an entry with content, or to one that can't be read.
pub(crate) fn leading_on(index: &GalleryIndex) -> HashSet<*const GalleryEntry> {
    let mut from: HashMap<*const GalleryEntry, Vec<&GalleryEntry>> = HashMap::new();
    let (metas, mut next): (Vec<_>, Vec<_>) =
        index.entries().iter().partition(|entry| leads_on(entry));
    for meta in metas {
        for target in meta.capabilities.values() {
            if let Some(target) = index.named(target) {
                from.entry(target).or_default().push(meta);
            }
        }
    }
    let mut found = Seen::new();
    while let Some(entry) = next.pop() {
        let metas = from.remove(&ptr::from_ref(entry)).unwrap_or_default();
        next.extend(metas.into_iter().filter(|meta| found.insert(*meta)));
    }
    found
}

/// An entry that a walk came to.
struct Step<'a> {
    entry: &'a GalleryEntry,
    /// The step before.
    from: Option<usize>,
    /// How many steps there are before.
    before: usize,
}

/// The shortest way from `entry` to the entry with content that is named `kept`, whichever capabilities it takes.
///
/// # Errors
/// If the way ends at `kept`, but it can't be read or is missing; or if `kept` may be behind an entry that can't be read.
pub(super) fn way_to<'a>(
    index: &'a GalleryIndex,
    entry: &'a GalleryEntry,
    kept: &str,
) -> Result<Option<ResolvedEntry<'a>>, EntryError> {
    let mut seen = Seen::from([ptr::from_ref(entry)]);
    let mut steps = vec![Step {
        entry,
        from: None,
        before: 0,
    }];
    let (mut at, mut missing, mut unreadable) = (0, None, None);
    while let Some(&Step { entry, before, .. }) = steps.get(at) {
        if let Some(error) = EntryError::of_fault(entry) {
            if entry.name == kept {
                return Err(error);
            }
            unreadable.get_or_insert(error);
        } else if !leads_on(entry) {
            if entry.name == kept {
                let via = before_of(&steps, at);
                return Ok(Some(ResolvedEntry { entry, via }));
            }
        } else if before < Limits::META_ENTRIES {
            for (capability, target) in &entry.capabilities {
                match index.named(target) {
                    Some(target) if seen.insert(target) => steps.push(Step {
                        entry: target,
                        from: Some(at),
                        before: before + 1,
                    }),
                    None if target == kept && missing.is_none() => {
                        missing = Some(EntryError::MissingTarget {
                            name: excerpt(&entry.name),
                            capability: excerpt(capability),
                            target: excerpt(target),
                        });
                    }
                    Some(_) | None => {}
                }
            }
        }
        at += 1;
    }
    // An entry that is still there may be behind the one that can't be read.
    let behind = unreadable.filter(|_| index.named(kept).is_some());
    match missing.or(behind) {
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// The entries on the way to a step, in order.
fn before_of<'a>(steps: &[Step<'a>], at: usize) -> Vec<&'a GalleryEntry> {
    let from = |at: usize| steps.get(at).and_then(|step| step.from);
    let places = std::iter::successors(from(at), |at| from(*at));
    let mut via: Vec<_> = places
        .filter_map(|at| steps.get(at).map(|step| step.entry))
        .collect();
    via.reverse();
    via
}

#[cfg(test)]
mod tests;
