//! What the targets share.

pub mod archives;
pub mod layers;
pub mod oracle;
pub mod tree;

use bytes::Bytes;
use countersign_oci::{Location, Repository, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::TrustedRoot;
use jiff::Timestamp;

const IMAGE: &[u8] = include_bytes!("../../fixtures/cosign2-sandbox-v1/image.json");
const ROOT: &str = include_str!("../../fixtures/cosign2-sandbox-v1/trusted_root.json");
const POLICY: &str = include_str!("../../fixtures/cosign2-sandbox-v1/signer.json");

/// An image that is signed, and who has to have signed it.
pub struct Proof {
    pub image: ResolvedImage,
    pub root: TrustedRoot,
    pub policy: Policy,
    pub now: Timestamp,
}

impl Proof {
    pub fn of_fixture() -> Self {
        Self {
            image: image(IMAGE.to_vec()),
            root: TrustedRoot::from_json("trusted_root.json", ROOT).expect("the fixture is valid"),
            policy: Policy::from_yaml(POLICY, "signer.json").expect("the fixture is valid"),
            now: Timestamp::now(),
        }
    }

    /// An image with another digest.
    pub fn other_image(&self) -> ResolvedImage {
        let mut bytes = IMAGE.to_vec();
        bytes.push(b'\n');
        image(bytes)
    }
}

fn image(bytes: Vec<u8>) -> ResolvedImage {
    let repository: Repository = "localhost:5000/app".parse().expect("it is a name");
    ResolvedImage::from_bytes(&Location::Registry(repository), Bytes::from(bytes), None)
        .expect("the fixture is an image")
}
