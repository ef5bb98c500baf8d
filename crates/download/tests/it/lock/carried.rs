//! What a lock file says of a tag and a signer, where the image is carried elsewhere too.

use countersign_download::{Capability, FallbackTags, Origin, Planner, PrivateAddresses};
use countersign_policy::GalleryIndex;

use super::*;

const NIGHTLY: &str = "nightly";

/// A gallery whose policy binds names. `nightly` is another image of the repository, by the same signer for that tag.
async fn bound() -> (Shop, Plan, Image, Lock) {
    let (shop, _) = Shop::open_with_app().await;
    let bound = gallery_with(&shop, &format!("identity: '{SIGNER}', bind_name: true"));
    let named = |tag: &str| format!("{}/{PATH}:{tag}", shop.primary().host());
    let mut images = Vec::new();
    for (version, tag) in [("v2", TAG), ("dev", NIGHTLY)] {
        let image = app("linux/amd64", version);
        image.push(shop.primary(), PATH, Some(tag));
        let statement = Statement::of(image.digest()).name(named(tag));
        shop.sign(
            &[shop.primary()],
            image.descriptor(),
            statement,
            SIGNER,
            LATER,
        );
        images.push(image);
    }
    let index = format!("[{{name: cpu-app, uri: '{}'}}]", named(TAG));
    let plan = plan(&bound, &index, "cpu-app", Integrity::Strict).unwrap();
    let lock = locked(&shop, &plan).await;
    let nightly = images.pop().unwrap();
    (shop, plan, nightly, lock)
}

#[tokio::test]
async fn a_lock_without_a_tag_does_not_take_the_tag_from_what_a_name_is_bound_to() {
    let (shop, plan, nightly, lock) = bound().await;
    for source in [format!("{PATH}@{}", nightly.digest()), PATH.to_owned()] {
        let edited = changed(&lock, |entry| {
            entry.digest = nightly.digest();
            entry.source = format!("{}/{source}", shop.primary().host());
        });
        let locked = plan.clone().locked(&edited, &amd64()).unwrap();
        let failed = failure(&shop, &locked).await;
        let refused = is_refused(failed.decisive(), RefusalKind::Policy);
        assert!(refused, "{source}: {failed}");
    }
}

/// The lock file chooses the tag, as the documentation says.
#[tokio::test]
async fn a_locked_tag_is_the_name_that_is_bound() {
    let (shop, plan, nightly, lock) = bound().await;
    let by_tag = |tag: &str| {
        let edited = changed(&lock, |entry| {
            entry.digest = nightly.digest();
            entry.source = format!("{}/{PATH}:{tag}", shop.primary().host());
        });
        plan.clone().locked(&edited, &amd64()).unwrap()
    };
    let failed = failure(&shop, &by_tag("other")).await;
    let refused = is_refused(failed.decisive(), RefusalKind::Policy);
    assert!(refused, "{failed}");
    installed(
        shop.install_by(&by_tag(NIGHTLY), InstallOptions::default())
            .await,
    );
}

#[tokio::test]
async fn what_is_carried_elsewhere_is_by_the_locked_signer_too() {
    let (shop, _, lock) = locked_shop().await;
    let plan = plan_by(&shop, &open_gallery(&shop), Integrity::Strict);
    let (registry, verifier) = (&shop.stage.client, shop.stage.verifier());
    let as_locked = plan.clone().locked(&lock, &amd64()).unwrap();
    let proven = Box::pin(as_locked.prove(registry, &verifier)).await;
    assert!(proven.is_ok(), "{proven:?}");
    let by_stranger = changed(&lock, |entry| {
        let LockedGrounds::Signature { signer, .. } = &mut entry.grounds else {
            panic!("another kind of grounds: {:?}", entry.grounds);
        };
        let LockedSigner::Certificate { identity, .. } = signer else {
            panic!("another kind of signer: {signer}");
        };
        *identity = STRANGER.to_owned();
    });
    let plan = plan.locked(&by_stranger, &amd64()).unwrap();
    let failed = Box::pin(plan.prove(registry, &verifier)).await.unwrap_err();
    assert!(
        matches!(failed.decisive(), Some(Error::OtherSigner { .. })),
        "{failed}"
    );
}

/// What is copied is read by it too.
#[tokio::test]
async fn what_has_proven_an_image_asks_no_address_that_its_plan_may_not() {
    let (shop, _) = Shop::open_with_app().await;
    let host = shop.primary().host().to_string();
    let index = format!("[{{name: cpu-app, uri: '{host}/{PATH}:{TAG}'}}]");
    let planner = Planner {
        gallery: &shop.gallery(),
        index: &GalleryIndex::parse(&index, "index.yaml").unwrap(),
        location: &format!("http://{host}/index.yaml").parse().unwrap(),
        origin: Origin::Server(countersign_oci::http::HostKind::ThisMachine),
        capability: &Capability::default(),
        integrity: Integrity::Strict,
        fallbacks: &FallbackTags::default(),
        private_addresses: PrivateAddresses::Refuse,
    };
    let plan = planner.plan("cpu-app").unwrap();
    assert!(plan.address_limit().is_some());
    let verifier = shop.stage.verifier();
    let proven = Box::pin(plan.prove(&shop.stage.client, &verifier))
        .await
        .unwrap();
    let options = proven.registry.connection().options();
    assert_eq!(options.address_limit.as_ref(), plan.address_limit());
}

#[tokio::test]
async fn what_is_carried_elsewhere_leads_to_the_locked_manifest() {
    let shop = Shop::open().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
    index.push(shop.primary(), PATH, Some(TAG));
    let statement = Statement::of(index.digest());
    shop.sign(
        &[shop.primary()],
        index.descriptor(),
        statement,
        SIGNER,
        EARLIER,
    );
    let plan = plan_by(&shop, &shop.gallery(), Integrity::Strict);
    let lock = locked(&shop, &plan).await;
    let (registry, verifier) = (&shop.stage.client, shop.stage.verifier());
    let as_locked = plan.clone().locked(&lock, &amd64()).unwrap();
    let proven = Box::pin(as_locked.prove(registry, &verifier)).await;
    assert!(proven.is_ok(), "{proven:?}");
    let sibling = changed(&lock, |entry| entry.digest = index.images()[1].digest());
    let plan = plan.locked(&sibling, &amd64()).unwrap();
    let failed = Box::pin(plan.prove(registry, &verifier)).await.unwrap_err();
    assert!(
        matches!(failed.decisive(), Some(Error::OtherContent { .. })),
        "{failed}"
    );
}
