//! Bundles that are good in themselves, and that the policy does not accept.

use countersign_policy::{Claim, Miss, Violation};
use countersign_sandbox::BundleSpec;
use jiff::SignedDuration;

use crate::support::{IDENTITY, policy_with};
use crate::{Fixture, hours_ago};

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
        Violation::Signer(mismatch) => mismatch.nearest().unwrap().clone(),
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
    assert_eq!(proof.evidence().identity, IDENTITY);
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

#[tokio::test]
async fn every_verified_time_must_be_at_or_after_not_before() {
    let fixture = Fixture::new().await;
    let (early, bound) = (hours_ago(30), hours_ago(30) + SignedDuration::from_mins(3));
    let late = early + SignedDuration::from_mins(6);
    let policy = policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity = Some(IDENTITY.into());
        spec.not_before = Some(bound.to_string());
    });
    let signed = |logged, stamped| {
        fixture
            .good()
            .signed_at(early)
            .logged_at(logged)
            .timestamped_at(stamped)
    };
    for (logged, stamped) in [(early, late), (late, early), (early, early)] {
        assert!(matches!(
            fixture.violation(&signed(logged, stamped), &policy),
            Violation::SignedBefore { not_before, .. } if not_before == bound
        ));
    }
    let proof = fixture.judge(&signed(late, late), &policy).unwrap();
    assert!(proof.evidence().signed_at.iter().all(|at| *at >= bound));
}
