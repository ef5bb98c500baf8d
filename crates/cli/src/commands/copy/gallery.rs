//! `countersign copy --gallery`: the images of galleries, to the mirror of an organisation or into a kit.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::ptr;

use countersign_download::{
    EntryName, Galleries, Kit, Lock, LockedEntry, Origin, Plan, PlanError, PlannedSource,
    RequirementKind, Role,
};
use countersign_oci::{Location, Platform, Reference};
use countersign_policy::{EntryContent, GalleryEntry, Policy};
use countersign_verify::TrustedRoot;

use super::CopyArguments;
use super::carrier::{Carrier, Item, ItemSource, unpinned};
use super::document::{CopyOutput, CopyResult};
use super::replaced::what_is_lost;
use super::target::Target;
use crate::commands::galleries;
use crate::commands::kit::{OpenKit, PlannedEntry, some_of};
use crate::commands::report::Report;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::lock::LockFile;
use crate::output::Output;
use crate::policy::{self, LoadedPolicy};
use crate::trust;

/// Copies the images of galleries.
pub(super) async fn from_galleries(
    arguments: &CopyArguments,
    file: &Path,
    to: &Target,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let verification = &arguments.verification;
    let registry = connection::registry(&verification.registry, environment)?;
    let choosing = arguments.choosing();
    let galleries = galleries::load(file, &choosing, &verification.registry, environment).await?;
    let lock = arguments.from_lock.clone().map(LockFile::new);
    let lock = lock.map(|file| file.read()).transpose()?;
    let mut roots = HashMap::new();
    let mut report = Report::kept::<CopyOutput>(output);
    let mut items = Vec::new();
    let planned = galleries.plan_all();
    let plans = plans(arguments, &galleries, planned, lock.as_ref(), &mut report)?;
    let Some(plans) = plans else {
        return Ok(nothing(report, output));
    };
    let names = GalleriesByName::of(&plans);
    for plan in plans {
        let name = names.of_plan(&plan);
        let (reference, policy) = match image_of(&plan, &name) {
            Ok(found) => found,
            Err(failure) => {
                report.fail(&failure, |error| CopyResult::failed(&name, None, error));
                continue;
            }
        };
        let loaded = LoadedPolicy {
            policy: policy.clone(),
            file: Some(file.to_owned()),
        };
        let key = plan.gallery().unwrap_or_default().to_owned();
        let trusted_root = match roots.get(&key) {
            Some(root) => TrustedRoot::clone(root),
            None => {
                let instance = trust::instance(&verification.trust, Some(&loaded), environment)?;
                let connection = registry.connection();
                let root = instance.trusted_root_for(&policy, environment, connection);
                let root = root.await?;
                roots.insert(key, root.clone());
                root
            }
        };
        items.push(Item {
            name,
            also: Vec::new(),
            source: ItemSource::Plan(Box::new(plan)),
            reference,
            policy,
            trusted_root,
            further: Vec::new(),
        });
    }
    if let Target::Layout(path) = to {
        let registry = &verification.registry;
        for warning in what_is_lost(path, &galleries, lock.as_ref(), registry, environment).await {
            output.warning(&warning);
        }
    }
    let kit = match to {
        Target::Layout(_) => {
            let trusted_root = one_root(roots.values())?;
            let lock = lock.map(|lock| lock.to_yaml()).transpose()?;
            Some(kit_of(file, &galleries, trusted_root, lock)?)
        }
        Target::Repository { .. } => None,
    };
    let carrier = Carrier {
        arguments,
        registry,
        report,
        output,
    };
    carrier.carry(items, to, kit).await
}

/// Copies the images of a kit into registries.
pub(super) async fn from_kit(
    arguments: &CopyArguments,
    kit: &OpenKit,
    to: &Target,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let registry = connection::registry(&arguments.verification.registry, environment)?;
    let galleries = kit
        .galleries(None, &arguments.choosing(), environment)
        .await?;
    let mut report = Report::kept::<CopyOutput>(output);
    let listed = registry.layout_images(&kit.path).await?;
    let layout = Location::from(kit.path.clone());
    let mut items = Vec::new();
    let lock = kit.lock().map(AsRef::as_ref);
    let planned: Vec<_> = galleries.plan_all().collect();
    let (_, lacks) = kit.entries_of(&galleries, &planned);
    let planned = planned.into_iter();
    let Some(plans) = plans(arguments, &galleries, planned, lock, &mut report)? else {
        return Ok(nothing(report, output));
    };
    let names = GalleriesByName::of(&plans);
    for plan in plans {
        let name_of_entry = names.of_plan(&plan);
        let found = image_of(&plan, &name_of_entry)
            .ok()
            .and_then(|(reference, policy)| {
                let name = unpinned(&reference);
                let image = listed.iter().find(|one| one.name.as_ref() == Some(&name))?;
                Some((reference, policy, image))
            });
        let Some((reference, policy, image)) = found else {
            // What could not be copied into it is not in it.
            continue;
        };
        let source = if plan.lock().is_some() {
            ItemSource::LockedInKit {
                plan: Box::new(plan),
                kit: kit.registry.clone(),
            }
        } else {
            ItemSource::Kit(layout.at(image.descriptor.digest.clone()).into())
        };
        items.push(Item {
            name: name_of_entry,
            also: Vec::new(),
            source,
            reference,
            trusted_root: kit.trusted_root(&policy)?,
            policy,
            further: Vec::new(),
        });
    }
    if !lacks.is_empty() {
        output.note(&format!("the kit has no images of {}", some_of(&lacks)));
    }
    if let Target::Layout(_) = to {
        output.note("the copy has the images alone and is no kit; for another kit, copy the kit's own files (`cp -R`)");
    }
    let carrier = Carrier {
        arguments,
        registry,
        report,
        output,
    };
    carrier.carry(items, to, None).await
}

