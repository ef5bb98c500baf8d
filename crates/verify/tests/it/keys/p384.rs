//! A key on P-384 that signs with SHA-256, as cosign did before version 2.6, and as some key services do. OpenSSL
//! made this signature, since the sandbox's cryptography signs with SHA-384 alone.

use countersign_oci::{Repository, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{Failure, TrustedRoot, VerifiedDocument, verify_bundle};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Fixture;

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
const STATEMENT: &str = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiMWNjYjM5OWU0NGYzZTBlYzg2YmIxYTk1MDMxYzZiOWY4MWFjNzc4NjA1NTZhODFhOTBhY2I3OWJhYjgwMDVkOSJ9fV0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL3NpZ3N0b3JlLmRldi9jb3NpZ24vc2lnbi92MSIsInByZWRpY2F0ZSI6e319";
const SIGNATURE: &str = "MGQCMElPlC4ob1yf1lALga4OqHMo22rvC5H7Pu69/Gb7WEj3nsfaUA8+ZdrCKgKo0ZkkSAIwanzNgAV1F8/53abtJhpfgcENKVs+XDZK3egIGl/GUWScD5cZ17gBo8YRy0LUWKkt";
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqDqkVQs/gVXAtf+1mKXRB2s51DOZuylL
gyFGZjDPsaatNbZry47O08NBmGUf51VQfIOOKEtbCTwMI1BN1OqwDNKbiasU53MI
tFkCE8o9gLOIhjhP0xCNPCrxln8t56OY
-----END PUBLIC KEY-----
";

fn bundle() -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": STATEMENT,
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{ "sig": SIGNATURE }],
        },
    })
}

fn judge(
    bundle: &Value,
    root: &TrustedRoot,
    ignore_tlog: bool,
) -> Result<VerifiedDocument, Failure> {
    let repository: Repository = "registry.example/acme/app".parse().unwrap();
    let image = ResolvedImage::from_bytes(&repository.into(), MANIFEST.into(), None).unwrap();
    let policy = Policy::try_from(PolicySpec {
        key: Some(KEY.to_owned()),
        ignore_tlog,
        ..PolicySpec::default()
    });
    let (bundle, policy, now) = (bundle.to_string(), policy.unwrap(), Timestamp::now());
    verify_bundle(&image, bundle.as_bytes(), root, &policy, now)
}

#[test]
fn it_is_accepted_where_the_log_is_ignored_and_no_byte_of_it_may_change() {
    let root = TrustedRoot::empty().unwrap();
    let proof = judge(&bundle(), &root, true).unwrap();
    assert!(
        proof
            .evidence()
            .signer
            .to_string()
            .starts_with("key SHA-256:")
    );
    for (at, digit) in [(20, "A"), (60, "B"), (100, "C")] {
        let mut changed = bundle();
        let mut signature = SIGNATURE.to_owned();
        signature.replace_range(at..=at, digit);
        assert_ne!(signature, SIGNATURE);
        changed["dsseEnvelope"]["signatures"][0]["sig"] = signature.into();
        let failure = judge(&changed, &root, true).unwrap_err();
        assert!(matches!(failure, Failure::OtherKey { .. }), "{failure:?}");
    }
}

/// With a log it can't be checked, and the refusal says why.
#[tokio::test]
async fn with_a_log_it_is_refused_for_its_own_reason() {
    let fixture = Fixture::new().await;
    let other = fixture.sigstore.issue(&fixture.good()).unwrap();
    let mut other: Value = serde_json::from_str(&other).unwrap();
    let mut logged = bundle();
    logged["verificationMaterial"]["tlogEntries"] =
        other["verificationMaterial"]["tlogEntries"].take();
    match judge(&logged, &fixture.root, false).unwrap_err() {
        Failure::Signature { detail } => assert!(detail.contains("P-384"), "{detail}"),
        failure => panic!("{failure:?}"),
    }
}
