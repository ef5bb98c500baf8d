//! `countersign install`: unpacks an image, if and only if it is signed as the policy says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_download::{EntryName, InstallRequest, Installer, LayerCache, Plan};
use countersign_oci::{Platform, Reference};

use super::galleries;
use super::kit::OpenKit;
use super::preview;
use super::report::Report;
use super::requested_entry::{Group, RequestedEntry};
use super::store_installer::{NamesFrom, StoreInstaller};
use super::told::{CheckFiles, SuccessfulInstall, check_files};
use crate::arguments::dry_run;
use crate::arguments::layers::LayerArguments;
use crate::arguments::limits::LimitArguments;
use crate::arguments::planning::{ChoosingArguments, PlanningArguments};
use crate::arguments::replacing::ReplacingArguments;
use crate::arguments::store::open_store;
use crate::arguments::verification::VerificationArguments;
use crate::cache::warn;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::installation::{InstallOutput, InstallResult};
use crate::json::wanted::Wanted;
use crate::lock::{self, LockFile};
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use crate::verification::Verification;

const EXAMPLE: &str = "\
Example: unpack the image into ./app, if policy.yaml accepts its signature
  countersign install --policy policy.yaml ghcr.io/acme/app:v1 ./app

Example: find out what would be installed for the entry `chat`, and who signed it
  countersign install --gallery galleries.yaml --dry-run chat

policy.yaml:
  verification:
    issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+";

const USAGE: &str = "\
countersign install [OPTIONS] REFERENCE DIRECTORY
       countersign install [OPTIONS] --gallery FILE NAME...
       countersign install [OPTIONS] --gallery FILE --from-lock[=FILE] [NAME...]
       countersign install [OPTIONS] --from KIT NAME...";

/// `countersign install`
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = EXAMPLE)]
pub(crate) struct InstallArguments {
    /// An image and a directory, or names of entries
    ///
    /// REFERENCE is the image. The index or the platform's manifest must be signed.
    ///
    /// DIRECTORY is where to unpack it. It must be missing, empty, or an earlier installation.
    ///
    /// NAME is an entry of a gallery. Use it with --gallery, or with `gallery` in countersign.toml.
    #[arg(
        value_name = "REFERENCE DIRECTORY|NAME",
        required_unless_present = "from_lock"
    )]
    pub(crate) operands: Vec<OsString>,

    /// Platform of the image [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Verify, say what would be done, and install nothing
    ///
    /// Registries are asked and signatures are verified, as for an installation. No layer is fetched. Not with
    /// --lock, --check, --no-wait, --durability, --jobs and --layer-cache.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) replacing: ReplacingArguments,

    #[command(flatten)]
    pub(crate) gallery: GalleryArguments,

    #[command(flatten)]
    pub(crate) layers: LayerArguments,

    #[command(flatten)]
    pub(crate) limits: LimitArguments,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

/// The flags of installing by name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries (entries by name)")]
pub(crate) struct GalleryArguments {
    /// Gallery file, YAML or JSON
    ///
    /// The file says where the galleries are and who must have signed. Without this flag, names are looked for in the
    /// file that countersign.toml names as `gallery`. Not with --policy and its fields.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "policy_fields"])]
    pub(crate) gallery: Option<PathBuf>,

    /// Install from a kit, and ask no network
    ///
    /// `ocifile://PATH` is a layout that `countersign copy --gallery` made. Galleries, policies, the
    /// trusted root and the lock file that it was made by are those of the kit. So whoever can change the kit decides what you trust, unless you
    /// name it by its digest: `ocifile://PATH@DIGEST`. With --gallery and --trusted-root you bring your own;
    /// which signed image a name means is still the kit's then. Not with --policy and its fields.
    #[arg(long, value_name = "KIT", value_parser = operand::kit,
        conflicts_with_all = ["policy", "policy_fields"])]
    pub(crate) from: Option<Reference>,

    /// Install the exact digests in a lock file
    ///
    /// The signer must match the lock file and the gallery's policy. Without names, every entry is
    /// installed. The default FILE is countersign.lock. Not with --lock.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
        conflicts_with = "lock",
    )]
    pub(crate) from_lock: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) planning: PlanningArguments,
}

