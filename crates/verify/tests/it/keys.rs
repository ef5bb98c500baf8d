//! Signatures by a key, as `cosign sign --key` makes them: judged as strictly as those by a certificate, but for
//! what only a certificate has.

mod attacks;
mod p384;
mod simple_signing;

use countersign_oci::ResolvedImage;
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::{
    BundleSpec, RekorVersion, SigningKey, SigningKeyKind, Sigstore, Statement,
};
use countersign_verify::{
    Evidence, Failure, RefusalKind, SignedBy, TrustedRoot, VerifiedDocument, verify_bundle,
};
use jiff::Timestamp;

use crate::support::{IDENTITY, policy_with};

const BOTH: [RekorVersion; 2] = [RekorVersion::V1, RekorVersion::V2];

struct Fixture {
    sigstore: Sigstore,
    root: TrustedRoot,
    image: ResolvedImage,
    key: SigningKey,
}

fn key(kind: SigningKeyKind) -> SigningKey {
    SigningKey::generate(kind).unwrap()
}

/// A policy with these keys' public halves.
fn accepting(key: &SigningKey, change: impl FnOnce(&mut PolicySpec)) -> Policy {
    policy_with(|spec| {
        spec.key = Some(key.public_pem());
        change(spec);
    })
}

impl Fixture {
    async fn new() -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        let root = TrustedRoot::from_json("sandbox", &sigstore.trusted_root_json()).unwrap();
        Self {
            sigstore,
            root,
            image: crate::support::image_without_layers(),
            key: key(SigningKeyKind::EcdsaP256),
        }
    }

    fn statement(&self) -> Statement {
        Statement::of(self.image.digest().clone())
    }

    fn good(&self) -> BundleSpec {
        BundleSpec::new(self.statement(), IDENTITY).signed_with(&self.key)
    }

    fn policy(&self) -> Policy {
        accepting(&self.key, |_| {})
    }

    fn ignoring(&self) -> Policy {
        accepting(&self.key, |spec| spec.ignore_tlog = true)
    }

    fn judge(&self, spec: &BundleSpec, policy: &Policy) -> Result<VerifiedDocument, Failure> {
        self.judge_text(&self.sigstore.issue(spec).unwrap(), policy)
    }

    fn judge_text(&self, bundle: &str, policy: &Policy) -> Result<VerifiedDocument, Failure> {
        let (image, now) = (&self.image, Timestamp::now());
        verify_bundle(image, bundle.as_bytes(), &self.root, policy, now)
    }

    fn failure(&self, spec: &BundleSpec, policy: &Policy) -> Failure {
        refused(self.judge(spec, policy))
    }
}

fn refused(result: Result<VerifiedDocument, Failure>) -> Failure {
    match result {
        Ok(proof) => panic!("expected a failure, found {proof:?}"),
        Err(failure) => failure,
    }
}

fn fingerprint(key: &SigningKey) -> String {
    format!("SHA-256:{}", hex::encode(key.id()))
}

#[tokio::test]
async fn a_signature_by_a_key_proves_the_key_the_log_and_the_time() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        let proof = fixture
            .judge(&fixture.good().rekor(rekor), &fixture.policy())
            .unwrap();
        assert_eq!(proof.digest(), fixture.image.digest());
        let evidence = proof.evidence();
        let SignedBy::Key { key } = &evidence.signer else {
            panic!("another signer: {evidence:?}");
        };
        assert_eq!(key.to_string(), fingerprint(&fixture.key));
        let named = format!("key {}", fingerprint(&fixture.key));
        assert_eq!(evidence.signer.to_string(), named);
        assert_eq!(evidence.signed_at.len(), 1);
        assert_eq!(evidence.earliest(), evidence.signed_at.first().copied());
        assert!(evidence.log_index.is_some() && evidence.log_id.is_some());
        let record = serde_json::to_string(evidence).unwrap();
        assert!(!record.contains("identity"), "{record}");
        let read: Evidence = serde_json::from_str(&record).unwrap();
        assert_eq!(read, *evidence);
    }
}

#[tokio::test]
async fn every_kind_of_key_is_accepted() {
    let fixture = Fixture::new().await;
    for kind in [
        SigningKeyKind::EcdsaP256,
        SigningKeyKind::EcdsaP384,
        SigningKeyKind::Ed25519,
        SigningKeyKind::Rsa2048,
    ] {
        let (own, other) = (key(kind), key(kind));
        let spec = fixture.good().signed_with(&own);
        for ignoring in [false, true] {
            let by = |key| accepting(key, |spec| spec.ignore_tlog = ignoring);
            let judged = fixture.judge(&spec, &by(&own));
            assert!(judged.is_ok(), "{kind:?}: {judged:?}");
            let failure = fixture.failure(&spec, &by(&other));
            assert!(matches!(failure, Failure::OtherKey { .. }), "{failure:?}");
        }
    }
}

