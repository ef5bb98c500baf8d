//! Plans carried out into a store: sources that fail, mirrors that lie, tags that were rolled back.

use std::fs;

use crate::shop::{ALLOW_OLDER, EARLIER, LATER, PATH, Shop, installed, is_refused};
use crate::stage::{SIGNER, STRANGER, amd64, app};
use countersign_download::{
    Downgrade, Durability, Error, Event, FileLock, InstallOptions, InstallRequest, Installation,
    Name, Outcome, Plan, RecordState, RemoveOptions, StoreError, Unrecorded, WhenBusy, WhenSame,
};
use countersign_oci::Error as RegistryError;
use countersign_sandbox::{BundleSpec, RekorVersion, Statement};
use countersign_verify::RefusalKind;

const REINSTALL: InstallOptions = InstallOptions {
    downgrade: Downgrade::Refuse,
    same: WhenSame::Reinstall,
    busy: WhenBusy::Fail,
    durability: Durability::None,
};

#[tokio::test]
async fn an_upgrade_replaces_the_old_version_and_says_which_it_was() {
    let (shop, old) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    let Outcome::Installed {
        installed,
        replaced,
        ..
    } = shop.install("cpu-app").await.unwrap()
    else {
        panic!("expected an installation");
    };
    assert_eq!(installed.digest, new.digest());
    assert_eq!(replaced.map(|before| before.digest), Some(old.digest()));
    assert_eq!(shop.version("cpu-app").unwrap(), "v2");
    assert_eq!(shop.leftovers(), [""; 0]);
}

#[tokio::test]
async fn what_is_installed_already_is_verified_and_not_fetched() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    shop.primary().reset_requests();
    let again = shop.install("cpu-app").await.unwrap();
    assert!(
        matches!(&again, Outcome::Unchanged { recorded, .. } if recorded.digest == image.digest())
    );
    let layer = image.manifest().layers[0].digest.to_string();
    let requests = shop.primary().requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.path.contains(&layer))
    );
}

#[tokio::test]
async fn a_tag_rolled_back_is_refused_unless_older_is_allowed() {
    let (shop, old) = Shop::open_with_app().await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    shop.installed("cpu-app").await;
    shop.primary().tag(PATH, "latest-cpu-app", &old.digest());
    let failure = shop.failure("cpu-app").await;
    let Some(Error::Older {
        installed: there,
        found,
        ..
    }) = failure.decisive()
    else {
        panic!("another error: {failure}");
    };
    assert_eq!(*there, LATER.parse().unwrap());
    assert_eq!(*found, EARLIER.parse().unwrap());
    assert_eq!(failure.failures().len(), 1);
    let plan = shop.plan("cpu-app");
    installed(shop.install_by(&plan, ALLOW_OLDER).await);
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
}

/// Whoever has an older signature can have another authority stamp it anew, as long as its
/// certificate is valid. That makes the image no newer: the certificate's own start counts.
#[tokio::test]
async fn an_older_signature_that_was_stamped_anew_is_no_newer() {
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let certified = time("2024-12-31T23:59:00Z");
    for rekor in [RekorVersion::V1, RekorVersion::V2] {
        let shop = Shop::open().await;
        let old = app("linux/amd64", "v1");
        let new = app("linux/amd64", "v2");
        shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
        shop.installed("cpu-app").await;
        old.push(shop.primary(), PATH, Some("latest-cpu-app"));
        let stamped = time("2025-01-01T00:05:00Z");
        let statement = Statement::of(old.digest());
        let spec = BundleSpec::new(statement, SIGNER).rekor(rekor);
        let spec = spec.signed_at(certified).logged_at(stamped);
        let spec = spec.timestamped_at(stamped);
        shop.put_bundle(&[shop.primary()], old.descriptor(), &spec);
        for options in [InstallOptions::default(), REINSTALL] {
            let result = shop.install_by(&shop.plan("cpu-app"), options).await;
            let Err(StoreError::Plan(failure)) = result else {
                panic!("{rekor:?}: expected a failure, found {result:?}");
            };
            let Some(Error::Older {
                installed: there,
                found,
                ..
            }) = failure.decisive()
            else {
                panic!("{rekor:?}: another error: {failure}");
            };
            assert_eq!((*there, *found), (time(LATER), certified), "{rekor:?}");
            assert_eq!(shop.version("cpu-app").unwrap(), "v2");
        }
        assert_eq!(shop.leftovers(), [""; 0]);
        installed(shop.install_by(&shop.plan("cpu-app"), ALLOW_OLDER).await);
        assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    }
}

