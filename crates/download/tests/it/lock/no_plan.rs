//! Plans that a lock refuses before any registry is asked.

use super::*;

#[tokio::test]
async fn a_policy_that_accepts_the_signer_no_longer_makes_no_plan() {
    let (shop, _, lock) = locked_shop().await;
    let tightened = gallery_with(&shop, &format!("identity: '{STRANGER}'"));
    let error = unlocked(&lock, plan_by(&shop, &tightened, Integrity::Strict));
    let LockedError::Signer { found, .. } = error else {
        panic!("another error: {error:?}");
    };
    assert!(found.to_string().starts_with(SIGNER), "{found}");
}

#[tokio::test]
async fn a_gallery_that_lost_its_policy_makes_no_plan() {
    let (shop, _, lock) = locked_shop().await;
    let plain = gallery("[{name: acme, url: 'file:index.yaml'}]");
    let error = unlocked(&lock, plan_by(&shop, &plain, Integrity::Permissive));
    assert!(matches!(error, LockedError::Weaker { .. }), "{error:?}");
}

#[tokio::test]
async fn strict_mode_takes_nothing_that_was_locked_unverified() {
    let (shop, image) = Shop::open_with_app().await;
    let plain = gallery("[{name: acme, url: 'file:index.yaml'}]");
    let plan = plan_by(&shop, &plain, Integrity::Permissive);
    let lock = locked(&shop, &plan).await;
    assert_eq!(only(&lock).grounds, LockedGrounds::Nothing);
    let error = unlocked(&lock, plan_by(&shop, &shop.gallery(), Integrity::Strict));
    assert!(matches!(error, LockedError::Unverified { .. }), "{error:?}");
    // In permissive mode the digest is pinned all the same, and a policy holds once there is one.
    shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    for gallery in [&plain, &shop.gallery()] {
        let plan = plan_by(&shop, gallery, Integrity::Permissive);
        let plan = plan.locked(&lock, &amd64()).unwrap();
        let fulfilled = carried_out(&shop, &plan).await;
        assert_eq!(fulfilled.locked().unwrap().digest, image.digest());
    }
    let recorded = shop.store.list().await.unwrap();
    assert!(recorded[0].recorded().unwrap().grounds.evidence().is_some());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_than_when_it_was_locked_makes_no_plan() {
    let (shop, _, lock) = locked_shop().await;
    let error = unlocked(&lock, shop.plan("gpu-app"));
    assert!(matches!(error, LockedError::Unknown { .. }), "{error:?}");
    let moved = changed(&lock, |entry| entry.entry = "cuda-app".into());
    assert_eq!(
        unlocked(&moved, shop.plan("cpu-app")),
        LockedError::Entry {
            name: "cpu-app".into(),
            expected: "cuda-app".into(),
            found: "cpu-app".into()
        }
    );
    let elsewhere = changed(&lock, |entry| entry.gallery = "other".into());
    let error = unlocked(&elsewhere, shop.plan("cpu-app"));
    assert!(matches!(error, LockedError::Gallery { .. }), "{error:?}");
}

#[tokio::test]
async fn a_gallery_that_pins_another_digest_makes_no_plan() {
    let (shop, image, lock) = locked_shop().await;
    let pinned = app("linux/amd64", "v2").digest();
    let host = shop.primary().host();
    let index = format!("[{{name: cpu-app, uri: '{host}/{PATH}@{pinned}'}}]");
    let plan = plan(&shop.gallery(), &index, "cpu-app", Integrity::Strict).unwrap();
    assert_eq!(
        unlocked(&lock, plan),
        LockedError::Digest {
            name: "cpu-app".into(),
            expected: image.digest(),
            found: pinned
        }
    );
}
