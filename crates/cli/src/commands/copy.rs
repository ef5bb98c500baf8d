//! `countersign copy`: an image that a policy accepts, carried to another registry or into an image layout
//! with its proof.

mod carrier;
mod document;
mod gallery;
mod one;
mod replaced;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_oci::{LayoutDraft, LayoutPath, Platform, Reference};

use super::kit::OpenKit;
use super::report::Report;
use crate::arguments::limits;
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::verification::VerificationArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::lock;
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use crate::verification::Verification;
use document::text;
use gallery::{from_galleries, from_kit};
use one::{Copying, blob_turns};
use target::Target;

pub(super) use document::{CopyOutput, CopyResult};

const EXAMPLE: &str = "\
Example: into a registry of your own, under the same tag
  countersign copy --policy policy.yaml ghcr.io/acme/app:v1 registry.internal/acme/app

Example: into an image layout, to carry it by hand, and from there into a registry
  countersign copy --policy policy.yaml ghcr.io/acme/app:v1 ocifile://app.tar
  countersign copy --policy policy.yaml ocifile://app.tar registry.internal/acme/app:v1

Example: the images of galleries, with all that an installer needs who has no network
  countersign copy --gallery galleries.yaml --to ocifile://kit
  countersign install --from ocifile://kit NAME";

const USAGE: &str = "\
countersign copy [OPTIONS] SOURCE DESTINATION
       countersign copy [OPTIONS] --gallery FILE --to NAME
       countersign copy [OPTIONS] ocifile://KIT NAME";

/// `countersign copy`
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = EXAMPLE)]
pub(crate) struct CopyArguments {
    /// Image to copy
    ///
    /// The manifest or index that it names must be signed. `ocifile://PATH` is an OCI image layout: a
    /// directory or a tar archive. `ocifile://PATH@DIGEST` is one of several images in it.
    #[arg(
        value_name = "SOURCE",
        value_parser = operand::image,
        required_unless_present = "gallery",
        conflicts_with = "gallery",
    )]
    pub(crate) source: Option<Reference>,

    /// Where to copy it to: NAME, NAME:TAG or a layout
    ///
    /// Without a tag, the copy gets the tag of the source. If the source is named by its digest, or is
    /// a layout, no tag is written.
    ///
    /// `ocifile://FILE.tar` makes a new archive. Any other path is a directory: a layout, to which the
    /// image is added, or a new or empty directory.
    #[arg(
        value_name = "DESTINATION",
        value_parser = Target::parse,
        required_unless_present = "gallery",
        conflicts_with = "gallery",
    )]
    pub(crate) destination: Option<Target>,

    /// Copy the images of the galleries in this file
    ///
    /// Each is copied only if its gallery's policy accepts it. Not with --policy and its fields.
    #[arg(
        long,
        value_name = "FILE",
        requires = "to",
        conflicts_with_all = ["policy", "policy_fields"],
    )]
    pub(crate) gallery: Option<PathBuf>,

    /// Where to copy the images to: NAME or a layout
    ///
    /// In a registry, an image keeps its path and its tag: quay.io/acme/app:v1 becomes NAME/acme/app:v1.
    /// A layout, `ocifile://PATH`, becomes a kit: it has the galleries, their policies and the trusted root too, and
    /// `countersign install --from` needs nothing else.
    #[arg(long, value_name = "NAME", value_parser = Target::parse_for_galleries, requires = "gallery")]
    pub(crate) to: Option<Target>,

    /// Copy only this entry of the galleries; repeat it for several
    ///
    /// It is a name as for `install`: an alias, `gallery@name`, or an entry that stands for others by hardware. All of these
    /// are copied then.
    #[arg(long = "entry", value_name = "NAME", requires = "gallery")]
    pub(crate) entries: Vec<String>,

    /// Copy the digests that a lock file pins
    ///
    /// The default FILE is countersign.lock.
    #[arg(
        long,
        visible_alias = "lock",
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
        requires = "gallery",
    )]
    pub(crate) from_lock: Option<PathBuf>,

    /// Allow entries of remote indexes in private networks
    #[arg(long, requires = "gallery")]
    pub(crate) allow_private_addresses: bool,

    /// Size of a gallery's index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size, requires = "gallery")]
    pub(crate) max_index: Option<u64>,

    /// Copy only these platforms of an index; repeat it for several
    ///
    /// The index stays as it is, and so do its digest and its signatures. It lists images that the
    /// destination does not have then. Some registries refuse that.
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platforms: Vec<Platform>,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

