//! Verifies a signature from files, without a network, and prints the evidence as JSON.
//!
//! ```text
//! cargo run --example verify_files -- MANIFEST BUNDLE TRUSTED_ROOT ISSUER IDENTITY
//! ```
//!
//! - `MANIFEST`: the signed manifest or index, byte for byte as the registry keeps it.
//! - `BUNDLE`: the signature, a Sigstore bundle of version 0.3.
//! - `TRUSTED_ROOT`: a `trusted_root.json`.
//! - `ISSUER`, `IDENTITY`: who must have signed.
//!
//! The files in `fixtures/cosign3-real` are such a signature by a real cosign.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::error::Error;
use std::fs;

use countersign_oci::{Repository, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{TrustedRoot, VerifiedDocument, verify_bundle};
use jiff::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [manifest, bundle, trusted_root, issuer, identity] = arguments.as_slice() else {
        let usage = "usage: verify_files MANIFEST BUNDLE TRUSTED_ROOT ISSUER IDENTITY";
        return Err(usage.into());
    };
    let proof = verify(manifest, bundle, trusted_root, issuer, identity)?;
    println!("{}", serde_json::to_string_pretty(proof.evidence())?);
    Ok(())
}

/// Proves that `identity`, whom `issuer` vouches for, signed the manifest.
pub(crate) fn verify(
    manifest: &str,
    bundle: &str,
    trusted_root: &str,
    issuer: &str,
    identity: &str,
) -> Result<VerifiedDocument, Box<dyn Error>> {
    let policy = Policy::try_from(PolicySpec {
        issuer: Some(issuer.to_owned()),
        identity: Some(identity.to_owned()),
        ..PolicySpec::default()
    })?;
    let root = TrustedRoot::from_json(trusted_root, &fs::read_to_string(trusted_root)?)?;
    // The digest is computed from the bytes. The repository's name is for messages alone, unless the
    // policy binds names.
    let repository: Repository = "registry.example/app".parse()?;
    let image = ResolvedImage::from_bytes(&repository.into(), fs::read(manifest)?.into(), None)?;
    let bundle = fs::read(bundle)?;
    Ok(verify_bundle(
        &image,
        &bundle,
        &root,
        &policy,
        Timestamp::now(),
    )?)
}
