//! In what order `countersign copy` writes to a registry without the referrers API, and what it says of several proofs.

use countersign_oci::Digest;
use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Effect, Fault, RegistryOptions, RegistryServer, Statement};
use serde_json::{Value, json};

use crate::stage::{RELEASE, Stage};

const SLSA: &str = "https://slsa.dev/provenance/v1";

async fn without_api() -> RegistryServer {
    let options = RegistryOptions {
        referrers_api: false,
        ..RegistryOptions::default()
    };
    RegistryServer::start(options).await.unwrap()
}

/// Where the first request stands that begins so.
fn at(registry: &RegistryServer, begins: &str) -> usize {
    let requests = registry.requests();
    let found = requests
        .iter()
        .position(|one| one.line().starts_with(begins));
    found.unwrap_or_else(|| panic!("{begins}: {requests:?}"))
}

/// The digest of the signature's manifest.
fn signature(stage: &Stage, digest: &Digest) -> String {
    let is_signature = |one: &Digest| {
        let (_, bytes) = stage.registry.manifest("app", &one.to_string()).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        manifest["subject"]["digest"] == digest.to_string().as_str()
    };
    let mut all = stage.registry.manifests("app").into_iter();
    all.find(is_signature).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_an_image_does_not_wait_for_it_where_subjects_mean_nothing() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let other = without_api().await;
    let to = format!("{}/mirror/app", other.host());
    let from = stage.reference("app:v1");
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let digest = stage.index.digest();
    let signature = signature(&stage, &digest);
    let put = "PUT /v2/mirror/app/manifests";
    let list = at(&other, &format!("{put}/sha256-{}", digest.hex()));
    assert!(at(&other, &format!("{put}/{signature}")) < list);
    // The pause of the list is not waited for before the tag, but neither is the tag written before it ends.
    let requests = other.requests();
    let reads = format!("GET /v2/mirror/app/manifests/sha256-{}", digest.hex());
    let read_back = requests
        .iter()
        .skip(list)
        .position(|one| one.line() == reads);
    assert!(list + read_back.unwrap() < at(&other, &format!("{put}/v1")));
    assert_eq!(stage.verify(&[&format!("{to}:v1")]).code, 0);
}

/// A registry that says it has no referrers API, and wants an image before what refers to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_the_image_first_gets_it_first() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let signature = signature(&stage, &stage.index.digest());
    let other = without_api().await;
    let line = format!("PUT /v2/mirror/app/manifests/{signature}");
    for status in [400, 404] {
        other.add_fault(Fault::on(&line, Effect::status(status)).times(1));
        let to = format!("{}/mirror/app", other.host());
        let run = stage.copy(&[&stage.reference("app:v1"), &to]);
        assert_eq!(run.code, 0, "{status}: {}", run.shown());
        assert_eq!(stage.verify(&[&format!("{to}:v1")]).code, 0);
        other.clear_faults();
    }
    // What is refused the second time too is a failure, and no tag is written.
    let other = without_api().await;
    other.add_fault(Fault::on(&line, Effect::status(400)));
    let to = format!("{}/mirror/app", other.host());
    let run = stage.copy(&[&stage.reference("app:v1"), &to]);
    assert_ne!(run.code, 0, "{}", run.shown());
    assert_eq!(other.tags("mirror/app"), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_proofs_are_told_if_the_policy_requires_several() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let statement = Statement::of(stage.index.digest()).predicate(SLSA, json!({}));
    let bundle = stage.sigstore.issue(&BundleSpec::new(statement, RELEASE));
    let provenance = Image::signature(stage.index.descriptor(), bundle.unwrap());
    provenance.push(&stage.registry, "app", None);
    let both = format!("  require: [signature, {{predicate_type: '{SLSA}'}}]\n");
    stage.write("policy.yaml", stage.policy(RELEASE) + &both);
    let from = stage.reference("app:v1");
    let to = stage.reference("mirror/app");
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    for said in ["proof      1 of 2", "proof      2 of 2", SLSA] {
        assert!(run.stdout.contains(said), "{}", run.shown());
    }
    let json = stage.copy(&["--output=json", &from, &to]).json();
    let further = &json["results"][0]["further_evidence"];
    assert_eq!(further.as_array().unwrap().len(), 1, "{json}");
    assert_eq!(further[0]["predicate_type"], SLSA);
}
