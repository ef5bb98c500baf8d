use std::path::Path;

use countersign_download::{ImageVerifier, Installer};
use countersign_oci::{Platform, Reference, ResolvedImage};

async fn unpack<V: ImageVerifier>(
    installer: Installer<V>,
    resolved: ResolvedImage,
    reference: Reference,
    platform: Platform,
) {
    let _ = installer
        .unpack(resolved, &reference, &platform, Path::new("x"), &|_| {})
        .await;
}

fn main() {}