/// Ends a run that copies nothing, because a name is wrong.
fn nothing(report: Report<'_, CopyResult>, output: &Output) -> ExitCode {
    let (results, code) = report.end();
    output.document(&CopyOutput::new(results, None));
    code
}

/// The plans of all entries with content, or of those that are asked for. `None` if no gallery has one of these.
/// `planned` are all entries of the galleries.
fn plans<'a>(
    arguments: &CopyArguments,
    galleries: &'a Galleries,
    planned: impl Iterator<Item = PlannedEntry<'a>>,
    lock: Option<&Lock>,
    report: &mut Report<'_, CopyResult>,
) -> Result<Option<Vec<Plan>>, Failure> {
    let all = arguments.entries.is_empty();
    // A name stands for what `install` may take by it, on any machine.
    let meant = arguments.entries.iter();
    let meant: Vec<Vec<&GalleryEntry>> = meant
        .map(|name| galleries.entries_of(&name.as_str().into()))
        .collect();
    let all_meant = meant.iter().flatten();
    let all_meant: HashSet<*const GalleryEntry> =
        all_meant.map(|entry| ptr::from_ref(*entry)).collect();
    let is_meant = |entry: &GalleryEntry| all_meant.contains(&ptr::from_ref(entry));
    let mut found = Vec::new();
    let indexes = galleries.fetched().iter();
    let of_kit = indexes
        .map(|(_, index)| index.origin)
        .any(|origin| origin == Origin::Kit);
    let mut refused = HashSet::new();
    if let Some(lock) = lock {
        (found, refused) = locked_plans(arguments, galleries, lock, of_kit, report)?;
    } else {
        let mut seen = HashSet::new();
        for (gallery, entry, plan) in planned {
            // `install` takes the first of a name in a gallery, whatever that is.
            if !seen.insert((gallery.name.as_str(), entry.name.as_str())) {
                continue;
            }
            match entry.content() {
                EntryContent::At(_) if all || is_meant(entry) => {}
                // It stands for another one, or nothing is known of it.
                EntryContent::At(_) | EntryContent::Meta | EntryContent::Unreadable(_) => continue,
            }
            match plan {
                Ok(plan) => found.push(plan),
                // It is on the machine that a kit was made on, and not in the kit.
                Err(PlanError::Local { .. }) if of_kit => {}
                Err(error) => {
                    let failure = Failure::from(error);
                    report.fail(&failure, |error| {
                        CopyResult::failed(&entry.name, None, error)
                    });
                }
            }
        }
    }
    let names = arguments.entries.iter().zip(&meant);
    let missing: Vec<&String> = names
        .filter(|(name, meant)| match lock {
            Some(_) => {
                let is_found = found.iter().any(|plan| plan.name() == name.as_str());
                !is_found && !refused.contains(name.as_str())
            }
            None => meant.is_empty(),
        })
        .map(|(name, _)| name)
        .collect();
    for name in &missing {
        let message = format!("no gallery has an image with the name `{name}`");
        let failure = Failure::new(Kind::NotFound, message).hint(if name.contains(',') {
            "write one name behind each --entry: `--entry A --entry B`"
        } else {
            "see the names with `countersign gallery show FILE`"
        });
        report.fail(&failure, |error| CopyResult::failed(name, None, error));
    }
    // A name that is wrong is a mistake: nothing is copied then.
    Ok(missing.is_empty().then_some(found))
}

