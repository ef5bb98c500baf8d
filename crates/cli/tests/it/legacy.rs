//! Signatures in cosign's legacy form (simple signing), from the registry to what the program prints.

use countersign_sandbox::{
    BundleSpec, SimpleSigningPlace, push_simple_signing, simple_signing_payload,
};
use serde_json::Value;

use crate::stage::{RELEASE, Stage};

/// Signs the index in the legacy form, at the tag for it.
fn sign(stage: &Stage) {
    let reference = stage.reference("app");
    let payload = simple_signing_payload(&stage.index.digest(), &reference, &Value::Null);
    let spec = BundleSpec::new(payload, RELEASE);
    let signature = stage.sigstore.issue_simple_signing(&spec).unwrap();
    let index = stage.index.descriptor();
    let place = SimpleSigningPlace::Tag;
    push_simple_signing(&stage.registry, "app", &index, place, &[signature]);
}

#[tokio::test]
async fn a_policy_decides_whether_a_legacy_signature_counts() {
    let stage = Stage::new().await;
    sign(&stage);
    let reference = stage.reference("app:v1");
    let refused = stage.verify(&[&reference]);
    assert_eq!(refused.code, 3, "{}", refused.shown());
    for way_out in [
        "countersign sign",
        "signature_formats: [bundle, simple_signing]",
    ] {
        assert!(refused.stderr.contains(way_out), "{}", refused.stderr);
    }

    let policy = stage.policy(RELEASE) + "  signature_formats: [bundle, simple_signing]\n";
    stage.write("policy.yaml", policy);
    let accepted = stage.verify(&[&reference]);
    assert_eq!(accepted.code, 0, "{}", accepted.shown());
    assert!(
        accepted.stdout.contains("simple signing"),
        "{}",
        accepted.shown()
    );
    let json = stage.verify(&["--output", "json", &reference]).json();
    let evidence = &json["results"][0]["evidence"];
    assert_eq!(evidence["format"], "simple_signing");
    assert_eq!(evidence["subject_name"], stage.reference("app"));

    let installed = stage.install(&[&reference, "here"]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
}
