//! Who signed: issuer, identity and claims each refuse on their own, and of several signers the
//! nearest is shown.

use countersign_policy::{CertificateClaims, Claim, Miss, Violation};
use insta::assert_snapshot;

use super::{IDENTITY, ISSUER, Signature, miss, policy, time};

#[test]
fn the_issuer_alone_refuses() {
    let violation = Signature {
        issuer: "https://accounts.google.com",
        ..Signature::good()
    }
    .refused_by(&policy(""));
    assert!(matches!(miss(&violation), Miss::Issuer(_)));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer does not match
      expected  `https://token.actions.githubusercontent.com`
      found     `https://accounts.google.com`
                         ^ first difference
    ");
}

#[test]
fn the_issuer_pattern_alone_refuses() {
    let text = format!("issuer_regex: https://token\\.actions\nidentity: {IDENTITY}");
    let violation = Signature::good().refused_by(&text);
    assert!(matches!(miss(&violation), Miss::Issuer(_)));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer does not match
      expected  a match of `https://token\.actions`
      found     `https://token.actions.githubusercontent.com`
      Only `https://token.actions` matches, and a pattern has to match the whole text.
    ");
}

#[test]
fn the_identity_alone_refuses() {
    let violation = Signature {
        identity: "https://github.com/acme/app/.github/workflows/test.yml@refs/heads/main",
        ..Signature::good()
    }
    .refused_by(&policy(""));
    let Miss::Identity(mismatch) = miss(&violation) else {
        panic!("{violation:?}");
    };
    assert!(mismatch.found.contains("test.yml"));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer matches, but the identity does not
      expected  `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3`
      found     `https://github.com/acme/app/.github/workflows/test.yml@refs/heads/main`
                                                               ^ first difference
    ");
}

#[test]
fn the_identity_pattern_alone_refuses_what_merely_extends_it() {
    let pattern = r"https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v1";
    let violation =
        Signature::good().refused_by(&format!("issuer: {ISSUER}\nidentity_regex: {pattern}"));
    assert!(matches!(miss(&violation), Miss::Identity(_)));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer matches, but the identity does not
      expected  a match of `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v1`
      found     `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3`
      Only `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1` matches, and a pattern has to match the whole text.
    ");
}

#[test]
fn an_identity_that_extends_the_expected_one_is_refused() {
    let violation = Signature {
        identity: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3-evil",
        ..Signature::good()
    }
    .refused_by(&policy(""));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer matches, but the identity does not
      expected  `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3`
      found     `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3-evil`
                                                                                           ^ first difference
    ");
}

#[test]
fn an_identity_that_is_cut_short_is_refused() {
    let violation = Signature {
        identity: "https://github.com/acme/app/.github/workflows/release.yml",
        ..Signature::good()
    }
    .refused_by(&policy(""));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer matches, but the identity does not
      expected  `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3`
      found     `https://github.com/acme/app/.github/workflows/release.yml`
                                                                          ^ first difference
    ");
}

#[test]
fn each_claim_alone_refuses() {
    for claim in Claim::ALL {
        for text in [
            policy(&format!("claims: {{{claim}: wanted}}")),
            policy(&format!("claims: {{{claim}_regex: want.+d}}")),
        ] {
            let signature = |value: Option<&str>| Signature {
                certificate: CertificateClaims::from_iter([(claim, value.map(str::to_owned))]),
                ..Signature::good()
            };
            assert_eq!(signature(Some("wanted")).judged_by(&text), Ok(()));
            for value in [Some("wanted-not"), None] {
                let violation = signature(value).refused_by(&text);
                let Miss::Claim {
                    claim: named,
                    found,
                    ..
                } = miss(&violation)
                else {
                    panic!("{violation:?}");
                };
                assert_eq!((*named, found.as_deref()), (claim, value));
            }
        }
    }
}

