//! `countersign install --gallery`: entries of galleries, by name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_download::{
    Capability, EntryError, FallbackTags, FetchedIndex, GalleryClient, GalleryOptions, Integrity,
    Lock, LockedEntry, Plan, PlanError, Planner, Proof, Store, Succession, TagRule,
};
use countersign_oci::Platform;
use countersign_policy::{Gallery, Policy, PolicyFile};
use serde_json::{Value, json};

use super::fulfil::Wanted;
use crate::arguments::RegistryArguments;
use crate::capability;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::services;

/// The flags of installing by name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries: entries to install by name")]
pub(crate) struct GalleryArguments {
    /// File with galleries, YAML or JSON: where their indexes are, and who must have signed
    #[arg(long, value_name = "FILE", conflicts_with = "policy_flags")]
    pub(crate) gallery: Option<PathBuf>,

    /// Show what would be installed from where, and on what proof
    #[arg(long, requires = "gallery", conflicts_with = "lock")]
    pub(crate) dry_run: bool,

    /// Every entry of every gallery
    #[arg(long, requires = "dry_run", conflicts_with = "operands")]
    pub(crate) all: bool,

    /// Install exactly what a lock file pins, by the signer that it pins, and by the gallery's
    /// policy as ever: the names given, else all that it has [default FILE: countersign.lock]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
        requires = "gallery",
        conflicts_with_all = ["lock", "all"],
    )]
    pub(crate) from_lock: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) planning: PlanningArguments,
}

/// What entries are planned and installed by, the same for installing and upgrading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries: entries to install by name")]
pub(crate) struct PlanningArguments {
    /// The hardware to choose entries for: default, nvidia, nvidia-cuda-12, amd, intel, metal,
    /// vulkan … [default: this machine's]
    #[arg(long, value_name = "NAME", requires = "gallery")]
    pub(crate) capability: Option<Capability>,

    /// A tag to fall back to where an entry's isn't there, such as `latest-*=master-*`; may be
    /// given several times [default: none]
    #[arg(long = "fallback-tag", value_name = "FROM=TO", requires = "gallery")]
    pub(crate) fallback_tags: Vec<TagRule>,

    /// Refuse what no policy covers, and tarballs without sha256, instead of warning
    #[arg(long)]
    pub(crate) require_integrity: bool,
    /// Directory that entries are installed in, each under its name [default:
    /// COUNTERSIGN_STORE_DIR, else countersign in the user's data directory]
    #[arg(long, value_name = "DIR", requires = "gallery")]
    pub(crate) store: Option<PathBuf>,

    /// Pin digest and signer of what is installed in a lock file, whose other entries stay as they
    /// are [default FILE: countersign.lock]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
        requires = "gallery"
    )]
    pub(crate) lock: Option<PathBuf>,

    /// Let an image replace one that was signed later: a tag that was moved back is refused
    /// otherwise
    #[arg(long, requires = "gallery")]
    pub(crate) allow_older: bool,
}

impl PlanningArguments {
    /// The lock file to write.
    pub(super) fn lock_file(&mut self) -> Option<LockFile> {
        self.lock.take().map(LockFile::new)
    }

    pub(super) fn succession(&self) -> Succession {
        if self.allow_older {
            Succession::AllowOlder
        } else {
            Succession::NotOlder
        }
    }
}

/// Where entries are installed.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// Directory that entries are installed in, each under its name [default:
    /// COUNTERSIGN_STORE_DIR, else countersign in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// The store at `directory`, else the one that the environment names.
pub(super) fn open_store(
    directory: Option<&Path>,
    environment: &Environment,
) -> Result<Store, Failure> {
    let directory = directory.map(ToOwned::to_owned);
    let directory = directory.or_else(|| environment.store_directory());
    directory.map(Store::new).ok_or_else(|| {
        Failure::new(Kind::Usage, "nothing says where entries are installed")
            .hint("pass --store DIR, or set COUNTERSIGN_STORE_DIR")
    })
}

/// Galleries whose indexes are there, and what to plan by.
pub(super) struct Galleries {
    /// The file that names them.
    file: PathBuf,
    fetched: Vec<(Gallery, FetchedIndex)>,
    capability: Capability,
    integrity: Integrity,
    fallbacks: FallbackTags,
    /// What every plan is narrowed to.
    lock: Option<Lock>,
}

