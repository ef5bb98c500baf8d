//! Layers are fetched while their image is verified, and nothing more is done with them before it is admitted.

use std::time::Duration;

use countersign_download::PlanFailure;
use countersign_oci::Digest;

use super::*;
use countersign_download::Outcome;

/// Answers only after the registry was asked for a certain blob, and has answered.
struct Late<'a> {
    verifier: Verifier,
    stage: &'a Stage,
    blob: &'a Digest,
}

impl ImageVerifier for Late<'_> {
    async fn verify_document(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedDocument, VerifyError> {
        let verified = self.verifier.verify_document(image, policy).await;
        let request = format!("GET blobs/{}", self.blob);
        let asked = async {
            while !self.stage.requests().contains(&request) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
        assert!(asked.is_ok(), "{request} comes before the verdict");
        // The registry and the client are on this thread. After some turns of it, the client has the answer, too.
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        verified
    }
}

/// Installs `app:v1` with a verdict that comes after the first request for its lower layer. Returns whether a layer
/// was unpacked, too.
async fn install_late(
    stage: &Stage,
    index: &ImageIndex,
    policy: &Policy,
) -> (Result<Outcome, PlanFailure>, bool) {
    let verifier = Late {
        verifier: stage.verifier(),
        stage,
        blob: &index.images()[0].manifest().layers[0].digest,
    };
    let installer = Installer::new(stage.client.clone(), verifier);
    let extracted = std::sync::atomic::AtomicBool::new(false);
    let events = |event| {
        if matches!(event, Event::LayerExtracted { .. }) {
            extracted.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let result = stage.carry_out(&installer, policy, "app:v1", &events).await;
    (result, extracted.into_inner())
}

fn count(stage: &Stage, digest: &Digest) -> usize {
    let request = format!("GET blobs/{digest}");
    let requests = stage.requests();
    requests.iter().filter(|found| **found == request).count()
}

#[tokio::test]
async fn layers_are_fetched_before_the_verdict_and_only_once() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let (result, extracted) = install_late(&stage, &index, &stage.policy()).await;
    assert!(matches!(result, Ok(Outcome::Installed { .. })));
    assert!(extracted);
    assert_eq!(stage.read("version"), "v1");
    for layer in &index.images()[0].manifest().layers {
        assert_eq!(count(&stage, &layer.digest), 1);
    }
}

#[tokio::test]
async fn what_was_fetched_of_a_refused_image_is_neither_opened_nor_kept() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let mut spec = stage.spec();
    spec.identity = Some(STRANGER.into());
    let policy = spec.try_into().unwrap();
    let (result, extracted) = install_late(&stage, &index, &policy).await;
    let error = result.unwrap_err().into_decisive();
    assert!(matches!(
        error,
        Some(Error::Verify(VerifyError::BothRefused { .. }))
    ));
    assert!(!extracted);
    assert_eq!(stage.names(), [""; 0]);
}

#[tokio::test]
async fn a_layer_that_fails_ahead_does_not_hide_a_refusal() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let lower = &index.images()[0].manifest().layers[0].digest;
    stage.registry.remove_blob("app", lower);
    let mut spec = stage.spec();
    spec.identity = Some(STRANGER.into());
    let policy = spec.try_into().unwrap();
    let (result, _) = install_late(&stage, &index, &policy).await;
    let error = result.unwrap_err().into_decisive();
    assert!(matches!(
        error,
        Some(Error::Verify(VerifyError::BothRefused { .. }))
    ));
    assert_eq!(stage.names(), [""; 0]);
}

#[tokio::test]
async fn what_failed_ahead_is_fetched_again_after_the_proof() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let lower = &index.images()[0].manifest().layers[0].digest;
    let request = format!("GET /v2/app/blobs/{lower}");
    let not_found = Effect::Status {
        status: 404,
        headers: Vec::new(),
    };
    stage
        .registry
        .add_fault(Fault::on(&request, not_found).times(1));
    let (result, _) = install_late(&stage, &index, &stage.policy()).await;
    assert!(
        matches!(result, Ok(Outcome::Installed { .. })),
        "{result:?}"
    );
    assert_eq!(count(&stage, lower), 2);
}

#[tokio::test]
async fn nothing_is_fetched_of_an_image_that_is_installed_already() {
    let (stage, index) = Stage::set_with_signed_app().await;
    stage.install("app:v1").await.unwrap();
    stage.registry.reset_requests();
    let policy = stage.policy();
    let installer = stage.installer();
    let again = stage.carry_out(&installer, &policy, "app:v1", &|_| {});
    assert!(matches!(again.await, Ok(Outcome::Unchanged { .. })));
    for layer in &index.images()[0].manifest().layers {
        assert_eq!(count(&stage, &layer.digest), 0);
    }
}
