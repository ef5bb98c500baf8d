//! The judgement: every field of a policy can refuse on its own, and says how near it was.

mod signers;

use std::collections::BTreeMap;

use countersign_oci::{Digest, Repository};
use countersign_policy::{
    CertificateClaims, Claim, Claimed, ClaimedSigner, Miss, Policy, SignatureFormat, Violation,
};
use insta::assert_snapshot;
use jiff::Timestamp;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const IDENTITY: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3";

/// What a good signature says. Each test changes one thing, or asks for one thing more.
struct Signature {
    digest: Digest,
    issuer: &'static str,
    identity: &'static str,
    certificate: CertificateClaims,
    earliest: Timestamp,
    format: SignatureFormat,
    latest: Timestamp,
    predicate_type: &'static str,
    predicate: Option<serde_json::Value>,
    annotations: BTreeMap<String, String>,
    subject_name: Option<&'static str>,
    tag: Option<&'static str>,
}

impl Signature {
    fn good() -> Self {
        Self {
            digest: Digest::sha256(b"image"),
            issuer: ISSUER,
            identity: IDENTITY,
            certificate: CertificateClaims::from_iter([
                (
                    Claim::SourceRepositoryUri,
                    Some("https://github.com/acme/app".into()),
                ),
                (Claim::SourceRepositoryIdentifier, Some("1234".into())),
                (Claim::BuildTrigger, Some("push".into())),
                (Claim::RunnerEnvironment, Some("github-hosted".into())),
                (Claim::DeploymentEnvironment, None),
            ]),
            earliest: time("2026-08-06T10:00:00Z"),
            format: SignatureFormat::Bundle,
            latest: time("2026-08-06T10:00:05Z"),
            predicate_type: countersign_policy::COSIGN_SIGN_PREDICATE,
            predicate: Some(serde_json::json!({})),
            annotations: BTreeMap::from([("tier".into(), "stable".into())]),
            subject_name: Some("ghcr.io/acme/app:v1"),
            tag: Some("v1"),
        }
    }

    fn judged_by(&self, policy: &str) -> Result<(), Violation> {
        let repository: Repository = "ghcr.io/acme/app".parse().unwrap();
        let location = repository.into();
        let policy = Policy::from_yaml(policy, "policy.yaml").unwrap();
        policy
            .judge(Claimed {
                format: self.format,
                digest: &self.digest,
                signer: ClaimedSigner::Certificate {
                    issuer: self.issuer,
                    identity: self.identity,
                    claims: &self.certificate,
                },
                earliest: Some(self.earliest),
                latest: Some(self.latest),
                now: time("2026-08-07T10:00:05Z"),
                predicate_type: self.predicate_type,
                predicate: self.predicate.as_ref(),
                annotations: &self.annotations,
                subject_name: self.subject_name,
                location: &location,
                tag: self.tag,
            })
            .map(drop)
    }

