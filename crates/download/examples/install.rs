//! Installs one image, if a signature on it meets a policy, and shows the progress.
//!
//! ```text
//! cargo run --example install -- REFERENCE DIRECTORY POLICY CACHE [TRUSTED_ROOT]
//! ```
//!
//! - `REFERENCE`: the image, such as `quay.io/acme/app:v1`.
//! - `DIRECTORY`: where to unpack it. It must be missing, empty, or an earlier installation; the
//!   directory above it must exist.
//! - `POLICY`: a YAML file that says who must have signed.
//! - `CACHE`: a directory for the metadata of Sigstore's public instance.
//! - `TRUSTED_ROOT`: a `trusted_root.json` of another Sigstore instance, to use instead.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::error::Error;
use std::fs;
use std::path::Path;

use countersign_download::{Event, InstallRequest, Installer, Outcome, Plan};
use countersign_oci::{Options, Platform, Registry};
use countersign_policy::Policy;
use countersign_verify::{TrustSource, TrustedRoot, TufNetwork, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    install(&arguments).await
}

/// Installs what the arguments name.
pub(crate) async fn install(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (image, trusted_root) = match arguments {
        [reference, directory, policy, cache] => ([reference, directory, policy, cache], None),
        [reference, directory, policy, cache, root] => {
            ([reference, directory, policy, cache], Some(root))
        }
        _ => return Err("usage: install REFERENCE DIRECTORY POLICY CACHE [TRUSTED_ROOT]".into()),
    };
    let [reference, directory, policy, cache] = image;

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
    let trusted_root = TrustedRoot::load(&source, registry.connection()).await?;
    let installer = Installer::new(registry.clone(), Verifier::new(registry, trusted_root));

    let plan = Plan::of_image(reference.parse()?, policy);
    let (platform, directory) = (Platform::host(), Path::new(directory));
    let request = InstallRequest::new(&plan, &platform).with_events(&show);
    let outcome = installer.install(request, directory).await?;
    match outcome {
        Outcome::Installed { installed, .. } => {
            println!("installed {}: {} files", installed.digest, installed.files);
        }
        Outcome::Unchanged { recorded, .. } => println!("{} is up to date", recorded.digest),
    }
    Ok(())
}

/// Prints what happens. It is called from several threads, and must not take long.
fn show(event: Event) {
    match event {
        Event::Resolved { digest } => println!("the image is {digest}"),
        Event::Verified { digest } => println!("the signature on {digest} is accepted"),
        Event::LayerProgress {
            digest,
            bytes,
            size,
        } => println!("{digest}: {bytes} of {size} bytes"),
        Event::LayerExtracted { digest } => println!("{digest} is unpacked"),
        _ => {}
    }
}
