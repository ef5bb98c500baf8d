//! What a person is told of a verified image.

use countersign_oci::{Platform, Reference};
use countersign_policy::Policy;
use countersign_verify::SignedDocument;

use super::Verified;
use crate::commands::text::{key_files, proofs_text};

/// One platform of `--all-platforms`.
pub(super) fn line(
    reference: &Reference,
    platform: Option<&Platform>,
    verified: &Verified,
) -> String {
    let of = platform.map_or_else(String::new, |platform| format!(" for {platform}"));
    let digest = verified.proven.digest();
    let proofs = [&verified.evidence].into_iter().chain(&verified.further);
    let mut signers: Vec<String> = Vec::new();
    for signer in proofs.map(|proof| countersign_oci::printable(&proof.signer.to_string())) {
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    let signers = signers.join(", ");
    format!("verified {reference}{of}: {digest}, signed by {signers}\n")
}

pub(super) fn text(
    reference: &Reference,
    platform: Option<&Platform>,
    verified: &Verified,
    policy: &Policy,
) -> String {
    let of = platform.map_or_else(String::new, |platform| format!(" for {platform}"));
    let proofs = [&verified.evidence].into_iter().chain(&verified.further);
    let mut text = format!("verified {reference}{of}\n{}", proofs_text(proofs));
    let proofs = [&verified.evidence].into_iter().chain(&verified.further);
    text.push_str(&key_files(proofs, policy));
    match verified.signed {
        SignedDocument::Index => text.push_str("  by         the index's signature\n"),
        SignedDocument::Manifest => text.push_str("  by         the manifest's own signature\n"),
    }
    if let Some(manifest) = &verified.manifest {
        text.push_str(&format!("  manifest   {manifest}\n"));
    }
    text
}
