//! What is found of files that were changed after they were installed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::shop::{EARLIER, Shop};
use crate::stage::{SIGNER, image};
use countersign_download::{Change, CheckResult, Error, check};
use countersign_oci::Digest;
use countersign_sandbox::image::{Compression, Layer};

/// A tree with files of every kind, of two layers: the second replaces and removes files of the first.
async fn installed(shop: &Shop) -> std::path::PathBuf {
    let first = Layer::builder()
        .directory("bin", 0o755)
        .file("bin/run", "first", 0o755)
        .file("bin/gone", "gone", 0o644)
        .file("lib/deep/data", "data", 0o600)
        .symlink("current", "bin/run")
        .hardlink("bin/same", "bin/run")
        .build(Compression::Gzip);
    let second = Layer::builder()
        .file("bin/run", "second", 0o755)
        .file("bin/.wh.gone", "", 0o644)
        .build(Compression::Zstd);
    let tree = image("linux/amd64").layer(first).layer(second).build();
    shop.publish(&tree, "latest-tree", SIGNER, EARLIER);
    shop.installed("tree").await;
    shop.directory("tree")
}

async fn differences(directory: &Path) -> Vec<(String, Change)> {
    match check(directory).await.unwrap() {
        CheckResult::Changed { differences } => differences
            .into_iter()
            .map(|one| (one.path.to_str().unwrap().to_owned(), one.change))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_unpacked_is_intact_and_every_change_is_named() {
    let shop = Shop::open().await;
    let root = installed(&shop).await;
    let before = check(&root).await.unwrap();
    // base, bin/run, bin/same and lib/deep/data.
    let CheckResult::Intact { files: 4, bytes } = before else {
        panic!("{before:?}");
    };
    // What was replaced or removed on the way isn't counted.
    let listed = shop.store.list().await.unwrap();
    let recorded = listed[0].recorded().unwrap();
    assert_eq!((recorded.files, recorded.bytes), (Some(4), Some(bytes)));
    let rows: [(&str, &dyn Fn(), Change); 9] = [
        (
            "bin/run",
            &|| fs::write(root.join("bin/run"), "other!").unwrap(),
            Change::Content,
        ),
        (
            "bin/run",
            &|| fs::write(root.join("bin/run"), "longer content").unwrap(),
            Change::Content,
        ),
        (
            "bin/run",
            &|| fs::remove_file(root.join("bin/run")).unwrap(),
            Change::Removed,
        ),
        (
            "bin/new",
            &|| fs::write(root.join("bin/new"), "").unwrap(),
            Change::Added,
        ),
        (
            "bin/run",
            &|| {
                let mode = Permissions::from_mode(0o644);
                fs::set_permissions(root.join("bin/run"), mode).unwrap();
            },
            Change::Permissions,
        ),
        (
            "current",
            &|| {
                fs::remove_file(root.join("current")).unwrap();
                symlink("/etc/passwd", root.join("current")).unwrap();
            },
            Change::Target,
        ),
        (
            "bin/run",
            &|| {
                // What the link leads to has the same content.
                fs::write(root.join("../copy"), "second").unwrap();
                fs::remove_file(root.join("bin/run")).unwrap();
                symlink("../../copy", root.join("bin/run")).unwrap();
            },
            Change::Kind,
        ),
        // All below it is one difference.
        (
            "lib",
            &|| fs::remove_dir_all(root.join("lib")).unwrap(),
            Change::Removed,
        ),
        (
            "extra",
            &|| fs::create_dir_all(root.join("extra/deep")).unwrap(),
            Change::Added,
        ),
    ];
    for (path, spoil, change) in rows {
        spoil();
        assert_eq!(differences(&root).await, [(path.to_owned(), change)]);
        shop.remove("tree").await;
        let again = installed(&shop).await;
        assert_eq!(check(&again).await.unwrap(), before);
    }
}

/// A fifo in the place of a file would wait for somebody to write to it.
#[tokio::test]
async fn nothing_is_waited_for() {
    let shop = Shop::open().await;
    let root = installed(&shop).await;
    let data = root.join("lib/deep/data");
    fs::remove_file(&data).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&data).status();
    assert!(fifo.unwrap().success());
    let expected = [("lib/deep/data".to_owned(), Change::Kind)];
    assert_eq!(differences(&root).await, expected);
}

#[tokio::test]
async fn an_inventory_that_is_not_the_records_is_an_error_and_an_old_record_has_none() {
    let shop = Shop::open().await;
    let root = installed(&shop).await;
    let inventory = root.join(".countersign/inventory.jsonl");
    let written = fs::read_to_string(&inventory).unwrap();
    let changed = written.replace("0755", "0777");
    for content in [Some(changed), Some(String::new()), None] {
        match content {
            Some(content) => fs::write(&inventory, content).unwrap(),
            None => fs::remove_file(&inventory).unwrap(),
        }
        let error = check(&root).await.unwrap_err();
        assert!(matches!(error, Error::Inventory { .. }), "{error:?}");
    }
    let record = root.join(".countersign/record.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("inventory");
    fs::write(&record, json.to_string()).unwrap();
    assert_eq!(check(&root).await.unwrap(), CheckResult::NoInventory);
    assert_eq!(shop.store.list().await.unwrap().len(), 1);
    fs::write(&record, "{}").unwrap();
    let error = check(&root).await.unwrap_err();
    assert!(matches!(error, Error::UnreadableRecord { .. }), "{error:?}");
    fs::remove_file(&record).unwrap();
    let error = check(&root).await.unwrap_err();
    assert!(matches!(error, Error::NoRecord { .. }), "{error:?}");
}

/// So two machines can compare one line.
#[tokio::test]
async fn two_installations_of_the_same_content_have_the_same_inventory() {
    let digests: Vec<Digest> = futures_util::future::join_all((0..2).map(async |_| {
        let shop = Shop::open().await;
        installed(&shop).await;
        let name = "tree".parse().unwrap();
        let installation = shop.store.installation(&name).await.unwrap();
        let inventory = &installation.recorded().unwrap().inventory;
        inventory.as_ref().unwrap().digest.clone()
    }))
    .await;
    assert_eq!(digests[0], digests[1]);
}
