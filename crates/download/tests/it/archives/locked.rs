//! Archives that a lock pins.

use std::fs;

use countersign_download::{
    Downgrade, Error, Integrity, Limits, Lock, LockedError, LockedGrounds, Plan, Role,
};
use countersign_oci::Digest;
use wiremock::MockServer;

use super::tarball::{entry, serve, tarball};
use super::{failures, install, open};
use crate::shop::{Shop, installed, served};
use crate::stage::amd64;

/// Installs by `plan`, removes what was installed, and keeps the lock.
async fn locked(shop: &Shop, plan: &Plan) -> Lock {
    let mut lock = Lock::new();
    let entry = install(shop, plan).await.unwrap().locked().unwrap().clone();
    lock.insert(entry, Downgrade::Refuse).unwrap();
    shop.remove("app").await;
    lock
}

#[tokio::test]
async fn a_locked_tarball_is_the_one_that_the_gallery_s_digest_named() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let (bytes, moved) = (tarball("v1"), tarball("v2"));
    serve(&server, "/app.tar.gz", &bytes).await;
    let (digest, other) = (Digest::sha256(&bytes), Digest::sha256(&moved));
    let plan = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let lock = locked(&shop, &plan).await;
    let kept: Vec<_> = lock
        .entries()
        .map(|one| (&one.digest, &one.grounds))
        .collect();
    assert_eq!(kept, [(&digest, &LockedGrounds::Digest)]);
    installed(install(&shop, &plan.locked(&lock, &amd64()).unwrap()).await);
    assert_eq!(shop.version("app").unwrap(), "v1");
    let moved = open(&entry(&server, Some(&other)), Integrity::Strict).unwrap();
    assert_eq!(
        moved.locked(&lock, &amd64()).unwrap_err(),
        LockedError::Digest {
            name: "app".into(),
            expected: digest,
            found: other
        }
    );
    let open = open(&entry(&server, None), Integrity::Permissive).unwrap();
    let error = open.locked(&lock, &amd64()).unwrap_err();
    assert!(matches!(error, LockedError::Weaker { .. }), "{error:?}");
}

#[tokio::test]
async fn a_tarball_that_was_locked_unverified_has_its_digest_all_the_same() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/mirror.tar.gz", &tarball("v1")).await;
    let plan = open(&entry(&server, None), Integrity::Permissive).unwrap();
    let lock = locked(&shop, &plan).await;
    // The primary is there now, with other bytes: they are not what was locked.
    serve(&server, "/app.tar.gz", &tarball("v2")).await;
    let plan = plan.locked(&lock, &amd64()).unwrap();
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(shop.version("app").unwrap(), "v1");
}

#[tokio::test]
async fn a_directory_that_has_changed_is_not_what_was_locked() {
    let shop = Shop::open().await;
    let content = shop.root.path().join("content");
    fs::create_dir(&content).unwrap();
    fs::write(content.join("version"), "v1").unwrap();
    let index = format!("[{{name: app, uri: '{}'}}]", content.display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    let lock = locked(&shop, &plan).await;
    let plan = plan.locked(&lock, &amd64()).unwrap();
    installed(install(&shop, &plan).await);
    shop.remove("app").await;
    fs::write(content.join("version"), "v2").unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    assert!(
        matches!(errors.as_slice(), [Error::OtherContent { .. }]),
        "{errors:?}"
    );
}
