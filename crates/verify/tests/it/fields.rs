//! Every field of a policy, as it is written in a file, against one real signature: with the right
//! value it accepts, with another it refuses, alone.

use std::collections::BTreeSet;

use countersign_oci::{Digest, Reference};
use countersign_policy::{Claim, Miss, Policy, PolicyFile, Trust, Violation};
use countersign_sandbox::{BundleSpec, SigningKey, SigningKeyKind, Sigstore, Statement};
use countersign_verify::{Evidence, Failure, TrustedRoot, judge_digest};
use jiff::{Timestamp, ToSpan as _};

use crate::field_names::{fields_of_a_policy, fields_of_a_signer};

const IDENTITY: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const COSIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The first of Fulcio's extensions that are claims; the others follow in order of [`Claim::ALL`].
const FIRST_CLAIM: u32 = 9;

/// A signature with a value for everything that a policy can ask for.
struct Signed {
    root: TrustedRoot,
    issuer: String,
    digest: Digest,
    asked: Reference,
    bundle: String,
}

impl Signed {
    async fn new() -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        let digest = Digest::sha256(b"image");
        let statement = Statement::of(digest.clone())
            .predicate(COSIGN, serde_json::json!({ "kind": "release" }))
            .name("ghcr.io/acme/app:v1")
            .annotation("tier", "stable");
        // Neither new nor old.
        let signed_at = Timestamp::now() - 2.hours();
        let mut spec = BundleSpec::new(statement, IDENTITY).signed_at(signed_at);
        for (number, claim) in (FIRST_CLAIM..).zip(Claim::ALL) {
            spec = spec.claim(number, value(claim));
        }
        let issuer = sigstore.issuer();
        Self {
            root: TrustedRoot::from_json("sandbox", &sigstore.trusted_root_json()).unwrap(),
            issuer,
            bundle: sigstore.issue(&spec).unwrap(),
            digest,
            asked: "ghcr.io/acme/app:v1".parse().unwrap(),
        }
    }

    fn judged_by(&self, policy: &str) -> Result<Evidence, Failure> {
        self.judged_as(&self.asked, &self.root, policy)
    }

    fn judged_as(
        &self,
        asked: &Reference,
        root: &TrustedRoot,
        policy: &str,
    ) -> Result<Evidence, Failure> {
        let policy = Policy::from_yaml(policy, "policy.yaml").unwrap();
        judge_digest(
            &self.digest,
            asked,
            self.bundle.as_bytes(),
            root,
            &policy,
            Timestamp::now(),
        )
    }

    /// The signer as the policy must name it, and `extra`.
    fn signer_and(&self, extra: &str) -> String {
        format!("issuer: {}\nidentity: {IDENTITY}\n{extra}\n", self.issuer)
    }

    fn accepted(&self, policy: &str) {
        let judged = self.judged_by(policy);
        assert!(judged.is_ok(), "{policy}{judged:?}");
    }

    fn violation(&self, policy: &str) -> Violation {
        match self.judged_by(policy) {
            Err(Failure::Policy(violation)) => *violation,
            other => panic!("{policy}{other:?}"),
        }
    }

    fn miss(&self, policy: &str) -> Miss {
        match self.violation(policy) {
            Violation::Signer(mismatch) => mismatch.nearest().clone(),
            other => panic!("{policy}{other:?}"),
        }
    }
}

/// Another value for each claim, so that none can stand for another.
fn value(claim: Claim) -> String {
    format!("value of {claim}")
}

#[tokio::test]
async fn issuer_and_identity_and_their_patterns_refuse() {
    let signed = Signed::new().await;
    let issuer = &signed.issuer;
    signed.accepted(&signed.signer_and(""));
    signed.accepted(&format!("issuer_regex: {issuer}\nidentity_regex: .+\n"));
    for other in [
        format!("issuer: {issuer}0\nidentity: {IDENTITY}\n"),
        format!("issuer_regex: {issuer}0\nidentity: {IDENTITY}\n"),
        format!("issuer_regex: http\nidentity: {IDENTITY}\n"),
    ] {
        assert!(matches!(signed.miss(&other), Miss::Issuer(_)), "{other}");
    }
    for other in [
        format!("issuer: {issuer}\nidentity: {IDENTITY}0\n"),
        format!("issuer: {issuer}\nidentity_regex: {IDENTITY}0\n"),
        format!("issuer: {issuer}\nidentity_regex: https://github.com/acme/app\n"),
    ] {
        assert!(matches!(signed.miss(&other), Miss::Identity(_)), "{other}");
    }
}

