//! Every field of a policy, as it is written in a file, against one real signature: with the right
//! value it accepts, with another it refuses, alone.

use countersign_oci::{Digest, Reference};
use countersign_policy::{Claim, Miss, Policy, Trust, Violation};
use countersign_sandbox::{BundleSpec, Sigstore, Statement};
use countersign_verify::{Evidence, Failure, TrustedRoot, judge_digest};

const IDENTITY: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
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
            .name("ghcr.io/acme/app:v1")
            .annotation("tier", "stable");
        let mut spec = BundleSpec::new(statement, IDENTITY);
        for (number, claim) in (FIRST_CLAIM..).zip(Claim::ALL) {
            spec = spec.claim(number, value(claim));
        }
        let issuer = sigstore.oidc_issuer().to_string();
        Self {
            root: TrustedRoot::from_json("sandbox", &sigstore.trusted_root_json()).unwrap(),
            issuer: issuer.trim_end_matches('/').to_owned(),
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
        judge_digest(&self.digest, asked, self.bundle.as_bytes(), root, &policy)
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
            Violation::Signer(mismatch) => mismatch.nearest().unwrap().clone(),
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
    let cosign = "https://sigstore.dev/cosign/sign/v1";
    signed.accepted(&signed.signer_and(&format!("predicate_types: [{cosign}]")));
    let other = "predicate_types: [https://slsa.dev/provenance/v1]";
    match signed.judged_by(&signed.signer_and(other)) {
        Err(Failure::Attestation { expected, found }) => {
            assert_eq!(expected, ["https://slsa.dev/provenance/v1"]);
            assert_eq!(found, cosign);
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
