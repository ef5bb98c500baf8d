//! Bundles: none but the one of the fixture may prove anything.
#![no_main]

use std::sync::LazyLock;

use countersign_fuzz::Proof;
use countersign_verify::verify_bundle;
use libfuzzer_sys::fuzz_target;

static PROOF: LazyLock<Proof> = LazyLock::new(Proof::of_fixture);

fuzz_target!(|bundle: &[u8]| {
    let proof = &*PROOF;
    let _ = verify_bundle(&proof.image, bundle, &proof.root, &proof.policy, proof.now);
    // The same with an image that nobody signed.
    let other = proof.other_image();
    let found = verify_bundle(&other, bundle, &proof.root, &proof.policy, proof.now);
    assert!(found.is_err(), "an image that nobody signed");
});
