//! Verifies an image, then downloads its layers with code of its own.
//!
//! For programs that keep images in a form of their own and want only the proof. Everything that is
//! fetched after the proof is asked for by a digest that the proof leads to.
//!
//! ```text
//! cargo run --example own_downloader -- REFERENCE DIRECTORY POLICY TRUSTED_ROOT
//! ```
//!
//! - `REFERENCE`: the image, such as `quay.io/acme/app:v1`.
//! - `DIRECTORY`: an existing directory for the layers, each a file named by its digest.
//! - `POLICY`: a YAML file that says who must have signed.
//! - `TRUSTED_ROOT`: the `trusted_root.json` of the Sigstore instance.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::fs;
use std::path::Path;

use countersign_download::ImageVerifier;
use countersign_oci::{Document, Options, Platform, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{
    Error, TrustSource, TrustedRoot, VerifiedDocument, Verifier, verify_platform,
};
use tokio::io::AsyncWriteExt;

/// A check of one's own, stacked on the verifier. It can only refuse more: a proof comes from the
/// verifier, and from nowhere else.
struct Announcing(Verifier);

impl ImageVerifier for Announcing {
    async fn verify_document(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedDocument, Error> {
        let proof = self.0.verify_document(image, policy).await?;
        println!("{} signed {}", proof.evidence().signer, proof.digest());
        Ok(proof)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    download(&arguments).await
}

/// Verifies and downloads what the arguments name.
pub(crate) async fn download(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [reference, directory, policy, trusted_root] = arguments else {
        return Err("usage: own_downloader REFERENCE DIRECTORY POLICY TRUSTED_ROOT".into());
    };
    let policy = Policy::from_yaml(&fs::read_to_string(policy)?, policy)?;
    let registry = Registry::new(Options::default())?;
    let source = TrustSource::File {
        name: trusted_root.clone(),
        json: fs::read_to_string(trusted_root)?,
    };
    let trusted_root = TrustedRoot::load(&source, registry.connection()).await?;
    let verifier = Announcing(Verifier::new(registry.clone(), trusted_root));

    // The only time that a tag is asked for. From here on there are digests alone.
    let image = registry.resolve(&reference.parse()?).await?;
    let platform = Platform::host();
    let proven = verify_platform(&registry, &verifier, &image, &platform, &policy).await?;
    let Document::Manifest(manifest) = proven.proof().document() else {
        return Err("the image is an index of indexes".into());
    };
    let place = proven.proof().reference().location();
    for layer in &manifest.layers {
        let path = Path::new(directory).join(layer.digest.hex());
        let mut file = tokio::fs::File::create_new(&path).await?;
        // Size and digest are checked while the bytes come in.
        let progress = |bytes| println!("{}: {bytes} of {} bytes", layer.digest, layer.size);
        registry
            .fetch_blob(place, layer, &mut file, &progress)
            .await?;
        file.flush().await?;
    }
    Ok(())
}
