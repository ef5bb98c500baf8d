//! What 1 MiB can do to a reader: every hostile shape is refused for what it is, before anything
//! decodes it at a cost that grows faster than its size. `cargo xtask bench` shows the time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_sandbox::{RekorVersion, hostile_bundles};
use countersign_verify::{Certified, Failure};
use serde_json::Value;

use super::{Fixture, refused};

const BUNDLE_MAX: usize = 1 << 20;

#[tokio::test]
async fn hostile_bundles_are_refused_for_what_they_are() {
    let fixture = Fixture::new().await;
    let good = fixture.good().rekor(RekorVersion::V2);
    let good = fixture.sigstore.issue(&good).unwrap();
    let mut refusals = String::new();
    for hostile in hostile_bundles(&good) {
        assert!(hostile.bundle.len() <= BUNDLE_MAX, "{}", hostile.name);
        let outcome = match fixture.judge_text(&hostile.bundle, &fixture.policy()) {
            Ok(_) => "accepted".to_owned(),
            failed => told(&refused(failed)),
        };
        refusals.push_str(&format!("{}: {outcome}\n", hostile.name));
    }
    insta::assert_snapshot!(refusals);
}

/// A certificate that was just issued is read within the same bounds as one in a bundle.
#[tokio::test]
async fn a_hostile_certificate_is_refused_alike_outside_of_a_bundle() {
    let fixture = Fixture::new().await;
    let good = fixture.good().rekor(RekorVersion::V2);
    let good = fixture.sigstore.issue(&good).unwrap();
    let refusals: Vec<(&str, String)> = hostile_bundles(&good)
        .iter()
        .filter(|hostile| hostile.name.starts_with("a certificate"))
        .map(|hostile| {
            let bundle: Value = serde_json::from_str(&hostile.bundle).unwrap();
            let der = &bundle["verificationMaterial"]["certificate"]["rawBytes"];
            let der = BASE64.decode(der.as_str().unwrap()).unwrap();
            let refusal = Certified::read(&der).unwrap_err();
            (hostile.name, refusal.to_string())
        })
        .collect();
    insta::assert_debug_snapshot!(refusals);
}

fn told(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    // Where a bundle stops making sense depends on the length of its signatures, which varies.
    match text.split_once(" at line 1 column ") {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}
