//! Plans that nothing is required of: what permissive mode lets be, and what it must not touch.

use std::fs;

use crate::shop::{ALLOW_OLDER, EARLIER, PATH, Shop, gallery, installed, plan, served};
use crate::stage::{SIGNER, app};
use countersign_download::{
    AdmittedImage, Error, Grounds, InstallOptions, Integrity, Outcome, Plan, PlanError,
    RequirementError, Role, StoreError,
};
use countersign_oci::{Digest, Error as RegistryError, ResolvedImage, Selected};
use countersign_sandbox::image::ImageIndex;
use countersign_sandbox::{Effect, Fault};
use serde_json::Value;

/// The plan for `cpu-app` of the shop's registries, by a gallery without a policy.
fn uncovered(shop: &Shop, integrity: Integrity) -> Result<Plan, PlanError> {
    let (primary, mirror) = (shop.primary().host(), shop.mirror.host());
    let tag = format!("{PATH}:latest-cpu-app");
    let index = format!("[{{name: cpu-app, uri: '{primary}/{tag}', mirrors: ['{mirror}/{tag}']}}]");
    let gallery = gallery("[{name: plain, url: 'file:index.yaml'}]");
    plan(&gallery, &index, "cpu-app", integrity)
}

/// A shop whose registries have an index that nobody signed as `latest-cpu-app`.
async fn unsigned() -> (Shop, ImageIndex) {
    let shop = Shop::open().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
    for registry in [shop.primary(), &shop.mirror] {
        index.push(registry, PATH, Some("latest-cpu-app"));
    }
    (shop, index)
}

async fn resolved(shop: &Shop, tag: &str) -> ResolvedImage {
    let reference = format!("{}/{PATH}:{tag}", shop.primary().host());
    let reference = reference.parse().unwrap();
    shop.stage.client.resolve(&reference).await.unwrap()
}

async fn failure(shop: &Shop, plan: &Plan) -> Error {
    failure_of(shop.install_by(plan, ALLOW_OLDER).await)
}