#[tokio::test]
async fn a_run_that_was_waited_for_leaves_something_to_remove() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let (name, store): (Name, _) = ("cpu-app".parse().unwrap(), shop.root.path().join("store"));
    // As a first installation at work has it: staged, locked, and nothing in place.
    let staged = store.join(".cpu-app.countersign-AbCd1234");
    fs::create_dir(&staged).unwrap();
    let elsewhere = shop.root.path().join("elsewhere");
    fs::rename(shop.directory("cpu-app"), &elsewhere).unwrap();
    let first = FileLock::try_take(&store.join(".cpu-app.countersign.lock")).unwrap();
    let first = std::sync::Mutex::new(first);
    // It ends well while we wait.
    let events = |event: Event| {
        let Event::Waiting { .. } = event else {
            panic!("expected to wait, found {event:?}");
        };
        fs::remove_dir(&staged).unwrap();
        fs::rename(&elsewhere, shop.directory("cpu-app")).unwrap();
        first.lock().unwrap().take();
    };
    let options = RemoveOptions {
        busy: WhenBusy::Wait,
        ..RemoveOptions::default()
    };
    let removed = shop.store.remove(&name, options, &events).await.unwrap();
    assert!(matches!(removed.record, RecordState::Read(_)));
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upgrade_asks_for_the_same_proof_as_the_installation() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let unsigned = app("linux/amd64", "v2");
    unsigned.push(shop.primary(), PATH, Some("latest-cpu-app"));
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Unsigned),
        "{failure}"
    );
    shop.publish(&unsigned, "latest-cpu-app", STRANGER, LATER);
    let failure = shop.failure("cpu-app").await;
    assert!(
        is_refused(failure.decisive(), RefusalKind::Policy),
        "{failure}"
    );
}

#[tokio::test]
async fn an_upgrade_whose_content_fails_leaves_the_old_version_whole() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    let layer = &new.manifest().layers[1].digest;
    shop.primary().replace_blob(PATH, layer, "not the layer");
    let failure = shop.failure("cpu-app").await;
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Registry(RegistryError::SizeMismatch { .. }))
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn what_a_killed_upgrade_left_is_not_listed_and_the_next_one_clears_it_away() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    // As a process that was killed while unpacking leaves it: staged, and nothing committed.
    let staged = shop.root.path().join("store/.cpu-app.countersign-AbCd1234");
    fs::create_dir_all(staged.join("root")).unwrap();
    fs::write(staged.join("root/version"), "half").unwrap();
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    assert_eq!(shop.store.list().await.unwrap().len(), 1);
    let new = app("linux/amd64", "v2");
    shop.publish(&new, "latest-cpu-app", SIGNER, LATER);
    shop.installed("cpu-app").await;
    assert_eq!(shop.version("cpu-app").unwrap(), "v2");
    assert_eq!(shop.leftovers(), [""; 0]);
}

#[tokio::test]
async fn an_installation_whose_record_tells_no_time_is_not_replaced_unasked() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let record = shop.directory("cpu-app").join(".countersign/record.json");
    fs::write(
        record,
        format!(r#"{{"version":1,"digest":"{}"}}"#, image.digest()),
    )
    .unwrap();
    let failure = shop.failure("cpu-app").await;
    assert!(
        matches!(failure.decisive(), Some(Error::UnreadableRecord { .. })),
        "{failure}"
    );
    let plan = shop.plan("cpu-app");
    installed(shop.install_by(&plan, ALLOW_OLDER).await);
}