/// The plans of what a lock file has, narrowed by it; and the names of what is refused, which was told.
fn locked_plans(
    arguments: &CopyArguments,
    galleries: &Galleries,
    lock: &Lock,
    of_kit: bool,
    report: &mut Report<'_, CopyResult>,
) -> Result<(Vec<Plan>, HashSet<String>), Failure> {
    let all = arguments.entries.is_empty();
    let is_named = |name: &str| arguments.entries.iter().any(|wanted| wanted == name);
    let (mut found, mut refused) = (Vec::new(), HashSet::new());
    let locked: Vec<_> = lock
        .entries()
        .filter(|entry| all || is_named(&entry.name))
        .collect();
    for entry in &locked {
        if of_kit && is_of_others_alone(entry, &locked, &arguments.platforms) {
            continue;
        }
        // Which of a name's entries was locked was decided on another machine, by its hardware.
        let name = EntryName::in_gallery(&entry.gallery, &entry.name);
        let planned = galleries.plan_keeping(&name, &entry.entry);
        let plan = match planned {
            // A kit has its lock file whole: also what was not to be copied, or was not in the galleries any more.
            Err(
                PlanError::Local { .. } | PlanError::UnknownName { .. } | PlanError::Entry { .. },
            ) if of_kit => continue,
            planned => planned?,
        };
        match plan.locked(lock, &entry.platform) {
            Ok(plan) => found.push(plan),
            Err(error) if of_kit => {
                refused.insert(entry.name.clone());
                let failure = Failure::from(error);
                report.fail(&failure, |error| {
                    CopyResult::failed(&entry.name, None, error)
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((found, refused))
}

/// Whether an entry of a kit's lock file is for a platform that is not asked for, and another one of its name is for one
/// that is. The kit may not have its image.
fn is_of_others_alone(entry: &LockedEntry, all: &[&LockedEntry], wanted: &[Platform]) -> bool {
    let is_wanted = |entry: &LockedEntry| {
        let mut wanted = wanted.iter();
        wanted.any(|platform| entry.platform.serves(platform).is_some())
    };
    let mut of_name = all.iter().filter(|other| other.name == entry.name);
    !is_wanted(entry) && of_name.any(|other| is_wanted(other))
}

/// The names of what is copied, each with the galleries that have it.
struct GalleriesByName(HashMap<String, HashSet<String>>);

impl GalleriesByName {
    fn of(plans: &[Plan]) -> Self {
        let mut names: HashMap<String, HashSet<String>> = HashMap::new();
        for plan in plans {
            let galleries = names.entry(plan.name().to_owned()).or_default();
            galleries.extend(plan.gallery().map(ToOwned::to_owned));
        }
        Self(names)
    }

    /// The plan's name; `gallery@name`, where several galleries have it.
    fn of_plan(&self, plan: &Plan) -> String {
        let name = plan.name();
        let several = self
            .0
            .get(name)
            .is_some_and(|galleries| galleries.len() > 1);
        match plan.gallery().filter(|_| several) {
            Some(gallery) => EntryName::in_gallery(gallery, name).to_string(),
            None => name.to_owned(),
        }
    }
}

/// What an entry's content is, and what proves it.
fn image_of(plan: &Plan, name: &str) -> Result<(Reference, Policy), Failure> {
    let mut sources = plan.sources().iter();
    let primary = sources.find(|planned: &&PlannedSource| planned.role == Role::Primary);
    // What can't be copied at all is not helped by a policy.
    let Some(reference) = primary.and_then(|planned| planned.source.reference()) else {
        let message = format!("{name}: it is not an image in a registry");
        return Err(Failure::new(Kind::Usage, message).hint("copy it by other means"));
    };
    let RequirementKind::Signature(policy) = plan.requirement().kind() else {
        let message = format!("{name}: no policy says who must have signed it");
        return Err(Failure::new(Kind::Policy, message)
            .hint("add `verification` to its gallery; only what is proven is copied"));
    };
    Ok((reference.clone(), Policy::clone(policy)))
}

/// All that a kit has beside its images: the file of galleries, what it names, the indexes, and what its caller has chosen.
fn kit_of(
    file: &Path,
    galleries: &Galleries,
    trusted_root: Option<String>,
    lock: Option<String>,
) -> Result<Kit, Failure> {
    let (text, keys) = policy::text_with_keys(file, "gallery file")?;
    let fetched = galleries.fetched().iter();
    Ok(Kit {
        galleries: text,
        keys,
        indexes: fetched
            .map(|(gallery, index)| (gallery.name.clone(), index.text.to_string()))
            .collect(),
        trusted_root,
        lock,
    })
}

/// The one trusted root of all policies. Two are never mixed.
fn one_root<'a>(roots: impl Iterator<Item = &'a TrustedRoot>) -> Result<Option<String>, Failure> {
    let mut texts: Vec<&str> = roots
        .map(TrustedRoot::json)
        .filter(|text| !text.is_empty())
        .collect();
    texts.sort_unstable();
    texts.dedup();
    match texts.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        _ => Err(Failure::new(
            Kind::Usage,
            "the galleries trust different Sigstore instances, and a kit has one trusted root",
        )
        .hint("make a kit for each gallery")),
    }
}
