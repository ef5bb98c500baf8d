//! Plans that a lock narrows: the same digests from whichever source, by the same signer, and on
//! nothing less than the gallery asks for.

mod carried;
mod no_plan;
mod replaced;

use crate::shop::{
    ALLOW_OLDER, EARLIER, LATER, PATH, Shop, gallery, installed, is_refused, plan, served,
};
use crate::stage::{SIGNER, STRANGER, amd64, app};
use countersign_download::{
    Downgrade, Error, InstallOptions, InstallRequest, Integrity, Lock, LockedEntry, LockedError,
    LockedGrounds, LockedSigner, Outcome, Plan, PlanFailure, Role, StoreError,
};
use countersign_oci::{Digest, Error as RegistryError, Platform};
use countersign_policy::Gallery;
use countersign_sandbox::Statement;
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_verify::{Error as VerifyError, RefusalKind};

const TAG: &str = "latest-cpu-app";

/// A gallery whose policy has this block, in addition to the issuer.
fn gallery_with(shop: &Shop, block: &str) -> Gallery {
    let issuer = shop.stage.sigstore.issuer();
    gallery(&format!(
        "[{{name: acme, url: 'file:index.yaml', verification: {{issuer: '{issuer}', {block}}}}}]"
    ))
}

/// A gallery that accepts [`SIGNER`] and [`STRANGER`].
fn open_gallery(shop: &Shop) -> Gallery {
    gallery_with(shop, "identity_regex: '.*'")
}

/// The plan for `cpu-app` by a gallery of the shop's own.
fn plan_by(shop: &Shop, gallery: &Gallery, integrity: Integrity) -> Plan {
    let (primary, mirror) = (shop.primary().host(), shop.mirror.host());
    let index = format!(
        "[{{name: cpu-app, uri: '{primary}/{PATH}:{TAG}', mirrors: ['{mirror}/{PATH}:{TAG}']}}]"
    );
    plan(gallery, &index, "cpu-app", integrity).unwrap()
}

async fn carried_out(shop: &Shop, plan: &Plan) -> Outcome {
    shop.install_by(plan, InstallOptions::default())
        .await
        .unwrap()
}

/// Installs by `plan`, removes what was installed, and keeps the lock.
async fn locked(shop: &Shop, plan: &Plan) -> Lock {
    let mut lock = Lock::new();
    lock.insert(
        carried_out(shop, plan).await.locked().unwrap().clone(),
        Downgrade::Refuse,
    )
    .unwrap();
    shop.remove(plan.name()).await;
    // As it comes out of version control.
    Lock::parse(&lock.to_yaml().unwrap()).unwrap()
}

/// A shop with `latest-cpu-app` at `v1`, locked, and nothing installed.
async fn locked_shop() -> (Shop, Image, Lock) {
    let (shop, image) = Shop::open_with_app().await;
    let lock = locked(&shop, &shop.plan("cpu-app")).await;
    (shop, image, lock)
}

/// The failure of a plan that must install nothing.
async fn failure(shop: &Shop, plan: &Plan) -> PlanFailure {
    assert_eq!(shop.version("cpu-app"), None);
    shop.failure_of(plan).await
}

fn only(lock: &Lock) -> LockedEntry {
    let entries: Vec<_> = lock.entries().collect();
    assert_eq!(entries.len(), 1);
    entries[0].clone()
}

/// The same lock with its one entry changed.
fn changed(lock: &Lock, change: impl FnOnce(&mut LockedEntry)) -> Lock {
    let mut entry = only(lock);
    change(&mut entry);
    let mut changed = Lock::new();
    changed.insert(entry, Downgrade::Refuse).unwrap();
    changed
}

fn unlocked(lock: &Lock, plan: Plan) -> LockedError {
    plan.locked(lock, &amd64()).unwrap_err()
}