fn failure_of(result: Result<Outcome, StoreError>) -> Error {
    match result {
        Err(StoreError::Plan(failure)) => failure.into_decisive().unwrap(),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[tokio::test]
async fn permissive_mode_installs_an_unsigned_image_and_its_record_says_so() {
    let (shop, index) = unsigned().await;
    let plan = uncovered(&shop, Integrity::Permissive).unwrap();
    let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(installed.grounds, Grounds::Nothing);
    assert_eq!(installed.index, Some(index.digest()));
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    // Nobody was asked for signatures: there is no policy to judge them by.
    let asked = shop.primary().requests();
    assert!(asked.iter().all(|one| !one.path.contains("referrers")));
    let listed = shop.store.list().await.unwrap();
    let recorded = listed.iter().map(|one| &one.recorded().unwrap().grounds);
    assert_eq!(recorded.collect::<Vec<_>>(), [&Grounds::Nothing]);
    let again = shop
        .install_by(&plan, InstallOptions::default())
        .await
        .unwrap();
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
}

#[tokio::test]
async fn strict_mode_has_no_plan_for_it() {
    let (shop, _) = unsigned().await;
    let error = uncovered(&shop, Integrity::Strict).unwrap_err();
    assert!(
        matches!(
            error,
            PlanError::Requirement {
                source: RequirementError::NoPolicy { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_unverified_mirror_is_asked_for_the_digest_that_the_primary_resolved() {
    let (shop, index) = unsigned().await;
    let other = ImageIndex::new(vec![app("linux/amd64", "other")]);
    other.push(&shop.mirror, PATH, Some("latest-cpu-app"));
    let blobs = format!("GET /v2/{PATH}/blobs/*");
    shop.primary()
        .add_fault(Fault::on(&blobs, Effect::status(404)));
    let plan = uncovered(&shop, Integrity::Permissive).unwrap();
    let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.index, Some(index.digest()));
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

#[tokio::test]
async fn bytes_are_checked_against_their_digests_all_the_same() {
    let (shop, index) = unsigned().await;
    let child = &index.images()[0];
    let mut bytes = child.bytes().to_vec();
    *bytes.last_mut().unwrap() = b' ';
    for registry in [shop.primary(), &shop.mirror] {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        registry.replace_manifest(PATH, &child.digest(), media_type, bytes.clone());
    }
    let plan = uncovered(&shop, Integrity::Permissive).unwrap();
    let error = failure(&shop, &plan).await;
    assert!(
        matches!(error, Error::Registry(RegistryError::DigestMismatch { .. })),
        "{error:?}"
    );
    assert_eq!(shop.version("cpu-app"), None);
}

#[tokio::test]
async fn what_was_verified_is_never_replaced_by_what_is_not() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    // The gallery has lost its policy, the tag moves on.
    app("linux/amd64", "v2").push(shop.primary(), PATH, Some("latest-cpu-app"));
    let plan = uncovered(&shop, Integrity::Permissive).unwrap();
    let error = failure(&shop, &plan).await;
    let Error::Weaker {
        installed, found, ..
    } = error
    else {
        panic!("another error: {error:?}");
    };
    assert!(matches!(*installed, Grounds::Signature { .. }));
    assert_eq!(*found, Grounds::Nothing);
    let kept = shop.store.list().await.unwrap();
    assert_eq!(
        kept.first().unwrap().recorded().unwrap().digest,
        image.digest()
    );
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

#[tokio::test]
async fn what_is_verified_later_takes_the_place_of_what_was_not_even_with_the_same_content() {
    let (shop, _) = Shop::open_with_app().await;
    let plan = uncovered(&shop, Integrity::Permissive).unwrap();
    let before = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(before.grounds, Grounds::Nothing);
    let after = shop.installed("cpu-app").await;
    assert_eq!(after.digest, before.digest);
    let evidence = after.grounds.evidence().unwrap();
    assert_eq!(evidence.signer.to_string(), SIGNER);
    assert_eq!(evidence.signed_at, [EARLIER.parse().unwrap()]);
}

#[tokio::test]
async fn a_requirement_that_asks_for_anything_permits_nothing() {
    let (shop, image) = Shop::open_with_app().await;
    assert!(
        shop.plan("app")
            .requirement()
            .permit(&image.digest())
            .is_none()
    );
    let open = uncovered(&shop, Integrity::Permissive).unwrap();
    let permit = open.requirement().permit(&image.digest()).unwrap();
    assert_eq!(*permit.digest(), image.digest());
}

#[tokio::test]
async fn a_record_that_names_no_grounds_is_of_a_signature_as_all_once_were() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let path = shop.directory("cpu-app").join(".countersign/record.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut record: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(record.remove("grounds"), Some("signature".into()));
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let listed = shop.store.list().await.unwrap();
    let evidence = listed[0].recorded().unwrap().grounds.evidence().unwrap();
    assert_eq!(evidence.signer.to_string(), SIGNER);
    let again = shop.install("cpu-app").await.unwrap();
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
    // Without its evidence it is no signature's.
    record.remove("evidence");
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    let error = failure_of(shop.install("cpu-app").await);
    assert!(matches!(error, Error::UnreadableRecord { .. }), "{error:?}");
    // Nor may what is unverified take its place, whatever is allowed: it could be a signature's.
    let open = uncovered(&shop, Integrity::Permissive).unwrap();
    let error = failure(&shop, &open).await;
    assert!(matches!(error, Error::UnreadableRecord { .. }), "{error:?}");
}

#[tokio::test]
async fn a_permit_admits_nothing_but_what_it_is_for() {
    let (shop, index) = unsigned().await;
    let image = resolved(&shop, "latest-cpu-app").await;
    let open = uncovered(&shop, Integrity::Permissive).unwrap();
    let permit = |digest: &Digest| open.requirement().permit(digest).unwrap();
    let child = index.images()[0].digest();
    let other = AdmittedImage::unverified(permit(&child), &image, None).unwrap_err();
    let Error::OtherPermit { expected, found } = &other else {
        panic!("another error: {other:?}");
    };
    assert_eq!((expected, found), (&index.digest(), &child));
    // Nor what the index that it is for doesn't list.
    let stranger = app("linux/amd64", "stranger");
    stranger.push(shop.primary(), PATH, Some("stranger"));
    let stranger = resolved(&shop, "stranger").await;
    let permit = permit(image.digest());
    let selected = Selected {
        indexes: Vec::new(),
        manifest: stranger,
    };
    let other = AdmittedImage::unverified(permit, &image, Some(&selected)).unwrap_err();
    assert!(matches!(other, Error::OtherPermit { .. }), "{other:?}");
}