/// A certificate's signature is never a key's, whatever else the policy says, and the other way round.
#[tokio::test]
async fn keys_and_certificates_never_stand_for_each_other() {
    let fixture = Fixture::new().await;
    let by_certificate = BundleSpec::new(fixture.statement(), IDENTITY);
    for policy in [fixture.policy(), fixture.ignoring()] {
        let failure = fixture.failure(&by_certificate, &policy);
        assert!(matches!(failure, Failure::CertificateForKey), "{failure:?}");
    }
    let anybody = policy_with(|spec| {
        spec.issuer_regex = Some(".*".into());
        spec.identity_regex = Some(".*".into());
    });
    let failure = fixture.failure(&fixture.good(), &anybody);
    assert!(matches!(failure, Failure::KeyForCertificate), "{failure:?}");
    // Nothing is wrong with such a signature, and it has a kind of its own.
    assert_eq!(failure.kind(), RefusalKind::OtherSigner);
    assert_eq!(Failure::CertificateForKey.kind(), RefusalKind::OtherSigner);
    assert!(RefusalKind::Invalid < RefusalKind::OtherSigner);
    assert!(RefusalKind::OtherSigner < RefusalKind::Policy);
}

#[tokio::test]
async fn a_policy_may_list_keys_and_identities() {
    let fixture = Fixture::new().await;
    let second = key(SigningKeyKind::Ed25519);
    let signer = |key: &SigningKey| countersign_policy::SignerSpec {
        key: Some(key.public_pem()),
        ..Default::default()
    };
    let policy = policy_with(|spec| {
        let somebody = countersign_policy::SignerSpec {
            issuer: Some(fixture.sigstore.issuer()),
            identity: Some(IDENTITY.into()),
            ..Default::default()
        };
        spec.identities = vec![somebody, signer(&fixture.key), signer(&second)];
    });
    let by_certificate = BundleSpec::new(fixture.statement(), IDENTITY);
    for (spec, named) in [
        (by_certificate, IDENTITY.to_owned()),
        (fixture.good(), format!("key {}", fingerprint(&fixture.key))),
        (
            fixture.good().signed_with(&second),
            format!("key {}", fingerprint(&second)),
        ),
    ] {
        let proof = fixture.judge(&spec, &policy).unwrap();
        assert_eq!(proof.evidence().signer.to_string(), named);
    }
    let stranger = fixture.good().signed_with(&key(SigningKeyKind::EcdsaP256));
    match fixture.failure(&stranger, &policy) {
        Failure::OtherKey { expected } => assert_eq!(expected.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_policy_that_ignores_the_log_needs_no_trusted_root_and_knows_no_time() {
    let fixture = Fixture::new().await;
    let bundle = fixture.sigstore.issue(&fixture.good()).unwrap();
    let judge = |policy| {
        let root = TrustedRoot::empty().unwrap();
        verify_bundle(
            &fixture.image,
            bundle.as_bytes(),
            &root,
            &policy,
            Timestamp::now(),
        )
    };
    let proof = judge(fixture.ignoring()).unwrap();
    let evidence = proof.evidence();
    assert_eq!(evidence.signed_at, []);
    assert_eq!(evidence.earliest(), None);
    assert_eq!((evidence.log_index, &evidence.log_id), (None, &None));
    let record = serde_json::to_string(evidence).unwrap();
    let read: Evidence = serde_json::from_str(&record).unwrap();
    assert_eq!(read, *evidence);
    // The empty root is good for nothing else.
    insta::assert_snapshot!(judge(fixture.policy()).unwrap_err(), @"the transparency log entry is not valid");
    let anybody = policy_with(|spec| {
        spec.issuer_regex = Some(".*".into());
        spec.identity_regex = Some(".*".into());
    });
    let by_certificate = BundleSpec::new(fixture.statement(), IDENTITY);
    let bundle = fixture.sigstore.issue(&by_certificate).unwrap();
    let root = TrustedRoot::empty().unwrap();
    let now = Timestamp::now();
    let judged = verify_bundle(&fixture.image, bundle.as_bytes(), &root, &anybody, now);
    insta::assert_snapshot!(refused(judged), @"the transparency log entry is not valid");
}

/// The root by which most checks pass says why a signature does not count, wherever it stands in the file.
#[tokio::test]
async fn the_order_of_trusted_roots_hides_no_reason() {
    let fixture = Fixture::new().await;
    let other = Sigstore::start().await.unwrap();
    let (one, other) = (
        fixture.sigstore.trusted_root_json(),
        other.trusted_root_without_logs_json(),
    );
    let later = accepting(&fixture.key, |spec| {
        spec.not_before = Some("2099-01-01T00:00:00Z".into());
    });
    let bundle = fixture.sigstore.issue(&fixture.good()).unwrap();
    for roots in [format!("{one}\n{other}"), format!("{other}\n{one}")] {
        let roots = TrustedRoot::from_json("both", &roots).unwrap();
        let (image, now) = (&fixture.image, Timestamp::now());
        let failure = refused(verify_bundle(image, bundle.as_bytes(), &roots, &later, now));
        assert!(matches!(failure, Failure::Policy(_)), "{failure:?}");
    }
}
