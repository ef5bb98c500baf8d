//! What refers to an image and is no signature of it: each refused in its own words.

use crate::support::{IDENTITY, PATH, Scene, failure, kind, policy, refusal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_oci::{Descriptor, Digest, Error as RegistryError, media_type};
use countersign_policy::COSIGN_SIGN_PREDICATE;
use countersign_sandbox::image::Image;
use countersign_sandbox::{BUNDLE, Effect, Fault};
use countersign_verify::{
    Error, Failure, Limits, MalformedPart, RefusalKind, TrustedRoot, VerifiedImage, Verifier,
};
use serde_json::{Value, json};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT as PRODUCTION;

const SBOM: &str = "https://spdx.dev/Document";

async fn verify(scene: &Scene) -> Result<VerifiedImage, Error> {
    let root = TrustedRoot::from_json("root", PRODUCTION).unwrap();
    Verifier::new(scene.client.clone(), root)
        .verify(&scene.image, &policy("https://issuer.example", IDENTITY))
        .await
}

/// A bundle that has everything but cryptography.
fn unsigned_bundle(digest: &Digest, predicate_type: &str) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": digest.hex() } }],
        "predicateType": predicate_type,
    });
    json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "certificate": { "rawBytes": BASE64.encode("certificate") },
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payloadType": "application/vnd.in-toto+json",
            "payload": BASE64.encode(statement.to_string()),
            "signatures": [{ "sig": BASE64.encode("signature") }],
        },
    })
}

#[tokio::test]
async fn an_image_that_nothing_refers_to_is_unsigned() {
    let scene = Scene::new().await;
    let refusal = refusal(verify(&scene).await);
    assert_eq!(refusal.kind(), RefusalKind::Unsigned);
    assert!(refusal.candidates.is_empty());
    insta::assert_snapshot!(
        scene.told(verify(&scene).await),
        @"registry.example/acme/app@[image] is not signed: no signature was found"
    );
}

#[tokio::test]
async fn a_legacy_signature_among_the_referrers_is_called_one() {
    let scene = Scene::new().await;
    let legacy = Image::artifact("")
        .legacy_config("application/vnd.dev.cosign.artifact.sig.v1+json", "{}")
        .subject(scene.image.descriptor())
        .layer("application/vnd.dev.cosign.simplesigning.v1+json", "{}")
        .build();
    scene.list(&legacy);
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Unsigned));
    assert!(matches!(failure(result), Failure::LegacySignature));
    insta::assert_snapshot!(scene.told(verify(&scene).await), @r"
    registry.example/acme/app@[image] is not signed in a form that the policy accepts. Found instead:
      [0]…: a signature in cosign's legacy form (simple signing), and the policy accepts bundles only; sign again in the bundle form (`cosign sign --new-bundle-format`, version 2.6 or newer, or `countersign sign`), or accept the legacy form with `signature_formats: [bundle, simple_signing]`; cosign 2's `oci-1-1` mode does not help, because it stores the same form as a referrer
    ");
}

#[tokio::test]
async fn a_legacy_signature_under_its_tag_is_called_one() {
    let scene = Scene::with(false).await;
    let legacy = Image::artifact("")
        .legacy_config("application/vnd.oci.image.config.v1+json", "{}")
        .layer("application/vnd.dev.cosign.simplesigning.v1+json", "{}")
        .build();
    let tag = format!("sha256-{}.sig", scene.image.digest().hex());
    legacy.push(&scene.server, PATH, Some(&tag));
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Unsigned));
    assert!(matches!(failure(result), Failure::LegacySignature));
}

#[tokio::test]
async fn an_attestation_is_no_signature() {
    let scene = Scene::new().await;
    scene.attach(unsigned_bundle(scene.image.digest(), SBOM).to_string());
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Unsigned));
    match failure(result) {
        Failure::Attestation { expected, found } => {
            assert_eq!(expected, [COSIGN_SIGN_PREDICATE]);
            assert_eq!(found, SBOM);
        }
        other => panic!("{other:?}"),
    }
    insta::assert_snapshot!(scene.told(verify(&scene).await), @r"
    registry.example/acme/app@[image] is not signed. Found instead:
      [0]…: an attestation, not a signature: expected predicate type https://sigstore.dev/cosign/sign/v1, found https://spdx.dev/Document
    ");
}