impl CopyArguments {
    /// Whether it writes files of this machine.
    pub(super) fn writes_layout(&self) -> bool {
        self.layout().is_some()
    }

    /// Whether it writes to a layout in a directory, which keeps what is whole. An archive is made anew.
    pub(super) fn writes_directory(&self) -> bool {
        self.layout()
            .is_some_and(|path| !LayoutDraft::makes_archive(path))
    }

    /// The layout that it writes to.
    fn layout(&self) -> Option<&LayoutPath> {
        match self.destination.as_ref().or(self.to.as_ref())? {
            Target::Layout(path) => Some(path),
            Target::Repository { .. } => None,
        }
    }
}

/// Verifies, copies, verifies again, and writes the tag.
pub(crate) async fn run(
    arguments: CopyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (source, destination) = match (&arguments.source, &arguments.destination) {
        (Some(source), Some(destination)) => (source, destination),
        _ => {
            let (Some(file), Some(to)) = (&arguments.gallery, &arguments.to) else {
                return Err(Failure::new(Kind::Usage, "expected SOURCE and DESTINATION"));
            };
            return from_galleries(&arguments, file, to, environment, output).await;
        }
    };
    let registry = &arguments.verification.registry;
    if let Some(kit) = OpenKit::find(source, registry, environment).await? {
        return from_kit(&arguments, &kit, destination, environment, output).await;
    }
    one_image(&arguments, source, destination, environment, output).await
}

/// One image, by itself.
async fn one_image(
    arguments: &CopyArguments,
    source: &Reference,
    destination: &Target,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Verification {
        policy,
        registry,
        trusted_root,
        told,
    } = Verification::new(&arguments.verification, environment).await?;
    let destination = destination.clone().or_tag_of(source);
    if let Some(warning) = destination.warning() {
        output.warning(&warning);
    }
    if policy.bind_name() && destination.is_another_name_than(source) {
        output.warning(&format!(
            "the policy has `bind_name`, and {source} is the name that is proven: by the name of the copy it is refused, \
             unless that is signed too; in a gallery, list the copy as a mirror of {source}"
        ));
    }
    let progress = Arc::new(Progress::new(output, format!("verifying {source}")));
    let copied = Copying {
        registry,
        trusted_root,
        platforms: &arguments.platforms,
        turns: blob_turns(),
        progress: Arc::clone(&progress),
    }
    .image(source, &policy, &destination)
    .await;
    drop(progress);
    let mut report = Report::new(output);
    match copied {
        Ok(copied) => {
            for one in &copied.not_copied {
                output.warning(&format!("not copied: {}: {}", one.name, one.reason));
            }
            output.result(&text(source, &copied));
            report.done(CopyResult::new(source, &copied));
        }
        Err(failure) => {
            let failure = told.add_to(failure);
            for one in failure.not_copied() {
                output.warning(&format!("not copied: {}: {}", one.name, one.reason));
            }
            report.fail(&failure, |error| {
                CopyResult::refused(source, error).with_not_copied(failure.not_copied())
            });
        }
    }
    let (results, code) = report.end();
    output.document(&CopyOutput::new(results, None));
    Ok(code)
}

impl CopyArguments {
    /// What indexes are read by. Hardware and tags to fall back to decide nothing here.
    fn choosing(&self) -> ChoosingArguments {
        ChoosingArguments::of_every_entry(self.allow_private_addresses, self.max_index)
    }
}
