//! `countersign install --gallery`: entries of galleries, by name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_download::{
    Capability, EntryError, FallbackTags, FetchedIndex, Galleries, GalleryClient, GalleryOptions,
    InstallOptions, Integrity, Limits, LockedEntry, Plan, PlanError, Proof, Store, TagRule,
};
use countersign_policy::{Gallery, Policy, PolicyFile};
use serde_json::{Value, json};

use super::by_name::Wanted;
use crate::arguments::RegistryArguments;
use crate::capability;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::limits;
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

    /// Show what would be installed, from where and on what proof. Asks no registry, installs nothing
    #[arg(long, conflicts_with = "lock")]
    pub(crate) dry_run: bool,

    /// Every entry of every gallery
    #[arg(long, conflicts_with = "operands")]
    pub(crate) all: bool,

    /// Install the exact digests in a lock file. The signer must match the lock file and the
    /// gallery's policy. Without names, installs every entry [default FILE: countersign.lock]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
        conflicts_with_all = ["lock", "all"],
    )]
    pub(crate) from_lock: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) planning: PlanningArguments,
}

/// What entries are planned by, the same for installing and upgrading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries: entries to install by name")]
pub(crate) struct PlanningArguments {
    /// The hardware to choose entries for: default, nvidia, nvidia-cuda-12, amd, intel, metal,
    /// vulkan … [default: this machine's]
    #[arg(long, value_name = "NAME")]
    pub(crate) capability: Option<Capability>,

    /// A tag to fall back to where an entry's isn't there, such as `latest-*=master-*`; may be
    /// given several times [default: none]
    #[arg(long = "fallback-tag", value_name = "FROM=TO")]
    pub(crate) fallback_tags: Vec<TagRule>,

    /// Refuse what no policy covers, and tarballs without sha256, instead of warning
    #[arg(long)]
    pub(crate) require_integrity: bool,

    /// Let an index from elsewhere name addresses in private networks (such as 10.0.0.0/8)
    #[arg(long)]
    pub(crate) allow_private_addresses: bool,

    /// Size of a gallery's index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size)]
    pub(crate) max_index: Option<u64>,

    /// Directory that entries are installed in, each under its name [default:
    /// COUNTERSIGN_STORE_DIR, else countersign in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Pin digest and signer of what is installed in a lock file. Its other entries stay as they are
    /// [default FILE: countersign.lock]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
    )]
    pub(crate) lock: Option<PathBuf>,
}

impl PlanningArguments {
    /// The lock file to write.
    pub(super) fn lock_file(&mut self) -> Option<LockFile> {
        self.lock.take().map(LockFile::new)
    }
}

impl GalleryArguments {
    /// Refuses flags that would do nothing where one image is installed: whoever gives one counts on
    /// it. Clap's `requires` doesn't do: it is waived where what is required conflicts with another
    /// flag that is given.
    ///
    /// # Errors
    /// The first flag that is given without `--gallery`.
    pub(super) fn refuse_without_gallery(&self) -> Result<(), Failure> {
        // Whole, so that a new flag has to be thought of here.
        let Self {
            gallery,
            dry_run,
            all,
            from_lock,
            planning,
        } = self;
        let PlanningArguments {
            capability,
            fallback_tags,
            require_integrity,
            allow_private_addresses,
            max_index,
            store,
            lock,
        } = planning;
        let given = [
            ("--dry-run", *dry_run),
            ("--all", *all),
            ("--from-lock", from_lock.is_some()),
            ("--capability", capability.is_some()),
            ("--fallback-tag", !fallback_tags.is_empty()),
            ("--require-integrity", *require_integrity),
            ("--allow-private-addresses", *allow_private_addresses),
            ("--max-index", max_index.is_some()),
            ("--store", store.is_some()),
            ("--lock", lock.is_some()),
        ];
        if gallery.is_some() {
            return Ok(());
        }
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(Failure::new(
                Kind::Usage,
                format!("{flag} has no effect without --gallery"),
            )
            .hint(format!(
                "leave {flag} out, or pass --gallery FILE and the names of entries"
            ))),
        }
    }
}

/// What an installation may replace, and whether it waits for another.
#[derive(Debug, Args)]
pub(crate) struct ReplacingArguments {
    /// Let an image replace one that was signed later. Without this flag, a tag that was moved back
    /// is refused
    #[arg(long)]
    pub(crate) allow_older: bool,

    /// Fetch and replace what is installed even if the digest is the same. Repairs files that were
    /// changed or deleted
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// Fail if another run installs to the same directory, instead of waiting for it
    #[arg(long)]
    pub(crate) no_wait: bool,
}

