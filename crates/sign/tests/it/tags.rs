//! Who decides what is signed: whoever gives the digest, not the registry that answers for a tag.

use std::collections::BTreeMap;

use countersign_oci::Reference;
use countersign_sign::{Error, Signed, Tags};

use crate::common::{PATH, Stage, image};

async fn sign(stage: &Stage, references: &[Reference], tags: Tags) -> Result<Vec<Signed>, Error> {
    let signer = stage.signer().with_tags(tags);
    let (token, annotations) = (stage.token(), BTreeMap::new());
    let signed = signer.sign(references, &token, &annotations, &|_| {});
    signed.await.map_err(|stopped| stopped.error)
}

/// Nobody was asked for a certificate, and nothing was pushed.
fn nothing_published(stage: &Stage) {
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_reference_without_a_digest_is_refused_with_the_digest_that_its_tag_has() {
    for tags in [Tags::Checked, Tags::Later] {
        let stage = Stage::new().await;
        let one = stage.one_image().digest();
        let other = image("linux/s390x");
        other.push(&stage.registry, PATH, Some("latest"));
        let references = [
            stage.reference(":v1"),
            stage.reference(&format!("@{one}")),
            stage.reference(""),
        ];
        let error = sign(&stage, &references, tags).await.unwrap_err();
        let Error::ByTag { pinned } = &error else {
            panic!("expected a refusal, found {error:?}");
        };
        let expected = [
            stage.reference(&format!(":v1@{one}")),
            stage.reference(&format!(":latest@{}", other.digest())),
        ];
        assert_eq!(*pinned, expected);
        let host = stage.registry.host();
        assert_eq!(
            error.to_string(),
            format!(
                "expected a digest in each reference, found none in {host}/{PATH}:v1 and \
                 {host}/{PATH}:latest: the registry decides what a tag names, and would decide \
                 what is signed"
            )
        );
        nothing_published(&stage);
    }
}

#[tokio::test]
async fn a_tag_is_signed_where_the_caller_says_so() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let references = [stage.reference(":v1")];
    let signed = sign(&stage, &references, Tags::Followed).await.unwrap();
    assert_eq!(signed[0].digest, digest);
}

#[tokio::test]
async fn a_tag_beside_the_digest_that_it_names_costs_no_further_request() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let references = [stage.reference(&format!(":v1@{digest}"))];
    let signed = sign(&stage, &references, Tags::Checked).await.unwrap();
    assert_eq!(signed[0].digest, digest);
    let name = format!("{}:v1", stage.registry.repository(PATH));
    assert_eq!(signed[0].evidence.subject_name, Some(name));
    let requests = stage.registry.requests();
    assert_eq!(
        requests[0].line(),
        format!("GET /v2/{PATH}/manifests/v1"),
        "the image is the tag's"
    );
    let by_digest = format!("GET /v2/{PATH}/manifests/{digest}");
    assert!(!requests.iter().any(|request| request.line() == by_digest));
}

#[tokio::test]
async fn a_tag_that_is_missing_or_names_another_digest_is_not_signed() {
    for tags in [Tags::Checked, Tags::Followed] {
        let stage = Stage::new().await;
        let digest = stage.one_image().digest();
        let other = image("linux/s390x");
        other.push(&stage.registry, PATH, Some("v2"));
        for (tag, expected) in [("v3", None), ("v2", Some(other.digest()))] {
            let reference = stage.reference(&format!(":{tag}@{digest}"));
            let good = stage.reference(&format!(":v1@{digest}"));
            let references = [good, reference.clone()];
            let error = sign(&stage, &references, tags).await.unwrap_err();
            match error {
                Error::Tag {
                    reference: about,
                    expected: wanted,
                    found,
                } => assert_eq!(
                    (*about, wanted, found),
                    (reference, digest.clone(), expected)
                ),
                error => panic!("expected a refusal, found {error:?}"),
            }
        }
        nothing_published(&stage);
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_missed_before_its_tag() {
    let stage = Stage::new().await;
    let digest = image("linux/s390x").digest();
    let references = [stage.reference(&format!(":v1@{digest}"))];
    let error = sign(&stage, &references, Tags::Checked).await.unwrap_err();
    let what = references[0].to_string().replace(":v1@", "@");
    assert!(
        matches!(
            &error,
            Error::Registry(countersign_oci::Error::NotFound { what: found, .. }) if *found == what
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_tag_that_is_set_later_is_signed_unseen() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let references = [stage.reference(&format!(":v3@{digest}"))];
    let signed = sign(&stage, &references, Tags::Later).await.unwrap();
    let name = format!("{}:v3", stage.registry.repository(PATH));
    assert_eq!(signed[0].evidence.subject_name, Some(name));
}