impl GalleryArguments {
    /// Refuses flags that do nothing where one image is installed, without a gallery: whoever gives one counts on
    /// it. Clap's `requires` doesn't do: it is waived where what is required conflicts with another
    /// flag that is given.
    ///
    /// # Errors
    /// The first such flag that is given.
    fn refuse_without_gallery(&self) -> Result<(), Failure> {
        // Whole, so that a new flag has to be thought of here.
        let Self {
            gallery: _,
            from: _,
            from_lock,
            planning,
        } = self;
        let PlanningArguments {
            choosing,
            store,
            lock,
            jobs,
        } = planning;
        let ChoosingArguments {
            capability,
            fallback_tags,
            require_integrity,
            allow_private_addresses,
            max_index,
        } = choosing;
        let given = [
            ("--from-lock", from_lock.is_some()),
            ("--capability", capability.is_some()),
            ("--fallback-tag", !fallback_tags.is_empty()),
            ("--require-integrity", *require_integrity),
            ("--allow-private-addresses", *allow_private_addresses),
            ("--max-index", max_index.is_some()),
            ("--store", store.is_some()),
            ("--lock", lock.is_some()),
            ("--jobs", jobs.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(Failure::new(
                Kind::Usage,
                format!("{flag} has no effect without --gallery"),
            )
            .hint(format!(
                "leave {flag} out, or pass --gallery FILE, or set `gallery` in your countersign.toml"
            ))),
        }
    }
}

pub(crate) async fn run(
    mut arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    environment.require_integrity()?;
    if arguments.dry_run {
        let (replacing, planning) = (&arguments.replacing, &arguments.gallery.planning);
        dry_run::require_effect("install --dry-run", replacing, planning, &arguments.layers)?;
    }
    let operands = std::mem::take(&mut arguments.operands);
    let set = environment.settings().gallery();
    let set = set.filter(|_| are_names(&operands) && !arguments.verification.policy.is_given());
    let file = arguments.gallery.gallery.take();
    let source = match (arguments.gallery.from.take(), file) {
        (Some(kit), own) => Some(Source::Kit { kit, own }),
        (None, file) => file
            .or_else(|| set.map(ToOwned::to_owned))
            .map(Source::File),
    };
    match source {
        Some(source) => by_name(source, operands, arguments, environment, output).await,
        None => {
            arguments.gallery.refuse_without_gallery()?;
            one_image(operands, arguments, environment, output).await
        }
    }
}

/// Where the galleries of entries are.
enum Source {
    /// In this file.
    File(PathBuf),
    /// In a kit. The user's own file stands in the place of the kit's.
    Kit {
        kit: Reference,
        own: Option<PathBuf>,
    },
}

/// Whether these are names of entries. A reference has a `/` behind its registry, and a name has none.
fn are_names(operands: &[OsString]) -> bool {
    !operands.iter().any(|name| name.as_bytes().contains(&b'/'))
}

/// One image, into a directory.
async fn one_image(
    operands: Vec<OsString>,
    arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (reference, directory) = reference_and_directory(operands)?;
    let verification = Verification::new(&arguments.verification, environment).await?;
    let mut installer = Installer::new(verification.registry.clone(), verification.verifier())
        .with_limits(arguments.limits.limits());
    let layers = arguments.layers.cache();
    if let Some(layers) = &layers {
        installer = installer.with_layer_cache(layers.clone());
    }
    let platform = arguments.platform.unwrap_or_else(Platform::host);
    let check = CheckFiles::asked(&arguments.replacing);
    let plan = Plan::of_image(reference.clone(), verification.policy);
    let options = arguments.replacing.options();
    let request = InstallRequest::new(&plan, &platform).with_options(options);

    let progress = Progress::new(output, format!("resolving {reference}"));
    if arguments.dry_run {
        let asked = preview::OneImage {
            installer: &installer,
            request,
            directory: &directory,
        };
        return asked.preview(progress, output).await;
    }
    let events = |event| progress.installing(&event);
    let installing = installer.install(request.with_events(&events), &directory);
    let outcome = installing.await;
    let outcome = match outcome {
        Ok(outcome) => {
            let checked = check_files(&outcome, check, &directory, &progress).await;
            Ok((outcome, checked))
        }
        Err(failure) => Err(verification.told.add_to(Failure::of_one_image(failure))),
    };
    drop(progress);
    warn(
        output,
        "layers",
        layers.as_ref().and_then(LayerCache::trouble),
    );
    let result = InstallResult {
        wanted: Wanted::image(&plan, &directory),
        ..InstallResult::default()
    };
    let mut report = Report::new(output);
    match outcome {
        Ok((outcome, checked)) => {
            let name = format!("{reference} ({platform})");
            let installed = SuccessfulInstall {
                name: &name,
                outcome: &outcome,
                directory: &directory,
                source: "the registry",
                checked,
                pinned: Ok(None),
            };
            installed.tell(result, &mut report, output);
        }
        Err(failure) => report.fail(&failure, |error| result.failed(error)),
    }
    let (results, code) = report.end();
    output.document(&InstallOutput::from(results));
    Ok(code)
}

/// Entries of galleries, into the store.
async fn by_name(
    source: Source,
    names: Vec<OsString>,
    arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let InstallArguments {
        mut gallery,
        replacing,
        layers,
        limits,
        platform,
        verification:
            VerificationArguments {
                policy: _,
                trust,
                registry,
                configuration: _,
            },
        dry_run,
        ..
    } = arguments;
    let platform = platform.unwrap_or_else(Platform::host);
    let mut requested = requested_entries(names, &gallery, &platform)?;
    let choosing = &gallery.planning.choosing;
    let (galleries, kit, file) = match source {
        Source::File(file) => {
            let galleries = galleries::load(&file, choosing, &registry, environment).await?;
            (galleries, None, Some(file))
        }
        Source::Kit { kit, own } => {
            let kit = OpenKit::open(&kit, &registry, environment).await?;
            let galleries = kit.galleries(own.as_deref(), choosing, environment).await?;
            for one in requested.iter_mut().filter(|_| own.is_none()) {
                one.lock_of_kit = kit.lock().cloned();
            }
            (galleries, Some(kit), own)
        }
    };
    let store = open_store(gallery.planning.store.as_deref(), environment)?;
    let group = Group {
        recorded: kit.is_none() && file.as_deref() != environment.settings().gallery(),
        file,
        galleries: Ok(galleries),
        requested,
    };
    let installer = StoreInstaller {
        store,
        named_store: gallery.planning.store.clone(),
        options: replacing.options(),
        check: CheckFiles::asked(&replacing),
        layers: layers.cache(),
        limits: limits.limits(),
        jobs: gallery.planning.jobs(),
        lock_file: gallery.planning.lock_file(),
        lock_here: None,
        trust,
        connection: match &kit {
            Some(kit) => kit.options.clone(),
            None => connection::options(&registry, environment)?,
        },
        registry: match &kit {
            Some(kit) => kit.registry.clone(),
            None => connection::registry(&registry, environment)?,
        },
        kit,
    };
    if dry_run {
        installer.preview(&[group], environment, output).await
    } else {
        let names_from = NamesFrom::User;
        installer
            .run(&[group], names_from, environment, output)
            .await
    }
}

/// The entries that `operands` name; without names, with a lock file, all that it has.
///
/// # Errors
/// Also a name that is not in the lock file: it ends the run before anything is installed.
fn requested_entries(
    operands: Vec<OsString>,
    gallery: &GalleryArguments,
    platform: &Platform,
) -> Result<Vec<RequestedEntry>, Failure> {
    if gallery.planning.lock.is_some() {
        lock::refuse_files(&operands, "--lock")?;
    }
    let lock = match &gallery.from_lock {
        Some(path) => {
            lock::refuse_files(&operands, "--from-lock")?;
            let lock = LockFile::new(path.clone()).read_to_install()?;
            Some(Arc::new(lock))
        }
        None => None,
    };
    if let Some(directory) = operands.iter().find(|name| name.as_bytes().contains(&b'/')) {
        let directory = directory.to_string_lossy();
        let message = format!("expected names of entries, found `{directory}`");
        return Err(Failure::new(Kind::Usage, message).hint(
            "entries of a gallery or a kit are named as that has them, and installed to the store; --store DIR says where it is",
        ));
    }
    let names = operands.into_iter();
    let names = names.map(|name| Ok(operand::text(name, "name")?.as_str().into()));
    let names: Vec<EntryName> = names.collect::<Result<_, Failure>>()?;
    let names = match &lock {
        Some(lock) => lock.select(&names, platform)?,
        None => names,
    };
    let requested = names.into_iter().map(|name| RequestedEntry {
        lock: lock.clone(),
        ..RequestedEntry::new(name, platform.clone())
    });
    Ok(requested.collect())
}

/// The operands of installing one image: which, and where to.
fn reference_and_directory(operands: Vec<OsString>) -> Result<(Reference, PathBuf), Failure> {
    let [reference, directory] = <[OsString; 2]>::try_from(operands).map_err(|found| {
        let message = match found.len() {
            1 => "expected REFERENCE and DIRECTORY, found only one of them",
            _ => "expected REFERENCE and DIRECTORY, found more than these",
        };
        Failure::new(Kind::Usage, message)
            .hint("countersign install [OPTIONS] REFERENCE DIRECTORY")
            .hint("to install entries of a gallery by name, pass --gallery FILE, or set `gallery` in your countersign.toml")
    })?;
    operand::refuse_swapped(&reference, &directory)?;
    let reference = operand::image(&operand::text(reference, "reference")?);
    let reference = reference.map_err(|error| Failure::new(Kind::Usage, error))?;
    if directory == "-" {
        let message = "expected a directory, found `-`: nothing is written to standard output";
        return Err(Failure::new(Kind::Usage, message)
            .hint("name a directory; for one that is named `-`, write ./-"));
    }
    Ok((reference, directory.into()))
}
