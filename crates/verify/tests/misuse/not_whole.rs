//! A proof of an index alone is none of the image: somebody has to say which of its images will be used.
use countersign_verify::{VerifiedDocument, VerifiedImage};

fn image(index: VerifiedDocument) -> VerifiedImage {
    index
}

fn main() {
    let _ = image;
}