#[tokio::test]
async fn a_lock_has_digests_and_signer_as_they_were_verified() {
    let (_shop, image, lock) = locked_shop().await;
    let entry = only(&lock);
    assert_eq!((entry.name.as_str(), entry.platform), ("cpu-app", amd64()));
    assert_eq!((entry.digest, entry.index), (image.digest(), None));
    assert!(entry.source.ends_with(TAG), "{}", entry.source);
    let LockedGrounds::Signature {
        signer, signed_at, ..
    } = entry.grounds
    else {
        panic!("another kind of grounds: {:?}", entry.grounds);
    };
    assert!(signer.to_string().starts_with(SIGNER), "{signer}");
    assert_eq!(signed_at, Some(EARLIER.parse().unwrap()));
}

#[tokio::test]
async fn what_is_locked_is_installed_though_the_tag_has_moved() {
    let (shop, image, lock) = locked_shop().await;
    shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    shop.primary().reset_requests();
    let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(installed.digest, image.digest());
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    let asked = shop.primary().requests();
    assert!(asked.iter().all(|one| !one.path.ends_with(TAG)));
}

#[tokio::test]
async fn locking_again_what_is_there_gives_the_same_bytes() {
    let (shop, _, lock) = locked_shop().await;
    let plan = shop.plan("cpu-app");
    carried_out(&shop, &plan).await;
    let again = carried_out(&shop, &plan).await;
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
    let mut relocked = lock.clone();
    relocked
        .insert(again.locked().unwrap().clone(), Downgrade::Refuse)
        .unwrap();
    assert_eq!(relocked.to_yaml().unwrap(), lock.to_yaml().unwrap());
}

#[tokio::test]
async fn what_is_locked_comes_from_a_mirror_where_the_primary_has_it_no_longer() {
    let (shop, image, lock) = locked_shop().await;
    shop.primary().remove_manifest(PATH, &image.digest());
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.digest, image.digest());
}

#[tokio::test]
async fn a_digest_that_no_source_has_is_not_found_and_said_to_be_locked() {
    let (shop, image, lock) = locked_shop().await;
    for registry in [shop.primary(), &shop.mirror] {
        registry.remove_manifest(PATH, &image.digest());
    }
    shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    shop.publish(&app("linux/amd64", "dev"), "master-cpu-app", SIGNER, LATER);
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    let failure = failure(&shop, &plan).await;
    assert_eq!(failure.locked(), Some(&image.digest()));
    // The primary and its mirror: a fallback's tag in the same repository has no other digests.
    assert_eq!(failure.failures().len(), 2);
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::NotFound { .. }))
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn what_a_fallback_tag_served_is_locked_and_found_again() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "dev");
    shop.publish(&image, "master-cpu-app", SIGNER, EARLIER);
    let lock = locked(&shop, &shop.plan("cpu-app")).await;
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
    assert_eq!(served(&installed), (Role::Fallback, 0));
    assert_eq!(installed.digest, image.digest());
}

#[tokio::test]
async fn a_signer_that_the_policy_accepts_is_refused_where_another_was_locked() {
    let shop = Shop::open().await;
    let gallery = open_gallery(&shop);
    let image = app("linux/amd64", "v1");
    shop.publish(&image, TAG, STRANGER, EARLIER);
    let plan = plan_by(&shop, &gallery, Integrity::Strict);
    let lock = changed(&locked(&shop, &plan).await, |entry| {
        let LockedGrounds::Signature { signer, .. } = &mut entry.grounds else {
            panic!("another kind of grounds: {:?}", entry.grounds);
        };
        let LockedSigner::Certificate { identity, .. } = signer else {
            panic!("another kind of signer: {signer}");
        };
        *identity = SIGNER.into();
    });
    let failure = failure(&shop, &plan.locked(&lock, &amd64()).unwrap()).await;
    let Some(Error::OtherSigner {
        expected, found, ..
    }) = failure.decisive()
    else {
        panic!("another error: {failure}");
    };
    assert!(expected.to_string().starts_with(SIGNER), "{expected}");
    let found = found.as_ref().unwrap().to_string();
    assert!(found.starts_with(STRANGER), "{found}");
}

