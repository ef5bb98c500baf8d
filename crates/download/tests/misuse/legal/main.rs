//! What may be done: while this compiles, the programs beside it are refused for their misuse.

use countersign_download::{AdmittedImage, UnverifiedPermit};
use countersign_oci::{Digest, ResolvedImage};
use countersign_verify::VerifiedImage;

fn proven(proof: VerifiedImage) -> Result<AdmittedImage, String> {
    AdmittedImage::new(proof).map_err(|error| error.to_string())
}

fn permitted(permit: UnverifiedPermit, image: &ResolvedImage) -> Result<AdmittedImage, String> {
    AdmittedImage::unverified(permit, image, None).map_err(|error| error.to_string())
}

fn read(digest: &str) -> Digest {
    serde_json::from_str(digest).unwrap()
}

fn main() {
    let _ = (proven, permitted, read);
}
