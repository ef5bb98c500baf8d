//! Not by its fields either.
use countersign_oci::ResolvedImage;
use countersign_verify::{Evidence, VerifiedImage};

fn proof(image: ResolvedImage, evidence: Evidence) -> VerifiedImage {
    VerifiedImage { image, evidence, denials: Default::default() }
}

fn main() {
    let _ = proof;
}