#[tokio::test]
async fn identities_refuse_whom_none_of_them_names() {
    let signed = Signed::new().await;
    let issuer = &signed.issuer;
    let stranger = format!("{{issuer: '{issuer}', identity: ci@example}}");
    let signer = |extra: &str| format!("{{issuer: '{issuer}', identity: '{IDENTITY}'{extra}}}");
    signed.accepted(&format!("identities: [{stranger}, {}]\n", signer("")));
    let nobody = format!("identities: [{stranger}]\n");
    assert!(matches!(signed.miss(&nobody), Miss::Identity(_)));

    let late = signer(", not_before: 2099-01-01T00:00:00Z");
    let late = format!("identities: [{late}]\n");
    assert!(matches!(signed.miss(&late), Miss::SignedBefore { .. }));
    let claim = signer(", claims: {build_trigger: schedule}");
    let claim = format!("identities: [{claim}]\n");
    assert!(matches!(signed.miss(&claim), Miss::Claim { .. }));
}

#[tokio::test]
async fn each_claim_is_read_from_its_own_extension_and_refuses() {
    let signed = Signed::new().await;
    for claim in Claim::ALL {
        let text = value(claim);
        for (key, right) in [
            (claim.to_string(), text.clone()),
            (format!("{claim}_regex"), "value of .+".to_owned()),
        ] {
            let policy = |value: &str| signed.signer_and(&format!("claims: {{{key}: {value}}}"));
            signed.accepted(&policy(&right));
            let Miss::Claim {
                claim: missed,
                found,
                ..
            } = signed.miss(&policy("value"))
            else {
                panic!("{key}");
            };
            assert_eq!((missed, found.as_ref()), (claim, Some(&text)));
        }
    }
}

#[tokio::test]
async fn not_before_annotations_name_and_denied_digests_refuse() {
    let signed = Signed::new().await;
    let digest = signed.digest.to_string();
    let other = Digest::sha256(b"other").to_string();
    for (field, right, wrong) in [
        ("not_before", "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"),
        ("annotations", "{tier: stable}", "{tier: nightly}"),
        (
            "deny_digests",
            &*format!("['{other}']"),
            &*format!("['{digest}']"),
        ),
    ] {
        signed.accepted(&signed.signer_and(&format!("{field}: {right}")));
        let violation = signed.violation(&signed.signer_and(&format!("{field}: {wrong}")));
        let named = match violation {
            Violation::SignedBefore { .. } => "not_before",
            Violation::Annotation { .. } => "annotations",
            Violation::DeniedDigest { .. } => "deny_digests",
            other => panic!("{other:?}"),
        };
        assert_eq!(named, field);
    }

    let bound = signed.signer_and("bind_name: true");
    signed.accepted(&bound);
    for other in ["ghcr.io/acme/app:v2", "ghcr.io/acme/other:v1"] {
        let judged = signed.judged_as(&other.parse().unwrap(), &signed.root, &bound);
        let Err(Failure::Policy(violation)) = judged else {
            panic!("{judged:?}");
        };
        assert!(matches!(*violation, Violation::Name { .. }));
    }
}