#[tokio::test]
async fn an_installation_whose_record_can_not_be_read_is_listed_as_such_and_can_be_removed() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let record = shop.directory("cpu-app").join(".countersign/record.json");
    let probe = format!(r#"{{"version":1,"digest":"{}"}}"#, image.digest());
    fs::write(record, probe).unwrap();
    let listed = shop.store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record, RecordState::Unreadable);
    let removed = remove(&shop, &listed[0].name).await.unwrap();
    assert_eq!(removed.directory, shop.directory("cpu-app"));
    assert!(!removed.directory.exists());
}

#[tokio::test]
async fn what_is_removed_is_gone_and_what_is_not_there_is_told() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let name = |text: &str| text.parse::<Name>().unwrap();
    let error = remove(&shop, &name("never-there")).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NotInstalled { .. }),
        "{error:?}"
    );
    let removed = remove(&shop, &name("cpu-app")).await.unwrap();
    assert!(!removed.directory.exists());
    assert!(shop.store.list().await.unwrap().is_empty());
    assert_eq!(shop.leftovers(), [""; 0]);
}

async fn remove(shop: &Shop, name: &Name) -> Result<Installation, StoreError> {
    let options = RemoveOptions::default();
    shop.store.remove(name, options, &|_| {}).await
}

/// Installs the tag by itself, to a directory beside the store.
async fn by_itself(shop: &Shop, tag: &str, options: InstallOptions) -> Result<Outcome, Error> {
    let reference = format!("{}/{PATH}:{tag}", shop.primary().host());
    let policy = shop.gallery().policy.unwrap();
    let plan = Plan::of_image(reference.parse().unwrap(), policy);
    let (installer, platform) = (shop.stage.installer(), amd64());
    let target = shop.root.path().join("here");
    let request = InstallRequest::new(&plan, &platform).with_options(options);
    let outcome = installer.install(request, &target);
    outcome
        .await
        .map_err(|failure| failure.into_decisive().unwrap())
}

#[tokio::test]
async fn an_image_by_itself_is_not_rolled_back_either_unless_older_is_allowed() {
    let shop = Shop::open().await;
    let version = || fs::read_to_string(shop.root.path().join("here/version")).unwrap();
    shop.publish(&app("linux/amd64", "v2"), "app", SIGNER, LATER);
    by_itself(&shop, "app", InstallOptions::default())
        .await
        .unwrap();
    let old = shop.publish(&app("linux/amd64", "v1"), "app", SIGNER, EARLIER);
    // Neither by default, nor for repairing.
    for same in [WhenSame::Keep, WhenSame::Reinstall] {
        let options = InstallOptions {
            same,
            ..InstallOptions::default()
        };
        let error = by_itself(&shop, "app", options).await.unwrap_err();
        let Error::Older {
            installed, found, ..
        } = error
        else {
            panic!("another error: {error:?}");
        };
        assert_eq!(installed, LATER.parse().unwrap());
        assert_eq!(found, EARLIER.parse().unwrap());
        assert_eq!(version(), "v2");
    }
    let outcome = by_itself(&shop, "app", ALLOW_OLDER).await.unwrap();
    assert!(outcome.locked().is_none(), "no gallery names it");
    let Outcome::Installed { installed, .. } = outcome else {
        panic!("expected an installation, found {outcome:?}");
    };
    assert_eq!((installed.digest, version()), (old, "v1".to_owned()));
    assert_eq!(installed.provenance, None);
}

#[tokio::test]
async fn the_same_digest_is_fetched_again_only_to_reinstall() {
    let (shop, image) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let file = shop.directory("cpu-app").join("version");
    fs::write(&file, "changed").unwrap();
    shop.primary().reset_requests();
    let again = shop.install("cpu-app").await.unwrap();
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
    let layer = format!("blobs/{}", image.manifest().layers[0].digest);
    let asked = |shop: &Shop| {
        let requests = shop.primary().requests();
        requests
            .iter()
            .filter(|one| one.path.ends_with(&layer))
            .count()
    };
    assert_eq!(
        (asked(&shop), shop.version("cpu-app").unwrap()),
        (0, "changed".into())
    );
    let options = InstallOptions {
        same: WhenSame::Reinstall,
        ..InstallOptions::default()
    };
    let outcome = shop.install_by(&shop.plan("cpu-app"), options).await;
    let Outcome::Installed { replaced, .. } = outcome.unwrap() else {
        panic!("not installed");
    };
    assert_eq!(replaced.map(|before| before.digest), Some(image.digest()));
    assert_eq!(
        (asked(&shop), shop.version("cpu-app").unwrap()),
        (1, "v1".into())
    );
}

