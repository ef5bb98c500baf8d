use std::path::Path;

use countersign_download::{AdmittedImage, ImageVerifier, Installer};
use countersign_oci::{Platform, Reference};

async fn unpack<V: ImageVerifier>(
    installer: Installer<V>,
    image: AdmittedImage,
    reference: Reference,
    platform: Platform,
) {
    for directory in ["a", "b"] {
        let _ = installer
            .unpack(image, &reference, &platform, Path::new(directory), &|_| {})
            .await;
    }
}

fn main() {}
