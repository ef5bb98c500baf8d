//! Images that are in their repository by digest, signed, proven, and only then tagged.

use std::collections::BTreeMap;

use countersign_oci::{CosignTag, Digest, Reference};
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{Effect, Fault, RegistryOptions};
use countersign_sign::{
    Error, Publication, PublicationError, PublicationFailure, Published, RekorVersion,
    SigningOutcome,
};

use crate::common::{PATH, Stage, image};
use crate::merge::unsigned_when_tagged;

impl Stage {
    /// An index of two platforms, without a tag.
    fn untagged(&self) -> (ImageIndex, Reference) {
        let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
        let digest = index.push(&self.registry, PATH, None);
        (index, self.reference(&format!("@{digest}")))
    }

    async fn sign_then_tag(
        &self,
        images: &[Reference],
        tags: &[&str],
    ) -> Result<Published, PublicationFailure> {
        let (token, none) = (self.token(), BTreeMap::new());
        let with = Publication::new(self.signer_by(RekorVersion::V1), &token, &none).unwrap();
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        with.sign_then_tag(images, &tags, &|_| {}).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_watches_sees_no_tag_that_names_an_unsigned_image() {
    for referrers_api in [true, false] {
        let options = RegistryOptions {
            referrers_api,
            ..RegistryOptions::default()
        };
        let stage = Stage::with(options).await;
        let (index, reference) = stage.untagged();
        let published = stage
            .sign_then_tag(std::slice::from_ref(&reference), &["v1", "latest"])
            .await
            .unwrap();
        assert_eq!(
            published.tags,
            [stage.reference(":v1"), stage.reference(":latest")]
        );
        // Index and two images, for each of two names.
        assert_eq!(published.signed.len(), 6);
        let mut digests: Vec<Digest> = index.images().iter().map(Image::digest).collect();
        digests.push(index.digest());
        for tag in ["v1", "latest"] {
            assert_eq!(stage.tagged(PATH, tag), Some(index.digest()));
        }
        let faults = unsigned_when_tagged(&stage.registry, PATH, &digests);
        assert!(faults.is_empty(), "{faults:?}");

        // A run that is repeated adds nothing, and writes the tags once more.
        let again = stage.sign_then_tag(&[reference], &["v1", "latest"]).await;
        let again = again.unwrap().signed;
        assert!(
            again
                .iter()
                .all(|one| one.outcome == SigningOutcome::AlreadySigned)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_tags_leaves_them_where_they_were() {
    let stage = Stage::new().await;
    let old = image("linux/s390x").push(&stage.registry, PATH, Some("v1"));
    let (index, reference) = stage.untagged();
    let images = [reference];
    let tags = [stage.reference(":v1"), stage.reference(":v2")];
    // The second of the signatures is refused.
    let manifests = "PUT /v2/acme/app/manifests/sha256:*";
    stage
        .registry
        .add_fault(Fault::on(manifests, Effect::status(403)).after(1));
    let failure = stage.sign_then_tag(&images, &["v1", "v2"]).await;
    let failure = failure.unwrap_err();
    assert!(failure.moved.is_empty(), "{failure:?}");
    assert_eq!(failure.unclear, None);
    assert_eq!(failure.left, tags);
    assert!(!failure.unsigned.is_empty(), "{failure:?}");
    assert_eq!(stage.tagged(PATH, "v1"), Some(old));
    assert_eq!(stage.tagged(PATH, "v2"), None);

    // A tag that can't be written is told apart from the one that was.
    stage.registry.clear_faults();
    let second = "PUT /v2/acme/app/manifests/v2";
    stage
        .registry
        .add_fault(Fault::on(second, Effect::status(403)));
    let failure = stage.sign_then_tag(&images, &["v1", "v2"]).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.moved, tags[..1]);
    assert_eq!(failure.left, tags[1..]);
    assert_eq!(stage.tagged(PATH, "v1"), Some(index.digest()));

    stage.registry.clear_faults();
    let published = stage.sign_then_tag(&images, &["v1", "v2"]).await.unwrap();
    assert_eq!(published.tags, tags);
}

#[tokio::test]
async fn names_that_can_t_be_written_are_refused_before_anything_is_signed() {
    let stage = Stage::new().await;
    let (_, first) = stage.untagged();
    let other = image("linux/s390x").push(&stage.registry, PATH, Some("old"));
    let other = stage.reference(&format!("@{other}"));
    let tagged = first.with_tag("v0").unwrap();
    let tagged = tagged.pinned_to(first.digest().unwrap().clone());
    let refused = async |images: &[Reference], tags: &[&str]| {
        let failure = stage.sign_then_tag(images, tags).await.unwrap_err();
        assert!(failure.moved.is_empty());
        failure.error
    };
    let two = [first.clone(), other];
    let error = refused(&two, &["v1"]).await;
    let same = matches!(error, Error::Publication(PublicationError::SameTag { .. }));
    assert!(same, "{error:?}");
    let error = refused(&[tagged], &["v1"]).await;
    let target = matches!(error, Error::Publication(PublicationError::Target { .. }));
    assert!(target, "{error:?}");
    let error = refused(&two[..1], &["-v1"]).await;
    let not_a_tag = matches!(error, Error::Publication(PublicationError::NotATag { .. }));
    assert!(not_a_tag, "{error:?}");
    let (legacy, list) = (CosignTag::Signatures, Digest::sha256(b"x"));
    for tag in [list.referrers_tag(), list.tag_beside(legacy)] {
        let error = refused(&two[..1], &[&tag]).await;
        let lost = PublicationError::OfSignatures {
            tag: Box::new(stage.reference(&format!(":{tag}"))),
        };
        assert_eq!(error.to_string(), lost.to_string());
    }
    let error = refused(&two[..1], &[]).await;
    let none = matches!(error, Error::Publication(PublicationError::NoTag));
    assert!(none, "{error:?}");
    // A registry must not decide what is signed; the words to use instead are the digest alone.
    let error = refused(&[stage.reference(":old")], &["v1"]).await;
    let Error::Publication(PublicationError::ByTag { pinned, .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*pinned, two[1..]);
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.tagged(PATH, "v1"), None);
}