#[tokio::test]
async fn the_locked_signer_s_signature_is_found_among_others() {
    let shop = Shop::open().await;
    let gallery = open_gallery(&shop);
    let image = app("linux/amd64", "v1");
    let mut locks = Vec::new();
    for identity in [SIGNER, STRANGER] {
        let alone = gallery_with(&shop, &format!("identity: '{identity}'"));
        shop.publish(&image, TAG, identity, EARLIER);
        locks.push(locked(&shop, &plan_by(&shop, &alone, Integrity::Strict)).await);
    }
    for (lock, identity) in locks.iter().zip([SIGNER, STRANGER]) {
        let plan = plan_by(&shop, &gallery, Integrity::Strict);
        let plan = plan.locked(lock, &amd64()).unwrap();
        let installed = installed(shop.install_by(&plan, InstallOptions::default()).await);
        assert_eq!(
            installed.grounds.evidence().unwrap().signer.to_string(),
            identity
        );
        shop.remove("cpu-app").await;
    }
}

#[tokio::test]
async fn a_signature_that_is_gone_is_a_refusal_as_ever() {
    let (shop, image, lock) = locked_shop().await;
    for registry in [shop.primary(), &shop.mirror] {
        for other in registry.manifests(PATH) {
            if other != image.digest() {
                assert!(registry.remove_manifest(PATH, &other));
            }
        }
    }
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    let failure = failure(&shop, &plan).await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
}

#[tokio::test]
async fn a_policy_that_was_tightened_otherwise_refuses_as_always() {
    let (shop, image, lock) = locked_shop().await;
    let since = format!("identity: '{SIGNER}', not_before: '{LATER}'");
    let plan = plan_by(&shop, &gallery_with(&shop, &since), Integrity::Strict);
    let failed = failure(&shop, &plan.locked(&lock, &amd64()).unwrap()).await;
    assert!(
        is_refused(failed.decisive(), RefusalKind::Policy),
        "{failed}"
    );
    let denied = format!("identity: '{SIGNER}', deny_digests: ['{}']", image.digest());
    let plan = plan_by(&shop, &gallery_with(&shop, &denied), Integrity::Strict);
    let failed = failure(&shop, &plan.locked(&lock, &amd64()).unwrap()).await;
    let Some(Error::Verify(VerifyError::Denied(denied))) = failed.decisive() else {
        panic!("{failed}");
    };
    assert_eq!(denied.image.digest(), &image.digest());
}

#[tokio::test]
async fn platforms_of_one_name_are_locked_beside_each_other() {
    let shop = Shop::open().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
    index.push(shop.primary(), PATH, Some(TAG));
    let plain = gallery("[{name: acme, url: 'file:index.yaml'}]");
    let unlocked = plan_by(&shop, &plain, Integrity::Permissive);
    let arm64: Platform = "linux/arm64".parse().unwrap();
    let installer = shop.stage.installer();
    let mut lock = Lock::new();
    for platform in [&amd64(), &arm64] {
        let request = InstallRequest::new(&unlocked, platform);
        let fulfilled = shop.store.install(&installer, request);
        lock.insert(
            fulfilled.await.unwrap().locked().unwrap().clone(),
            Downgrade::Refuse,
        )
        .unwrap();
    }
    let manifests: Vec<Digest> = lock.entries().map(|entry| entry.digest.clone()).collect();
    let [one, other] = [0, 1].map(|at: usize| index.images()[at].digest());
    assert_eq!(manifests, [one, other]);
    let indexes = lock.entries().map(|entry| entry.index.clone());
    assert!(indexes.eq([Some(index.digest()), Some(index.digest())]));
    // Locked by the index, whatever the tag names now.
    app("linux/amd64", "v2").push(shop.primary(), PATH, Some(TAG));
    let plan = unlocked.clone().locked(&lock, &arm64).unwrap();
    let request = InstallRequest::new(&plan, &arm64);
    let fulfilled = shop.store.install(&installer, request);
    assert_eq!(
        fulfilled.await.unwrap().locked().unwrap().digest,
        index.images()[1].digest()
    );
    let s390x: Platform = "linux/s390x".parse().unwrap();
    assert_eq!(
        unlocked.locked(&lock, &s390x).unwrap_err(),
        LockedError::Platform {
            name: "cpu-app".into(),
            expected: vec![amd64(), arm64],
            found: Box::new(s390x)
        }
    );
}

