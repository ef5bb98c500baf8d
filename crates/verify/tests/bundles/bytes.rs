//! No byte of a bundle is without a check, or without meaning.

use countersign_sandbox::RekorVersion;
use countersign_verify::verify_bundle;

use crate::Fixture;
use crate::support::policy_with;

/// Whichever byte of a good bundle is changed, the bundle is refused, or it proves exactly what it
/// proved before.
async fn change_every_byte(rekor: RekorVersion) {
    let fixture = Fixture::new().await;
    let policy = policy_with(|spec| {
        spec.issuer_regex = Some(".*".into());
        spec.identity_regex = Some(".*".into());
    });
    let spec = fixture.good().rekor(rekor).claim(20, "push");
    let bundle = fixture.sigstore.issue(&spec).unwrap().into_bytes();
    let judge = |bundle: &[u8]| verify_bundle(&fixture.image, bundle, &fixture.root, &policy);
    let proven = judge(&bundle).unwrap().evidence().clone();
    let mut changed = bundle.clone();
    for at in 0..bundle.len() {
        for flip in [0x01, 0x20] {
            changed[at] ^= flip;
            if let Ok(proof) = judge(&changed) {
                let context = String::from_utf8_lossy(&changed[at.saturating_sub(40)..=at]);
                assert_eq!(*proof.evidence(), proven, "byte {at} after `{context}`");
            }
            changed[at] = bundle[at];
        }
    }
}

#[tokio::test]
async fn no_byte_of_a_rekor_v1_bundle_can_be_changed_to_any_effect() {
    change_every_byte(RekorVersion::V1).await;
}

#[tokio::test]
async fn no_byte_of_a_rekor_v2_bundle_can_be_changed_to_any_effect() {
    change_every_byte(RekorVersion::V2).await;
}
