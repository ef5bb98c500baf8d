//! Carries the images of galleries to where they are wanted, and says what became of each.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use countersign_download::Kit;
use countersign_oci::{
    AddressLimit, Digest, LayoutDraft, LayoutPath, Location, Options, Reference, Registry,
    Repository,
};
use countersign_policy::Policy;
use countersign_sign::CopiedImage;
use countersign_verify::TrustedRoot;
use futures_util::{StreamExt as _, stream};

use super::CopyArguments;
use super::document::{CopyOutput, CopyResult};
use super::one::Copying;
use super::target::Target;
use crate::commands::report::Report;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::progress::Progress;

/// How many images are read or copied at the same time.
const AT_ONCE: usize = 4;

/// An image of a gallery.
#[derive(Clone)]
pub(super) struct Item {
    /// The entry.
    pub(super) name: String,
    /// By what name the gallery has it.
    pub(super) reference: Reference,
    /// Where it is read.
    pub(super) source: Reference,
    pub(super) policy: Policy,
    pub(super) trusted_root: TrustedRoot,
    /// Which addresses the gallery's index may name.
    pub(super) limit: Option<AddressLimit>,
}

/// What all images are copied with.
pub(super) struct Carrier<'a> {
    pub(super) arguments: &'a CopyArguments,
    pub(super) registry: Registry,
    pub(super) progress: Arc<Progress>,
    pub(super) report: Report<'a, CopyResult>,
    pub(super) output: &'a Output,
}

