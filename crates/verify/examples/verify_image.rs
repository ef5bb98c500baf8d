//! Verifies one image in a registry against a policy, and prints the evidence as JSON.
//!
//! ```text
//! cargo run --example verify_image -- REFERENCE POLICY CACHE
//! ```
//!
//! - `REFERENCE`: the image, such as `quay.io/acme/app:v1`.
//! - `POLICY`: a YAML file that says who must have signed.
//! - `CACHE`: a directory for the metadata of Sigstore's public instance.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::error::Error;
use std::fs;

use countersign_oci::{Options, Reference, Registry};
use countersign_policy::Policy;
use countersign_verify::{TrustSource, TufNetwork, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reference, policy, cache] = arguments.as_slice() else {
        return Err("usage: verify_image REFERENCE POLICY CACHE".into());
    };
    let reference: Reference = reference.parse()?;
    let policy = Policy::from_yaml(&fs::read_to_string(policy)?, policy)?;
    let registry = Registry::new(Options::default())?;
    let source = TrustSource::PublicGood {
        cache: cache.into(),
        network: TufNetwork::Online,
    };
    // The only request by tag. All that follows is asked for by digest.
    let image = registry.resolve(&reference).await?;
    let verifier = Verifier::with_source(registry, source);
    let proof = verifier.verify(&image, &policy).await?;
    println!("{}", serde_json::to_string_pretty(proof.evidence())?);
    Ok(())
}
