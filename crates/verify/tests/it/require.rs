//! Policies that require several proofs of one image.

use countersign_policy::Policy;
use countersign_sandbox::BundleSpec;
use countersign_sandbox::image::Image;
use countersign_verify::{Error, Failure, RefusalKind, VerifiedImage};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, kind, refusal};

const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const SLSA: &str = "https://slsa.dev/provenance/v1";
const SBOM: &str = "https://spdx.dev/Document";

fn policy(stage: &Stage, require: &str) -> Policy {
    let issuer = stage.sigstore.issuer();
    let text = format!("issuer: {issuer}\nidentity: {IDENTITY}\nrequire: [{require}]\n");
    Policy::from_yaml(&text, "policy.yaml").unwrap()
}

/// `signature`, and a provenance with this ref.
fn both(git_ref: &str) -> String {
    format!("signature, {{predicate_type: '{SLSA}', predicate: {{/run/ref: {git_ref}}}}}")
}

fn provenance(stage: &Stage, identity: &str) -> BundleSpec {
    let predicate = json!({ "run": { "ref": "refs/tags/v1" } });
    BundleSpec::new(stage.statement().predicate(SLSA, predicate), identity)
}

fn attach(stage: &Stage, spec: &BundleSpec) {
    stage.scene.attach(stage.issue(spec));
}

async fn verify(stage: &Stage, require: &str) -> Result<VerifiedImage, Error> {
    let policy = policy(stage, require);
    stage.verifier().verify(&stage.scene.image, &policy).await
}

/// The refusal as a person reads it, without what differs from run to run.
fn told(stage: &Stage, result: Result<VerifiedImage, Error>) -> String {
    stage.scene.told(result)
}

