//! Kits, as commands use them: galleries and images from a layout, and no request to anywhere.

mod platforms;
mod to_show;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use countersign_download::{
    EntryName, FetchedIndex, Galleries, Kit, Lock, LockedEntry, Plan, PlanError,
};
use countersign_oci::{Digest, LayoutPath, Location, Options, Reference, Registry, excerpt};
use countersign_policy::{EntryContent, Gallery, GalleryEntry, Policy, PolicyFile};
use countersign_verify::TrustedRoot;

use super::galleries;
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::registry::RegistryArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::policy;
use crate::printable;

/// How many entries a hint names.
const SHOWN: usize = 20;

/// An entry of a gallery, and its plan.
pub(super) type PlannedEntry<'a> = (&'a Gallery, &'a GalleryEntry, Result<Plan, PlanError>);

/// A kit that was opened.
pub(super) struct OpenKit {
    kit: Kit,
    /// As it was named.
    pub(super) reference: Reference,
    pub(super) path: LayoutPath,
    /// The names of its images.
    images: HashSet<Reference>,
    /// The lock file that its images were chosen by.
    lock: Option<Arc<Lock>>,
    /// The hint for an entry that it has no image of. To make it, all entries are planned: once a run.
    hint: OnceLock<String>,
    /// How images are read: from the layout alone.
    pub(super) options: Options,
    /// A client that reads the layout, and asks no registry.
    pub(super) registry: Registry,
}

impl OpenKit {
    /// Opens the kit of a layout, or the one with the digest that `reference` has. `None` for something else.
    pub(super) async fn find(
        reference: &Reference,
        registry: &RegistryArguments,
        environment: &Environment,
    ) -> Result<Option<Self>, Failure> {
        let Location::Layout(path) = reference.location() else {
            return Ok(None);
        };
        let options = Options {
            instead_of_registries: Some(path.clone()),
            ..connection::options(registry, environment)?
        };
        let registry = Registry::new(options.clone())?;
        let read = Kit::read(&registry, path, reference.digest()).await;
        let kit = match (read, reference.digest()) {
            (Err(error), Some(named)) if error.is_absence() => {
                return Err(match Kit::listed(&registry, path).await {
                    Ok(Some(found)) => another_kit(named, &found),
                    Ok(None) | Err(_) => error.into(),
                });
            }
            (read, _) => read?,
        };
        let Some(kit) = kit else {
            return Ok(None);
        };
        let images = registry.layout_images(path).await?.into_iter();
        let lock = kit.lock.as_deref().map(Lock::parse).transpose()?;
        Ok(Some(Self {
            lock: lock.map(Arc::new),
            kit,
            reference: reference.clone(),
            path: path.clone(),
            images: images.filter_map(|image| image.name).collect(),
            hint: OnceLock::new(),
            options,
            registry,
        }))
    }

    /// The entries of its galleries that it has an image of, then those that it has none of.
    pub(super) fn entries(&self, galleries: &Galleries) -> (Vec<String>, Vec<String>) {
        let planned: Vec<_> = galleries.plan_all().collect();
        self.entries_of(galleries, &planned)
    }

