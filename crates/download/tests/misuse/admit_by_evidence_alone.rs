use countersign_download::AdmittedImage;
use countersign_policy::Policy;
use countersign_verify::Evidence;

fn admit(evidence: Evidence, policy: &Policy) {
    let _ = AdmittedImage::new(evidence, policy, None);
}

fn main() {}
