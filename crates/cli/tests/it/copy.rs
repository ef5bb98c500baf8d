//! `countersign copy`: what a policy accepts goes to another registry, with everything that refers to it.

use countersign_sandbox::image::Image;
use countersign_sandbox::{
    BundleSpec, Effect, Fault, RegistryOptions, RegistryServer, SimpleSigningPlace,
    push_simple_signing, simple_signing_payload,
};
use serde_json::Value;

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST};
use crate::tree;

async fn registry(referrers_api: bool) -> RegistryServer {
    let options = RegistryOptions {
        referrers_api,
        ..RegistryOptions::default()
    };
    RegistryServer::start(options).await.unwrap()
}

impl Stage {
    pub(crate) fn copy(&self, arguments: &[&str]) -> Run {
        self.run(&[&["copy"], &TRUST, &POLICY, arguments])
    }

    /// What `countersign tree` shows of an image, in an order that the registry doesn't decide.
    pub(crate) fn tree_of(&self, reference: &str) -> Value {
        let run = self.run(&[&["tree", "--output=json"], &TRUST, &[reference]]);
        let mut image = run.json()["results"][0]["image"].clone();
        sort(&mut image);
        image
    }

    fn legacy_signature(&self, registry: &RegistryServer, path: &str, identity: &str) {
        let index = self.index.descriptor();
        let payload = simple_signing_payload(&index.digest, &self.reference("app"), &Value::Null);
        let spec = BundleSpec::new(payload, identity);
        let signature = self.sigstore.issue_simple_signing(&spec).unwrap();
        let place = SimpleSigningPlace::Tag;
        push_simple_signing(registry, path, &index, place, &[signature]);
    }
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.iter_mut().for_each(sort);
            all.sort_by_key(ToString::to_string);
        }
        Value::Object(fields) => {
            // Where it was read, which is what differs.
            fields.remove("repository");
            fields.values_mut().for_each(sort);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_refers_to_an_image_goes_with_it() {
    let stage = tree::stage().await;
    let from = stage.reference("app:v1");
    for referrers_api in [true, false] {
        let other = registry(referrers_api).await;
        let to = format!("{}/mirror/app", other.host());
        let run = stage.copy(&[&from, &to]);
        if referrers_api {
            stage.snapshot("success_copy", &run);
        } else {
            assert_eq!(run.code, 0, "{}", run.shown());
        }
        let copied = format!("{to}:v1");
        assert_eq!(stage.tree_of(&copied), stage.tree_of(&from));
        let manifests = stage.registry.manifests("app");
        for digest in manifests {
            let name = digest.to_string();
            let (ours, theirs) = (
                stage.registry.manifest("app", &name),
                other.manifest("mirror/app", &name),
            );
            assert_eq!(ours, theirs, "{name}");
        }
        let verified = stage.verify(&[&copied]);
        assert_eq!(verified.code, 0, "{}", verified.shown());

        // All is there: nothing is sent.
        let again = stage.copy(&["--output=json", &from, &to]).json();
        let result = &again["results"][0];
        assert_eq!(result["tag"], copied.as_str());
        assert_eq!(result["blobs"]["sent"], 0, "{again}");
        assert_eq!(result["manifests"], 3);
        assert_eq!(result["attached"], 9, "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_refuses_is_not_copied() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    let other = registry(true).await;
    let to = format!("{}/mirror/app:v1", other.host());
    let run = stage.copy(&[&stage.reference("app:v1"), &to]);
    assert_eq!(run.code, 4, "{}", run.shown());
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    let run = stage.copy(&["--output=json", &stage.reference("app:v1"), &to]);
    let json = run.json();
    assert_eq!((run.code, json.get("error")), (4, None), "{}", run.shown());
    assert_eq!(json["results"][0]["reference"], stage.reference("app:v1"));
    assert_eq!(json["results"][0]["error"]["kind"], "policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_a_denied_image_is_not_copied() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let denied = stage.index.images()[1].digest();
    let denies = format!("{}  deny_digests: ['{denied}']\n", stage.policy(RELEASE));
    stage.write("policy.yaml", denies);
    let other = registry(true).await;
    let from = stage.reference("app:v1");
    let to = format!("{}/mirror/app:v1", other.host());
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, stage.verify(&[&from]).code);
    assert_eq!(run.code, 4, "{}", run.shown());
    assert!(run.stderr.contains(&denied.to_string()), "{}", run.shown());
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_proven_gets_no_tag() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let from = stage.reference("app:v1");
    let other = registry(true).await;
    let to = format!("{}/mirror/app", other.host());
    // It takes the signature, and shows it to nobody.
    let nothing = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let hides = Fault::on(
        "GET /v2/mirror/app/referrers/*",
        Effect::Body(nothing.into()),
    );
    other.add_fault(hides);
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 3, "{}", run.shown());
    assert!(run.stderr.contains("no tag was written"), "{}", run.shown());
    assert_eq!(other.tags("mirror/app"), [] as [String; 0]);
    other.clear_faults();

    other.add_fault(Fault::on(
        "PUT /v2/mirror/app/manifests/v1",
        Effect::status(403),
    ));
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 9, "{}", run.shown());
    assert_eq!(other.tags("mirror/app"), [] as [String; 0]);
    other.clear_faults();

    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(other.tags("mirror/app"), ["v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_and_broken_does_not_keep_an_image_back() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let kind = "application/spdx+json";
    let sbom = |content: &str| {
        let sbom = Image::artifact(kind).subject(stage.index.descriptor());
        let sbom = sbom.layer(kind, content.to_owned()).build();
        sbom.push(&stage.registry, "app", None);
        sbom
    };
    let without_blob = sbom("gone");
    let layer = &without_blob.manifest().layers[0].digest;
    assert!(stage.registry.remove_blob("app", layer));
    let without_manifest = sbom("lost");
    let path = format!("GET /v2/app/manifests/{}", without_manifest.digest());
    stage
        .registry
        .add_fault(Fault::on(&path, Effect::status(404)));
    let other = registry(true).await;
    let to = format!("{}/mirror/app", other.host());
    let from = stage.reference("app:v1");
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let json = stage.copy(&["--output=json", &from, &to]).json();
    let left = json["results"][0]["not_copied"].as_array().unwrap();
    assert_eq!(left.len(), 2, "{json}");
    for broken in [without_blob, without_manifest] {
        let digest = broken.digest().to_string();
        assert!(left.iter().any(|one| one["name"] == digest.as_str()));
        assert!(run.stderr.contains(&digest), "{}", run.shown());
        assert_eq!(other.manifest("mirror/app", &digest), None);
    }
    assert_eq!(stage.verify(&[&format!("{to}:v1")]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_signatures_are_added_to_those_that_are_there() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.legacy_signature(&stage.registry, "app", RELEASE);
    let other = registry(true).await;
    stage.legacy_signature(&other, "mirror/app", STRANGER);
    let to = format!("{}/mirror/app", other.host());
    let run = stage.copy(&[&stage.reference("app:v1"), &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let tag = format!("sha256-{}.sig", stage.index.digest().hex());
    let (_, manifest) = other.manifest("mirror/app", &tag).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_what_refers_to_each_other_has_an_end() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let mut subject = stage.index.descriptor();
    for _ in 0..9 {
        let next = Image::artifact("application/x-note").subject(subject);
        let next = next.layer("text/plain", "a note").build();
        next.push(&stage.registry, "app", None);
        subject = next.descriptor();
    }
    let other = registry(true).await;
    let to = format!("{}/mirror/app", other.host());
    let run = stage.copy(&[&stage.reference("app:v1"), &to]);
    assert_eq!(run.code, 5, "{}", run.shown());
    assert!(
        run.stderr.contains("over the limit of 8 levels"),
        "{}",
        run.shown()
    );
    assert!(other.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_mounted_and_names_are_as_given() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let from = stage.reference(&format!("app@{}", stage.index.digest()));
    let to = stage.reference("mirror/app");
    let json = stage.copy(&["--output=json", &from, &to]).json();
    let result = &json["results"][0];
    assert_eq!(result["blobs"]["sent"], 0, "{json}");
    assert_ne!(result["blobs"]["mounted"], 0, "{json}");
    assert_eq!(result.get("tag"), None);
    assert_eq!(result["copy"], format!("{to}@{}", stage.index.digest()));
    // By its digest alone it has no tag, and none was made up.
    assert_eq!(stage.registry.tags("mirror/app"), [] as [String; 0]);

    let run = stage.copy(&[&from, &format!("{to}@{}", stage.index.digest())]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("leave the digest out"),
        "{}",
        run.shown()
    );
}

/// A name that the policy binds is that of the source, as for a mirror of a gallery.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_names_its_image_is_good_in_a_mirror() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("policy.yaml", stage.policy(RELEASE) + "  bind_name: true\n");
    let from = stage.reference("app:v1");
    assert_eq!(stage.verify(&[&from]).code, 0);
    let other = registry(true).await;
    let to = format!("{}/mirror/app:v1", other.host());
    let run = stage.copy(&[&from, &to]);
    assert_eq!(run.code, 0, "{}", run.shown());
    // By its own name nobody can install it.
    let says = format!("list the copy as a mirror of {from}");
    assert!(run.stderr.contains(&says), "{}", run.shown());
    assert_eq!(stage.verify(&[&to]).code, 4);
    // A layout has no name of its own.
    let run = stage.copy(&[&from, "ocifile://layout"]);
    assert!(!run.stderr.contains("as a mirror"), "{}", run.shown());
}
