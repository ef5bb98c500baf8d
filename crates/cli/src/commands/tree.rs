//! `countersign tree`: an image, its platforms, and what refers to each of them.
//!
//! It shows, and decides nothing: anybody may have made what is attached. A signer is named only if the signature
//! is genuine. With a policy, what is said of each digest is what `verify` says of it.

mod gather;
mod model;
mod text;
mod verdict;

use std::process::ExitCode;

use clap::Args;
use countersign_oci::Reference;
use countersign_verify::{TrustedRoot, Verifier};

use self::gather::{Gatherer, Judging};
pub(super) use self::model::TreeOutput;
use self::model::TreeResult;
use super::report::Report;
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
    let VerificationArguments {
        policy,
        trust,
        registry,
        configuration: _,
    } = &arguments.verification;
    let policy = policy::if_given(policy, environment)?;
    let by_flags = policy.as_ref().is_some_and(|loaded| loaded.file.is_none());
    let instance = trust::instance(trust, policy.as_ref(), environment)?;
    let registry = connection::registry(registry, environment)?;
    let policy = policy.map(|loaded| loaded.policy);

    let reference = &arguments.reference;
    let progress = Progress::new(output, format!("reading what refers to {reference}"));
    // First, so that a wrong name is told as what it is, whatever is wrong with the trusted root.
    let image = match registry.resolve(reference).await {
        Ok(image) => image,
        Err(error) => return Ok(failed(reference, &error.into(), None, progress, output)),
    };
    let connection = registry.connection();
    let trusted_root = match &policy {
        // Who names an instance wants to know what it says of all signatures.
        Some(policy) if !trust.name_an_instance() => {
            let loading = instance.trusted_root_for(policy, environment, connection);
            loading.await
        }
        _ => instance.trusted_root(environment, connection).await,
    };
    let (trusted_root, rootless) = match trusted_root {
        Ok(root) => (root, None),
        // What is attached can be shown all the same. The policy of a file may deny or demand more than is shown.
        Err(failure) if (policy.is_none() || by_flags) && failure.is_of_absent_root() => {
            (TrustedRoot::empty()?, Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    let verifier = Verifier::new(registry.clone(), trusted_root);
    let judging = match rootless {
        None => Judging::ByRoot(policy.as_ref()),
        Some(_) => Judging::KeysOnly(policy.as_ref()),
    };
    let gatherer = Gatherer::new(&registry, &verifier, judging);
    let image = match gatherer.image(image).await {
        Ok(image) => image,
        Err(error) => {
            return Ok(failed(
                reference,
                &error,
                rootless.as_ref(),
                progress,
                output,
            ));
        }
    };
    drop(progress);
    output.answer(&text::tree(
        reference,
        &image,
        policy.is_some(),
        rootless.as_ref(),
    ));
    output.document(&TreeOutput {
        judged: judging.by_policy().is_some(),
        trusted_root_error: rootless.as_ref().map(Failure::to_json),
        results: vec![TreeResult {
            reference: reference.to_string(),
            image: Some(image),
            error: None,
        }],
    });
    Ok(ExitCode::SUCCESS)
}

/// Tells that the image can't be shown.
fn failed(
    reference: &Reference,
    failure: &Failure,
    rootless: Option<&Failure>,
    progress: Progress,
    output: &Output,
) -> ExitCode {
    drop(progress);
    let mut report = Report::new(output);
    report.fail(failure, |error| TreeResult {
        reference: reference.to_string(),
        image: None,
        error: Some(error),
    });
    let (results, code) = report.end();
    output.document(&TreeOutput {
        judged: false,
        trusted_root_error: rootless.map(Failure::to_json),
        results,
    });
    code
}
