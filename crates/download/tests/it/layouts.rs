//! Plans whose content is in image layouts. The layouts are of our own making, laid out as the tools
//! that users have lay them out.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shop::{EARLIER, LATER, PATH, Shop, gallery, installed, is_refused, plan, served};
use crate::stage::{SIGNER, STRANGER, amd64, app};
use countersign_download::{
    Downgrade, Error, Grounds, InstallOptions, Integrity, Lock, Outcome, Plan, PlanError,
    RequirementError, Role, SourceError, StoreError,
};
use countersign_oci::{Descriptor, Error as RegistryError, LayoutError, LayoutPathError};
use countersign_policy::Gallery;
use countersign_sandbox::image::{Image, ImageIndex, Layout, blob_path};
use countersign_sandbox::{BundleSpec, Effect, Fault, Statement};
use countersign_verify::{Error as VerifyError, Failure, RefusalKind};

/// A signature of `subject` by `identity`, as a referrer.
fn signature(shop: &Shop, subject: &Descriptor, identity: &str, time: &str) -> Image {
    let statement = Statement::of(subject.digest.clone());
    let spec = BundleSpec::new(statement, identity).signed_at(time.parse().unwrap());
    Image::signature(subject.clone(), shop.stage.sigstore.issue(&spec).unwrap())
}

fn backend(version: &str) -> ImageIndex {
    ImageIndex::new(vec![
        app("linux/amd64", version),
        app("linux/arm64", version),
    ])
}

/// A layout of an index that is signed by the right one.
fn signed(shop: &Shop, index: &ImageIndex, time: &str) -> Layout {
    let signature = signature(shop, &index.descriptor(), SIGNER, time);
    Layout::new()
        .index(index, Some("v1"))
        .image(&signature, None)
}

fn store_archive(shop: &Shop, layout: &Layout) -> PathBuf {
    let path = shop.root.path().join("app.tar");
    fs::write(&path, layout.archive().tar()).unwrap();
    path
}

fn store_directory(shop: &Shop, layout: &Layout) -> PathBuf {
    let path = shop.root.path().join("app");
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    layout.write_to(&path).unwrap();
    path
}

/// A plan for the layout, by the shop's policy.
fn covered(shop: &Shop, path: &Path) -> Plan {
    planned(&shop.gallery(), path, "", Integrity::Strict).unwrap()
}

fn planned(
    gallery: &Gallery,
    path: &Path,
    rest: &str,
    integrity: Integrity,
) -> Result<Plan, PlanError> {
    let index = format!("[{{name: app, uri: 'ocifile://{}'{rest}}}]", path.display());
    plan(gallery, &index, "app", integrity)
}

async fn install(shop: &Shop, plan: &Plan) -> Result<Outcome, StoreError> {
    shop.install_by(plan, InstallOptions::default()).await
}