#[test]
fn a_claim_s_pattern_alone_refuses() {
    let text = policy("claims: {build_trigger_regex: release|schedule}");
    assert_snapshot!(Signature::good().refused_by(&text), @r"
    not by the policy's signer: issuer and identity match, but the certificate's claim build_trigger does not
      expected  a match of `release|schedule`
      found     `push`
    ");
    let missing = policy("claims: {deployment_environment_regex: .*}");
    assert_snapshot!(Signature::good().refused_by(&missing), @r"
    not by the policy's signer: issuer and identity match, but the certificate's claim deployment_environment does not
      expected  a match of `.*`
      found     no such claim
    ");
}

const ROTATION: &str = "
identities:
  - issuer: https://gitlab.com
    identity: https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main
  - issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+
    not_before: 2026-08-06T00:00:00Z
    claims: {build_trigger: push}
  - issuer: https://token.actions.githubusercontent.com
    identity: https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main
";

#[test]
fn any_one_of_several_identities_suffices() {
    assert_eq!(Signature::good().judged_by(ROTATION), Ok(()));
    let nightly = Signature {
        identity: "https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main",
        ..Signature::good()
    };
    assert_eq!(nightly.judged_by(ROTATION), Ok(()));
}

#[test]
fn issuer_and_identity_of_different_signers_do_not_mix() {
    let signature = Signature {
        issuer: "https://gitlab.com",
        ..Signature::good()
    };
    assert!(matches!(
        miss(&signature.refused_by(ROTATION)),
        Miss::Identity(_)
    ));
}

#[test]
fn the_signer_that_came_nearest_is_shown() {
    let nearest = |signature: Signature| match signature.refused_by(ROTATION) {
        Violation::Signer(mismatch) => *mismatch,
        other => panic!("{other:?}"),
    };

    let other_workflow = nearest(Signature {
        identity: "https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/dev",
        ..Signature::good()
    });
    assert_snapshot!(other_workflow, @r"
    not by any of the policy's 3 signers; the closest is number 3: the issuer matches, but the identity does not
      expected  `https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/main`
      found     `https://github.com/acme/app/.github/workflows/nightly.yml@refs/heads/dev`
                                                                                      ^ first difference
    ");

    let other_trigger = nearest(Signature {
        certificate: CertificateClaims::default(),
        ..Signature::good()
    });
    assert_snapshot!(other_trigger, @r"
    not by any of the policy's 3 signers; the closest is number 2: issuer and identity match, but the certificate's claim build_trigger does not
      expected  `push`
      found     no such claim
    ");

    let too_old = nearest(Signature {
        earliest: time("2026-08-01T00:00:00Z"),
        ..Signature::good()
    });
    assert_snapshot!(too_old, @r"
    not by any of the policy's 3 signers; the closest is number 2: the signer matches, but the signature is older than that signer's `not_before`
      expected  made at or after 2026-08-06T00:00:00Z
      found     made at 2026-08-01T00:00:00Z
    ");
}

#[test]
fn claims_at_top_level_hold_for_every_identity() {
    let text = format!("{ROTATION}claims: {{runner_environment: self-hosted}}");
    assert!(matches!(
        miss(&Signature::good().refused_by(&text)),
        Miss::Claim {
            claim: Claim::RunnerEnvironment,
            ..
        }
    ));
}

/// Whoever mends a policy sees everything that has to be mended.
#[test]
fn all_that_differs_is_told_at_once() {
    let signature = Signature {
        issuer: "https://gitlab.com",
        identity: "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
        earliest: time("2026-08-01T00:00:00Z"),
        ..Signature::good()
    };
    let text = policy(
        "not_before: 2026-08-05T00:00:00Z
min_age: 400d
claims: {build_trigger: schedule, source_repository_identifier: 1}
annotations: {tier: beta, stage: x}",
    );
    let violation = signature.refused_by(&text);
    assert!(matches!(violation.first(), Violation::Signer(_)));
    assert_snapshot!(violation, @r"
    not by the policy's signer: the issuer does not match
      expected  `https://token.actions.githubusercontent.com`
      found     `https://gitlab.com`
                         ^ first difference
    also, the identity does not match
      expected  `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3`
      found     `https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main`
                            ^ first difference
    also, the certificate's claim build_trigger does not match
      expected  `schedule`
      found     `push`
    also, the certificate's claim source_repository_identifier does not match
      expected  `1`
      found     `1234`
    also, the signature is older than the policy's `not_before`
      expected  made at or after 2026-08-05T00:00:00Z
      found     made at 2026-08-01T00:00:00Z
    also, the signed annotation stage does not match
      expected  `x`
      found     no such annotation
    also, the signed annotation tier does not match
      expected  `beta`
      found     `stable`
    ");
    // One that is a signer has to wait, too.
    let young = Signature::good().refused_by(&policy("min_age: 400d\nannotations: {tier: beta}"));
    assert!(
        matches!(young.first(), Violation::TooYoung { .. }),
        "{young}"
    );
    assert!(
        young
            .to_string()
            .contains("\nalso, the signed annotation tier"),
        "{young}"
    );
}

#[test]
fn of_several_conditions_none_is_left_out() {
    let parts: [(&str, Signature); 5] = [
        (
            "issuer",
            Signature {
                issuer: "https://gitlab.com",
                ..Signature::good()
            },
        ),
        (
            "identity",
            Signature {
                identity: "x",
                ..Signature::good()
            },
        ),
        (
            "claim",
            Signature {
                certificate: CertificateClaims::default(),
                ..Signature::good()
            },
        ),
        (
            "not_before",
            Signature {
                earliest: time("2020-01-01T00:00:00Z"),
                ..Signature::good()
            },
        ),
        (
            "annotation",
            Signature {
                annotations: Default::default(),
                ..Signature::good()
            },
        ),
    ];
    let all = Signature {
        issuer: "https://gitlab.com",
        identity: "x",
        certificate: CertificateClaims::default(),
        earliest: time("2020-01-01T00:00:00Z"),
        annotations: Default::default(),
        ..Signature::good()
    };
    let text = policy(
        "not_before: 2026-08-05T00:00:00Z\nclaims: {build_trigger: push}\nannotations: {tier: stable}",
    );
    let told = all.refused_by(&text).to_string();
    for (word, signature) in parts {
        assert!(
            signature.refused_by(&text).to_string().contains(word),
            "{word}"
        );
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(told.matches("\nalso, ").count(), 4, "{told}");
}
