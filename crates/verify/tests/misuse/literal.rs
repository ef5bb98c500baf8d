//! Not by its fields either.
use countersign_oci::ResolvedImage;
use countersign_policy::Policy;
use countersign_verify::{Evidence, VerifiedImage};

fn proof(image: ResolvedImage, evidence: Evidence, policy: Policy) -> VerifiedImage {
    VerifiedImage { image, evidence, policy, further: Vec::new(), predicate: None, denied_children: Default::default(), index: None }
}

fn main() {
    let _ = proof;
}
