use countersign_download::UnverifiedPermit;
use countersign_verify::Refusal;

fn permit(refusal: Refusal) -> UnverifiedPermit {
    UnverifiedPermit {
        digest: refusal.image.digest().clone(),
    }
}

fn main() {}
