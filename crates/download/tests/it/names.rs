//! Policies that bind names: a tag may not lead to what was signed as something else.

use crate::shop::{EARLIER, PATH, Shop, gallery, installed, plan, served};
use crate::stage::{SIGNER, Stage, app};
use countersign_download::{Error, InstallOptions, Integrity, Limits, Outcome, Plan, Role};
use countersign_policy::{Policy, PolicySpec, Violation};
use countersign_sandbox::Statement;
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_verify::{Error as VerifyError, Failure, Refusal};

fn binding(stage: &Stage) -> Policy {
    let spec = PolicySpec {
        bind_name: true,
        ..stage.spec()
    };
    spec.try_into().unwrap()
}

async fn install(stage: &Stage, name: &str) -> Result<(), Error> {
    let policy = binding(stage);
    let installed = stage.install_by(&policy, Limits::default(), name, &|_| {});
    installed.await.map(drop)
}

/// What the signed name had to be and was, by a refusal of the one candidate.
fn names(refusal: &Refusal) -> (String, Option<String>) {
    let [candidate] = &refusal.candidates[..] else {
        panic!("expected one candidate: {refusal}");
    };
    let Failure::Policy(violation) = &candidate.failure else {
        panic!("another failure: {refusal}");
    };
    let Violation::Name { expected, found } = &**violation else {
        panic!("another violation: {refusal}");
    };
    (expected.clone(), found.clone())
}

#[tokio::test]
async fn what_is_signed_by_its_tag_installs_by_this_tag_alone() {
    let stage = Stage::set().await;
    for name in ["chat", "draw"] {
        let image = app("linux/amd64", name);
        image.push(&stage.registry, "app", Some(name));
        stage.sign(&format!("app:{name}"), SIGNER).await;
    }
    install(&stage, "app:chat").await.unwrap();
    assert_eq!(stage.read("version"), "chat");
    // The tag of one leads to the other: both are signed by the same CI.
    let draw = app("linux/amd64", "draw");
    draw.push(&stage.registry, "app", Some("chat"));
    let error = install(&stage, "app:chat").await.unwrap_err();
    let Error::Verify(VerifyError::Refused(refusal)) = &error else {
        panic!("another error: {error:?}");
    };
    let repository = stage.reference("app:chat").location().to_string();
    let expected = (
        format!("{repository}:chat"),
        Some(format!("{repository}:draw")),
    );
    assert_eq!(names(refusal), expected);
    assert_eq!(stage.read("version"), "chat");
    // Without the binding nothing tells the one from the other.
    stage.install("app:chat").await.unwrap();
    assert_eq!(stage.read("version"), "draw");
}

#[tokio::test]
async fn what_is_asked_for_by_digest_is_bound_to_the_repository() {
    let stage = Stage::set().await;
    let image = app("linux/amd64", "v1");
    let digest = image.push(&stage.registry, "app", Some("v1"));
    image.push(&stage.registry, "other", None);
    stage.sign("app:v1", SIGNER).await;
    install(&stage, &format!("app@{digest}")).await.unwrap();
    // Signed by digest there is no tag in the name, and the tag is not vouched for.
    let image = app("linux/amd64", "v2");
    let digest = image.push(&stage.registry, "app", Some("v2"));
    stage.sign(&format!("app@{digest}"), SIGNER).await;
    install(&stage, &format!("app@{digest}")).await.unwrap();
    let error = install(&stage, "app:v2").await.unwrap_err();
    let Error::Verify(VerifyError::Refused(refusal)) = &error else {
        panic!("another error: {error:?}");
    };
    let repository = stage.reference("app").location().to_string();
    assert_eq!(
        names(refusal),
        (format!("{repository}:v2"), Some(repository))
    );
}

#[tokio::test]
async fn a_tag_beside_the_digest_is_signed_with_it() {
    let stage = Stage::set().await;
    let digest = app("linux/amd64", "v1").push(&stage.registry, "app", Some("v1"));
    stage.sign(&format!("app:v1@{digest}"), SIGNER).await;
    install(&stage, "app:v1").await.unwrap();
}

