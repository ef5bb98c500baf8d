//! Flux: the `verify` block of an `OCIRepository`.

use serde::Deserialize;
use serde_json::Value;

use super::{Draft, Identity, ImportError, no_word, with_signers};
use crate::spec::PolicySpec;

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    spec: Spec,
}

/// What is beside these keys says nothing about signatures.
#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    url: String,
    verify: Option<Verify>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    verify: Verify,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    #[serde(default = "cosign")]
    provider: String,
    #[serde(rename = "matchOIDCIdentity", default)]
    identities: Vec<Patterns>,
    #[serde(rename = "secretRef")]
    secret: Option<Value>,
    #[serde(rename = "trustedRootSecretRef")]
    trusted_root: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patterns {
    issuer: String,
    subject: String,
}

fn cosign() -> String {
    "cosign".to_owned()
}

pub(super) fn draft(document: Document) -> Result<Draft, ImportError> {
    let Some(verify) = document.spec.verify else {
        return Err(no_word(
            "spec.verify",
            "there is none, so nothing is verified",
        ));
    };
    let images = Some(document.spec.url).filter(|url| !url.is_empty());
    of_block(verify, images.into_iter().collect())
}

pub(super) fn block(block: Block) -> Result<Draft, ImportError> {
    of_block(block.verify, Vec::new())
}

fn of_block(verify: Verify, images: Vec<String>) -> Result<Draft, ImportError> {
    if verify.provider != "cosign" {
        let provider = countersign_oci::excerpt(&verify.provider);
        return Err(no_word(
            "verify.provider",
            format!("expected `cosign`, found `{provider}`"),
        ));
    }
    if verify.secret.is_some() {
        let reason = "the keys are in a Secret; write each as `key`";
        return Err(no_word("verify.secretRef", reason));
    }
    if verify.trusted_root.is_some() {
        let reason = "the trusted root is in a Secret; set `trust` in the new policy by hand";
        return Err(no_word("verify.trustedRootSecretRef", reason));
    }
    if verify.identities.is_empty() {
        return Err(no_word(
            "verify",
            "it accepts every identity, and a policy has to name one",
        ));
    }
    let identities = verify.identities.into_iter().enumerate();
    let signers = identities.map(|(index, patterns)| {
        let identity = Identity {
            issuer_regex: Some(patterns.issuer),
            subject_regex: Some(patterns.subject),
            ..Identity::default()
        };
        identity.signer(&format!("verify.matchOIDCIdentity[{index}]"))
    });
    Ok(Draft {
        spec: with_signers(PolicySpec::default(), signers.collect::<Result<_, _>>()?),
        images,
        notes: vec![
            "Flux accepts the legacy form and any attestation too; the policy does not".to_owned(),
        ],
    })
}