#[tokio::test]
async fn a_second_run_waits_for_the_first_where_it_may_and_fails_where_not() {
    let (shop, _) = Shop::open_with_app().await;
    fs::create_dir(shop.root.path().join("store")).unwrap();
    let path = shop.root.path().join("store/.cpu-app.countersign.lock");
    let first = FileLock::try_take(&path).unwrap();
    assert!(first.is_some());
    let Err(StoreError::Plan(failure)) = shop.install("cpu-app").await else {
        panic!("two at once");
    };
    assert!(
        matches!(failure.decisive(), Some(Error::Busy { .. })),
        "{failure}"
    );
    assert!(shop.primary().requests().is_empty(), "nobody is asked");

    let (plan, installer) = (shop.plan("cpu-app"), shop.stage.installer());
    let waiting = tokio::sync::Notify::new();
    let events = |event| {
        if let Event::Waiting { path } = event {
            assert_eq!(path, shop.directory("cpu-app"));
            waiting.notify_one();
        }
    };
    let options = InstallOptions {
        busy: WhenBusy::Wait,
        ..InstallOptions::default()
    };
    let platform = amd64();
    let request = InstallRequest::new(&plan, &platform).with_options(options);
    let second = shop.store.install(&installer, request.with_events(&events));
    let release = async {
        waiting.notified().await;
        assert_eq!(shop.version("cpu-app"), None);
        drop(first);
    };
    let (outcome, ()) = tokio::join!(second, release);
    installed(outcome);
    assert_eq!(shop.version("cpu-app").unwrap(), "v1");
    assert_eq!(shop.leftovers(), [""; 0]);
}

#[tokio::test]
async fn what_no_record_explains_is_listed_and_removed_only_where_that_is_asked_for() {
    let (shop, _) = Shop::open_with_app().await;
    shop.installed("cpu-app").await;
    let store = shop.root.path().join("store");
    fs::create_dir_all(store.join("foreign/deep")).unwrap();
    fs::write(store.join("file"), "").unwrap();
    fs::create_dir_all(store.join(".killed.countersign-abcDEF12/root")).unwrap();
    fs::create_dir(store.join(".hidden")).unwrap();
    let listed = shop.store.list().await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|one| {
            let state = match one.record {
                RecordState::Read(_) => "read",
                RecordState::Missing => "missing",
                RecordState::Unfinished => "unfinished",
                RecordState::Unreadable | RecordState::Unrecognised | RecordState::Later => {
                    "another"
                }
            };
            (one.name.to_string(), state)
        })
        .collect();
    let expected = [
        ("cpu-app", "read"),
        ("file", "missing"),
        ("foreign", "missing"),
        ("killed", "unfinished"),
    ];
    assert_eq!(
        listed,
        expected.map(|(name, record)| (name.to_owned(), record))
    );

    let remove = async |name: &str, unrecorded| {
        let options = RemoveOptions {
            unrecorded,
            busy: WhenBusy::Fail,
        };
        let name: Name = name.parse().unwrap();
        shop.store.remove(&name, options, &|_| {}).await
    };
    for name in ["file", "foreign"] {
        let error = remove(name, Unrecorded::Refuse).await.unwrap_err();
        assert!(matches!(error, StoreError::NoRecord { .. }), "{error:?}");
        assert!(store.join(name).exists());
        remove(name, Unrecorded::Remove).await.unwrap();
    }
    remove("killed", Unrecorded::Refuse).await.unwrap();
    let mut names: Vec<_> = fs::read_dir(&store)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, [".hidden", "cpu-app"]);
}