/// Shows what installing the entries that are `wanted` would do, or all that there are.
pub(super) fn dry_run(
    galleries: &Galleries,
    wanted: Vec<Wanted>,
    asked: Asked,
    output: &Output,
) -> Result<ExitCode, Failure> {
    output.result(&galleries.text());

    let mut report = Report::new(output, asked);
    if asked == Asked::WithAll {
        for planner in galleries.planners() {
            for entry in planner.index.entries() {
                report.add(planner.gallery, &entry.name, planner.plan_entry(entry));
            }
        }
    } else {
        for one in wanted {
            let (gallery, plan) = galleries.plan(&one.name, &one.platform)?;
            report.add(gallery, &one.name, plan);
        }
    }
    output.document(&json!({
        "capability": galleries.capability,
        "integrity": galleries.integrity,
        "galleries": galleries.to_json(),
        "plans": report.plans,
        "unplanned": report.unplanned,
    }));
    Ok(report.code())
}

impl Galleries {
    pub(super) async fn load(
        file: &Path,
        arguments: &PlanningArguments,
        registry: &RegistryArguments,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let text = services::read_text(file, "gallery file")?;
        let parsed = PolicyFile::parse(&text, &file.display().to_string())?;
        if parsed.galleries().is_empty() {
            return Err(
                Failure::new(Kind::Usage, format!("{} names no gallery", file.display())).hint(
                    "add `galleries:`, a list of them with `name`, `url` and `verification` each",
                ),
            );
        }
        let required = arguments.require_integrity
            || parsed.require_integrity()
            || environment.require_integrity()?;
        let integrity = if required {
            Integrity::Strict
        } else {
            Integrity::Permissive
        };
        let capability = match arguments.capability.clone() {
            Some(capability) => capability,
            None => capability::detect()?,
        };
        let client = GalleryClient::new(GalleryOptions {
            cache: environment
                .cache_directory()
                .map(|directory| directory.join("galleries")),
            connection: services::connection(registry, environment)?,
            ..GalleryOptions::default()
        })?;
        let directory = file.parent().unwrap_or(Path::new(""));
        let mut fetched = Vec::new();
        for gallery in parsed.galleries() {
            let index = client.fetch(gallery, directory).await?;
            fetched.push((gallery.clone(), index));
        }
        Ok(Self {
            file: file.to_owned(),
            fetched,
            capability,
            integrity,
            fallbacks: FallbackTags::new(arguments.fallback_tags.clone()),
            lock: None,
        })
    }

    /// The same, with every plan narrowed to what `lock` has of it.
    pub(super) fn locked(self, lock: Option<Lock>) -> Self {
        Self { lock, ..self }
    }

