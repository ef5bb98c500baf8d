//! The example that needs no network, on what a real cosign signed.

#[expect(dead_code, reason = "the example's `main` reads a command line")]
#[path = "../../examples/verify_files.rs"]
mod verify_files;

use serde_json::Value;

#[test]
fn a_bundle_is_verified_from_files() {
    let file = |name: &str| {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cosign3-real");
        format!("{fixtures}/{name}")
    };
    let signer = std::fs::read_to_string(file("signer.json")).unwrap();
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
