//! Whole installations, against a registry and a Sigstore in this process.

mod ahead;
mod content;
mod kept_layers;

use std::fs;
use std::time::Duration;

use crate::stage::{SIGNER, STRANGER, Stage, amd64, app, image, layer};
use bytes::Bytes;
use countersign_download::{
    ArchiveError, Error, Event, ImageVerifier, InstallRequest, Installer, Limits, Plan,
};
use countersign_oci::ResolvedImage;
use countersign_policy::Policy;
use countersign_sandbox::image::{Compression, Image, ImageBuilder, ImageIndex, Layer};
use countersign_sandbox::{Effect, Fault};
use countersign_verify::{Denied, Error as VerifyError, RefusalKind, VerifiedDocument, Verifier};
use tokio::sync::Notify;

#[tokio::test]
async fn a_signed_index_installs_with_its_evidence() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let installed = stage.install("app:v1").await.unwrap();
    assert_eq!(stage.names(), ["app"]);
    assert_eq!(stage.read("version"), "v1");
    assert_eq!(stage.read("base"), "linux/amd64");
    assert_eq!((installed.files, installed.bytes), (2, 13));
    assert_eq!(installed.digest, index.images()[0].digest());
    assert_eq!(installed.index, Some(index.digest()));
    assert_eq!(installed.grounds.evidence().unwrap().digest, index.digest());
    assert_eq!(
        installed.grounds.evidence().unwrap().signer.to_string(),
        SIGNER
    );
    let record = stage.read(".countersign/record.json");
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["digest"], installed.digest.to_string());
    assert_eq!(record["evidence"]["identity"], SIGNER);
    let signer = record["policy"]["signers"][0].as_str().unwrap();
    assert!(signer.contains(SIGNER), "{signer}");
    assert_eq!(record["version"], 1);
    assert!(record["installed_at"].is_string());
}

#[tokio::test]
async fn one_request_by_tag_and_everything_else_by_digest() {
    let (stage, _) = Stage::set_with_signed_app().await;
    let other = ImageIndex::new(vec![app("linux/amd64", "other")]);
    let other = other.push(&stage.registry, "app", None);
    let moved = Effect::Manifests(vec![other]);
    let tag = Fault::on("GET /v2/app/manifests/v1", moved).after(1);
    stage.registry.add_fault(tag);
    stage.install("app:v1").await.unwrap();
    assert_eq!(stage.read("version"), "v1");
    // Nobody saw that the tag moved.
    stage.registry.clear_faults();
    let requests = stage.requests();
    let (first, rest) = requests.split_first().unwrap();
    assert_eq!(first, "GET manifests/v1");
    assert!(rest.iter().all(|line| line.contains("sha256")), "{rest:?}");
    // The platform's manifest, the referrers, a signature's manifest and bundle, the
    // configuration, two layers.
    assert_eq!(rest.len(), 7, "{rest:?}");
}

#[tokio::test]
async fn a_signature_on_the_platforms_manifest_suffices() {
    let stage = Stage::set().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1")]);
    index.push(&stage.registry, "app", Some("v1"));
    let child = index.images()[0].digest();
    stage.sign(&format!("app@{child}"), SIGNER).await;
    let installed = stage.install("app:v1").await.unwrap();
    assert_eq!(installed.grounds.evidence().unwrap().digest, child);
    assert_eq!(installed.index, Some(index.digest()));
    assert_eq!(stage.read("version"), "v1");
}

#[tokio::test]
async fn refused_twice_both_refusals_are_shown_and_nothing_stays() {
    let stage = Stage::set().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1")]);
    index.push(&stage.registry, "app", Some("v1"));
    let image = &index.images()[0];
    let child = format!("app@{}", image.digest());
    stage.sign(&child, STRANGER).await;
    let Error::Verify(VerifyError::BothRefused {
        index, manifest, ..
    }) = stage.refusal("app:v1").await
    else {
        panic!("another error");
    };
    assert_eq!(index.kind(), RefusalKind::Unsigned);
    assert_eq!(manifest.kind(), RefusalKind::Policy);
}

