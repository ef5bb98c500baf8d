//! Carries the images of galleries to where they are wanted, and says what became of each.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use countersign_download::{Kit, LockedEntry, Plan, PlanFailure};
use countersign_oci::{Digest, LayoutDraft, LayoutPath, Location, Reference, Registry, Repository};
use countersign_policy::Policy;
use countersign_sign::{BlobTurns, CopiedImage, CopyPlan};
use countersign_verify::{TrustedRoot, Verifier};

use super::CopyArguments;
use super::document::{CopyOutput, CopyResult};
use super::one::{Copying, begin_layout, blob_turns};
use super::target::Target;
use crate::commands::in_order::told_in_order;
use crate::commands::report::Report;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::progress::Board;

/// How many images are copied at the same time. While one waits to read a list back, the blobs of others are copied.
const AT_ONCE: usize = 16;

/// An image of a gallery.
#[derive(Clone)]
pub(super) struct Item {
    /// The entry; with its gallery, where several have the name.
    pub(super) name: String,
    /// Other entries that have the same image.
    pub(super) also: Vec<String>,
    /// By what name the gallery has it.
    pub(super) reference: Reference,
    pub(super) source: ItemSource,
    pub(super) policy: Policy,
    pub(super) trusted_root: TrustedRoot,
    /// What the lock file has of the same entry and the same image for other platforms: it is copied once, if all that is
    /// proven.
    pub(super) further: Vec<Plan>,
}

impl Item {
    /// Adds another item of the same image, of which the same policy asks the same.
    fn join(&mut self, other: Self) {
        if other.name == self.name {
            self.further.extend(other.source.into_locked());
        } else if !self.also.contains(&other.name) {
            self.also.push(other.name);
        }
    }
}

/// Where an image of a gallery is read.
#[derive(Clone)]
pub(super) enum ItemSource {
    /// From the sources of its plan, as by `install`.
    Plan(Box<Plan>),
    /// From here alone.
    Kit(Reference),
    /// From a kit, by the kit's lock file: what the plan is locked to, and nothing else.
    LockedInKit {
        plan: Box<Plan>,
        /// A client that reads the kit, and asks no registry.
        kit: Registry,
    },
}

impl ItemSource {
    /// The plan, where a lock file narrows it.
    fn into_locked(self) -> Option<Plan> {
        match self {
            Self::Plan(plan) | Self::LockedInKit { plan, .. } => Some(*plan),
            Self::Kit(_) => None,
        }
        .filter(|plan| plan.lock().is_some())
    }
}

/// What all images are copied with.
pub(super) struct Carrier<'a> {
    pub(super) arguments: &'a CopyArguments,
    pub(super) registry: Registry,
    pub(super) report: Report<'a, CopyResult>,
    pub(super) output: &'a Output,
}

impl Carrier<'_> {
    /// Copies all, and says what became of each.
    pub(super) async fn carry(
        self,
        items: Vec<Item>,
        to: &Target,
        kit: Option<Kit>,
    ) -> Result<ExitCode, Failure> {
        if items.is_empty() && !self.report.has_failed() {
            return Err(Failure::new(Kind::NotFound, "there is no image to copy")
                .hint("`countersign gallery show FILE` lists the entries"));
        }
        let Self {
            arguments,
            registry,
            mut report,
            output,
        } = self;
        let items = each_once(items);
        let batch = Batch {
            arguments,
            registry,
            turns: blob_turns(),
            board: Board::new(output, items.len()),
            output,
        };
        let kit = match to {
            Target::Repository {
                repository,
                tag: None,
            } => {
                batch.mirror(items, repository, &mut report).await?;
                None
            }
            Target::Repository { tag: Some(_), .. } => {
                let message = "expected a name without a tag as the place of all images";
                return Err(Failure::new(Kind::Usage, message)
                    .hint("each image keeps the tag that the gallery names"));
            }
            Target::Layout(path) => {
                let digest = batch.fill(items, path, kit, &mut report).await?;
                digest.map(|digest| Location::from(path.clone()).at(digest).to_string())
            }
        };
        drop(batch);
        let (results, code) = report.end();
        let done = results.iter().filter(|result| result.is_copied()).count();
        let mut summary = match results.len() {
            1 => format!("{done} of 1 image copied\n"),
            all => format!("{done} of {all} images copied\n"),
        };
        if let Some(kit) = &kit {
            // Writing to a text does not fail.
            let _ = writeln!(summary, "  kit        {kit}");
        }
        output.result(&summary);
        output.document(&CopyOutput::new(results, kit));
        Ok(code)
    }
}

