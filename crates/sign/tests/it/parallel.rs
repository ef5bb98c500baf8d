//! All manifests of a run side by side, and what is told where one fails.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use countersign_oci::{Digest, Options, Registry};
use countersign_sandbox::image::{EIGHT_PLATFORMS, Image, ImageIndex};
use countersign_sandbox::{Effect, Fault, Service, ServiceFault};
use countersign_sign::{Error, Reached, RekorVersion, Signer, Stopped, Tags};

use crate::common::{PATH, Stage, client, image, order};

fn eight_platforms(stage: &Stage) -> ImageIndex {
    let index = ImageIndex::new(EIGHT_PLATFORMS.map(image).into());
    index.push(&stage.registry, PATH, Some("v1"));
    index
}

fn digests(index: &ImageIndex) -> Vec<Digest> {
    let children = index.images().iter().map(Image::digest);
    std::iter::once(index.digest()).chain(children).collect()
}

async fn stopped(stage: &Stage, signer: &Signer) -> Stopped {
    let (references, none) = ([stage.reference(":v1")], BTreeMap::new());
    let token = stage.token();
    let signed = signer.sign(&references, &token, &none, &|_| {});
    signed.await.unwrap_err()
}

#[tokio::test]
async fn the_guards_of_fallback_tags_overlap_and_results_keep_their_order() {
    let stage = Stage::without_referrers_api().await;
    let index = eight_platforms(&stage);
    // Long enough for all others to write meanwhile.
    let mut options = Options::default();
    options.retries.pause = Duration::from_secs(3);
    let registry = Registry::new(options).unwrap();
    let services = stage.services(RekorVersion::V1);
    let signer = Signer::new(registry, &services, stage.trusted_root()).unwrap();
    let signed = stage.sign_with(&signer.with_tags(Tags::Followed)).await;
    let signed: Vec<_> = order(&signed.unwrap())
        .into_iter()
        .map(|one| one.0)
        .collect();
    assert_eq!(signed, digests(&index));
    assert_eq!(stage.answers(Service::Fulcio), [200]);
    let lists: HashSet<String> = digests(&index)
        .iter()
        .map(|digest| format!("/v2/{PATH}/manifests/{}", digest.referrers_tag()))
        .collect();
    // One after the other, each list is read back before the next is written.
    let (mut written, mut at_once) = (HashSet::new(), 0);
    for request in stage.registry.requests() {
        if !lists.contains(&request.path) {
            continue;
        }
        match request.method.as_str() {
            "PUT" => assert!(written.insert(request.path)),
            _ => drop(written.remove(&request.path)),
        }
        at_once = at_once.max(written.len());
    }
    assert!(at_once > 1, "one after the other");
}

#[tokio::test]
async fn all_entries_share_a_batch_of_the_log() {
    let stage = Stage::new().await;
    eight_platforms(&stage);
    let batches = ServiceFault::AnswerOnTheSecond;
    stage.sigstore.inject(Service::RekorV2, batches, 9);
    let started = Instant::now();
    let signed = stage.sign_with(&stage.signer_by(RekorVersion::V2)).await;
    assert_eq!(signed.unwrap().len(), 9);
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(8), "one a second: {taken:?}");
}

#[tokio::test]
async fn no_more_are_worked_on_at_once_than_allowed() {
    let stage = Stage::new().await;
    eight_platforms(&stage);
    let signer = stage.signer().with_concurrency(NonZeroUsize::MIN);
    stage.sigstore.inject(
        Service::RekorV1,
        ServiceFault::Refuse {
            status: 400.try_into().unwrap(),
            retry_after: None,
        },
        1,
    );
    // The first failure ends the run: nothing else was begun.
    let Stopped {
        signed, unsigned, ..
    } = stopped(&stage, &signer).await;
    assert_eq!((signed.len(), unsigned.len()), (0, 9));
    assert_eq!(stage.answers(Service::RekorV1), [400]);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn the_failure_of_one_tells_what_was_signed_and_what_was_not() {
    let stage = Stage::new().await;
    let index = eight_platforms(&stage);
    let broken = index.images()[3].digest();
    let list = format!("GET /v2/{PATH}/referrers/{broken}");
    let empty = serde_json::to_vec(&crate::common::index(vec![])).unwrap();
    let stale = Effect::Body(empty.into());
    stage.registry.add_fault(Fault::on(&list, stale));
    let ended = stopped(&stage, &stage.signer()).await;
    assert!(
        matches!(ended.error, Error::NotListed { .. }),
        "{:?}",
        ended.error
    );
    let [unsigned] = ended.unsigned.as_slice() else {
        panic!("expected one that is not signed, found {ended:?}");
    };
    assert_eq!(unsigned.digest, broken);
    assert_eq!(unsigned.reached, Reached::NotVerified);
    let signed: Vec<_> = ended.signed.iter().map(|one| one.digest.clone()).collect();
    let mut expected = digests(&index);
    expected.retain(|digest| *digest != broken);
    assert_eq!(signed, expected);

    // The next run does the rest.
    stage.registry.clear_faults();
    assert_eq!(stage.sign().await.unwrap().len(), 9);
    assert_eq!(stage.answers(Service::RekorV1).len(), 9);
}

#[tokio::test]
async fn without_a_certificate_one_request_is_made_and_nothing_is_signed() {
    let stage = Stage::new().await;
    let index = eight_platforms(&stage);
    let refuse = ServiceFault::Refuse {
        status: 403.try_into().unwrap(),
        retry_after: None,
    };
    stage.sigstore.inject(Service::Fulcio, refuse, 9);
    let ended = stopped(&stage, &stage.signer()).await;
    assert!(ended.signed.is_empty(), "{ended:?}");
    let unsigned: Vec<_> = ended
        .unsigned
        .iter()
        .map(|one| one.digest.clone())
        .collect();
    assert_eq!(unsigned, digests(&index));
    assert!(
        ended
            .unsigned
            .iter()
            .all(|one| one.reached == Reached::NotSigned)
    );
    assert_eq!(stage.answers(Service::Fulcio), [403]);
}

#[tokio::test]
async fn one_run_signs_in_several_repositories_and_before_any_tag() {
    let stage = Stage::new().await;
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    let mut references = Vec::new();
    for path in [PATH, "acme/copy"] {
        index.push(&stage.registry, path, None);
        let repository = stage.registry.repository(path);
        // As whoever pushed them knows them: the index and its children, by digest.
        for digest in digests(&index) {
            references.push(repository.at(digest).into());
        }
    }
    let none = BTreeMap::new();
    let signer = stage.signer().with_tags(Tags::Later);
    let token = stage.token();
    let signed = signer.sign(&references, &token, &none, &|_| {});
    let signed = signed.await.unwrap();
    assert_eq!(signed.len(), 6);
    assert_eq!(stage.answers(Service::Fulcio), [200]);
    for one in &signed {
        let image = one.evidence.repository.at(one.digest.clone());
        assert_eq!(client().referrers(&image).await.unwrap().len(), 1);
    }
}
