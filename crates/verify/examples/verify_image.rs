//! Verifies one image in a registry against a policy, and prints the evidence as JSON.
//!
//! ```text
//! cargo run --example verify_image -- REFERENCE POLICY CACHE [TRUSTED_ROOT]
//! ```
//!
//! - `REFERENCE`: the image, such as `quay.io/acme/app:v1`.
//! - `POLICY`: a YAML file that says who must have signed.
//! - `CACHE`: a directory for the metadata of Sigstore's public instance.
//! - `TRUSTED_ROOT`: a `trusted_root.json` of another Sigstore instance, to use instead.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::error::Error;
use std::fs;

use countersign_oci::{Options, Reference, Registry};
use countersign_policy::Policy;
use countersign_verify::{TrustSource, TufNetwork, VerifiedImage, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let proof = verify(&arguments).await?;
    println!("{}", serde_json::to_string_pretty(proof.evidence())?);
    Ok(())
}

/// Proves that the image that the arguments name meets their policy.
pub(crate) async fn verify(arguments: &[String]) -> Result<VerifiedImage, Box<dyn Error>> {
    let ([reference, policy, cache], trusted_root) = match arguments {
        [reference, policy, cache] => ([reference, policy, cache], None),
        [reference, policy, cache, root] => ([reference, policy, cache], Some(root)),
        _ => return Err("usage: verify_image REFERENCE POLICY CACHE [TRUSTED_ROOT]".into()),
    };
    let reference: Reference = reference.parse()?;
    let policy = Policy::from_yaml(&fs::read_to_string(policy)?, policy)?;
    let registry = Registry::new(Options::default())?;
    let source = match trusted_root {
        Some(file) => TrustSource::File {
            name: file.clone(),
            json: fs::read_to_string(file)?,
        },
        None => TrustSource::PublicGood {
            cache: cache.into(),
            network: TufNetwork::Online,
        },
    };
    // The only request by tag. All later requests are by digest.
    let image = registry.resolve(&reference).await?;
    let verifier = Verifier::with_source(registry, source);
    Ok(verifier.verify(&image, &policy).await?)
}
