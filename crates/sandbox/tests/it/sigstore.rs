//! What the local Sigstore issues, judged by verifiers that know nothing of it.

use countersign_oci::Digest;
use countersign_sandbox::{RekorVersion, Sigstore, Statement};
use sigstore_sign::oidc::IdentityToken;
use sigstore_sign::rekor::RekorApiVersion;
use sigstore_sign::{SigningContext, SigningServices};
use sigstore_trust_root::{SigningConfig, TrustedRoot, TufBootstrap, TufConfig};
use sigstore_types::Bundle;
use sigstore_verify::{VerificationPolicy, VerificationResult, Verifier};

const IDENTITY: &str = "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main";

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
    let statement = Statement::of(Digest::sha256(payload)).name("registry.example/image");
    let signer = SigningContext::new(services).signer(token);
    signer
        .sign_raw_statement(&statement.to_json())
        .await
        .unwrap()
}

fn verify(
    sigstore: &Sigstore,
    artifact: &[u8],
    bundle: &Bundle,
) -> Result<VerificationResult, sigstore_verify::Error> {
    let root = TrustedRoot::from_json(&sigstore.trusted_root_json()).unwrap();
    Verifier::new(&root)
        .unwrap()
        .verify(artifact, bundle, &VerificationPolicy::any_identity())
}

#[tokio::test]
async fn an_independent_signer_signs_and_an_independent_verifier_accepts_by_rekor_v1() {
    let sigstore = Sigstore::start().await.unwrap();
    let bundle = sign(&sigstore, RekorVersion::V1, b"payload").await;

    let verified = verify(&sigstore, b"payload", &bundle).unwrap();

    assert_eq!(verified.identity().unwrap().to_string(), IDENTITY);
    assert!(verified.integrated_time().is_some());
}

#[tokio::test]
async fn an_independent_signer_signs_and_an_independent_verifier_accepts_by_rekor_v2() {
    let sigstore = Sigstore::start().await.unwrap();
    let bundle = sign(&sigstore, RekorVersion::V2, b"payload").await;

    let verified = verify(&sigstore, b"payload", &bundle).unwrap();

    assert_eq!(verified.identity().unwrap().to_string(), IDENTITY);
    assert_eq!(verified.integrated_time(), None);
    assert_eq!(verified.verified_timestamps().len(), 1);
}

#[tokio::test]
async fn the_trusted_root_and_the_signing_config_come_by_tuf() {
    let sigstore = Sigstore::start().await.unwrap();
    let config = TufConfig::custom(
        sigstore.tuf_url(),
        TufBootstrap::trusted(sigstore.tuf_root()),
    )
    .without_cache();

    let root = TrustedRoot::from_tuf(config.clone()).await.unwrap();
    let signing = SigningConfig::from_tuf(config).await.unwrap();

    let published = TrustedRoot::from_json(&sigstore.trusted_root_json()).unwrap();
    assert_eq!(root.fulcio_certs(), published.fulcio_certs());
    let fulcio = sigstore.fulcio_url();
    assert_eq!(
        signing.fulcio_url().unwrap().url,
        fulcio.as_str().trim_end_matches('/')
    );
}
