//! The examples do what they say: on what a real cosign signed, and on an image in a registry.

#[expect(dead_code, reason = "the example's `main` reads a command line")]
#[path = "../../examples/verify_files.rs"]
mod verify_files;
#[expect(dead_code, reason = "the example's `main` reads a command line")]
#[path = "../../examples/verify_image.rs"]
mod verify_image;

use std::fs;

use serde_json::Value;

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH};

#[test]
fn a_bundle_is_verified_from_files() {
    let file = |name: &str| {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cosign3-real");
        format!("{fixtures}/{name}")
    };
    let signer = fs::read_to_string(file("signer.json")).unwrap();
    let signer: Value = serde_json::from_str(&signer).unwrap();
    let [issuer, identity] = ["issuer", "identity"].map(|key| signer[key].as_str().unwrap());
    let verify = |identity: &str| {
        verify_files::verify(
            &file("image.json"),
            &file("bundle.json"),
            &file("trusted_root.json"),
            issuer,
            identity,
        )
    };
    let proof = verify(identity).unwrap();
    assert_eq!(proof.evidence().signer.to_string(), identity);
    let refused = verify("somebody@example.org").unwrap_err().to_string();
    assert!(refused.contains("the identity does not"), "{refused}");
}

#[tokio::test]
async fn an_image_in_a_registry_is_verified_by_a_policy_in_a_file() {
    let stage = Stage::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let policy = format!(
        "issuer: {}\nidentity: {IDENTITY}\n",
        stage.sigstore.issuer()
    );
    fs::write(file("policy.yaml"), policy).unwrap();
    fs::write(file("root.json"), stage.sigstore.trusted_root_json()).unwrap();
    let reference = stage.scene.server.reference(&format!("{PATH}:v1")).unwrap();
    let arguments = [
        reference.to_string(),
        file("policy.yaml"),
        file("cache"),
        file("root.json"),
    ];
    let verify = || Box::pin(verify_image::verify(&arguments));
    let refused = verify().await.unwrap_err().to_string();
    assert!(refused.contains("no signature was found"), "{refused}");
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let proof = verify().await.unwrap();
    assert_eq!(proof.digest(), stage.scene.image.digest());
}