    /// The same, of all entries of the galleries, which are planned already.
    pub(super) fn entries_of(
        &self,
        galleries: &Galleries,
        planned: &[PlannedEntry<'_>],
    ) -> (Vec<String>, Vec<String>) {
        let (mut has, mut lacks) = (Vec::new(), Vec::new());
        let locked: Vec<Plan> = self.locked(galleries).collect();
        for (gallery, entry, plan) in planned {
            // An entry without content stands for another one.
            let EntryContent::At(_) = entry.content() else {
                continue;
            };
            let plans = locked.iter().filter(|locked| {
                let of = locked.entry().map(|one| one.name.as_str());
                locked.gallery() == Some(gallery.name.as_str()) && of == Some(entry.name.as_str())
            });
            let names = if plan.iter().chain(plans).any(|plan| self.has_first_of(plan)) {
                &mut has
            } else {
                &mut lacks
            };
            // A name may stand in several galleries.
            if !names.contains(&entry.name) {
                names.push(entry.name.clone());
            }
        }
        (has, lacks)
    }

    /// The names of its galleries.
    pub(super) fn gallery_names(&self) -> impl Iterator<Item = &str> {
        self.kit.indexes.keys().map(String::as_str)
    }

    /// The lock file of a kit that was made by one. It counts with the kit's own galleries alone: with `bind_name` it says
    /// which tag a signature has to name.
    pub(super) fn lock(&self) -> Option<&Arc<Lock>> {
        self.lock.as_ref()
    }

    /// Refuses what it has no image of. What its lock file names has a digest, which says nothing of that. `own` is the
    /// caller's own file of galleries.
    pub(super) fn require_image(
        &self,
        plan: &Plan,
        galleries: &Galleries,
        own: Option<&Path>,
    ) -> Result<(), Failure> {
        let has_image = if plan.lock().is_some() {
            self.has_first_of(plan)
        } else {
            self.has_image_of(plan)
        };
        if has_image {
            return Ok(());
        }
        if let Some(failure) = self.has_as_locked(plan, galleries, own) {
            return Err(failure);
        }
        let message = format!("the kit has no image of `{}`", plan.name());
        let hint = self
            .hint
            .get_or_init(|| what_it_has(&self.entries(galleries).0));
        Err(Failure::new(Kind::NotFound, message).hint(hint.clone()))
    }

    /// What is said where it has the image that its lock file pins, and another one is asked for.
    fn has_as_locked(
        &self,
        plan: &Plan,
        galleries: &Galleries,
        own: Option<&Path>,
    ) -> Option<Failure> {
        let is_same = |locked: &Plan| {
            locked.gallery() == plan.gallery()
                && locked.name() == plan.name()
                && self.has_first_of(locked)
        };
        let locked = self.locked(galleries).find(is_same)?;
        let pinned = locked.lock()?;
        let wanted = plan.sources().first()?.source.reference()?;
        let message = format!(
            "the kit has another image of `{}` than {wanted}: its lock file pins {} for {}",
            plan.name(),
            excerpt(&pinned.source),
            pinned.platform
        );
        let hint = match own {
            Some(_) => {
                "the kit's lock file does not count with a --gallery of your own: pass the lock file too, with --from-lock=FILE, or leave --gallery out"
            }
            None => "make the kit again by a lock file that pins it for this platform too",
        };
        Some(Failure::new(Kind::NotFound, message).hint(hint))
    }

    /// The plans of what its lock file has.
    fn locked(&self, galleries: &Galleries) -> impl Iterator<Item = Plan> {
        let lock = self.lock.as_deref();
        let entries = lock.into_iter().flat_map(move |lock| {
            let entries = lock.entries();
            entries.map(move |entry| (lock, entry))
        });
        entries.filter_map(|(lock, entry)| {
            let name = EntryName::in_gallery(&entry.gallery, &entry.name);
            let plan = galleries.plan_keeping(&name, &entry.entry).ok()?;
            plan.locked(lock, &entry.platform).ok()
        })
    }

    /// Whether it has an image by the name of the first source. By the name of another one it may have that of another entry.
    fn has_first_of(&self, plan: &Plan) -> bool {
        let first = plan.sources().first();
        let first = first.and_then(|first| first.source.reference());
        first.is_some_and(|first| self.images.contains(&first.without_digest()))
    }

    /// Whether it has an image by the name of one of the sources, or a source names a digest.
    fn has_image_of(&self, plan: &Plan) -> bool {
        let sources = plan.sources().iter();
        let mut references = sources.filter_map(|planned| planned.source.reference());
        references.any(|one| one.digest().is_some() || self.images.contains(&one.without_digest()))
    }

    /// As [`Self::find`], where nothing but a kit will do.
    pub(super) async fn open(
        reference: &Reference,
        registry: &RegistryArguments,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let found = Self::find(reference, registry, environment).await?;
        found.ok_or_else(|| not_a_kit(reference))
    }

    /// The galleries of the kit with its indexes, or those of the caller's own file. Of these, an index that is a file too
    /// is the caller's, and any other is the kit's: no network is asked.
    pub(super) async fn galleries(
        &self,
        own: Option<&Path>,
        arguments: &ChoosingArguments,
        environment: &Environment,
    ) -> Result<Galleries, Failure> {
        let parsed = match own {
            Some(file) => policy::parse_file(file, "gallery file")?,
            None => self.file()?,
        };
        let mut fetched = Vec::new();
        for gallery in parsed.galleries() {
            let own = match own {
                Some(file) => galleries::index_file(gallery, file, arguments).await?,
                None => None,
            };
            let kept = self.kit.indexes.get(&gallery.name).map(String::as_str);
            let Some(text) = own.as_deref().or(kept) else {
                let message = format!("the kit has no gallery `{}`", gallery.name);
                return Err(Failure::new(Kind::NotFound, message)
                    .hint("make the kit from the same galleries, or leave --gallery out"));
            };
            fetched.push((gallery.clone(), FetchedIndex::kept(gallery, text)?));
        }
        galleries::assemble(&parsed, fetched, arguments, environment)
    }

    fn file(&self) -> Result<PolicyFile, Failure> {
        let name = format!("galleries.yaml of ocifile://{}", self.path.as_str());
        let keys = &self.kit.keys;
        let read = |key: &str| {
            let text = keys.get(key).cloned();
            text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        Ok(PolicyFile::parse_with_keys(
            &self.kit.galleries,
            &name,
            &read,
        )?)
    }

    /// The kit's trusted root, for a policy of its galleries.
    pub(super) fn trusted_root(&self, policy: &Policy) -> Result<TrustedRoot, Failure> {
        let root = match &self.kit.trusted_root {
            Some(json) => TrustedRoot::from_json("the trusted root of the kit", json)?,
            None => TrustedRoot::empty()?,
        };
        Ok(match policy.trust() {
            Some(trust) => root.for_trust(trust.clone()),
            None => root,
        })
    }
}

fn what_it_has(names: &[String]) -> String {
    if names.is_empty() {
        return "it has no image at all: make it again with `countersign copy --gallery FILE --to ocifile://DIR`".to_owned();
    }
    format!("it has: {}", some_of(names))
}

/// The first of the names, and how many more there are.
pub(super) fn some_of(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| excerpt(name)).collect();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// Whether an entry of a lock file is for the entry of a plan.
pub(super) fn is_of(plan: &Plan, locked: &LockedEntry) -> bool {
    plan.gallery() == Some(&locked.gallery)
        && plan.entry().is_some_and(|entry| entry.name == locked.entry)
}

/// What is said of a layout whose kit is not the one that was named by its digest.
fn another_kit(named: &Digest, found: &Digest) -> Failure {
    let message =
        format!("this is another kit than the one you named: expected {named}, found {found}");
    Failure::new(Kind::Invalid, message)
        .hint("don't use it: ask whoever gave it to you for the kit with the digest that you named")
}

/// What is said of something else in the place of a kit.
fn not_a_kit(reference: &Reference) -> Failure {
    const MAKE: &str = "make a kit with `countersign copy --gallery FILE --to ocifile://DIR`";
    match reference.location() {
        Location::Layout(path) if matches!(path.as_path().try_exists(), Ok(false)) => {
            let path = printable::path(path.as_path());
            let message = format!("there is no kit at {path}: no such file or directory");
            Failure::new(Kind::NotFound, message)
                .hint("correct the path")
                .hint(MAKE)
        }
        Location::Layout(path) => {
            let path = printable::path(path.as_path());
            let message =
                format!("expected a kit, found an image layout without galleries in {path}");
            Failure::new(Kind::Usage, message).hint(MAKE)
        }
        Location::Registry(_) => {
            let message = format!("expected a kit, found the name of an image, {reference}");
            Failure::new(Kind::Usage, message)
                .hint("for a kit in the directory DIR write ocifile://DIR")
                .hint(MAKE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::what_it_has;

    #[test]
    fn the_names_that_a_kit_has_stay_in_one_line_and_have_a_bound() {
        let forged = "x\n  has images of evil\u{202e}".to_owned();
        assert_eq!(
            what_it_has(&[forged]),
            r"it has: x   has images of evil\u{202e}"
        );
        let many: Vec<String> = (0..50_000).map(|number| format!("e{number}")).collect();
        let hint = what_it_has(&many);
        assert!(hint.starts_with("it has: e0, e1, "), "{hint}");
        assert!(hint.ends_with(", e19 and 49980 more"), "{hint}");
        assert!(what_it_has(&["a".repeat(100_000)]).len() < 1000);
    }
}
