//! A proof that moved on to a child doesn't stay behind.
use countersign_oci::ResolvedImage;
use countersign_verify::{NotCovered, VerifiedImage};

fn both(index: VerifiedImage, child: ResolvedImage) -> Result<(VerifiedImage, VerifiedImage), NotCovered> {
    let child = index.into_child(child)?;
    Ok((index, child))
}

fn main() {
    let _ = both;
}
