//! What the local Sigstore issues, judged by verifiers that know nothing of it.

use countersign_sandbox::{RekorVersion, Sigstore};
use sigstore_sign::oidc::IdentityToken;
use sigstore_sign::rekor::RekorApiVersion;
use sigstore_sign::{SigningContext, SigningServices};
use sigstore_types::Bundle;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::{VerificationPolicy, Verifier};

const IDENTITY: &str = "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main";

fn statement(payload: &[u8]) -> Vec<u8> {
    let digest = countersign_oci::Digest::sha256(payload);
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"x","digest":{{"sha256":"{}"}}}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}"#,
        digest.hex()
    )
    .into_bytes()
}

async fn sign(sigstore: &Sigstore, version: RekorVersion, payload: &[u8]) -> Bundle {
    let version_of_api = match version {
        RekorVersion::V1 => RekorApiVersion::V1,
        RekorVersion::V2 => RekorApiVersion::V2,
    };
    let mut services = SigningServices::new(sigstore.fulcio_url(), sigstore.rekor_url(version))
        .with_rekor(sigstore.rekor_url(version), version_of_api);
    if version == RekorVersion::V2 {
        services = services.with_tsa_url(sigstore.tsa_url());
    }
    let token = IdentityToken::from_jwt(&sigstore.token(IDENTITY)).unwrap();
    let signer = SigningContext::new(services).signer(token);
    signer
        .sign_raw_statement(&statement(payload))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_independent_signer_signs_and_an_independent_verifier_accepts_by_rekor_v1() {
    let sigstore = Sigstore::start().await.unwrap();
    let bundle = sign(&sigstore, RekorVersion::V1, b"payload").await;

    let root = TrustedRoot::from_json(&sigstore.trusted_root_json()).unwrap();
    let verified = Verifier::new(&root)
        .unwrap()
        .verify(
            b"payload".as_slice(),
            &bundle,
            &VerificationPolicy::any_identity(),
        )
        .unwrap();

    assert_eq!(verified.identity().unwrap().to_string(), IDENTITY);
}