    /// The file that names the galleries.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn planners(&self) -> impl Iterator<Item = Planner<'_>> {
        self.fetched.iter().map(|(gallery, fetched)| Planner {
            gallery,
            index: &fetched.index,
            location: &fetched.location,
            capability: &self.capability,
            integrity: self.integrity,
            fallbacks: &self.fallbacks,
        })
    }

    /// The plan for `name` by the first gallery that knows it, or, for `gallery@name`, by that one;
    /// where there is a lock, the one that it leaves for `platform`.
    pub(super) fn plan(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Result<(&Gallery, Result<Plan, PlanError>), Failure> {
        let (gallery, plan) = self.unlocked_plan(name)?;
        let Some(lock) = &self.lock else {
            return Ok((gallery, plan));
        };
        let plan = plan.and_then(|plan| Ok(plan.locked(lock, platform)?));
        Ok((gallery, plan))
    }

    fn unlocked_plan(&self, name: &str) -> Result<(&Gallery, Result<Plan, PlanError>), Failure> {
        let (gallery, name) = match name.split_once('@') {
            Some((gallery, name)) => (Some(gallery), name),
            None => (None, name),
        };
        let mut unknown = None;
        for planner in self.planners() {
            if gallery.is_some_and(|gallery| gallery != planner.gallery.name) {
                continue;
            }
            let plan = planner.plan(name);
            if !matches!(
                &plan,
                Err(PlanError::Entry {
                    source: EntryError::Unknown { .. },
                    ..
                })
            ) {
                return Ok((planner.gallery, plan));
            }
            unknown.get_or_insert((planner.gallery, plan));
        }
        unknown.ok_or_else(|| {
            let names: Vec<&str> = self.fetched.iter().map(|(g, _)| g.name.as_str()).collect();
            let message = format!(
                "expected one of the galleries {}, found `{}`",
                names.join(", "),
                gallery.unwrap_or_default()
            );
            Failure::new(Kind::Usage, message)
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (gallery, fetched) in &self.fetched {
            text.push_str(&format!(
                "gallery {}: {} entries from {}, for {}\n",
                gallery.name,
                fetched.index.entries().len(),
                fetched.location,
                self.capability,
            ));
            for unserved in &fetched.unserved {
                text.push_str(&format!("  not from: {unserved}\n"));
            }
            let words = match &gallery.policy {
                Some(policy) => policy.explain(),
                None => "It has no policy: nothing says who must have signed.".into(),
            };
            text.push_str(&format!("  {}\n\n", words.replace('\n', "\n  ")));
        }
        text
    }

    fn to_json(&self) -> Vec<Value> {
        let one = |(gallery, fetched): &(Gallery, FetchedIndex)| {
            let unserved: Vec<String> = fetched.unserved.iter().map(ToString::to_string).collect();
            json!({
                "name": gallery.name,
                "location": fetched.location.to_string(),
                "entries": fetched.index.entries().len(),
                "policy": gallery.policy.as_ref().map(Policy::explain),
                "unserved": unserved,
            })
        };
        self.fetched.iter().map(one).collect()
    }
}

/// What an entry is in the report for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was named.
    ByName,
    /// All were asked for: that some are for other hardware is no failure.
    WithAll,
}

/// Plans as they are made.
struct Report<'a> {
    output: &'a Output,
    asked: Asked,
    plans: Vec<Value>,
    unplanned: Vec<Value>,
    failed: Option<Kind>,
}

impl<'a> Report<'a> {
    fn new(output: &'a Output, asked: Asked) -> Self {
        Self {
            output,
            asked,
            plans: Vec::new(),
            unplanned: Vec::new(),
            failed: None,
        }
    }

    fn add(&mut self, gallery: &Gallery, name: &str, plan: Result<Plan, PlanError>) {
        match plan {
            Ok(plan) => {
                self.output.result(&format!("{plan}\n"));
                self.plans.push(plan_json(&plan));
            }
            Err(PlanError::Entry {
                source: elsewhere @ EntryError::NotForCapability { .. },
                ..
            }) if self.asked == Asked::WithAll => {
                self.output.result(&format!("{elsewhere}\n"));
                let failure = Failure::new(Kind::NotFound, elsewhere);
                self.unplanned(gallery, name, &failure);
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.failed.get_or_insert(failure.kind);
                self.output.failure(&failure);
                self.unplanned(gallery, name, &failure);
            }
        }
    }

    fn unplanned(&mut self, gallery: &Gallery, name: &str, failure: &Failure) {
        self.unplanned.push(json!({
            "gallery": gallery.name,
            "name": name,
            "error": failure.to_json(),
        }));
    }

    /// That of the first entry that failed.
    fn code(&self) -> ExitCode {
        self.failed
            .map_or(ExitCode::SUCCESS, |kind| kind.exit_code().into())
    }
}

fn plan_json(plan: &Plan) -> Value {
    let requirement = plan.requirement();
    let (kind, digest) = match requirement.proof() {
        Proof::Signature(_) => ("signature", None),
        Proof::Digest(digest) => ("digest", Some(digest)),
        _ => ("none", None),
    };
    json!({
        "gallery": plan.gallery(),
        "name": plan.name(),
        "via": plan.via(),
        "entry": plan.entry().name,
        "alias": plan.entry().alias,
        "sources": plan.sources(),
        "requirement": { "kind": kind, "digest": digest, "words": requirement.to_string() },
        "locked": plan.lock().map(LockedEntry::asked),
        "warning": plan.warning(),
    })
}
