//! Legacy signatures (simple signing): the descriptor with its annotations, and the payload.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use countersign_fuzz::Proof;
use countersign_oci::{Descriptor, Digest};
use countersign_verify::verify_simple_signing;
use libfuzzer_sys::fuzz_target;

static PROOF: LazyLock<Proof> = LazyLock::new(Proof::of_fixture);

fuzz_target!(|input: &[u8]| {
    // A line of JSON, and the payload below it.
    let end = input.iter().position(|&byte| byte == b'\n');
    let (descriptor, payload) = input.split_at(end.unwrap_or(input.len()));
    let Ok(mut layer) = serde_json::from_slice::<Descriptor>(descriptor) else {
        return;
    };
    let payload = Bytes::copy_from_slice(payload.get(1..).unwrap_or_default());
    // Else the digest alone would decide.
    layer.digest = Digest::sha256(&payload);
    layer.size = payload.len() as u64;
    let proof = &*PROOF;
    let found = verify_simple_signing(
        &proof.image,
        &layer,
        payload,
        &proof.root,
        &proof.policy,
        proof.now,
    );
    assert!(found.is_err(), "no legacy signature is in the seeds");
});