/// What images are copied with, while the report of them grows.
struct Batch<'a> {
    arguments: &'a CopyArguments,
    registry: Registry,
    turns: BlobTurns,
    board: Board,
    output: &'a Output,
}

impl Batch<'_> {
    async fn mirror(
        &self,
        items: Vec<Item>,
        prefix: &Repository,
        report: &mut Report<'_, CopyResult>,
    ) -> Result<(), Failure> {
        let copies = targets(items, prefix)?.into_iter();
        let copies = copies.map(|(item, repository, tag)| async move {
            let copied = async {
                let copying = self.copying(&item);
                let plan = self.plan(&copying, &item).await?;
                let tag = tag.as_deref();
                copying.add_to_repository(&plan, &repository, tag).await
            };
            let copied = copied.await;
            (item, copied)
        });
        let tell = |(item, copied): (Item, Result<CopiedImage, Failure>)| {
            self.told(&item, copied, report);
        };
        told_in_order(copies, AT_ONCE, tell).await;
        Ok(())
    }

    /// Blobs of several images are written at the same time. Images are listed one after the other.
    async fn fill(
        &self,
        items: Vec<Item>,
        path: &LayoutPath,
        kit: Option<Kit>,
        report: &mut Report<'_, CopyResult>,
    ) -> Result<Option<Digest>, Failure> {
        let say = |line: &str| self.board.suspend(|| self.output.note(line));
        let draft = &begin_layout(path, say).await?;
        let copies = items.into_iter().map(|item| async move {
            let copied = async {
                let copying = self.copying(&item);
                let plan = self.plan(&copying, &item).await?;
                let name = unpinned(&item.reference);
                copying.add_to_layout(&plan, draft, Some(&name)).await
            };
            let copied = copied.await;
            (item, copied)
        });
        let tell = |(item, copied): (Item, Result<CopiedImage, Failure>)| {
            self.told(&item, copied, report);
        };
        told_in_order(copies, AT_ONCE, tell).await;
        let digest = match kit {
            Some(kit) => Some(kit.write(draft).await?),
            None => None,
        };
        draft.finish().await?;
        Ok(digest)
    }

    fn copying(&self, item: &Item) -> Copying<'_> {
        Copying {
            registry: self.registry.clone(),
            trusted_root: item.trusted_root.clone(),
            platforms: &self.arguments.platforms,
            turns: self.turns.clone(),
            progress: Arc::new(self.board.row(&item.name)),
        }
    }

    /// Proves an image where its plan finds it, and reads what is copied with it.
    async fn plan(&self, copying: &Copying<'_>, item: &Item) -> Result<CopyPlan, Failure> {
        let (reader, proof) = match &item.source {
            ItemSource::Kit(source) => {
                let (name, policy) = (&item.reference, &item.policy);
                let proof = copying.prove(source, name, policy).await?;
                (self.registry.clone(), proof)
            }
            ItemSource::LockedInKit { plan, kit } => {
                let verifier = Verifier::new(kit.clone(), item.trusted_root.clone());
                let proven = plan.prove(kit, &verifier).await;
                let proven = proven.map_err(Failure::of_one_image)?;
                (proven.registry, proven.proof)
            }
            ItemSource::Plan(plan) => {
                let proven = plan.prove(&self.registry, &copying.verifier()).await;
                let proven = proven.map_err(of_all_sources)?;
                for one in &proven.skipped {
                    let line = format!("{}: not from its {one}", item.name);
                    self.board.suspend(|| self.output.warning(&line));
                }
                (proven.registry, proven.proof)
            }
        };
        for plan in &item.further {
            let client = match &item.source {
                ItemSource::LockedInKit { kit, .. } => kit,
                ItemSource::Plan(_) | ItemSource::Kit(_) => &self.registry,
            };
            let verifier = Verifier::new(client.clone(), item.trusted_root.clone());
            plan.prove(client, &verifier).await.map_err(|failure| {
                let failure = of_all_sources(failure);
                match plan.lock() {
                    Some(locked) => failure.also(format!(
                        "this is what the lock file has of `{}` for {}",
                        item.name, locked.platform
                    )),
                    None => failure,
                }
            })?;
        }
        copying.plan(&reader, proof).await
    }

    fn told(
        &self,
        item: &Item,
        copied: Result<CopiedImage, Failure>,
        report: &mut Report<'_, CopyResult>,
    ) {
        let (output, name) = (self.output, &item.name);
        let names = match item.also.as_slice() {
            [] => name.clone(),
            also => format!("{name} (also {})", also.join(", ")),
        };
        self.board.suspend(|| match copied {
            Ok(copied) => {
                for one in &copied.not_copied {
                    output.warning(&format!("{name}: not copied: {}: {}", one.name, one.reason));
                }
                let to = match (&copied.tag, copied.image.location()) {
                    (Some(tag), Location::Registry(_)) => format!(" to {tag}"),
                    (None, Location::Registry(_)) => format!(" to {}", copied.image),
                    (_, Location::Layout(_)) => String::new(),
                };
                output.result(&format!("copied {names}: {}{to}\n", item.reference));
                let result = CopyResult::of_entry(name, &item.reference, &copied);
                let result = result.also(&item.also);
                // An archive lists nothing before all of it is written.
                let location = copied.image.location();
                if matches!(location, Location::Layout(path) if LayoutDraft::makes_archive(path)) {
                    report.done_at_the_end(result);
                } else {
                    output.remember_done();
                    report.done(result);
                }
            }
            Err(failure) => {
                for one in failure.not_copied() {
                    output.warning(&format!("{name}: not copied: {}: {}", one.name, one.reason));
                }
                output.result(&format!("not copied {names}: {}\n", item.reference));
                report.fail(&failure, |error| {
                    let result = CopyResult::failed(name, Some(&item.reference), error);
                    result
                        .also(&item.also)
                        .with_not_copied(failure.not_copied())
                });
            }
        });
    }
}