#[tokio::test]
async fn predicate_types_refuse_what_is_no_signature_by_them() {
    let signed = Signed::new().await;
    signed.accepted(&signed.signer_and(&format!("predicate_types: [{COSIGN}]")));
    let other = "predicate_types: [https://slsa.dev/provenance/v1]";
    match signed.judged_by(&signed.signer_and(other)) {
        Err(Failure::Attestation { expected, found }) => {
            assert_eq!(expected, ["https://slsa.dev/provenance/v1"]);
            assert_eq!(found, COSIGN);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_trusted_root_refuses() {
    let signed = Signed::new().await;
    let other = Signed::new().await;
    let judged = signed.judged_as(&signed.asked, &other.root, &signed.signer_and(""));
    let Err(failure) = judged else {
        panic!("{judged:?}");
    };
    assert_eq!(failure.kind(), countersign_verify::RefusalKind::Invalid);
}

#[tokio::test]
async fn trust_refuses_every_root_but_the_one_that_was_loaded_for_it() {
    let signed = Signed::new().await;
    let text = signed.signer_and("trust: {trusted_root: ours.json}");
    let trust = |file: &str| Trust::TrustedRoot { file: file.into() };
    for root in [
        signed.root.clone(),
        signed.root.clone().for_trust(trust("theirs.json")),
    ] {
        let judged = signed.judged_as(&signed.asked, &root, &text);
        assert!(matches!(judged, Err(Failure::OtherTrust)), "{judged:?}");
    }
    let loaded = signed.root.clone().for_trust(trust("ours.json"));
    signed.judged_as(&signed.asked, &loaded, &text).unwrap();
}

/// Two policies that differ in one key, and what the second is refused for.
struct Case {
    accepts: String,
    refuses: String,
    refused: fn(&Failure) -> bool,
}

fn policy_refused(failure: &Failure, test: fn(&Violation) -> bool) -> bool {
    matches!(failure, Failure::Policy(violation) if test(violation))
}

fn signer_missed(failure: &Failure, test: fn(&Miss) -> bool) -> bool {
    match failure {
        Failure::Policy(violation) => match &**violation {
            Violation::Signer(mismatch) => test(mismatch.nearest()),
            _ => false,
        },
        _ => false,
    }
}

impl Signed {
    /// Of one key of a `verification` block. `None` where the key refuses nothing.
    fn case(&self, key: &str) -> Option<Case> {
        let issuer = &self.issuer;
        let and = |extra: String| self.signer_and(&extra);
        let case = |accepts, refuses, refused| {
            Some(Case {
                accepts,
                refuses,
                refused,
            })
        };
        match key {
            "issuer" | "issuer_regex" | "identity" | "identity_regex" => {
                let of_issuer = key.starts_with("issuer");
                let right = if of_issuer { issuer } else { IDENTITY };
                let block = |value: &str| {
                    if of_issuer {
                        format!("{key}: {value}\nidentity: {IDENTITY}\n")
                    } else {
                        format!("issuer: {issuer}\n{key}: {value}\n")
                    }
                };
                let refused: fn(&Failure) -> bool = if of_issuer {
                    |failure| signer_missed(failure, |miss| matches!(miss, Miss::Issuer(_)))
                } else {
                    |failure| signer_missed(failure, |miss| matches!(miss, Miss::Identity(_)))
                };
                case(block(right), block(&format!("{right}0")), refused)
            }
            "identities" => {
                let signer = |identity| format!("{{issuer: '{issuer}', identity: '{identity}'}}");
                case(
                    format!("identities: [{}]\n", signer(IDENTITY)),
                    format!("identities: [{}]\n", signer("ci@example")),
                    |failure| signer_missed(failure, |miss| matches!(miss, Miss::Identity(_))),
                )
            }
            "not_before" => case(
                and(format!("{key}: 2026-01-01T00:00:00Z")),
                and(format!("{key}: 2099-01-01T00:00:00Z")),
                |failure| {
                    policy_refused(failure, |found| {
                        matches!(found, Violation::SignedBefore { .. })
                    })
                },
            ),
            "min_age" => case(
                and(format!("{key}: 1h")),
                and(format!("{key}: 7d")),
                |failure| policy_refused(failure, |it| matches!(it, Violation::TooYoung { .. })),
            ),
            "claims" => {
                let claim = Claim::BuildTrigger;
                case(
                    and(format!("{key}: {{{claim}: {}}}", value(claim))),
                    and(format!("{key}: {{{claim}: schedule}}")),
                    |failure| signer_missed(failure, |miss| matches!(miss, Miss::Claim { .. })),
                )
            }
            "predicate_types" => case(
                and(format!("{key}: [https://sigstore.dev/cosign/sign/v1]")),
                and(format!("{key}: [https://slsa.dev/provenance/v1]")),
                |failure| matches!(failure, Failure::Attestation { .. }),
            ),
            "predicate" => {
                let rule = |value| {
                    let types = format!("predicate_types: [{COSIGN}]");
                    and(format!("{types}\n{key}: {{/kind: {value}}}"))
                };
                case(rule("release"), rule("nightly"), |failure| {
                    policy_refused(failure, |it| matches!(it, Violation::Predicate { .. }))
                })
            }
            "require" => case(
                and(format!("{key}: [signature]")),
                and(format!(
                    "{key}: [signature, {{predicate_type: 'https://slsa.dev/provenance/v1'}}]"
                )),
                |failure| {
                    policy_refused(failure, |it| matches!(it, Violation::PredicateType { .. }))
                },
            ),
            "annotations" => case(
                and(format!("{key}: {{tier: stable}}")),
                and(format!("{key}: {{tier: nightly}}")),
                |failure| policy_refused(failure, |it| matches!(it, Violation::Annotation { .. })),
            ),
            "signature_formats" => case(
                and(format!("{key}: [bundle]")),
                and(format!("{key}: [simple_signing]")),
                |failure| {
                    policy_refused(failure, |found| matches!(found, Violation::Format { .. }))
                },
            ),
            "deny_digests" => case(
                and(format!("{key}: ['{}']", Digest::sha256(b"other"))),
                and(format!("{key}: ['{}']", self.digest)),
                |failure| {
                    policy_refused(failure, |found| {
                        matches!(found, Violation::DeniedDigest { .. })
                    })
                },
            ),
            "trust" => case(
                and(String::new()),
                and(format!("{key}: {{trusted_root: ours.json}}")),
                |failure| matches!(failure, Failure::OtherTrust),
            ),
            // What a key accepts is in `keys.rs`. A certificate's signature it refuses.
            "key" => case(and(String::new()), by_a_key(""), |failure| {
                matches!(failure, Failure::CertificateForKey)
            }),
            "ignore_tlog" => case(
                and("ignore_tlog: false".to_owned()),
                by_a_key("ignore_tlog: true"),
                |failure| matches!(failure, Failure::CertificateForKey),
            ),
            // Asked for by its own name everywhere in these cases; its own test asks for another.
            "bind_name" => None,
            // Where to look, which is no condition.
            "signature_sources" => None,
            other => panic!("no case for the key `{other}`"),
        }
    }
}

/// A policy with somebody's key, and `extra`.
fn by_a_key(extra: &str) -> String {
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let pem = key.public_pem().replace('\n', "\\n");
    format!("key: \"{pem}\"\n{extra}\n")
}

/// The keys of the definition of this name in the schema of policy files.
fn keys(definition: &str) -> BTreeSet<String> {
    let schema = PolicyFile::json_schema();
    let properties = schema["$defs"][definition]["properties"].as_object();
    properties.unwrap().keys().cloned().collect()
}

#[test]
fn the_keys_of_the_schema_are_the_fields() {
    for (definition, fields) in [
        ("Verification", fields_of_a_policy()),
        ("Signer", fields_of_a_signer()),
    ] {
        let fields: BTreeSet<String> = fields.into_iter().map(str::to_owned).collect();
        assert_eq!(keys(definition), fields, "{definition}");
    }
}

#[tokio::test]
async fn every_key_of_the_schema_refuses_on_its_own() {
    let signed = Signed::new().await;
    for key in fields_of_a_policy() {
        let Some(case) = signed.case(key) else {
            continue;
        };
        signed.accepted(&case.accepts);
        let refused = signed.judged_by(&case.refuses).unwrap_err();
        assert!((case.refused)(&refused), "{key}: {refused:?}");
    }
}

#[tokio::test]
async fn every_key_of_one_of_the_identities_refuses_on_its_own() {
    let signed = Signed::new().await;
    let one_of = |block: &str| {
        let lines = block.trim_end().lines();
        let fields: Vec<String> = lines.map(|line| format!("    {line}\n")).collect();
        format!("identities:\n  -\n{}", fields.concat())
    };
    for key in fields_of_a_signer() {
        let case = signed.case(key).unwrap();
        signed.accepted(&one_of(&case.accepts));
        let failure = signed.judged_by(&one_of(&case.refuses)).unwrap_err();
        // The signer's own, and not the policy's.
        let own = |miss: &Miss| matches!(miss, Miss::SignedBefore { .. });
        let refused = match key {
            "not_before" => signer_missed(&failure, own),
            _ => (case.refused)(&failure),
        };
        assert!(refused, "{key}: {failure:?}");
    }
}
