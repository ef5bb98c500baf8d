//! Signatures end up in the registry's list, or the run says that they don't.

use std::time::Duration;

use countersign_oci::{Descriptor, Document};
use countersign_sandbox::image::Image;
use countersign_sandbox::{Effect, Fault};
use countersign_sign::{Error, Existing, RekorVersion, Signer, Tags};
use countersign_verify::Error as VerifyError;

use crate::common::{PATH, PAUSE, Stage, client_pausing};

/// Someone else's entry; what it names is there.
fn stranger(stage: &Stage, subject: &Image) -> Descriptor {
    let artifact = Image::artifact("application/vnd.example.report");
    let artifact = artifact.subject(subject.descriptor()).build();
    artifact.push(&stage.registry, PATH, None);
    artifact.descriptor()
}

#[tokio::test]
async fn two_jobs_that_sign_one_image_at_once_are_both_listed() {
    let stage = Stage::without_referrers_api().await;
    let image = stage.one_image();
    // A pause that outlasts any delay of the other between its reading and its writing.
    let client = client_pausing(Duration::from_millis(200));
    let services = stage.services(RekorVersion::V1);
    let signer = Signer::new(client, &services, stage.trusted_root()).unwrap();
    let signer = signer
        .with_tags(Tags::Followed)
        .with_existing(Existing::SignAgain);
    let (one, other) = tokio::join!(stage.sign_with(&signer), stage.sign_with(&signer));
    let mut pushed = [one, other].map(|signed| signed.unwrap().remove(0).signature_manifest);
    let listed = stage.listed(&image.digest()).await.into_iter();
    let mut listed: Vec<_> = listed.map(|descriptor| descriptor.digest).collect();
    pushed.sort();
    listed.sort();
    assert_eq!(listed, pushed);
}

#[tokio::test]
async fn an_update_lost_to_another_writer_is_made_again() {
    let stage = Stage::without_referrers_api().await;
    let image = stage.one_image();
    let put = format!(
        "PUT /v2/{PATH}/manifests/{}",
        image.digest().referrers_tag()
    );
    let stranger = stranger(&stage, &image);
    let lost = Effect::LostUpdate(stranger.clone());
    stage.registry.add_fault(Fault::on(&put, lost).times(1));
    let signed = stage.sign().await.unwrap();
    let listed = stage.listed(&image.digest()).await.into_iter();
    let listed: Vec<_> = listed.map(|descriptor| descriptor.digest).collect();
    assert_eq!(
        listed,
        [stranger.digest, signed[0].signature_manifest.clone()]
    );
}

#[tokio::test]
async fn a_registry_that_drops_the_entry_each_time_is_told_of() {
    let stage = Stage::without_referrers_api().await;
    let image = stage.one_image();
    let put = format!(
        "PUT /v2/{PATH}/manifests/{}",
        image.digest().referrers_tag()
    );
    let lost = Effect::LostUpdate(stranger(&stage, &image));
    stage.registry.add_fault(Fault::on(&put, lost));
    let error = stage.sign().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Registry(countersign_oci::Error::Contended { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_list_that_lags_behind_is_asked_for_again() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let list = format!("GET /v2/{PATH}/referrers/{}", image.digest());
    let empty = serde_json::to_vec(&crate::common::index(vec![])).unwrap();
    let stale = Effect::Body(empty.into());
    stage.registry.add_fault(Fault::on(&list, stale).times(2));
    assert_eq!(stage.sign().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_registry_that_never_lists_the_signature_is_told_of() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let list = format!("GET /v2/{PATH}/referrers/{}", image.digest());
    let others = serde_json::to_vec(&crate::common::index(vec![stranger(&stage, &image)])).unwrap();
    let effect = Effect::Body(others.into());
    stage.registry.add_fault(Fault::on(&list, effect));
    let error = stage.sign().await.unwrap_err();
    let Error::NotListed { found, .. } = error else {
        panic!("expected an unlisted signature, found {error:?}");
    };
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_signature_that_the_registry_does_not_give_back_is_told_of() {
    let stage = Stage::new().await;
    stage.one_image();
    let lost = Fault::on(&format!("GET /v2/{PATH}/blobs/*"), Effect::status(404));
    stage.registry.add_fault(lost);
    let error = stage.sign().await.unwrap_err();
    let Error::Refused { source, .. } = error else {
        panic!("expected a refusal, found {error:?}");
    };
    assert!(matches!(*source, VerifyError::Refused(_)), "{source:?}");
}

#[tokio::test]
async fn an_older_signature_does_not_stand_in_for_one_that_is_lost() {
    let stage = Stage::new().await;
    stage.one_image();
    let older = stage.sign().await.unwrap().remove(0).signature_manifest;
    let older = stage.registry.repository(PATH).at(older);
    let older = client_pausing(PAUSE).manifest(&older).await.unwrap();
    let Document::Manifest(manifest) = older.document() else {
        panic!("expected a manifest, found {older:?}");
    };
    // Every bundle is lost but the older one, for which a fault that does nothing comes first.
    let bundle = format!("GET /v2/{PATH}/blobs/{}", manifest.layers[0].digest);
    let kept = Effect::ContentType("application/octet-stream".into());
    stage.registry.add_fault(Fault::on(&bundle, kept));
    let blobs = format!("GET /v2/{PATH}/blobs/*");
    let lost = Fault::on(&blobs, Effect::status(404));
    stage.registry.add_fault(lost);
    let error = stage.sign_again(stage.signer()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Registry(countersign_oci::Error::NotFound { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_image_that_is_not_there_is_not_signed() {
    let stage = Stage::new().await;
    let error = stage.sign().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Registry(countersign_oci::Error::NotFound { .. })
        ),
        "{error:?}"
    );
    assert_eq!(stage.sigstore.requests(), []);
}