/// The failure of a plan: the error of its source, if it has one alone.
fn of_all_sources(failure: PlanFailure) -> Failure {
    match failure.failures() {
        [_] => Failure::of_one_image(failure),
        _ => failure.into(),
    }
}

/// Several entries may have the same image. What is asked of it differently is proven each time: by another policy, or
/// by another entry of the lock file, which has a platform, a digest and signers of its own. An entry that is locked for
/// several platforms of one index is one item, which all of them have to prove.
fn each_once(items: Vec<Item>) -> Vec<Item> {
    type Asked = (Policy, Option<LockedEntry>);
    let mut once: Vec<Item> = Vec::new();
    let mut seen: HashMap<Reference, Vec<(Asked, usize)>> = HashMap::new();
    for item in items {
        let locked = match &item.source {
            ItemSource::Plan(plan) | ItemSource::LockedInKit { plan, .. } => plan.lock().cloned(),
            ItemSource::Kit(_) => None,
        };
        let asked = (item.policy.clone(), locked);
        let seen = seen.entry(item.reference.clone()).or_default();
        let is_same = |(same, first): &&(Asked, usize)| {
            let named = once
                .get(*first)
                .is_some_and(|first| first.name == item.name);
            let both_locked = same.1.is_some() && asked.1.is_some();
            *same == asked || (named && same.0 == asked.0 && both_locked)
        };
        match seen
            .iter()
            .find(is_same)
            .and_then(|(_, first)| once.get_mut(*first))
        {
            Some(first) => first.join(item),
            None => {
                seen.push((asked, once.len()));
                once.push(item);
            }
        }
    }
    once
}

/// Where each image goes below `prefix`: the repository and the tag, which have the path and the tag that it has.
fn targets(
    items: Vec<Item>,
    prefix: &Repository,
) -> Result<Vec<(Item, Repository, Option<String>)>, Failure> {
    let mut taken: HashMap<String, Reference> = HashMap::new();
    let mut targets = Vec::new();
    for item in items {
        let Location::Registry(source) = item.reference.location() else {
            let message = format!(
                "{} is in a layout: it has no name to be copied to below {prefix}",
                item.reference
            );
            return Err(Failure::new(Kind::Usage, message)
                .hint("copy it by itself: `countersign copy SOURCE DESTINATION`"));
        };
        let name = format!("{prefix}/{}", source.path());
        let repository = name
            .parse()
            .map_err(|error| Failure::new(Kind::Usage, error))?;
        let tag = item.reference.tag().map(str::to_owned);
        let place = format!("{name}:{tag:?}");
        if let Some(other) = taken.insert(place, item.reference.clone())
            && other != item.reference
        {
            let message = format!(
                "{other} and {} would both be copied to {name}",
                item.reference
            );
            return Err(
                Failure::new(Kind::Usage, message).hint("copy their galleries to different names")
            );
        }
        targets.push((item, repository, tag));
    }
    Ok(targets)
}

/// The name without a digest that it was pinned to.
pub(super) fn unpinned(reference: &Reference) -> Reference {
    reference.without_digest()
}
