//! `countersign verify`: judges the very digest that each reference names.

use std::process::ExitCode;

use countersign_oci::{Document, NoSuchPlatform, Platform, Reference, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{Evidence, Verifier};
use serde_json::{Value, json};

use crate::arguments::VerifyArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::services;
use crate::trust;

/// Verifies every reference, whatever became of those before it; the exit code is that of the
/// first failure.
pub(crate) async fn run(
    arguments: VerifyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let policy = services::policy(&arguments.policy)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let registry = services::registry(&arguments.registry, environment)?;
    let trusted_root = instance.trusted_root(environment).await?;
    let verifier = Verifier::new(registry.clone(), trusted_root);

    let mut results = Vec::new();
    let mut code = ExitCode::SUCCESS;
    let mut failed = false;
    for reference in &arguments.references {
        let progress = Progress::new(output, format!("verifying {reference}"));
        let outcome = verify(
            &registry,
            &verifier,
            &policy.policy,
            reference,
            arguments.platform.as_ref(),
        )
        .await;
        drop(progress);
        match outcome {
            Ok(evidence) => {
                output.result(&text(reference, &evidence));
                results.push(
                    json!({ "reference": reference, "verified": true, "evidence": evidence }),
                );
            }
            Err(failure) => {
                output.failure(&failure);
                results.push(failed_result(reference, &failure));
                if !failed {
                    failed = true;
                    code = failure.exit_code().into();
                }
            }
        }
    }
    output.document(&json!({ "results": results }));
    Ok(code)
}

async fn verify(
    registry: &Registry,
    verifier: &Verifier,
    policy: &Policy,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Evidence, Failure> {
    let image = registry.resolve(reference).await?;
    let image = match platform {
        Some(platform) => {
            // The verifier is only asked about the manifest; a denial of the index that leads to it
            // holds all the same, as it does for an installation.
            if policy.denies(image.digest()) {
                let image = image.reference().clone();
                return Err(countersign_download::Error::Denied { image }.into());
            }
            child(registry, image, platform).await?
        }
        None => image,
    };
    Ok(verifier.verify(&image, policy).await?.evidence().clone())
}

/// Bytes of an image's configuration that are read to learn its platform.
const CONFIG_MAX: u64 = 4 << 20;

/// The manifest for `platform`, where `image` is an index; else `image` itself, if its configuration
/// does not say that it is for another platform.
async fn child(
    registry: &Registry,
    image: ResolvedImage,
    platform: &Platform,
) -> Result<ResolvedImage, Failure> {
    match image.document() {
        Document::Index(index) => {
            let descriptor = index.select(platform)?;
            let repository = image.reference().repository();
            let child = registry.child(repository, descriptor).await?;
            Ok(child.asked_as(image.asked().clone()))
        }
        Document::Manifest(manifest) => {
            let repository = image.reference().repository();
            let config = registry
                .blob(repository, &manifest.config, CONFIG_MAX)
                .await?;
            match serde_json::from_slice::<Platform>(&config) {
                Ok(found) if found.serves(platform).is_none() => {
                    Err(Failure::from(NoSuchPlatform {
                        wanted: platform.clone(),
                        available: vec![found],
                    }))
                }
                // An artifact's configuration names no platform, and contradicts none.
                _ => Ok(image),
            }
        }
    }
}

fn failed_result(reference: &Reference, failure: &Failure) -> Value {
    json!({ "reference": reference, "verified": false, "error": failure.to_json() })
}

fn text(reference: &Reference, evidence: &Evidence) -> String {
    format!("verified {reference}\n{}", super::evidence_text(evidence))
}
