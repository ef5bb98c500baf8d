//! One check, one proof.
use countersign_verify::VerifiedImage;

fn twice(proof: VerifiedImage) -> (VerifiedImage, VerifiedImage) {
    (proof.clone(), proof)
}

fn main() {
    let _ = twice;
}