#[tokio::test]
async fn all_proofs_are_found_and_each_keeps_its_evidence() {
    let stage = Stage::new().await;
    attach(&stage, &provenance(&stage, IDENTITY));
    attach(&stage, &BundleSpec::new(stage.statement(), IDENTITY));
    let proof = verify(&stage, &both("refs/tags/v1")).await.unwrap();
    assert_eq!(proof.policy(), &policy(&stage, &both("refs/tags/v1")));
    let further = proof.further_evidence();
    let types: Vec<&str> = std::iter::once(proof.evidence())
        .chain(further)
        .map(|evidence| evidence.predicate_type.as_str())
        .collect();
    assert_eq!(types, [SIGN, SLSA]);
    assert_ne!(
        further[0].signature_manifest,
        proof.evidence().signature_manifest
    );
    assert_eq!(proof.predicate(), Some(r#"{"run":{"ref":"refs/tags/v1"}}"#));
    // Each candidate is fetched once: its manifest and its bundle.
    let requests = stage.scene.server.requests();
    let fetched = requests.iter().filter(|request| {
        let path = &request.path;
        path.contains(&format!("{PATH}/blobs/")) || path.contains(&format!("{PATH}/manifests/"))
    });
    assert_eq!(fetched.count(), 4, "{requests:?}");
}

#[tokio::test]
async fn one_missing_proof_refuses_and_is_told_with_what_is_there() {
    let stage = Stage::new().await;
    attach(&stage, &BundleSpec::new(stage.statement(), IDENTITY));
    let missing = verify(&stage, &both("refs/tags/v1")).await;
    assert_eq!(kind(&missing), Some(RefusalKind::Policy));
    assert_snapshot!(told(&stage, missing), @r"
    registry.example/acme/app@[image] has 1 of the 2 proofs that the policy requires. Missing:
      an attestation of type https://slsa.dev/provenance/v1. Found instead:
        [0]…: a signature, not the attestation that is asked for: expected predicate type https://slsa.dev/provenance/v1, found https://sigstore.dev/cosign/sign/v1
    ");

    attach(&stage, &provenance(&stage, IDENTITY));
    let other_ref = verify(&stage, &both("refs/tags/v2")).await;
    assert_eq!(kind(&other_ref), Some(RefusalKind::Policy));
    let said = told(&stage, other_ref);
    for part in [
        "has 1 of the 2 proofs",
        "/run/ref does not match",
        "`refs/tags/v1`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("a signature. Found"), "{said}");
}

#[tokio::test]
async fn an_attestation_is_no_signature_though_both_are_required() {
    let stage = Stage::new().await;
    attach(&stage, &provenance(&stage, IDENTITY));
    let unsigned = verify(&stage, &both("refs/tags/v1")).await;
    let refused = refusal(unsigned);
    let met: Vec<bool> = refused.requirements.iter().map(|one| one.met).collect();
    assert_eq!(met, [false, true]);
    let [candidate] = refused.candidates.as_slice() else {
        panic!("{refused}");
    };
    assert_eq!(candidate.requirement, Some(0));
    assert!(matches!(candidate.failure, Failure::Attestation { .. }));
}

#[tokio::test]
async fn without_any_proof_the_image_is_unsigned() {
    let stage = Stage::new().await;
    let nothing = verify(&stage, &both("refs/tags/v1")).await;
    assert_eq!(kind(&nothing), Some(RefusalKind::Unsigned));
    assert_snapshot!(told(&stage, nothing), @r"
    registry.example/acme/app@[image] has 0 of the 2 proofs that the policy requires. Missing:
      a signature: nothing was found
      an attestation of type https://slsa.dev/provenance/v1: nothing was found
    ");
    let sbom = stage.statement().predicate(SBOM, json!({}));
    attach(&stage, &BundleSpec::new(sbom, IDENTITY));
    let other = verify(&stage, &both("refs/tags/v1")).await;
    assert_eq!(kind(&other), Some(RefusalKind::Unsigned));
}

#[tokio::test]
async fn each_proof_must_be_by_the_signer_and_with_its_own_claims() {
    let stage = Stage::new().await;
    attach(&stage, &BundleSpec::new(stage.statement(), IDENTITY));
    attach(&stage, &provenance(&stage, "somebody@example.org"));
    let stranger = verify(&stage, &both("refs/tags/v1")).await;
    assert_eq!(kind(&stranger), Some(RefusalKind::Policy));

    attach(&stage, &provenance(&stage, IDENTITY).claim(20, "push"));
    let claims = |trigger: &str| {
        format!("signature, {{predicate_type: '{SLSA}', claims: {{build_trigger: {trigger}}}}}")
    };
    // The signature has no such claim, and needs none.
    assert!(verify(&stage, &claims("push")).await.is_ok());
    let other = verify(&stage, &claims("schedule")).await;
    assert_eq!(kind(&other), Some(RefusalKind::Policy));
}

#[tokio::test]
async fn three_proofs_are_three_and_one_statement_may_be_two_of_them() {
    let stage = Stage::new().await;
    attach(&stage, &BundleSpec::new(stage.statement(), IDENTITY));
    attach(&stage, &provenance(&stage, IDENTITY));
    let third = format!("{}, {{predicate_type: '{SBOM}'}}", both("refs/tags/v1"));
    assert_eq!(
        kind(&verify(&stage, &third).await),
        Some(RefusalKind::Policy)
    );
    let twice = format!("{}, {{predicate_type: '{SLSA}'}}", both("refs/tags/v1"));
    let proof = verify(&stage, &twice).await.unwrap();
    let further = proof.further_evidence();
    assert_eq!(further.len(), 2);
    assert_eq!(further[0], further[1]);
}

/// cosign 2 stored attestations at a tag, or as referrers, in a form that never counts.
#[tokio::test]
async fn an_attestation_in_cosign_s_old_form_is_named_where_one_is_missing() {
    const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
    for as_referrer in [false, true] {
        let stage = Stage::new().await;
        attach(&stage, &BundleSpec::new(stage.statement(), IDENTITY));
        let old = Image::artifact(ENVELOPE).layer(ENVELOPE, "{}");
        if as_referrer {
            stage
                .scene
                .list(&old.subject(stage.scene.image.descriptor()).build());
        } else {
            let tag = format!("sha256-{}.att", stage.scene.image.digest().hex());
            old.build().push(&stage.scene.server, PATH, Some(&tag));
        }
        let missing = verify(&stage, &both("refs/tags/v1")).await;
        let said = told(&stage, missing);
        for part in [
            "an attestation of type https://slsa.dev/provenance/v1. Found instead:",
            "an attestation in cosign's old form, which never counts; attest again",
            "`cosign attest` of cosign 3, or `cosign attest --new-bundle-format`",
        ] {
            assert!(said.contains(part), "{as_referrer}: {said}");
        }
        let signature = verify(&stage, "signature").await;
        assert!(signature.is_ok(), "{signature:?}");
    }
}
