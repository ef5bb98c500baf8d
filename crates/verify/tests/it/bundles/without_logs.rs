//! An instance without logs, as GitHub's own: the timestamp authority alone proves the time.

use countersign_policy::Violation;
use countersign_sandbox::{BundleSpec, Flaw, RekorVersion, SigningKey, SigningKeyKind, Sigstore};
use countersign_verify::{
    CertificateError, Failure, TimestampError, TrustError, TrustedRoot, VerifiedDocument,
    verify_bundle,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fixture, IDENTITY, hours_ago, refused};

fn without_logs(sigstore: &Sigstore) -> TrustedRoot {
    TrustedRoot::from_json("github", &sigstore.trusted_root_without_logs_json()).unwrap()
}

fn judge(fixture: &Fixture, bundle: &str, root: &TrustedRoot) -> Result<VerifiedDocument, Failure> {
    verify_bundle(
        &fixture.image,
        bundle.as_bytes(),
        root,
        &fixture.policy(),
        Timestamp::now(),
    )
}

fn issue(fixture: &Fixture, spec: &BundleSpec) -> String {
    fixture.sigstore.issue(spec).unwrap()
}

#[tokio::test]
async fn a_timestamp_takes_the_place_of_the_log() {
    let fixture = Fixture::new().await;
    let root = without_logs(&fixture.sigstore);
    let at = hours_ago(3);
    let bundle = issue(&fixture, &fixture.good().without_logs().signed_at(at));
    let proof = judge(&fixture, &bundle, &root).unwrap();
    let evidence = proof.evidence();
    assert_eq!((evidence.log_index, &evidence.log_id), (None, &None));
    assert_eq!(evidence.signed_at.len(), 1);
    assert_eq!(evidence.signed_at[0].as_second(), at.as_second());
}

#[tokio::test]
async fn without_log_and_without_timestamp_nothing_counts() {
    let fixture = Fixture::new().await;
    let root = without_logs(&fixture.sigstore);
    let mut bundle: Value =
        serde_json::from_str(&issue(&fixture, &fixture.good().without_logs())).unwrap();
    for none in [json!({ "rfc3161Timestamps": [] }), Value::Null] {
        bundle["verificationMaterial"]["timestampVerificationData"] = none;
        let failure = refused(judge(&fixture, &bundle.to_string(), &root));
        assert!(
            matches!(
                failure,
                Failure::Sigstore(_)
                    | Failure::Malformed { .. }
                    | Failure::Timestamp(TimestampError::NoVerifiedTimestamp(_))
            ),
            "{failure:?}"
        );
    }
    for flaw in [
        Flaw::TimestampOfUnknownAuthority,
        Flaw::TimestampOfForgedCertificate,
        Flaw::TimestampOfAnotherSignature,
    ] {
        let bundle = issue(&fixture, &fixture.good().without_logs().flaw(flaw));
        let failure = refused(judge(&fixture, &bundle, &root));
        assert!(
            matches!(failure, Failure::Timestamp(_)),
            "{flaw:?}: {failure:?}"
        );
    }
}

