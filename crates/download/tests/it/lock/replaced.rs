//! What may take the place of what a lock has.

use super::{TAG, carried_out, locked_shop};
use crate::shop::{ALLOW_OLDER, EARLIER, LATER, Shop, installed};
use crate::stage::{SIGNER, amd64, app};
use countersign_download::{
    Downgrade, Error, InstallOptions, InstallRequest, Lock, LockedError, LockedGrounds, Outcome,
    StoreError,
};

/// Installs `cpu-app`, to be put into `lock`.
async fn with_lock(
    shop: &Shop,
    lock: &Lock,
    options: InstallOptions,
) -> Result<Outcome, StoreError> {
    let (plan, platform) = (shop.plan("cpu-app"), amd64());
    let request = InstallRequest::new(&plan, &platform)
        .with_options(options)
        .with_lock(lock);
    shop.store.install(&shop.stage.installer(), request).await
}

#[tokio::test]
async fn an_older_image_is_not_installed_to_be_locked() {
    let shop = Shop::open().await;
    let later = shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    let mut lock = Lock::new();
    let outcome = carried_out(&shop, &shop.plan("cpu-app")).await;
    let entry = outcome.locked().unwrap().clone();
    assert_eq!(lock.insert(entry.clone(), Downgrade::Refuse), Ok(None));
    shop.remove("cpu-app").await;

    let earlier = shop.publish(&app("linux/amd64", "v1"), TAG, SIGNER, EARLIER);
    let refused = with_lock(&shop, &lock, InstallOptions::default()).await;
    let Err(StoreError::Plan(failure)) = refused else {
        panic!("expected a failure, found {refused:?}");
    };
    let Some(Error::Lock(error)) = failure.decisive() else {
        panic!("{failure}");
    };
    let LockedError::Older {
        expected, found, ..
    } = &**error
    else {
        panic!("{error}");
    };
    assert_eq!((&**expected, &**found), (&later, &earlier));
    assert_eq!(shop.version("cpu-app"), None);

    let outcome = with_lock(&shop, &lock, ALLOW_OLDER).await;
    let older = outcome.as_ref().unwrap().locked().unwrap().clone();
    installed(outcome);
    // The same rule, where it is put in.
    let before = lock.clone();
    let refused = lock.insert(older.clone(), Downgrade::Refuse).unwrap_err();
    assert!(matches!(refused, LockedError::Older { .. }), "{refused}");
    assert_eq!(lock, before);
    assert_eq!(lock.insert(older, Downgrade::Allow), Ok(Some(entry)));
}

#[tokio::test]
async fn weaker_proof_takes_no_signature_s_place_in_a_lock() {
    let (_shop, _, mut lock) = locked_shop().await;
    let mut entry = super::only(&lock);
    for grounds in [LockedGrounds::Digest, LockedGrounds::Nothing] {
        entry.grounds = grounds;
        for downgrade in [Downgrade::Refuse, Downgrade::Allow] {
            let refused = lock.insert(entry.clone(), downgrade).unwrap_err();
            let is_weaker = matches!(refused, LockedError::WeakerEntry { .. });
            assert!(is_weaker, "{refused}");
        }
    }
    // Once it is taken out, anything may be put in.
    assert_eq!(lock.remove("cpu-app").len(), 1);
    assert_eq!(lock.insert(entry, Downgrade::Refuse), Ok(None));
}
