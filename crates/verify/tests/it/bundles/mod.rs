//! Bundles as a local Sigstore issues them, good or with one flaw each, judged by the core alone.

mod attestations;
mod form;
mod hostile;
mod material;
mod policy;
mod root;
mod without_logs;

use crate::support::IDENTITY;
use countersign_oci::ResolvedImage;
use countersign_policy::{Policy, Violation};
use countersign_sandbox::{BundleSpec, RekorVersion, Sigstore, Statement};
use countersign_verify::{
    Evidence, Failure, RefusalKind, TrustedRoot, VerifiedDocument, verify_bundle,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const BOTH: [RekorVersion; 2] = [RekorVersion::V1, RekorVersion::V2];

struct Fixture {
    sigstore: Sigstore,
    root: TrustedRoot,
    image: ResolvedImage,
}

impl Fixture {
    async fn new() -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        let root = TrustedRoot::from_json("sandbox", &sigstore.trusted_root_json()).unwrap();
        Self {
            sigstore,
            root,
            image: crate::support::image_without_layers(),
        }
    }

    fn statement(&self) -> Statement {
        Statement::of(self.image.digest().clone())
    }

    fn good(&self) -> BundleSpec {
        BundleSpec::new(self.statement(), IDENTITY)
    }

    fn policy(&self) -> Policy {
        crate::support::policy(&self.certified_issuer(), IDENTITY)
    }

    /// The issuer as certificates have it.
    fn certified_issuer(&self) -> String {
        self.sigstore.issuer()
    }

    fn judge(&self, spec: &BundleSpec, policy: &Policy) -> Result<VerifiedDocument, Failure> {
        let bundle = self.sigstore.issue(spec).unwrap();
        self.judge_text(&bundle, policy)
    }

    fn judge_text(&self, bundle: &str, policy: &Policy) -> Result<VerifiedDocument, Failure> {
        verify_bundle(
            &self.image,
            bundle.as_bytes(),
            &self.root,
            policy,
            Timestamp::now(),
        )
    }

    fn failure(&self, spec: &BundleSpec) -> Failure {
        refused(self.judge(spec, &self.policy()))
    }

    /// The failure of a good bundle after a change to its JSON.
    fn failure_after(&self, change: impl FnOnce(&mut Value)) -> Failure {
        let bundle = self.sigstore.issue(&self.good()).unwrap();
        let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
        change(&mut bundle);
        refused(self.judge_text(&bundle.to_string(), &self.policy()))
    }

    /// The policy's objection to a bundle that is good in itself.
    fn violation(&self, spec: &BundleSpec, policy: &Policy) -> Violation {
        let failure = refused(self.judge(spec, policy));
        assert_eq!(failure.kind(), RefusalKind::Policy);
        match failure {
            Failure::Policy(violation) => *violation,
            other => panic!("{other:?}"),
        }
    }
}

fn refused(result: Result<VerifiedDocument, Failure>) -> Failure {
    match result {
        Ok(proof) => panic!("expected a failure, found {proof:?}"),
        Err(failure) => failure,
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn a_good_bundle_proves_who_signed_what_and_when() {
    let fixture = Fixture::new().await;
    let before = Timestamp::now() - SignedDuration::from_secs(2);
    for rekor in BOTH {
        let spec = BundleSpec::new(
            fixture
                .statement()
                .name("acme/app")
                .annotation("key", "value"),
            IDENTITY,
        )
        .rekor(rekor)
        .claim(20, "push");
        let proof = fixture.judge(&spec, &fixture.policy()).unwrap();
        assert_eq!(proof.digest(), fixture.image.digest());
        let evidence = proof.evidence();
        assert_eq!(evidence.digest, *fixture.image.digest());
        assert_eq!(evidence.signer.to_string(), IDENTITY);
        let holder = evidence.signer.certificate().unwrap();
        assert_eq!(holder.issuer, fixture.certified_issuer());
        assert_eq!(evidence.signed_at.len(), 1);
        assert!(evidence.signed_at[0] >= before, "{evidence:?}");
        assert!(evidence.log_index.is_some());
        assert_eq!(evidence.log_id.as_ref().map(String::len), Some(64));
        assert_eq!(evidence.annotations["key"], "value");
        assert_eq!(holder.claims["build_trigger"], "push");
        assert_eq!(evidence.subject_name.as_deref(), Some("acme/app"));
        assert_eq!(evidence.signature_manifest, None);
        let record = serde_json::to_string(evidence).unwrap();
        let read: Evidence = serde_json::from_str(&record).unwrap();
        assert_eq!(read, *evidence);
    }
}
