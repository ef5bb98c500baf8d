//! No proof of nothing.
use countersign_verify::VerifiedImage;

fn main() {
    let _: VerifiedImage = Default::default();
}
