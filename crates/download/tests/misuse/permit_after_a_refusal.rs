use countersign_download::UnverifiedPermit;
use countersign_verify::Error;

fn permit(error: Error) -> UnverifiedPermit {
    error.into()
}

fn main() {}
