//! Bundles that are good in themselves, and that the policy does not accept.

use countersign_policy::{Claim, Miss, Violation};
use countersign_sandbox::{BundleSpec, RekorVersion};
use jiff::{SignedDuration, Timestamp};

use super::{BOTH, Fixture, hours_ago};
use crate::support::{IDENTITY, policy_with};

#[tokio::test]
async fn each_field_of_a_policy_refuses_on_its_own() {
    let fixture = Fixture::new().await;
    let issuer = fixture.certified_issuer();
    let refused = |change: &dyn Fn(&mut countersign_policy::PolicySpec)| {
        let policy = policy_with(|spec| {
            spec.issuer = Some(issuer.clone());
            spec.identity = Some(IDENTITY.into());
            change(spec);
        });
        fixture.violation(&fixture.good(), &policy)
    };
    let miss = |violation| match violation {
        Violation::Signer(mismatch) => mismatch.nearest().clone(),
        other => panic!("{other:?}"),
    };
    let other_issuer = miss(refused(&|spec| {
        spec.issuer = Some("https://issuer.example".into());
    }));
    assert!(matches!(other_issuer, Miss::Issuer(m) if m.found == issuer));
    let other_identity = miss(refused(&|spec| {
        spec.identity = Some("somebody@example.org".into());
    }));
    assert!(matches!(other_identity, Miss::Identity(m) if m.found == IDENTITY));
    let part = miss(refused(&|spec| {
        spec.identity = None;
        spec.identity_regex = Some("https://github.com/acme/app".into());
    }));
    assert!(matches!(part, Miss::Identity(m) if m.found == IDENTITY));
    let claim = miss(refused(&|spec| {
        spec.claims.insert("build_trigger".into(), "push".into());
    }));
    assert!(matches!(
        claim,
        Miss::Claim {
            claim: Claim::BuildTrigger,
            found: None,
            ..
        }
    ));
    assert!(matches!(
        refused(&|spec| spec.not_before = Some("2099-01-01T00:00:00Z".into())),
        Violation::SignedBefore { .. }
    ));
    assert!(matches!(
        refused(&|spec| {
            spec.annotations.insert("key".into(), "value".into());
        }),
        Violation::Annotation { found: None, .. }
    ));
    assert!(matches!(
        refused(&|spec| spec.deny_digests = vec![fixture.image.digest().to_string()]),
        Violation::DeniedDigest { .. }
    ));
    assert!(matches!(
        refused(&|spec| spec.bind_name = true),
        Violation::Name { found: None, .. }
    ));
}

#[tokio::test]
async fn an_identity_that_extends_the_one_wanted_is_refused() {
    let fixture = Fixture::new().await;
    let wanted = policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity_regex = Some("https://github\\.com/acme/app/.*".into());
    });
    let spec = |identity: &str| BundleSpec::new(fixture.statement(), identity);
    let proof = fixture.judge(&spec(IDENTITY), &wanted).unwrap();
    assert_eq!(proof.evidence().signer.to_string(), IDENTITY);
    for evil in [
        "https://github.com/acme/app-evil/.github/workflows/release.yml@refs/heads/main",
        "https://evil.example/?https://github.com/acme/app/release.yml",
        "https://githubXcom/acme/app/release.yml",
    ] {
        assert!(matches!(
            fixture.violation(&spec(evil), &wanted),
            Violation::Signer(_)
        ));
    }
}

/// Fulcio certifies the users of some issuers by an other name.
#[tokio::test]
async fn a_user_name_of_fulcio_is_an_identity() {
    let fixture = Fixture::new().await;
    let spec = BundleSpec::new(fixture.statement(), "ci!example.org");
    let policy = |identity: &str| crate::support::policy(&fixture.certified_issuer(), identity);
    let proof = fixture.judge(&spec, &policy("ci!example.org")).unwrap();
    assert_eq!(proof.evidence().signer.to_string(), "ci!example.org");
    assert!(matches!(
        fixture.violation(&spec, &policy("ci!example.net")),
        Violation::Signer(_)
    ));
}

/// Promises and timestamps can be made anew as long as the certificate is valid; its own start
/// can't. The earliest of all counts.
#[tokio::test]
async fn no_time_can_be_moved_past_not_before() {
    let fixture = Fixture::new().await;
    let (early, bound) = (hours_ago(30), hours_ago(30) + SignedDuration::from_mins(3));
    let late = early + SignedDuration::from_mins(6);
    let policy = policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity = Some(IDENTITY.into());
        spec.not_before = Some(bound.to_string());
    });
    let signed = |certified, logged, stamped| {
        fixture
            .good()
            .signed_at(certified)
            .logged_at(logged)
            .timestamped_at(stamped)
    };
    let times = [
        (early, early, early),
        (early, late, early),
        (early, early, late),
        (early, late, late),
    ];
    for rekor in BOTH {
        for (certified, logged, stamped) in times {
            let spec = signed(certified, logged, stamped).rekor(rekor);
            let violation = fixture.violation(&spec, &policy);
            let certified = Timestamp::from_second(certified.as_second()).unwrap();
            assert!(
                matches!(
                    violation,
                    Violation::SignedBefore { not_before, found }
                        if not_before == bound && found == certified
                ),
                "{violation:?}"
            );
        }
        let spec = signed(late, late, late).rekor(rekor);
        let proof = fixture.judge(&spec, &policy).unwrap();
        assert!(proof.evidence().earliest().unwrap() >= bound);
    }
}

/// What records keep for telling older from newer.
#[tokio::test]
async fn a_signature_stamped_anew_is_no_newer_than_before() {
    let fixture = Fixture::new().await;
    let certified = hours_ago(30);
    let stamped_after = |minutes| {
        let stamped = certified + SignedDuration::from_mins(minutes);
        let spec = fixture.good().rekor(RekorVersion::V2).signed_at(certified);
        let proof = fixture
            .judge(&spec.timestamped_at(stamped), &fixture.policy())
            .unwrap();
        proof.evidence().clone()
    };
    let (first, anew) = (stamped_after(1), stamped_after(9));
    assert!(first.signed_at < anew.signed_at);
    assert_eq!(first.earliest(), anew.earliest());
    let holder = first.signer.certificate().unwrap();
    assert_eq!(first.earliest(), Some(holder.certificate_not_before));
}