/// The error of an installation that must leave nothing.
async fn failure(shop: &Shop, plan: &Plan) -> Error {
    match install(shop, plan).await {
        Err(StoreError::Plan(failure)) => {
            assert_eq!(shop.leftovers(), [""; 0]);
            failure.into_decisive().unwrap()
        }
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[tokio::test]
async fn a_signed_layout_is_installed_without_a_request_and_its_record_is_read_again() {
    let shop = Shop::open().await;
    let index = backend("v1");
    let layout = signed(&shop, &index, EARLIER);
    for path in [
        store_archive(&shop, &layout),
        store_directory(&shop, &layout),
    ] {
        let plan = covered(&shop, &path);
        let installed = installed(install(&shop, &plan).await);
        assert_eq!(installed.index, Some(index.digest()));
        assert_eq!(installed.digest, index.images()[0].digest());
        assert_eq!(served(&installed), (Role::Primary, 0));
        let evidence = installed.grounds.evidence().unwrap();
        assert_eq!(evidence.signer.to_string(), SIGNER);
        assert_eq!(shop.version("app").unwrap(), "v1");

        let listed = shop.store.list().await.unwrap();
        let recorded = listed[0].recorded().unwrap();
        let location = format!("ocifile://{}", path.display());
        assert_eq!(recorded.reference, installed.reference);
        assert_eq!(recorded.reference.as_ref().unwrap().to_string(), location);
        assert_eq!(recorded.grounds, installed.grounds);
        assert_eq!(evidence.repository.to_string(), location);

        let again = install(&shop, &plan).await.unwrap();
        assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
        shop.remove("app").await;
    }
    assert_eq!(shop.primary().requests().len(), 0);
    assert_eq!(shop.mirror.requests().len(), 0);
}

#[tokio::test]
async fn signatures_may_stand_at_the_tag_that_lists_them() {
    let shop = Shop::open().await;
    let index = backend("v1");
    let list = ImageIndex::new(vec![signature(&shop, &index.descriptor(), SIGNER, EARLIER)]);
    let tag = index.digest().referrers_tag();
    let layout = Layout::new().index(&index, None).index(&list, Some(&tag));
    let plan = covered(&shop, &store_archive(&shop, &layout));
    installed(install(&shop, &plan).await);
}

#[tokio::test]
async fn a_signature_of_the_platform_s_manifest_counts() {
    let shop = Shop::open().await;
    let index = backend("v1");
    let child = index.images()[0].descriptor();
    let signature = signature(&shop, &child, SIGNER, EARLIER);
    let layout = Layout::new().index(&index, None).image(&signature, None);
    let plan = covered(&shop, &store_archive(&shop, &layout));
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(installed.grounds.evidence().unwrap().digest, child.digest);
}

#[tokio::test]
async fn signatures_may_come_from_the_registry_that_the_policy_names() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "v1");
    shop.publish(&image, "any", SIGNER, EARLIER);
    let path = store_archive(&shop, &Layout::new().image(&image, None));
    let issuer = shop.stage.spec().issuer.unwrap();
    let source = format!("{}/{PATH}", shop.primary().host());
    let gallery = gallery(&format!(
        "[{{name: acme, url: 'file:index.yaml', verification: \
         {{issuer: '{issuer}', identity: '{SIGNER}', signature_sources: ['{source}']}}}}]"
    ));
    let plan = planned(&gallery, &path, "", Integrity::Strict).unwrap();
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(installed.digest, image.digest());
    let asked = shop.primary().requests();
    assert!(asked.iter().all(|one| !one.path.ends_with("manifests/any")));
}

#[tokio::test]
async fn an_unsigned_layout_is_refused_under_a_policy() {
    let shop = Shop::open().await;
    let path = store_archive(&shop, &Layout::new().image(&app("linux/amd64", "v1"), None));
    let error = failure(&shop, &covered(&shop, &path)).await;
    assert!(is_refused(Some(&error), RefusalKind::Unsigned), "{error:?}");
}

#[tokio::test]
async fn a_layout_that_somebody_else_signed_is_refused() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "v1");
    let signature = signature(&shop, &image.descriptor(), STRANGER, EARLIER);
    let layout = Layout::new().image(&image, None).image(&signature, None);
    let error = failure(&shop, &covered(&shop, &store_archive(&shop, &layout))).await;
    assert!(is_refused(Some(&error), RefusalKind::Policy), "{error:?}");
}

#[tokio::test]
async fn a_signature_for_another_digest_proves_nothing() {
    let shop = Shop::open().await;
    let (image, other) = (app("linux/amd64", "v1"), app("linux/amd64", "other"));
    let foreign = signature(&shop, &other.descriptor(), SIGNER, EARLIER);
    // As if it were ours: the manifest says so, the signed statement doesn't.
    let bundle = foreign.layers()[0].clone();
    let relabelled = Image::signature(image.descriptor(), bundle);
    for (signature, kind) in [
        (foreign, RefusalKind::Unsigned),
        (relabelled, RefusalKind::Invalid),
    ] {
        let layout = Layout::new().image(&image, None).image(&signature, None);
        let error = failure(&shop, &covered(&shop, &store_archive(&shop, &layout))).await;
        assert!(is_refused(Some(&error), kind), "{error:?}");
    }
}

#[tokio::test]
async fn a_signature_whose_bytes_changed_is_named_in_the_refusal() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "v1");
    let signature = signature(&shop, &image.descriptor(), SIGNER, EARLIER);
    let changed = vec![b' '; signature.layers()[0].len()];
    let layout = Layout::new()
        .image(&image, None)
        .image(&signature, None)
        .file(&blob_path(&signature.manifest().layers[0].digest), changed);
    let error = failure(&shop, &covered(&shop, &store_archive(&shop, &layout))).await;
    let Error::Verify(VerifyError::Refused(refusal)) = error else {
        panic!("another error: {error:?}");
    };
    let [candidate] = refusal.candidates.as_slice() else {
        panic!("expected one candidate: {refusal:?}");
    };
    assert!(
        matches!(&candidate.failure, Failure::Unreadable(error)
            if matches!(**error, RegistryError::DigestMismatch { .. })),
        "{candidate:?}"
    );
}

