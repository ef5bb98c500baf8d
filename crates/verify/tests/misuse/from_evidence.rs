//! What was proven once doesn't prove it again.
use countersign_verify::{Evidence, VerifiedImage};

fn again(evidence: Evidence) -> VerifiedImage {
    evidence.into()
}

fn main() {
    let _ = again;
}