#[tokio::test]
async fn a_manifest_that_the_locked_index_does_not_lead_to_is_refused() {
    let shop = Shop::open().await;
    let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
    index.push(shop.primary(), PATH, Some(TAG));
    let plain = gallery("[{name: acme, url: 'file:index.yaml'}]");
    let plan = plan_by(&shop, &plain, Integrity::Permissive);
    let sibling = index.images()[1].digest();
    let lock = changed(&locked(&shop, &plan).await, |entry| {
        entry.digest = sibling.clone();
    });
    let failure = failure(&shop, &plan.locked(&lock, &amd64()).unwrap()).await;
    let Some(Error::OtherContent {
        expected, found, ..
    }) = failure.decisive()
    else {
        panic!("another error: {failure}");
    };
    assert_eq!(expected, &sibling);
    assert_eq!(found, &index.images()[0].digest());
}

#[tokio::test]
async fn an_older_image_takes_no_newer_one_s_place_for_being_locked() {
    let (shop, _, lock) = locked_shop().await;
    shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    shop.installed("cpu-app").await;
    let plan = shop.plan("cpu-app").locked(&lock, &amd64()).unwrap();
    let refused = shop.install_by(&plan, InstallOptions::default()).await;
    let Err(StoreError::Plan(failure)) = refused else {
        panic!("expected a failure, found {refused:?}");
    };
    assert!(
        matches!(failure.decisive(), Some(Error::Older { .. })),
        "{failure}"
    );
    assert_eq!(shop.version("cpu-app").unwrap(), "v2");
    installed(shop.install_by(&plan, ALLOW_OLDER).await);
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

/// Both of the lock's texts are compared, byte for byte.
#[tokio::test]
async fn an_issuer_is_as_much_of_a_signer_as_an_identity() {
    let (shop, _, lock) = locked_shop().await;
    let any = gallery(&format!(
        "[{{name: acme, url: 'file:index.yaml', verification: {{issuer_regex: '.*', identity: '{SIGNER}'}}}}]"
    ));
    let lock = changed(&lock, |entry| {
        let LockedGrounds::Signature { signer, .. } = &mut entry.grounds else {
            panic!("another kind of grounds: {:?}", entry.grounds);
        };
        let LockedSigner::Certificate { issuer, .. } = signer else {
            panic!("another kind of signer: {signer}");
        };
        issuer.push('/');
    });
    let plan = plan_by(&shop, &any, Integrity::Strict);
    let failure = failure(&shop, &plan.locked(&lock, &amd64()).unwrap()).await;
    assert!(
        matches!(failure.decisive(), Some(Error::OtherSigner { .. })),
        "{failure}"
    );
}

#[tokio::test]
async fn a_name_that_the_policy_binds_is_that_of_the_locked_tag_still() {
    let shop = Shop::open().await;
    let bound = gallery_with(&shop, &format!("identity: '{SIGNER}', bind_name: true"));
    // The mirror alone has it, by a fallback's tag, signed by the primary's name for that.
    let image = app("linux/amd64", "dev");
    image.push(&shop.mirror, PATH, Some("master-cpu-app"));
    let name = format!("{}/{PATH}:master-cpu-app", shop.primary().host());
    let statement = Statement::of(image.digest()).name(name);
    let to = [&shop.mirror];
    shop.sign(&to, image.descriptor(), statement, SIGNER, EARLIER);
    let plan = plan_by(&shop, &bound, Integrity::Strict);
    let lock = locked(&shop, &plan).await;
    let again = plan.clone().locked(&lock, &amd64()).unwrap();
    installed(shop.install_by(&again, InstallOptions::default()).await);
    assert_eq!(shop.version("cpu-app").unwrap(), "dev");
    // The digest alone is not enough: the name has to be the one that the source stands for.
    let other = changed(&lock, |entry| {
        entry.source = "registry.example.org/other".into();
    });
    shop.remove("cpu-app").await;
    let failed = failure(&shop, &plan.locked(&other, &amd64()).unwrap()).await;
    assert!(
        is_refused(failed.decisive(), RefusalKind::Policy),
        "{failed}"
    );
}