#[tokio::test]
async fn a_registry_that_fails_is_no_refusal() {
    let (stage, _) = Stage::set_with_signed_app().await;
    let down = Fault::on("GET /v2/app/referrers/*", Effect::status(503));
    stage.registry.add_fault(down);
    let error = stage.refusal("app:v1").await;
    assert!(
        matches!(&error, Error::Verify(VerifyError::Registry(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_denied_manifest_is_refused_under_a_signed_index() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let mut spec = stage.spec();
    spec.deny_digests = vec![index.images()[0].digest().to_string()];
    let policy = Policy::try_from(spec).unwrap();
    let installed = stage.install_by(&policy, Limits::default(), "app:v1", &|_| {});
    let Err(Error::Verify(VerifyError::Denied(Denied { image, .. }))) = installed.await else {
        panic!("not denied");
    };
    assert_eq!(*image.digest(), index.images()[0].digest());
    assert_eq!(stage.names(), [""; 0]);
}

#[tokio::test]
async fn a_denied_index_is_refused_though_its_manifests_are_signed_too() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let mut spec = stage.spec();
    spec.deny_digests = vec![index.digest().to_string()];
    let policy = Policy::try_from(spec).unwrap();
    for name in ["app:v1".into(), format!("app@{}", index.digest())] {
        let installed = stage.install_by(&policy, Limits::default(), &name, &|_| {});
        let Err(Error::Verify(VerifyError::Denied(Denied { image, .. }))) = installed.await else {
            panic!("{name} is not denied");
        };
        assert_eq!(*image.digest(), index.digest());
        assert_eq!(stage.names(), [""; 0]);
    }
}

/// Why an installation of `app:v1` would fail, which is said without a layer.
async fn not_previewed(stage: &Stage) -> Error {
    let plan = Plan::of_image(stage.reference("app:v1"), stage.policy());
    let (platform, installer) = (amd64(), stage.installer());
    let request = InstallRequest::new(&plan, &platform);
    let preview = installer.preview(request, &stage.target()).await;
    assert_eq!(stage.names(), [""; 0]);
    preview.unwrap_err().into_decisive().unwrap()
}

#[tokio::test]
async fn what_no_installer_unpacks_is_no_preview_either() {
    let other = countersign_oci::Digest::sha256(b"other");
    let stage = Stage::set().await;
    let several = image("linux/amd64").diff_ids(vec![other.clone(), other]);
    several.build().push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    let error = not_previewed(&stage).await;
    assert!(matches!(error, Error::LayerCount { .. }), "{error:?}");
}

#[tokio::test]
async fn another_platform_is_refused_with_what_there_is() {
    let stage = Stage::set().await;
    app("linux/arm64", "v1").push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    for error in [stage.refusal("app:v1").await, not_previewed(&stage).await] {
        let Error::WrongPlatform { found, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(found.to_string(), "linux/arm64");
    }

    let index = ImageIndex::new(vec![app("linux/arm64", "v1")]);
    index.push(&stage.registry, "app", Some("v1"));
    let Error::Platform(error) = stage.refusal("app:v1").await else {
        panic!("another error");
    };
    assert_eq!(error.available, ["linux/arm64".parse().unwrap()]);
}

#[tokio::test]
async fn an_upgrade_replaces_the_old_and_a_failed_one_leaves_it() {
    let (stage, _) = Stage::set_with_signed_app().await;
    stage.install("app:v1").await.unwrap();

    let unsigned = ImageIndex::new(vec![app("linux/amd64", "unsigned")]);
    unsigned.push(&stage.registry, "app", Some("v2"));
    let error = stage.install("app:v2").await.unwrap_err();
    assert!(
        matches!(error, Error::Verify(VerifyError::BothRefused { .. })),
        "{error:?}"
    );
    assert_eq!(stage.read("version"), "v1");

    let broken = layer(Compression::Zstd, "../x", "");
    let broken = image("linux/amd64").layer(broken).build();
    broken.push(&stage.registry, "app", Some("v3"));
    stage.sign("app:v3", SIGNER).await;
    let error = stage.install("app:v3").await.unwrap_err();
    assert!(matches!(error, Error::Layer { .. }), "{error:?}");
    assert_eq!(stage.read("version"), "v1");
    assert_eq!(stage.names(), ["app"]);

    app("linux/amd64", "v4").push(&stage.registry, "app", Some("v4"));
    stage.sign("app:v4", SIGNER).await;
    stage.install("app:v4").await.unwrap();
    assert_eq!(stage.read("version"), "v4");
    assert_eq!(stage.names(), ["app"]);
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_from() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let layer = &index.images()[0].manifest().layers[0].digest;
    let blob = format!("GET /v2/app/blobs/{layer}");
    let cut = Fault::on(&blob, Effect::Truncate { after: 20 }).times(1);
    stage.registry.add_fault(cut);
    stage.install("app:v1").await.unwrap();
    assert_eq!(stage.read("base"), "linux/amd64");
}

#[tokio::test]
async fn a_layer_that_is_missing_ends_the_unpacking_of_those_before_it() {
    let stage = Stage::set().await;
    let zeros = vec![0; 32 << 20];
    let large = Layer::builder().file("zeros", zeros, 0o644);
    let missing = layer(Compression::Gzip, "missing", "");
    let image = Image::builder(amd64())
        .layer(large.build(Compression::Zstd))
        .layer(missing.clone())
        .build();
    image.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    let digest = missing.descriptor().digest;
    stage.registry.remove_blob("app", &digest);
    let error = stage.refusal("app:v1").await;
    let Error::Registry(countersign_oci::Error::NotFound { what }) = error else {
        panic!("{error:?}");
    };
    assert!(what.contains(digest.hex()), "{what}");
}

#[tokio::test]
async fn an_installation_that_nobody_waits_for_leaves_nothing() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let upper = &index.images()[0].manifest().layers[1].digest;
    let blob = format!("GET /v2/app/blobs/{upper}");
    stage
        .registry
        .add_fault(Fault::on(&blob, Effect::Stall { after: 20 }));
    let extracted = Notify::new();
    let events = |event| {
        if matches!(event, Event::LayerExtracted { .. }) {
            extracted.notify_one();
        }
    };
    let policy = stage.policy();
    let installation = stage.install_by(&policy, Limits::default(), "app:v1", &events);
    tokio::select! {
        result = installation => panic!("it ended with {result:?}"),
        () = extracted.notified() => {}
    }
    // A thread removes it.
    while !stage.names().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_at_the_target_already_is_not_touched() {
    let (stage, _) = Stage::set_with_signed_app().await;
    fs::create_dir(stage.target()).unwrap();
    fs::write(stage.target().join("precious"), "").unwrap();
    let error = stage.install("app:v1").await.unwrap_err();
    assert!(matches!(error, Error::Target { .. }), "{error:?}");
    assert_eq!(stage.read("precious"), "");
    assert_eq!(stage.names(), ["app"]);
}

/// Verifies by a policy of its own.
struct Lenient {
    verifier: Verifier,
    policy: Policy,
}

impl ImageVerifier for Lenient {
    async fn verify_document(
        &self,
        image: &ResolvedImage,
        _policy: &Policy,
    ) -> Result<VerifiedDocument, VerifyError> {
        self.verifier.verify_document(image, &self.policy).await
    }
}

#[tokio::test]
async fn a_proof_by_another_policy_is_not_taken() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let verifier = Lenient {
        verifier: stage.verifier(),
        policy: stage.policy(),
    };
    let installer = Installer::new(stage.client.clone(), verifier);
    let mut spec = stage.spec();
    spec.deny_digests = vec![index.digest().to_string()];
    let policy = Policy::try_from(spec).unwrap();
    let refused = stage.carry_out(&installer, &policy, "app:v1", &|_| {});
    let Some(Error::Verify(VerifyError::OtherPolicy { image })) =
        refused.await.unwrap_err().into_decisive()
    else {
        panic!("another error");
    };
    assert_eq!(*image.digest(), index.digest());
    assert_eq!(stage.names(), [""; 0]);
}

/// Gets its proofs for another image than the one it is asked about.
struct Confused {
    verifier: Verifier,
    other: ResolvedImage,
}

impl ImageVerifier for Confused {
    async fn verify_document(
        &self,
        _image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedDocument, VerifyError> {
        self.verifier.verify_document(&self.other, policy).await
    }
}

#[tokio::test]
async fn a_proof_of_another_image_is_not_taken() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let evil = app("linux/amd64", "evil").push(&stage.registry, "app", Some("evil"));
    let other = stage.client.resolve(&stage.reference("app:v1")).await;
    let verifier = Confused {
        verifier: stage.verifier(),
        other: other.unwrap(),
    };
    let installer = Installer::new(stage.client.clone(), verifier);
    let policy = stage.policy();
    let refused = stage.carry_out(&installer, &policy, "app:evil", &|_| {});
    let Some(Error::Verify(VerifyError::OtherProof { expected, found })) =
        refused.await.unwrap_err().into_decisive()
    else {
        panic!("another error");
    };
    assert_eq!(expected, evil);
    assert_eq!(found, index.digest());
}

#[tokio::test]
async fn an_installer_without_a_verifier_installs_nothing_that_must_be_signed() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let installer = Installer::<Verifier>::without_verifier(stage.client.clone());
    let policy = stage.policy();
    let refused = stage.carry_out(&installer, &policy, "app:v1", &|_| {});
    let Some(Error::NoVerifier { image }) = refused.await.unwrap_err().into_decisive() else {
        panic!("another error");
    };
    assert_eq!(*image.digest(), index.digest());
    assert_eq!(stage.names(), [""; 0]);
}