impl Carrier<'_> {
    fn copying(&self, item: &Item) -> Copying<'_> {
        Copying {
            registry: self.registry.clone(),
            trusted_root: item.trusted_root.clone(),
            platforms: &self.arguments.platforms,
            progress: Arc::clone(&self.progress),
        }
    }

    /// Copies all, and says what became of each.
    pub(super) async fn carry(
        mut self,
        items: Vec<Item>,
        to: &Target,
        kit: Option<Kit>,
    ) -> Result<ExitCode, Failure> {
        if items.is_empty() && !self.report.has_failed() {
            return Err(Failure::new(Kind::NotFound, "there is no image to copy")
                .hint("`countersign gallery show FILE` lists the entries"));
        }
        let items = each_once(items);
        let kit = match to {
            Target::Repository {
                repository,
                tag: None,
            } => {
                self.mirror(items, repository).await?;
                None
            }
            Target::Repository { tag: Some(_), .. } => {
                let message = "expected a name without a tag as the place of all images";
                return Err(Failure::new(Kind::Usage, message)
                    .hint("each image keeps the tag that the gallery names"));
            }
            Target::Layout(path) => {
                let digest = self.fill(items, path, kit).await?;
                digest.map(|digest| Location::from(path.clone()).at(digest).to_string())
            }
        };
        drop(self.progress);
        let (results, code) = self.report.end();
        let done = results.iter().filter(|result| result.is_copied()).count();
        let mut summary = format!("{done} of {} images copied\n", results.len());
        if let Some(kit) = &kit {
            // Writing to a text does not fail.
            let _ = writeln!(summary, "  kit        {kit}");
        }
        self.output.result(&summary);
        self.output.document(&CopyOutput { results, kit });
        Ok(code)
    }

    async fn mirror(&mut self, items: Vec<Item>, prefix: &Repository) -> Result<(), Failure> {
        let mut results = Vec::new();
        {
            let this = &*self;
            let copies = targets(items, prefix)?.into_iter();
            let copies = copies.map(|(item, target)| async move {
                let copying = this.copying(&item);
                let copied = match this.refuse_inward(&item).await {
                    Ok(()) => {
                        let (source, name) = (&item.source, &item.reference);
                        copying.image_as(source, name, &item.policy, &target).await
                    }
                    Err(failure) => Err(failure),
                };
                (item, copied)
            });
            let mut copies = pin!(stream::iter(copies).buffered(AT_ONCE));
            while let Some(copied) = copies.next().await {
                results.push(copied);
            }
        }
        for (item, copied) in results {
            self.told(&item, copied);
        }
        Ok(())
    }

    /// Images are read several at a time, and written one after the other.
    async fn fill(
        &mut self,
        items: Vec<Item>,
        path: &LayoutPath,
        kit: Option<Kit>,
    ) -> Result<Option<Digest>, Failure> {
        let draft = LayoutDraft::begin(path).await?;
        let mut results = Vec::new();
        {
            let this = &*self;
            let plans = items.into_iter().map(|item| async move {
                let copying = this.copying(&item);
                let plan = match this.refuse_inward(&item).await {
                    Ok(()) => {
                        let (source, name) = (&item.source, &item.reference);
                        copying.plan(source, name, &item.policy).await
                    }
                    Err(failure) => Err(failure),
                };
                (item, plan)
            });
            let mut plans = pin!(stream::iter(plans).buffered(AT_ONCE));
            while let Some((item, plan)) = plans.next().await {
                let name = unpinned(&item.reference);
                let copied = match plan {
                    Ok(plan) => {
                        let copying = this.copying(&item);
                        copying.add_to_layout(&plan, &draft, Some(&name)).await
                    }
                    Err(failure) => Err(failure),
                };
                results.push((item, copied));
            }
        }
        for (item, copied) in results {
            self.told(&item, copied);
        }
        let digest = match kit {
            Some(kit) => Some(kit.write(&draft).await?),
            None => None,
        };
        draft.finish().await?;
        Ok(digest)
    }

    /// Refuses an image whose registry has an address that the gallery's index may not name, also after its
    /// name is resolved: whoever serves the index would choose which of our own services are asked.
    async fn refuse_inward(&self, item: &Item) -> Result<(), Failure> {
        let Some(limit) = &item.limit else {
            return Ok(());
        };
        let limited = Registry::new(Options {
            address_limit: Some(limit.clone()),
            ..self.registry.connection().options().clone()
        })?;
        limited.resolve(&item.source).await?;
        Ok(())
    }

    fn told(&mut self, item: &Item, copied: Result<CopiedImage, Failure>) {
        let (output, name) = (self.output, &item.name);
        let progress = Arc::clone(&self.progress);
        progress.suspend(|| match copied {
            Ok(copied) => {
                for one in &copied.not_copied {
                    output.warning(&format!("{name}: not copied: {}: {}", one.name, one.reason));
                }
                output.result(&format!("copied {name}: {}\n", item.reference));
                let result = CopyResult::of_entry(name, &item.reference, &copied);
                self.report.done(result);
            }
            Err(failure) => {
                output.result(&format!("not copied {name}: {}\n", item.reference));
                let result = CopyResult::failed(name, Some(&item.reference), &failure);
                self.report.fail(&failure, result);
            }
        });
    }
}

/// Several entries may have the same image.
fn each_once(items: Vec<Item>) -> Vec<Item> {
    let mut once: Vec<Item> = Vec::new();
    let mut seen: HashMap<Reference, Vec<Policy>> = HashMap::new();
    for item in items {
        let policies = seen.entry(item.reference.clone()).or_default();
        if !policies.contains(&item.policy) {
            policies.push(item.policy.clone());
            once.push(item);
        }
    }
    once
}

/// Where each image goes below `prefix`: under the path and the tag that it has.
fn targets(items: Vec<Item>, prefix: &Repository) -> Result<Vec<(Item, Target)>, Failure> {
    let mut taken: HashMap<String, Reference> = HashMap::new();
    let mut targets = Vec::new();
    for item in items {
        let Location::Registry(source) = item.reference.location() else {
            continue;
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
        targets.push((item, Target::Repository { repository, tag }));
    }
    Ok(targets)
}

/// The name without a digest that it was pinned to.
pub(super) fn unpinned(reference: &Reference) -> Reference {
    reference.with_tag_of(reference)
}
