//! `countersign copy`: an image that a policy accepts, carried to another registry or into an image layout
//! with its proof.

mod document;
mod one;
mod target;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_oci::{Platform, Reference};

use crate::arguments::verification::VerificationArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use crate::verification::Verification;
use document::{CopyResult, text};
use one::Copying;
use target::Target;

pub(super) use document::CopyOutput;

const EXAMPLE: &str = "\
Example: into a registry of your own, under the same tag
  countersign copy --policy policy.yaml ghcr.io/acme/app:v1 registry.internal/acme/app

Example: into an image layout, to carry it by hand, and from there into a registry
  countersign copy --policy policy.yaml ghcr.io/acme/app:v1 ocifile://app.tar
  countersign copy --policy policy.yaml ocifile://app.tar registry.internal/acme/app:v1";

/// `countersign copy`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct CopyArguments {
    /// Image to copy
    ///
    /// The manifest or index that it names must be signed. `ocifile://PATH` is an OCI image layout: a
    /// directory or a tar archive. `ocifile://PATH@DIGEST` is one of several images in it.
    #[arg(value_name = "SOURCE", value_parser = operand::image)]
    pub(crate) source: Reference,

    /// Where to copy it to: NAME, NAME:TAG or `ocifile://PATH`
    ///
    /// Without a tag, the copy gets the tag of the source. If the source is named by its digest, or is
    /// a layout, no tag is written.
    ///
    /// `ocifile://FILE.tar` makes a new archive. Any other path is a directory: a layout, to which the
    /// image is added, or a new or empty directory.
    #[arg(value_name = "DESTINATION", value_parser = Target::parse)]
    pub(crate) destination: Target,

    /// Copy only these platforms of an index; repeat it for several
    ///
    /// The index stays as it is, and so do its digest and its signatures. It lists images that the
    /// destination does not have then. Some registries refuse that.
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platforms: Vec<Platform>,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

/// Verifies, copies, verifies again, and writes the tag.
pub(crate) async fn run(
    arguments: CopyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Verification {
        policy,
        registry,
        trusted_root,
    } = Verification::new(&arguments.verification, environment).await?;
    let source = &arguments.source;
    let destination = arguments.destination.clone().or_tag_of(source);
    let progress = Arc::new(Progress::new(output, format!("verifying {source}")));
    let copied = Copying {
        registry,
        trusted_root,
        platforms: &arguments.platforms,
        progress: Arc::clone(&progress),
    }
    .image(source, &policy, &destination)
    .await?;
    drop(progress);
    for one in &copied.not_copied {
        output.warning(&format!("not copied: {}: {}", one.name, one.reason));
    }
    output.result(&text(source, &copied));
    output.document(&CopyOutput {
        results: vec![CopyResult::new(source, &copied)],
    });
    Ok(ExitCode::SUCCESS)
}