#[tokio::test]
async fn a_layer_whose_bytes_changed_after_signing_is_refused() {
    let shop = Shop::open().await;
    let index = backend("v1");
    let child = &index.images()[0];
    let changed = vec![0; child.layers()[0].len()];
    let path = blob_path(&child.manifest().layers[0].digest);
    let layout = signed(&shop, &index, EARLIER).file(&path, changed);
    let error = failure(&shop, &covered(&shop, &store_directory(&shop, &layout))).await;
    assert!(
        matches!(error, Error::Registry(RegistryError::DigestMismatch { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn strict_mode_without_a_policy_has_no_plan_and_permissive_mode_says_what_it_did() {
    let shop = Shop::open().await;
    let path = store_archive(&shop, &Layout::new().index(&backend("v1"), None));
    let plain = gallery("[{name: plain, url: 'file:index.yaml'}]");
    let error = planned(&plain, &path, "", Integrity::Strict).unwrap_err();
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
    let plan = planned(&plain, &path, "", Integrity::Permissive).unwrap();
    assert!(plan.warning().is_some());
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(installed.grounds, Grounds::Nothing);
    let listed = shop.store.list().await.unwrap();
    let recorded = listed[0].recorded().unwrap();
    assert_eq!(recorded.grounds, Grounds::Nothing);
    assert_eq!(recorded.reference, installed.reference);
}

#[tokio::test]
async fn an_upgrade_follows_the_layout_forward_and_not_back() {
    let shop = Shop::open().await;
    let (old, new) = (backend("v1"), backend("v2"));
    let path = store_archive(&shop, &signed(&shop, &old, EARLIER));
    let plan = covered(&shop, &path);
    installed(install(&shop, &plan).await);
    store_archive(&shop, &signed(&shop, &new, LATER));
    let upgraded = install(&shop, &plan).await.unwrap();
    let Outcome::Installed { replaced, .. } = upgraded else {
        panic!("expected an upgrade: {upgraded:?}");
    };
    let before = replaced.unwrap().digest;
    assert_eq!(before, old.images()[0].digest());
    assert_eq!(shop.version("app").unwrap(), "v2");
    store_archive(&shop, &signed(&shop, &old, EARLIER));
    let error = failure(&shop, &plan).await;
    assert!(matches!(error, Error::Older { .. }), "{error:?}");
    assert_eq!(shop.version("app").unwrap(), "v2");
}

#[tokio::test]
async fn a_layout_that_is_not_there_leaves_it_to_the_mirror_and_a_damaged_one_does_not() {
    let (shop, image) = Shop::open_with_app().await;
    let mirror = format!(
        ", mirrors: ['{}/{PATH}:latest-cpu-app']",
        shop.mirror.host()
    );
    let path = shop.root.path().join("app.tar");
    let plan = planned(&shop.gallery(), &path, &mirror, Integrity::Strict).unwrap();
    store_archive(&shop, &Layout::new().without("oci-layout"));
    let error = failure(&shop, &plan).await;
    assert!(
        matches!(
            error,
            Error::Registry(RegistryError::Layout {
                source: LayoutError::NoMarker,
                ..
            })
        ),
        "{error:?}"
    );
    fs::remove_file(&path).unwrap();
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.digest, image.digest());
}

#[tokio::test]
async fn a_mirror_is_asked_for_the_digest_of_the_layout() {
    let shop = Shop::open().await;
    let index = backend("v1");
    index.push(&shop.mirror, PATH, None);
    backend("other").push(&shop.mirror, PATH, Some("latest-cpu-app"));
    let child = &index.images()[0];
    let lost = blob_path(&child.manifest().layers[0].digest);
    let sign = signature(&shop, &index.descriptor(), SIGNER, EARLIER);
    sign.push(&shop.mirror, PATH, None);
    let path = store_archive(&shop, &signed(&shop, &index, EARLIER).without(&lost));
    let mirror = format!(
        ", mirrors: ['{}/{PATH}:latest-cpu-app']",
        shop.mirror.host()
    );
    let plan = planned(&shop.gallery(), &path, &mirror, Integrity::Strict).unwrap();
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.index, Some(index.digest()));
    assert_eq!(shop.version("app").unwrap(), "v1");
}

#[tokio::test]
async fn a_layout_among_the_mirrors_is_asked_for_the_digest_that_the_primary_resolved() {
    let shop = Shop::open().await;
    let (index, other) = (backend("v1"), backend("other"));
    for index in [&index, &other] {
        index.push(shop.primary(), PATH, None);
        let sign = signature(&shop, &index.descriptor(), SIGNER, EARLIER);
        sign.push(shop.primary(), PATH, None);
    }
    index.push(shop.primary(), PATH, Some("latest-cpu-app"));
    let blobs = format!(
        "GET /v2/{PATH}/blobs/{}",
        index.images()[0].manifest().layers[0].digest
    );
    let down = Fault::on(&blobs, Effect::status(503));
    shop.primary().add_fault(down);
    let path = shop.root.path().join("app.tar");
    let text = format!(
        "[{{name: app, uri: '{}/{PATH}:latest-cpu-app', mirrors: ['ocifile://{}']}}]",
        shop.primary().host(),
        path.display()
    );
    let plan = plan(&shop.gallery(), &text, "app", Integrity::Strict).unwrap();
    // Signed by the right one, and still not what the primary says the tag is.
    store_archive(&shop, &signed(&shop, &other, LATER));
    let Err(StoreError::Plan(failed)) = install(&shop, &plan).await else {
        panic!("the layout chose");
    };
    let [_, layout, ..] = failed.failures() else {
        panic!("the layout was not asked: {failed}");
    };
    let Error::Registry(RegistryError::Layout {
        source: LayoutError::NoBlob { digest },
        ..
    }) = &layout.error
    else {
        panic!("another error: {failed}");
    };
    assert_eq!(*digest, index.digest());
    assert_eq!(shop.version("app"), None);
    // The one that has it serves.
    store_archive(&shop, &signed(&shop, &index, EARLIER));
    let installed = installed(install(&shop, &plan).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
    assert_eq!(installed.index, Some(index.digest()));
}

#[test]
fn a_relative_path_is_no_source() {
    let plain = gallery("[{name: plain, url: 'file:index.yaml'}]");
    let path = PathBuf::from("app.tar");
    let error = planned(&plain, &path, "", Integrity::Permissive).unwrap_err();
    assert!(
        matches!(
            error,
            PlanError::Source {
                source: SourceError::Layout(LayoutPathError::Relative { .. }),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_policy_that_binds_names_takes_a_layout_as_a_mirror_and_not_for_itself() {
    let shop = Shop::open().await;
    let image = app("linux/amd64", "v1");
    let primary = format!("{}/{PATH}:latest-cpu-app", shop.primary().host());
    let statement = Statement::of(image.digest()).name(&primary);
    let bundle = BundleSpec::new(statement, SIGNER);
    let signature = Image::signature(
        image.descriptor(),
        shop.stage.sigstore.issue(&bundle).unwrap(),
    );
    let layout = Layout::new().image(&image, None).image(&signature, None);
    let path = store_archive(&shop, &layout);
    let issuer = shop.stage.spec().issuer.unwrap();
    let gallery = gallery(&format!(
        "[{{name: acme, url: 'file:index.yaml', verification: \
         {{issuer: '{issuer}', identity: '{SIGNER}', bind_name: true}}}}]"
    ));

    let alone = planned(&gallery, &path, "", Integrity::Strict).unwrap();
    let error = failure(&shop, &alone).await;
    assert!(is_refused(Some(&error), RefusalKind::Policy), "{error:?}");

    let location = path.display();
    let index = format!("[{{name: app, uri: '{primary}', mirrors: ['ocifile://{location}']}}]");
    let mirrored = plan(&gallery, &index, "app", Integrity::Strict).unwrap();
    let installed = installed(install(&shop, &mirrored).await);
    assert_eq!(served(&installed), (Role::Mirror, 1));
}

#[tokio::test]
async fn a_layout_is_asked_for_the_locked_digest_whatever_else_it_holds_by_then() {
    let shop = Shop::open().await;
    let index = backend("v1");
    let path = store_directory(&shop, &signed(&shop, &index, EARLIER));
    let mut lock = Lock::new();
    let fulfilled = install(&shop, &covered(&shop, &path)).await.unwrap();
    lock.insert(fulfilled.locked().unwrap().clone(), Downgrade::Refuse)
        .unwrap();
    shop.remove("app").await;
    let locked = |path: &Path| covered(&shop, path).locked(&lock, &amd64()).unwrap();

    let newer = backend("v2");
    let path = store_directory(&shop, &signed(&shop, &newer, LATER));
    let error = failure(&shop, &locked(&path)).await;
    assert!(
        matches!(&error, Error::Registry(error) if error.is_absence()),
        "{error:?}"
    );
    let both = signed(&shop, &index, EARLIER).index(&newer, Some("v2"));
    let path = store_directory(&shop, &both);
    installed(install(&shop, &locked(&path)).await);
    assert_eq!(shop.version("app").unwrap(), "v1");
}
