//! What the kit at the destination has, and the one that is made there has not: a kit has one file of galleries, and
//! one lock file.

use countersign_download::{Galleries, Lock, LockedEntry};
use countersign_oci::LayoutPath;

use crate::arguments::registry::RegistryArguments;
use crate::commands::kit::{OpenKit, some_of};
use crate::environment::Environment;

/// What is said of what the kit at `path` loses, if there is one: its galleries that are not among `galleries`, and what
/// it has locked and `lock` has not.
pub(super) async fn what_is_lost(
    path: &LayoutPath,
    galleries: &Galleries,
    lock: Option<&Lock>,
    registry: &RegistryArguments,
    environment: &Environment,
) -> Vec<String> {
    let there = path.clone().into();
    // What can't be read is told when it is written to.
    let Ok(Some(kit)) = OpenKit::find(&there, registry, environment).await else {
        return Vec::new();
    };
    let new: Vec<&str> = galleries
        .fetched()
        .iter()
        .map(|(gallery, _)| gallery.name.as_str())
        .collect();
    let lost = kit.gallery_names().filter(|name| !new.contains(name));
    let lost: Vec<String> = lost.map(str::to_owned).collect();
    let of_galleries = warning_of_galleries(&lost);
    let of_lock = warning_of_locked(&no_longer_locked(&kit, lock), lock.is_some());
    of_galleries.into_iter().chain(of_lock).collect()
}

/// What is said of galleries that the kit at the destination has, and the new one does not.
fn warning_of_galleries(lost: &[String]) -> Option<String> {
    let galleries = match lost {
        [] => return None,
        [_] => "gallery",
        _ => "galleries",
    };
    Some(format!(
        "the kit that is there has the {galleries} {}, and the new one does not: a kit has one file of galleries; its images stay",
        some_of(lost)
    ))
}

/// What is said of names that the kit at the destination locks, and the new one does not.
fn warning_of_locked(lost: &[String], has_lock: bool) -> Option<String> {
    if lost.is_empty() {
        return None;
    }
    let why = if has_lock {
        "the new lock file does not: a kit has one lock file"
    } else {
        "this run has no --from-lock: afterwards the kit locks nothing"
    };
    Some(format!(
        "the kit that is there locks {}, and {why}",
        lost.join(", ")
    ))
}

/// What the kit has locked, and `lock` has not.
fn no_longer_locked(kit: &OpenKit, lock: Option<&Lock>) -> Vec<String> {
    let is_lost = |entry: &&LockedEntry| {
        lock.is_none_or(|lock| lock.entry(&entry.name, &entry.platform).is_err())
    };
    let old = kit.lock().into_iter().flat_map(|lock| lock.entries());
    let mut names: Vec<String> = old
        .filter(is_lost)
        .map(|entry| entry.name.clone())
        .collect();
    names.dedup();
    names
}
