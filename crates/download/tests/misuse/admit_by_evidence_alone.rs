use countersign_download::AdmittedImage;
use countersign_verify::Evidence;

fn admit(evidence: Evidence) {
    let _ = AdmittedImage::new(evidence);
}

fn main() {}
