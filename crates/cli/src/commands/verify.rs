//! `countersign verify`: judges the digest that each reference names, or one platform's image of it.

use std::process::ExitCode;

use clap::Args;
use countersign_oci::{Digest, Platform, Reference, Registry};
use countersign_policy::Policy;
use countersign_verify::{Evidence, SignedDocument, Verifier, verify_platform};
use serde_json::{Value, json};

use super::text::evidence_text;
use crate::arguments::policy::PolicyArguments;
use crate::arguments::registry::RegistryArguments;
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::operand;
use crate::output::Output;
use crate::policy;
use crate::progress::Progress;
use crate::trust;

const EXAMPLE: &str = "\
Example: the release workflow of acme/app must have signed the image, for a tag
  countersign verify \\
    --issuer https://token.actions.githubusercontent.com \\
    --identity-regex 'https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+' \\
    ghcr.io/acme/app:v1";

/// `countersign verify`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct VerifyArguments {
    /// Images to verify
    ///
    /// The manifest or index that the reference names must be signed. `ocifile://PATH` is an OCI
    /// image layout: a directory or a tar archive.
    #[arg(required = true, value_name = "REFERENCE", value_parser = operand::image)]
    pub(crate) references: Vec<Reference>,

    /// Verify the image for this platform
    ///
    /// Then the index or the platform's manifest must be signed, as for `install`.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) policy: PolicyArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// Verifies every reference, whatever became of those before it; the exit code is that of the
/// first failure.
pub(crate) async fn run(
    arguments: VerifyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let policy = policy::from_arguments(&arguments.policy)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let registry = connection::registry(&arguments.registry, environment)?;
    let trusted_root = instance
        .trusted_root(environment, registry.connection())
        .await?;
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
            Ok(verified) => {
                output.result(&text(reference, &verified));
                results.push(verified_result(reference, &verified));
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

/// What was verified, and which of its documents is signed.
struct Verified {
    evidence: Evidence,
    signed: SignedDocument,
    /// The platform's manifest, where a platform was asked for.
    manifest: Option<Digest>,
}

async fn verify(
    registry: &Registry,
    verifier: &Verifier,
    policy: &Policy,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Verified, Failure> {
    let image = registry.resolve(reference).await?;
    let Some(platform) = platform else {
        let proof = verifier.verify(&image, policy).await?;
        return Ok(Verified {
            evidence: proof.evidence().clone(),
            signed: SignedDocument::of(&image),
            manifest: None,
        });
    };
    let verified = verify_platform(registry, verifier, &image, platform, policy).await?;
    let manifest = verified.proof.image();
    // An index may say anything of its children; an installation would find out.
    registry.require_platform(manifest, platform).await?;
    Ok(Verified {
        evidence: verified.proof.evidence().clone(),
        signed: verified.signed,
        manifest: Some(manifest.digest().clone()),
    })
}

fn failed_result(reference: &Reference, failure: &Failure) -> Value {
    json!({ "reference": reference, "verified": false, "error": failure.to_json() })
}

fn verified_result(reference: &Reference, verified: &Verified) -> Value {
    let mut result = json!({
        "reference": reference,
        "verified": true,
        "signed": verified.signed,
        "evidence": verified.evidence,
    });
    if let (Some(fields), Some(manifest)) = (result.as_object_mut(), &verified.manifest) {
        fields.insert("manifest".to_owned(), json!(manifest));
    }
    result
}

fn text(reference: &Reference, verified: &Verified) -> String {
    let mut text = format!(
        "verified {reference}\n{}",
        evidence_text(&verified.evidence)
    );
    match verified.signed {
        SignedDocument::Index => text.push_str("  by         the index's signature\n"),
        SignedDocument::Manifest => text.push_str("  by         the manifest's own signature\n"),
    }
    if let Some(manifest) = &verified.manifest {
        text.push_str(&format!("  manifest   {manifest}\n"));
    }
    text
}