/// The promise of a log that nobody trusts proves no time, however good the log is elsewhere.
#[tokio::test]
async fn a_log_entry_is_refused_where_no_log_is_trusted() {
    let fixture = Fixture::new().await;
    let root = without_logs(&fixture.sigstore);
    for rekor in super::BOTH {
        let bundle = issue(&fixture, &fixture.good().rekor(rekor));
        let failure = refused(judge(&fixture, &bundle, &root));
        assert!(
            matches!(failure, Failure::EntryWithoutLog { found: 1 }),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_root_with_logs_takes_no_bundle_without_them() {
    let fixture = Fixture::new().await;
    let bundle = issue(&fixture, &fixture.good().without_logs());
    let failure = refused(judge(&fixture, &bundle, &fixture.root));
    assert!(matches!(failure, Failure::NoLogEntry), "{failure:?}");
}

#[tokio::test]
async fn all_else_is_checked_as_ever() {
    let fixture = Fixture::new().await;
    let root = without_logs(&fixture.sigstore);
    let good = || fixture.good().without_logs();
    let failure = |spec: &BundleSpec| refused(judge(&fixture, &issue(&fixture, spec), &root));
    let other =
        failure(&BundleSpec::new(fixture.statement(), "https://other.example").without_logs());
    assert!(
        matches!(&other, Failure::Policy(violation) if matches!(**violation, Violation::Signer(_))),
        "{other:?}"
    );
    let unknown = failure(&good().flaw(Flaw::UnknownCertificateAuthority));
    assert!(
        matches!(
            unknown,
            Failure::Certificate(CertificateError::ChainInvalid(_))
        ),
        "{unknown:?}"
    );
    let expired = failure(&good().flaw(Flaw::ExpiredCertificate));
    assert!(matches!(expired, Failure::Certificate(_)), "{expired:?}");
    let signature = failure(&good().flaw(Flaw::SignatureOfAnotherPayload));
    assert!(
        matches!(signature, Failure::Signature { .. }),
        "{signature:?}"
    );
}

/// A root that keeps its transparency log but lists no certificate log demands no proof of the one, and keeps
/// demanding the other.
#[tokio::test]
async fn certificates_need_not_be_logged_where_no_certificate_log_is_trusted() {
    let fixture = Fixture::new().await;
    let mut root: Value = serde_json::from_str(&fixture.sigstore.trusted_root_json()).unwrap();
    root.as_object_mut().unwrap().remove("ctlogs");
    let root = TrustedRoot::from_json("changed", &root.to_string()).unwrap();
    let unlogged = fixture.good().flaw(Flaw::NoCertificateTimestamp);
    let judged = judge(&fixture, &issue(&fixture, &unlogged), &root);
    assert!(judged.is_ok(), "{judged:?}");
    for flaw in [Flaw::NoEntry, Flaw::NoInclusionProof] {
        let failure = refused(judge(
            &fixture,
            &issue(&fixture, &fixture.good().flaw(flaw)),
            &root,
        ));
        assert!(
            matches!(failure, Failure::Sigstore(_) | Failure::NoLogEntry),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_root_needs_a_log_or_a_timestamp_authority() {
    let fixture = Fixture::new().await;
    let mut root: Value =
        serde_json::from_str(&fixture.sigstore.trusted_root_without_logs_json()).unwrap();
    root["timestampAuthorities"] = json!([]);
    match TrustedRoot::from_json("root", &root.to_string()) {
        Err(TrustError::Incomplete { missing, .. }) => assert_eq!(
            missing,
            "transparency log and no timestamp authority, so nothing can prove when a signature was made"
        ),
        other => panic!("{other:?}"),
    }
}

/// As `gh attestation trusted-root` prints them. Each root is judged by alone: what one of them doesn't demand, the
/// other still does.
#[tokio::test]
async fn several_roots_in_one_file_are_never_mixed() {
    let fixture = Fixture::new().await;
    let github = Sigstore::start().await.unwrap();
    let one_line = |json: &str| serde_json::from_str::<Value>(json).unwrap().to_string();
    let public = one_line(&fixture.sigstore.trusted_root_json());
    let lines = format!("{public}\n{}\n", github.trusted_root_without_logs_json());
    let both = TrustedRoot::from_json("both", &lines).unwrap();
    let issuer = fixture.certified_issuer();
    let spec = || fixture.good().issuer(issuer.clone());

    for rekor in super::BOTH {
        let judged = judge(&fixture, &issue(&fixture, &spec().rekor(rekor)), &both);
        assert!(judged.is_ok(), "{judged:?}");
    }
    let private = github.issue(&spec().without_logs()).unwrap();
    let judged = judge(&fixture, &private, &both);
    assert!(judged.is_ok(), "{judged:?}");

    // The public instance's certificates still need its logs, and GitHub's still no entry in them.
    let unlogged = issue(&fixture, &spec().without_logs());
    insta::assert_snapshot!(refused(judge(&fixture, &unlogged, &both)), @"expected a log entry in the bundle, found none; if GitHub signed it for a private repository, its own instance did, which has no log: then the policy needs `trust: github`");
    let logged_elsewhere = github.issue(&spec().rekor(RekorVersion::V2)).unwrap();
    insta::assert_snapshot!(refused(judge(&fixture, &logged_elsewhere, &both)), @"the time of signing is not proven");
    // A genuine public signature with the timestamp of the other instance alone.
    let mut mixed: Value = serde_json::from_str(&issue(&fixture, &spec())).unwrap();
    let stamped: Value = serde_json::from_str(&private).unwrap();
    let material = &mut mixed["verificationMaterial"];
    material["tlogEntries"] = json!([]);
    material["timestampVerificationData"] =
        stamped["verificationMaterial"]["timestampVerificationData"].clone();
    insta::assert_snapshot!(refused(judge(&fixture, &mixed.to_string(), &both)), @"expected a log entry in the bundle, found none; if GitHub signed it for a private repository, its own instance did, which has no log: then the policy needs `trust: github`");
}

#[tokio::test]
async fn a_key_may_be_stamped_too() {
    let fixture = Fixture::new().await;
    let root = without_logs(&fixture.sigstore);
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let policy = countersign_policy::Policy::try_from(countersign_policy::PolicySpec {
        key: Some(key.public_pem()),
        ..Default::default()
    })
    .unwrap();
    let judge = |bundle: &str| {
        verify_bundle(
            &fixture.image,
            bundle.as_bytes(),
            &root,
            &policy,
            Timestamp::now(),
        )
    };
    let spec = BundleSpec::new(fixture.statement(), IDENTITY).signed_with(&key);
    let stamped = issue(&fixture, &spec.clone().without_logs());
    let proof = judge(&stamped).unwrap();
    assert_eq!(proof.evidence().log_index, None);
    assert_eq!(proof.evidence().signed_at.len(), 1);
    let failure = refused(judge(&issue(&fixture, &spec)));
    assert!(
        matches!(failure, Failure::EntryWithoutLog { found: 1 }),
        "{failure:?}"
    );
    let mut bare: Value = serde_json::from_str(&stamped).unwrap();
    bare["verificationMaterial"]["timestampVerificationData"] = json!({});
    insta::assert_snapshot!(refused(judge(&bare.to_string())), @"Sigstore's verification failed");
}

#[test]
fn a_file_of_trusted_roots_has_a_bound_and_is_not_empty() {
    let github = sigstore_trust_root::SIGSTORE_GITHUB_TRUSTED_ROOT;
    TrustedRoot::from_json("github", github).unwrap();
    let public = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
    TrustedRoot::from_json("both", &format!("{public}\n{github}")).unwrap();
    for (text, expected) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        (&*github.repeat(17), "it has more than 16 trusted roots"),
    ] {
        match TrustedRoot::from_json("root", text) {
            Err(TrustError::Malformed { detail, .. }) => assert_eq!(detail, expected),
            other => panic!("{other:?}"),
        }
    }
    let cut = &github[..github.len() - 5];
    for text in [format!("{public}\n{cut}"), format!("{public} more")] {
        let parsed = TrustedRoot::from_json("root", &text);
        assert!(
            matches!(&parsed, Err(TrustError::Malformed { name, .. }) if name == "root"),
            "{parsed:?}"
        );
    }
}
