//! Each flaw of an issued bundle, judged by a verifier that knows nothing of the sandbox.

use countersign_oci::Digest;
use countersign_sandbox::{BundleSpec, Flaw, RekorVersion, Sigstore, Statement};
use jiff::{SignedDuration, Timestamp};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::Bundle;
use sigstore_verify::error::{CertificateError, TimestampError, TransparencyLogError};
use sigstore_verify::{Error, VerificationPolicy, VerificationResult, Verifier, bundle};

const IDENTITY: &str = "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main";
const ARTIFACT: &[u8] = b"an image";

fn spec(rekor: RekorVersion) -> BundleSpec {
    BundleSpec::new(Statement::of(Digest::sha256(ARTIFACT)), IDENTITY).rekor(rekor)
}

fn verify(sigstore: &Sigstore, spec: &BundleSpec) -> Result<VerificationResult, Error> {
    let root = TrustedRoot::from_json(&sigstore.trusted_root_json()).unwrap();
    let bundle = Bundle::from_json(&sigstore.issue(spec).unwrap()).unwrap();
    let policy = VerificationPolicy::any_identity();
    Verifier::new(&root)
        .unwrap()
        .verify(ARTIFACT, &bundle, &policy)
}

/// Why a bundle with this flaw is refused.
async fn refusal(rekor: RekorVersion, flaw: Flaw) -> Error {
    let sigstore = Sigstore::start().await.unwrap();
    verify(&sigstore, &spec(rekor).flaw(flaw)).unwrap_err()
}

macro_rules! refuses {
    ($($name:ident: $rekor:ident $flaw:expr => $error:pat),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            let error = refusal(RekorVersion::$rekor, $flaw).await;
            assert!(matches!(error, $error), "{error:?}");
        }
    )*};
}

refuses! {
    signature_of_another_payload: V1 Flaw::SignatureOfAnotherPayload
        => Error::SignatureInvalid(_),
    signature_of_another_payload_v2: V2 Flaw::SignatureOfAnotherPayload
        => Error::SignatureInvalid(_),
    public_key_instead_of_a_certificate: V1 Flaw::PublicKey
        => Error::InvalidBundle(_),
    certificate_of_an_unknown_authority: V1 Flaw::UnknownCertificateAuthority
        => Error::Certificate(CertificateError::ChainInvalid(_)),
    certificate_expired_when_logged: V1 Flaw::ExpiredCertificate
        => Error::Certificate(CertificateError::ChainInvalid(_)),
    certificate_expired_when_timestamped: V2 Flaw::ExpiredCertificate
        => Error::Certificate(CertificateError::ChainInvalid(_)),
    certificate_without_a_timestamp: V1 Flaw::NoCertificateTimestamp
        => Error::Certificate(CertificateError::Sct(_)),
    certificate_timestamp_of_an_unknown_log: V1 Flaw::CertificateTimestampOfUnknownLog
        => Error::Certificate(CertificateError::Sct(_)),
    certificate_timestamp_of_another_certificate:
        V1 Flaw::CertificateTimestampOfAnotherCertificate
        => Error::Certificate(CertificateError::Sct(_)),
    no_entry: V1 Flaw::NoEntry => Error::Bundle(bundle::Error::MissingInclusionProof(_)),
    entry_of_another_payload: V1 Flaw::EntryOfAnotherPayload
        => Error::TransparencyLog(TransparencyLogError::EntryMismatch(_)),
    entry_of_another_payload_v2: V2 Flaw::EntryOfAnotherPayload
        => Error::ArtifactMismatch(_),
    no_promise: V1 Flaw::NoPromise
        => Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)),
    promise_of_another_time: V1 Flaw::PromiseOfAnotherTime
        => Error::TransparencyLog(TransparencyLogError::InclusionPromise(_)),
    no_inclusion_proof: V1 Flaw::NoInclusionProof
        => Error::Bundle(bundle::Error::MissingInclusionProof(_)),
    wrong_inclusion_proof: V1 Flaw::WrongInclusionProof
        => Error::TransparencyLog(TransparencyLogError::InclusionProof(_)),
    wrong_inclusion_proof_v2: V2 Flaw::WrongInclusionProof
        => Error::TransparencyLog(TransparencyLogError::InclusionProof(_)),
    wrong_checkpoint_signature: V1 Flaw::WrongCheckpointSignature
        => Error::TransparencyLog(TransparencyLogError::Checkpoint(_)),
    wrong_checkpoint_signature_v2: V2 Flaw::WrongCheckpointSignature
        => Error::TransparencyLog(TransparencyLogError::Checkpoint(_)),
    checkpoint_of_an_unknown_log: V1 Flaw::CheckpointOfUnknownLog
        => Error::TransparencyLog(TransparencyLogError::Checkpoint(_)),
    checkpoint_of_an_unknown_log_v2: V2 Flaw::CheckpointOfUnknownLog
        => Error::TransparencyLog(TransparencyLogError::Checkpoint(_)),
    no_timestamp: V2 Flaw::NoTimestamp
        => Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)),
    timestamp_of_an_unknown_authority: V2 Flaw::TimestampOfUnknownAuthority
        => Error::Timestamp(TimestampError::Invalid(_)),
    timestamp_of_another_signature: V2 Flaw::TimestampOfAnotherSignature
        => Error::Timestamp(TimestampError::Invalid(_)),
}

#[tokio::test]
async fn a_bundle_without_a_flaw_is_accepted_whichever_log_has_it() {
    let sigstore = Sigstore::start().await.unwrap();
    for rekor in [RekorVersion::V1, RekorVersion::V2] {
        let verified = verify(&sigstore, &spec(rekor)).unwrap();
        assert_eq!(verified.identity().unwrap().to_string(), IDENTITY);
    }
}

/// These are left to the verifier's caller, who needs bundles to show that it looks.
#[tokio::test]
async fn what_the_verifier_leaves_to_its_caller_is_otherwise_good() {
    let sigstore = Sigstore::start().await.unwrap();
    for (rekor, flaw) in [
        (RekorVersion::V1, Flaw::RepeatedEntry(2)),
        (RekorVersion::V1, Flaw::CheckpointOfOtherTrustedLog),
        (RekorVersion::V2, Flaw::CheckpointOfOtherTrustedLog),
        (RekorVersion::V2, Flaw::RepeatedTimestamp(300)),
    ] {
        let verified = verify(&sigstore, &spec(rekor).flaw(flaw));
        assert!(verified.is_ok(), "{flaw:?}: {verified:?}");
    }
}

#[tokio::test]
async fn issuer_claims_and_times_are_those_asked_for() {
    let sigstore = Sigstore::start().await.unwrap();
    let then = Timestamp::now() - SignedDuration::from_hours(24 * 400);
    let later = then + SignedDuration::from_mins(5);
    let spec = spec(RekorVersion::V1)
        .issuer("https://token.actions.githubusercontent.com")
        .claim(12, "https://github.com/o/r")
        .signed_at(then)
        .logged_at(later);

    let verified = verify(&sigstore, &spec).unwrap();

    assert_eq!(
        verified.issuer(),
        Some("https://token.actions.githubusercontent.com")
    );
    let claims = verified.certificate().unwrap().ci_claims.clone();
    assert_eq!(
        claims.source_repository_uri.as_deref(),
        Some("https://github.com/o/r")
    );
    let logged = verified.integrated_time().unwrap();
    assert_eq!(logged.as_second(), later.as_second());
}