#[tokio::test]
async fn another_artifact_is_no_signature() {
    let scene = Scene::new().await;
    let sbom = Image::artifact("application/spdx+json")
        .subject(scene.image.descriptor())
        .layer("application/spdx+json", "{}")
        .build();
    scene.list(&sbom);
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Unsigned));
    assert!(matches!(failure(result), Failure::OtherArtifact { .. }));
    insta::assert_snapshot!(scene.told(verify(&scene).await), @r"
    registry.example/acme/app@[image] is not signed. Found instead:
      [0]…: not a signature: expected one layer with a Sigstore bundle, found application/spdx+json with a layer of application/spdx+json
    ");
}

#[tokio::test]
async fn an_image_listed_as_its_own_referrer_is_no_signature() {
    let scene = Scene::with(false).await;
    scene.list_by_tag(vec![scene.image.descriptor()]);
    assert!(matches!(
        failure(verify(&scene).await),
        Failure::OtherArtifact { .. }
    ));
}

#[tokio::test]
async fn a_signature_of_another_image_is_refused_by_its_manifest() {
    let scene = Scene::with(false).await;
    let other = Descriptor::of(media_type::OCI_MANIFEST, b"another image");
    let bundle = unsigned_bundle(&other.digest, COSIGN_SIGN_PREDICATE).to_string();
    let signature = Image::signature(other.clone(), bundle);
    scene.list(&signature);
    scene.list_by_tag(vec![signature.descriptor()]);
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Invalid));
    match failure(result) {
        Failure::OtherSubject { expected, found } => {
            assert_eq!(expected, *scene.image.digest());
            assert_eq!(found, Some(other.digest));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bundle_for_another_image_is_refused_by_its_statement() {
    let scene = Scene::new().await;
    let other = Digest::sha256(b"another image");
    scene.attach(unsigned_bundle(&other, COSIGN_SIGN_PREDICATE).to_string());
    match failure(verify(&scene).await) {
        Failure::SubjectDigest { expected, found } => {
            assert_eq!(expected, *scene.image.digest());
            assert_eq!(found, other.to_string());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_manifest_with_more_than_the_bundle_is_refused() {
    let scene = Scene::new().await;
    let two = Image::artifact(BUNDLE)
        .subject(scene.image.descriptor())
        .layer(BUNDLE, "{}")
        .layer("text/plain", "more")
        .build();
    scene.list(&two);
    assert!(matches!(
        failure(verify(&scene).await),
        Failure::LayerCount { found: 2 }
    ));
}

#[tokio::test]
async fn a_descriptor_that_lies_about_its_type_decides_nothing() {
    let scene = Scene::with(false).await;
    let sbom = Image::artifact("application/spdx+json")
        .subject(scene.image.descriptor())
        .layer("application/spdx+json", "{}")
        .build();
    scene.list(&sbom);
    scene.list_by_tag(vec![Descriptor {
        artifact_type: Some(BUNDLE.into()),
        ..sbom.descriptor()
    }]);
    assert!(matches!(
        failure(verify(&scene).await),
        Failure::OtherArtifact { .. }
    ));
}

#[tokio::test]
async fn a_bundle_that_is_gone_or_other_or_too_large_is_the_candidates_fault() {
    let unreadable = async |spoil: &dyn Fn(&Scene, &Digest)| {
        let scene = Scene::new().await;
        let bundle = unsigned_bundle(scene.image.digest(), COSIGN_SIGN_PREDICATE).to_string();
        let digest = Digest::sha256(bundle.as_bytes());
        scene.attach(bundle);
        spoil(&scene, &digest);
        let result = verify(&scene).await;
        assert_eq!(kind(&result), Some(RefusalKind::Invalid));
        match failure(result) {
            Failure::Unreadable(error) => *error,
            other => panic!("{other:?}"),
        }
    };
    let gone = unreadable(&|scene, digest| {
        scene.server.remove_blob(PATH, digest);
    })
    .await;
    assert!(matches!(gone, RegistryError::NotFound { .. }), "{gone:?}");
    let other = unreadable(&|scene, digest| {
        let length = scene.server.blob(PATH, digest).unwrap().len();
        scene.server.replace_blob(PATH, digest, "x".repeat(length));
    })
    .await;
    assert!(
        matches!(other, RegistryError::DigestMismatch { .. }),
        "{other:?}"
    );
    let endless = unreadable(&|scene, _| {
        scene
            .server
            .add_fault(Fault::on("GET /v2/*/blobs/*", Effect::Endless));
    })
    .await;
    assert!(
        matches!(endless, RegistryError::SizeMismatch { .. }),
        "{endless:?}"
    );
}

#[tokio::test]
async fn a_bundle_over_the_limit_is_not_fetched() {
    let scene = Scene::new().await;
    scene.attach(vec![b' '; (1 << 20) + 1]);
    match failure(verify(&scene).await) {
        Failure::Unreadable(error) => {
            assert!(matches!(*error, RegistryError::Limit { .. }), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    let blobs = scene.requests();
    assert!(
        !blobs.iter().any(|line| line.contains("/blobs/")),
        "{blobs:?}"
    );
}

#[tokio::test]
async fn referrers_beyond_the_limit_are_not_fetched_and_are_counted() {
    let scene = Scene::new().await;
    for number in 0..200 {
        scene.attach(format!("junk {number}"));
    }
    let refusal = refusal(verify(&scene).await);
    assert_eq!(refusal.candidates.len(), 64);
    assert_eq!(refusal.untried, 136);
    assert_eq!(scene.requests().len(), 1 + 2 * 64);
    let end = "\n  not checked: 136 more, beyond the limit of candidates";
    assert!(refusal.to_string().ends_with(end), "{refusal}");
}

#[tokio::test]
async fn limits_are_the_callers_to_set() {
    let scene = Scene::new().await;
    for number in 0..3 {
        scene.attach(format!("junk {number}"));
    }
    let root = TrustedRoot::from_json("root", PRODUCTION).unwrap();
    let mut limits = Limits::default();
    limits.candidates = 2;
    limits.concurrency = 0;
    let result = Verifier::new(scene.client.clone(), root)
        .with_limits(limits)
        .verify(&scene.image, &policy("https://issuer.example", IDENTITY))
        .await;
    let refusal = refusal(result);
    assert_eq!((refusal.candidates.len(), refusal.untried), (2, 1));
}

#[tokio::test]
async fn a_candidate_that_the_registry_withholds_leaves_the_question_open() {
    for status in [401, 403, 429, 500, 503] {
        let scene = Scene::new().await;
        scene.attach(unsigned_bundle(scene.image.digest(), SBOM).to_string());
        let fault = Fault::on("GET /v2/*/blobs/*", Effect::status(status));
        scene.server.add_fault(fault);
        let result = verify(&scene).await;
        assert!(
            matches!(result, Err(Error::Registry(_))),
            "{status}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_list_that_can_not_be_had_is_not_an_empty_list() {
    for status in [401, 403, 429, 500] {
        let scene = Scene::new().await;
        let fault = Fault::on("GET /v2/*/referrers/*", Effect::status(status));
        scene.server.add_fault(fault);
        let result = verify(&scene).await;
        assert!(
            matches!(result, Err(Error::Registry(_))),
            "{status}: {result:?}"
        );
    }
}

#[tokio::test]
async fn junk_is_told_from_what_is_no_signature() {
    let scene = Scene::new().await;
    scene.attach("not JSON");
    let result = verify(&scene).await;
    assert_eq!(kind(&result), Some(RefusalKind::Invalid));
    assert!(matches!(
        failure(result),
        Failure::Malformed {
            part: MalformedPart::Bundle,
            ..
        }
    ));
    insta::assert_snapshot!(scene.told(verify(&scene).await), @r"
    registry.example/acme/app@[image] has no valid signature:
      [0]…: the bundle is malformed: expected ident at line 1 column 2
    ");
}

#[tokio::test]
async fn what_a_stranger_wrote_reaches_the_message_short_and_harmless() {
    let scene = Scene::new().await;
    let long = format!("\u{1b}[2Jfake\nline{}", "x".repeat(100_000));
    scene.attach(unsigned_bundle(scene.image.digest(), &long).to_string());
    let text = scene.told(verify(&scene).await);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(text.len() < 1_000, "{}", text.len());
}