    fn refused_by(&self, policy: &str) -> Violation {
        self.judged_by(policy).unwrap_err()
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A policy that accepts the good signature, and `extra` at its end.
fn policy(extra: &str) -> String {
    format!("issuer: {ISSUER}\nidentity: {IDENTITY}\n{extra}\n")
}

fn miss(violation: &Violation) -> &Miss {
    match violation {
        Violation::Signer(mismatch) => mismatch.nearest(),
        other => panic!("{other:?}"),
    }
}

/// Each key alone is in `fields.rs` of `verify`.
#[test]
fn conditions_of_several_kinds_are_satisfied_together() {
    let several = "
not_before: 2026-08-05T00:00:00Z
min_age: 24h
claims:
  source_repository_uri: https://github.com/acme/app
  source_repository_identifier: 1234
  build_trigger_regex: push|release
predicate_types: [https://sigstore.dev/cosign/sign/v1, https://example.org/other]
annotations: {tier: stable}
bind_name: true
deny_digests: ['sha256:0000000000000000000000000000000000000000000000000000000000000000']";
    assert_eq!(Signature::good().judged_by(&policy(several)), Ok(()));
}

#[test]
fn not_before_alone_refuses_by_the_earliest_time() {
    let text = policy("not_before: 2026-08-06T10:00:03Z");
    let violation = Signature::good().refused_by(&text);
    assert_eq!(
        violation,
        Violation::SignedBefore {
            not_before: time("2026-08-06T10:00:03Z"),
            found: time("2026-08-06T10:00:00Z"),
        }
    );
    assert_snapshot!(violation, @r"
    the signature is older than the policy's `not_before`
      expected  made at or after 2026-08-06T10:00:03Z
      found     made at 2026-08-06T10:00:00Z
    ");
    let at_the_bound = policy("not_before: 2026-08-06T10:00:00Z");
    assert_eq!(Signature::good().judged_by(&at_the_bound), Ok(()));
}

#[test]
fn min_age_alone_refuses_by_the_latest_time_and_says_when_it_is_over() {
    let text = policy("min_age: 24h");
    assert_eq!(Signature::good().judged_by(&text), Ok(()));
    let signature = Signature {
        latest: time("2026-08-06T10:00:06Z"),
        ..Signature::good()
    };
    assert_snapshot!(signature.refused_by(&text), @r"
    the signature is younger than the policy's `min_age`
      expected  made at least 24h ago
      found     made at 2026-08-06T10:00:06Z; it is accepted from 2026-08-07T10:00:06Z
    ");
    // A signature from the future is no exception, and neither is one that has no end of its waiting.
    let signature = Signature {
        latest: Timestamp::MAX,
        ..Signature::good()
    };
    assert_snapshot!(signature.refused_by(&text), @r"
    the signature is younger than the policy's `min_age`
      expected  made at least 24h ago
      found     made at 9999-12-30T22:00:00Z; it is never old enough
    ");
    let policy = Policy::from_yaml(&text, "policy.yaml").unwrap();
    assert!(policy.min_age().is_some());
    assert_eq!(policy.dangerous_for_new_signature().min_age(), None);
}

#[test]
fn predicate_types_alone_refuse() {
    let signature = Signature {
        predicate_type: "https://slsa.dev/provenance/v1",
        ..Signature::good()
    };
    assert_snapshot!(signature.refused_by(&policy("")), @r"
    the statement is of a type that does not count as a signature
      expected  https://sigstore.dev/cosign/sign/v1
      found     https://slsa.dev/provenance/v1
    ");
    let text = policy("predicate_types: [https://slsa.dev/provenance/v1]");
    assert_eq!(signature.judged_by(&text), Ok(()));
    assert!(matches!(
        Signature::good().refused_by(&text),
        Violation::PredicateType { .. }
    ));
}

#[test]
fn predicate_alone_refuses() {
    let provenance = || Signature {
        predicate_type: "https://slsa.dev/provenance/v1",
        predicate: Some(serde_json::json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": { "workflow": { "ref": "refs/tags/v1-evil" } },
            },
        })),
        ..Signature::good()
    };
    let with = |rule: &str| {
        policy(&format!(
            "predicate_types: [https://slsa.dev/provenance/v1, https://sigstore.dev/cosign/sign/v1]\npredicate: {{{rule}}}"
        ))
    };
    let build_type =
        with("/buildDefinition/buildType: https://actions.github.io/buildtypes/workflow/v1");
    assert_eq!(provenance().judged_by(&build_type), Ok(()));
    let pointer = "/buildDefinition/externalParameters/workflow/ref";
    let pattern = with(&format!("{pointer}_regex: 'refs/tags/v\\d+'"));
    assert_snapshot!(provenance().refused_by(&pattern), @r"
    the predicate's /buildDefinition/externalParameters/workflow/ref does not match
      expected  a match of `refs/tags/v\d+`
      found     `refs/tags/v1-evil`
    ");
    let absent = with("/buildDefinition/externalParameters/workflow/path_regex: '.*'");
    assert_snapshot!(provenance().refused_by(&absent), @r"
    the predicate's /buildDefinition/externalParameters/workflow/path does not match
      expected  a match of `.*`
      found     nothing there: `/buildDefinition/externalParameters/workflow` is an object with `ref`
    ");
    // A signature without a statement has no predicate to ask.
    let none = Signature {
        predicate: None,
        ..Signature::good()
    };
    assert!(matches!(
        none.refused_by(&absent),
        Violation::Predicate { found, .. } if found == "no predicate"
    ));
}

#[test]
fn annotations_alone_refuse() {
    assert_snapshot!(Signature::good().refused_by(&policy("annotations: {tier: nightly}")), @r"
    the signed annotation tier does not match
      expected  `nightly`
      found     `stable`
    ");
    assert_snapshot!(Signature::good().refused_by(&policy("annotations: {team: a}")), @r"
    the signed annotation team does not match
      expected  `a`
      found     no such annotation
    ");
}

#[test]
fn bind_name_alone_refuses() {
    let named = |subject_name, tag| Signature {
        subject_name,
        tag,
        ..Signature::good()
    };
    let text = policy("bind_name: true");
    for (name, tag) in [
        (Some("ghcr.io/acme/app:v1"), Some("v1")),
        (Some("ghcr.io/acme/app:v1"), None),
        (Some("ghcr.io/acme/app"), None),
    ] {
        assert_eq!(
            named(name, tag).judged_by(&text),
            Ok(()),
            "{name:?} {tag:?}"
        );
    }
    for (name, tag) in [
        (Some("ghcr.io/acme/app:v2"), Some("v1")),
        (Some("ghcr.io/acme/app"), Some("v1")),
        (Some("ghcr.io/acme/other:v1"), Some("v1")),
        (Some("ghcr.io/acme/other"), None),
        (Some("not a name"), None),
        (None, Some("v1")),
        (None, None),
    ] {
        let violation = named(name, tag).refused_by(&text);
        assert!(
            matches!(violation, Violation::Name { .. }),
            "{name:?} {tag:?}"
        );
    }
    assert_snapshot!(named(Some("ghcr.io/acme/other:v1"), Some("v1")).refused_by(&text), @r"
    the signature is for another name, and the policy has `bind_name`
      expected  `ghcr.io/acme/app:v1`
      found     `ghcr.io/acme/other:v1`
    ");
    assert_snapshot!(named(None, None).refused_by(&text), @r"
    the signature is for another name, and the policy has `bind_name`
      expected  `ghcr.io/acme/app`
      found     no name
    ");
}

#[test]
fn deny_digests_alone_refuse() {
    let signature = Signature::good();
    let text = policy(&format!("deny_digests: ['{}']", signature.digest));
    assert_eq!(
        signature.refused_by(&text),
        Violation::DeniedDigest {
            digest: signature.digest.clone()
        }
    );
}

#[test]
fn what_a_stranger_wrote_can_t_reach_the_terminal_raw() {
    let violation = Signature {
        identity: "https://github.com/acme/app\u{1b}[2K\r\nall is well",
        ..Signature::good()
    }
    .refused_by(&policy(""));
    let text = violation.to_string();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines.len(), 4, "no line break of theirs: {text}");
    assert!(!lines.concat().chars().any(char::is_control));
}
