use countersign_download::{AdmittedImage, UnverifiedPermit};
use countersign_oci::ResolvedImage;

fn admit(permit: UnverifiedPermit, image: &ResolvedImage) {
    let _ = AdmittedImage::unverified(permit, image, None);
    let _ = AdmittedImage::unverified(permit, image, None);
}

fn copy(permit: &UnverifiedPermit) -> UnverifiedPermit {
    permit.clone()
}

fn main() {
    let _: UnverifiedPermit = Default::default();
}