impl ReplacingArguments {
    pub(super) fn options(&self) -> InstallOptions {
        let Self {
            allow_older,
            reinstall,
            no_wait,
        } = *self;
        InstallOptions {
            allow_older,
            reinstall,
            wait: !no_wait,
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
    store_directory(directory, environment).map(Store::new)
}

/// Where that store is.
pub(super) fn store_directory(
    directory: Option<&Path>,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let directory = directory.map(ToOwned::to_owned);
    let directory = directory.or_else(|| environment.store_directory());
    directory.ok_or_else(|| {
        Failure::new(Kind::Usage, "nothing says where entries are installed")
            .hint("pass --store DIR, or set COUNTERSIGN_STORE_DIR")
    })
}

/// Shows what installing the entries that are `wanted` would do, or all that there are.
pub(super) fn dry_run(
    galleries: &Galleries,
    wanted: &[Wanted],
    asked: Asked,
    output: &Output,
) -> Result<ExitCode, Failure> {
    output.result(&text(galleries));

    let mut report = Report::new(output, asked);
    if asked == Asked::WithAll {
        for (gallery, entry, plan) in galleries.plan_all() {
            report.add(Some(&gallery.name), &entry.name, plan);
        }
    } else {
        for one in wanted {
            report.add(None, &one.name, one.plan(galleries));
        }
    }
    output.document(&json!({
        "capability": galleries.capability,
        "integrity": galleries.integrity,
        "galleries": to_json(galleries),
        "plans": report.plans,
        "unplanned": report.unplanned,
    }));
    Ok(report.code())
}

/// Reads the file of galleries, and fetches their indexes.
pub(super) async fn load(
    file: &Path,
    arguments: &PlanningArguments,
    registry: &RegistryArguments,
    environment: &Environment,
) -> Result<Galleries, Failure> {
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
    let mut limits = Limits::default();
    if let Some(bytes) = arguments.max_index {
        limits.index_bytes = bytes;
    }
    let client = GalleryClient::new(GalleryOptions {
        cache: environment
            .cache_directory()
            .map(|directory| directory.join("galleries")),
        connection: services::connection(registry, environment)?,
        limits,
        ..GalleryOptions::default()
    })?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut fetched = Vec::new();
    for gallery in parsed.galleries() {
        let index = client.fetch(gallery, directory).await?;
        fetched.push((gallery.clone(), index));
    }
    let fallbacks = FallbackTags::new(arguments.fallback_tags.clone());
    let mut galleries = Galleries::new(fetched, capability, integrity, fallbacks);
    galleries.private_addresses = arguments.allow_private_addresses;
    Ok(galleries)
}

fn text(galleries: &Galleries) -> String {
    let mut text = String::new();
    for (gallery, fetched) in galleries.fetched() {
        text.push_str(&format!(
            "gallery {}: {} entries from {}, for the hardware `{}`\n",
            gallery.name,
            fetched.index.entries().len(),
            fetched.location,
            galleries.capability,
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

fn to_json(galleries: &Galleries) -> Vec<Value> {
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
    galleries.fetched().iter().map(one).collect()
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

    fn add(&mut self, gallery: Option<&str>, name: &str, plan: Result<Plan, PlanError>) {
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
                let asked = match &error {
                    PlanError::Entry { gallery, .. } | PlanError::Requirement { gallery, .. } => {
                        Some(gallery.clone())
                    }
                    _ => None,
                };
                let failure = Failure::from(error);
                self.failed.get_or_insert(failure.kind);
                self.output.failure(&failure);
                self.unplanned(gallery.or(asked.as_deref()), name, &failure);
            }
        }
    }

    /// `gallery` is the one that was asked, where not all were.
    fn unplanned(&mut self, gallery: Option<&str>, name: &str, failure: &Failure) {
        self.unplanned.push(json!({
            "gallery": gallery,
            "name": name,
            "error": failure.to_json(),
        }));
    }

    /// That of the first entry that failed.
    fn code(&self) -> ExitCode {
        self.failed
            .map_or(ExitCode::SUCCESS, |kind| exit_code(kind).into())
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
        "entry": plan.entry().map(|entry| &entry.name),
        "alias": plan.entry().and_then(|entry| entry.alias.as_ref()),
        "sources": plan.sources(),
        "requirement": { "kind": kind, "digest": digest, "words": requirement.to_string() },
        "locked": plan.lock().map(LockedEntry::asked),
        "warning": plan.warning(),
    })
}