#[tokio::test]
async fn a_platform_s_own_signature_is_bound_to_the_tag_of_its_index() {
    let stage = Stage::set().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
    index.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    // Another index of the same images, that nobody signed.
    let other = ImageIndex::new(vec![app("linux/amd64", "v1")]);
    other.push(&stage.registry, "app", Some("v1"));
    install(&stage, "app:v1").await.unwrap();
    other.push(&stage.registry, "app", Some("v2"));
    let error = install(&stage, "app:v2").await.unwrap_err();
    let Error::Verify(VerifyError::BothRefused { manifest, .. }) = &error else {
        panic!("another error: {error:?}");
    };
    let (expected, found) = names(manifest);
    assert!(expected.ends_with("/app:v2"), "{expected}");
    assert!(found.unwrap().ends_with("/app:v1"));
}

/// The shop's plan for `cpu-app` by a policy that binds names.
fn bound(shop: &Shop) -> Plan {
    let issuer = shop.stage.sigstore.issuer();
    let gallery = gallery(&format!(
        "[{{name: acme, url: 'file:i', verification: {{issuer: '{issuer}', identity: '{SIGNER}', bind_name: true}}}}]"
    ));
    let (primary, mirror) = (shop.primary().host(), shop.mirror.host());
    let tag = format!("{PATH}:latest-cpu-app");
    let index = format!("[{{name: cpu-app, uri: '{primary}/{tag}', mirrors: ['{mirror}/{tag}']}}]");
    plan(&gallery, &index, "cpu-app", Integrity::Strict).unwrap()
}

/// Puts an image at a tag of the mirror, with a signature that gives it the primary's name for
/// `named`.
fn mirrored(shop: &Shop, image: &Image, tag: &str, named: &str) {
    image.push(&shop.mirror, PATH, Some(tag));
    let name = format!("{}/{PATH}:{named}", shop.primary().host());
    let statement = Statement::of(image.digest()).name(name);
    let subject = image.descriptor();
    shop.sign(&[&shop.mirror], subject, statement, SIGNER, EARLIER);
}

#[tokio::test]
async fn a_mirror_s_image_has_to_be_signed_by_the_primary_s_name() {
    let shop = Shop::open().await;
    mirrored(
        &shop,
        &app("linux/amd64", "v1"),
        "latest-cpu-app",
        "latest-cpu-app",
    );
    let result = shop
        .install_by(&bound(&shop), InstallOptions::default())
        .await;
    assert_eq!(served(&installed(result)), (Role::Mirror, 1));
    mirrored(
        &shop,
        &app("linux/amd64", "other"),
        "latest-cpu-app",
        "latest-cpu-other",
    );
    let failure = shop.failure_of(&bound(&shop)).await;
    assert!(
        failure.to_string().contains("latest-cpu-other"),
        "{failure}"
    );
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

#[tokio::test]
async fn a_fallback_has_to_be_signed_by_the_name_of_its_own_tag() {
    let shop = Shop::open().await;
    mirrored(
        &shop,
        &app("linux/amd64", "m1"),
        "master-cpu-app",
        "master-cpu-app",
    );
    let result = shop
        .install_by(&bound(&shop), InstallOptions::default())
        .await;
    let Outcome::Installed { installed, .. } = result.unwrap() else {
        panic!("expected an installation");
    };
    assert_eq!(served(&installed).0, Role::Fallback);
    mirrored(
        &shop,
        &app("linux/amd64", "m2"),
        "master-cpu-app",
        "latest-cpu-app",
    );
    let failure = shop.failure_of(&bound(&shop)).await;
    assert!(failure.to_string().contains("latest-cpu-app"), "{failure}");
    assert_eq!(shop.version("cpu-app").unwrap(), "m1");
}
