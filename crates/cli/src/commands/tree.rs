//! `countersign tree`: an image, its platforms, and what refers to each of them.
//!
//! It shows and does not judge: anybody may have made what is attached. A signer is named only if the signature
//! is genuine by the trusted root.

mod gather;
mod model;
mod text;

use std::process::ExitCode;

use clap::Args;
use countersign_oci::Reference;
use countersign_verify::Verifier;

use self::gather::Gatherer;
pub(super) use self::model::TreeOutput;
use self::model::TreeResult;
use crate::arguments::verification::VerificationArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::operand;
use crate::output::Output;
use crate::policy;
use crate::progress::Progress;
use crate::trust;

const EXAMPLE: &str = "\
Example: what is attached to an image, and what a policy says of it
  countersign tree --policy policy.yaml ghcr.io/acme/app:v1";

/// `countersign tree`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct TreeArguments {
    /// Image to show
    ///
    /// `ocifile://PATH` is an OCI image layout: a directory or a tar archive.
    #[arg(value_name = "REFERENCE", value_parser = operand::image)]
    pub(crate) reference: Reference,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

/// Reads everything that refers to the image and to what it lists, and shows it.
pub(crate) async fn run(
    arguments: TreeArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let policy = policy::if_given(&arguments.verification.policy)?;
    let instance = trust::instance(&arguments.verification.trust, policy.as_ref())?;
    let registry = connection::registry(&arguments.verification.registry, environment)?;
    let trusted_root = instance
        .trusted_root(environment, registry.connection())
        .await?;
    let verifier = Verifier::new(registry.clone(), trusted_root);
    let policy = policy.map(|loaded| loaded.policy);

    let reference = &arguments.reference;
    let progress = Progress::new(output, format!("reading what refers to {reference}"));
    let image = registry.resolve(reference).await?;
    let gatherer = Gatherer::new(&registry, &verifier, policy.as_ref());
    let image = gatherer.image(image).await?;
    drop(progress);
    let judged = policy.is_some();
    output.answer(&text::tree(reference, &image, judged));
    output.document(&TreeOutput {
        judged,
        results: vec![TreeResult {
            reference: reference.to_string(),
            image,
        }],
    });
    Ok(ExitCode::SUCCESS)
}
