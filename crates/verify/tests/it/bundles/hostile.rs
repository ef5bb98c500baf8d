//! What 1 MiB can do to a reader: every hostile shape is refused for what it is, before anything
//! decodes it at a cost that grows faster than its size. `cargo xtask bench` shows the time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_sandbox::{RekorVersion, hostile_bundles};
use countersign_verify::{CertificateContent, Failure};
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
    insta::assert_snapshot!(refusals, @r#"
    a certificate whose name is one huge set: the certificate is too large: found 700053 bytes, the limit is 16384
    a certificate whose name is one large set: too many elements in one part of the certificate: found 1230, the limit is 16
    a certificate whose name is of many sets: too many elements in one part of the certificate: found 60, the limit is 16
    a certificate whose name is of many small sets: the certificate is not trusted: malformed certificate: failed to parse certificate: Certificate error: failed to parse certificate: ASN.1 DER message is incomplete: expected 12696, actual 12695 at DER byte 38073
    a certificate of nothing but depth: too many levels in the certificate: found 33, the limit is 32
    a certificate of zeros: the certificate is too large: found 700000 bytes, the limit is 16384
    a timestamp with one huge set: a timestamp is too large: found 700061 bytes, the limit is 16384
    eight timestamps with a large set of algorithms: too many elements in one part of a timestamp: found 842, the limit is 16
    eight timestamps with a large set of certificates: too many elements in one part of a timestamp: found 2000, the limit is 16
    eight timestamps with a large set of attributes: too many elements in one part of a timestamp: found 2666, the limit is 16
    eight timestamps with large sets in their content: too many elements in one part of a timestamp: found 1230, the limit is 16
    thirty thousand timestamps: too many timestamps: found 30000, the limit is 8
    eight genuine timestamps with certificates of many sets: too many elements in one part of a timestamp: found 60, the limit is 16
    eight genuine timestamps with certificates of many small sets: the timestamp is malformed: it contains a certificate that is not in the trusted root
    a checkpoint with 9,400 signatures: a checkpoint is too large: found 1005965 bytes, the limit is 65536
    a checkpoint with 3,000 short signatures: too many signatures on a checkpoint: found 3001, the limit is 16
    a checkpoint with 15 forged signatures: accepted
    a checkpoint of one huge line: a checkpoint is too large: found 700000 bytes, the limit is 65536
    a checkpoint of empty lines: a checkpoint is too large: found 400000 bytes, the limit is 65536
    three hundred log entries: too many log entries: found 300, the limit is 8
    three hundred thousand hashes in an inclusion proof: too many hashes in an inclusion proof: found 300000, the limit is 64
    a huge hash in an inclusion proof: a hash in an inclusion proof is too large: found 700000 bytes, the limit is 32
    a huge body of a log entry: a log entry's body is too large: found 700000 bytes, the limit is 16384
    a huge log ID: a log's ID is too large: found 700000 bytes, the limit is 32
    a huge number: the bundle is malformed: invalid value: other text, expected a number without sign and leading zeros
    a huge signature: the signature is too large: found 700000 bytes, the limit is 8192
    ninety thousand signatures: too many signatures in the envelope: found 90000, the limit is 1
    a payload that is one huge text: the in-toto statement is malformed: invalid type: string "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    a payload of nothing but depth: the in-toto statement is malformed: EOF while parsing a list
    a statement about many subjects: expected a statement about 1 subject, found 6000
    a statement with many annotations: too many annotations of the subject: found 40000, the limit is 256
    a statement with a huge predicate: the signature is invalid: DSSE signature verification failed: Verification error: ECDSA_P256_SHA256 signature invalid
    depth where nothing is known: the bundle is malformed: unknown field `x`, expected one of `mediaType`, `verificationMaterial`, `dsseEnvelope`, `messageSignature`
    many fields that nobody knows: the bundle is malformed: unknown field `x0`, expected one of `mediaType`, `verificationMaterial`, `dsseEnvelope`, `messageSignature`
    white space: accepted
    "#);
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
            let refusal = CertificateContent::read(&der).unwrap_err();
            (hostile.name, refusal.to_string())
        })
        .collect();
    insta::assert_debug_snapshot!(refusals, @r#"
    [
        (
            "a certificate whose name is one huge set",
            "the certificate is too large: found 700053 bytes, the limit is 16384",
        ),
        (
            "a certificate whose name is one large set",
            "too many elements in one part of the certificate: found 1230, the limit is 16",
        ),
        (
            "a certificate whose name is of many sets",
            "too many elements in one part of the certificate: found 60, the limit is 16",
        ),
        (
            "a certificate whose name is of many small sets",
            "the certificate is malformed: Certificate error: failed to parse certificate: ASN.1 DER message is incomplete: expected 12696, actual 12695 at DER byte 38073",
        ),
        (
            "a certificate of nothing but depth",
            "too many levels in the certificate: found 33, the limit is 32",
        ),
        (
            "a certificate of zeros",
            "the certificate is too large: found 700000 bytes, the limit is 16384",
        ),
    ]
    "#);
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
