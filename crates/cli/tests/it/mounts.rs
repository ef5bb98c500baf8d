//! Stores on file systems that give out, and with file systems mounted inside.

use std::fs;
use std::process::Command;

use countersign_sandbox::image::{Compression, Image, Layer};

use crate::shop::{EARLIER, LATER, Shop};
use crate::stage::may_mount;
use serde_json::Value;

/// Runs `script` in a mount name space of its own, where it may mount and `countersign` is a function
/// that runs the program; nothing where this machine doesn't let us.
fn mounting(shop: &Shop, script: &str) -> Option<(i32, Value, String)> {
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]);
        command.current_dir(shop.directory.path());
        command
    };
    if !may_mount() {
        return None;
    }
    let program = shop.command(&[]);
    let script = format!("countersign() {{ \"$program\" --output json \"$@\"; }}; {script}");
    let output = unshared(&script)
        .env("program", program.get_program())
        .output()
        .unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap();
    crate::schema::conforms(&document);
    let said = String::from_utf8(output.stderr).unwrap();
    Some((output.status.code().unwrap(), document, said))
}

/// `command` for `chat`, into the store.
fn command(command: &str) -> String {
    let flags = crate::shop::FLAGS.join(" ");
    format!("countersign {command} {flags} --store store chat")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_is_the_machine_s_fault_and_no_mirror_is_asked() {
    let shop = Shop::open().await;
    let host = shop.registry.host();
    shop.write(
        "index.yaml",
        &format!(
            "[{{name: chat, uri: '{host}/acme/app:latest-chat', mirrors: ['{host}/acme/mirror:latest-chat']}}]"
        ),
    );
    // Small as it is fetched, and too large for the disk once it is unpacked.
    shop.publish("latest-chat", &"0".repeat(4 << 20), EARLIER);
    fs::create_dir(shop.directory.path().join("store")).unwrap();
    for (options, hint) in [
        (
            "size=256k",
            "the disk or the quota is full, or has no inodes",
        ),
        (
            "nr_inodes=6",
            "the disk or the quota is full, or has no inodes",
        ),
        ("ro", "the file system is mounted read-only"),
    ] {
        let mount = format!("mount -t tmpfs -o {options} none store");
        let script = format!("{mount} && {}", command("install --platform linux/amd64"));
        let Some((code, document, _)) = mounting(&shop, &script) else {
            return;
        };
        let error = &document["results"][0]["error"];
        assert_eq!((code, &error["kind"]), (1, &"machine".into()), "{document}");
        let found = error["hints"][0].as_str().unwrap();
        assert!(found.starts_with(hint), "{options}: {document}");
        let requests = shop.registry.requests();
        assert!(requests.iter().all(|one| !one.path.contains("/mirror/")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_fills_the_disk_leaves_the_old_version_and_nothing_else() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    fs::create_dir(shop.directory.path().join("store")).unwrap();
    let large = "0".repeat(4 << 20);
    for options in ["size=1m", "nr_inodes=14"] {
        // The first run makes what the second can't replace.
        let install = command("install --platform linux/amd64");
        let script = format!(
            "mount -t tmpfs -o {options} none store && {install} >&2 && mv index2.yaml index.yaml && {}; code=$?; \
             cat store/chat/version >&2; echo >&2; ls -A store >&2; exit $code",
            command("upgrade")
        );
        let host = shop.registry.host();
        let index = fs::read_to_string(shop.directory.path().join("index.yaml")).unwrap();
        let other = format!("[{{name: chat, uri: '{host}/acme/app:large'}}]");
        shop.write("index2.yaml", &other);
        shop.publish_image("large", &many(&large), LATER);
        let Some((code, document, said)) = mounting(&shop, &script) else {
            return;
        };
        shop.write("index.yaml", &index);
        let error = &document["results"][0]["error"];
        assert_eq!((code, &error["kind"]), (1, &"machine".into()), "{said}");
        let hint = error["hints"][0].as_str().unwrap();
        assert!(hint.starts_with("the disk or the quota is full"), "{hint}");
        assert!(said.ends_with("v1\nchat\n"), "{options}: {said}");
    }
}

/// An image of some files, of which one is large.
fn many(large: &str) -> Image {
    let mut layer = Layer::builder().file("version", large, 0o644);
    for number in 0..20 {
        layer = layer.file(&number.to_string(), "text", 0o644);
    }
    Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build()
}

/// Two ways to mount something at `$at`: another file system, and another place of the same one.
const MOUNTS: [&str; 2] = ["mount -t tmpfs none $at", "mount --bind volume $at"];

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_mounted_in_an_installation_is_told_before_anything_is_fetched_and_stays() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    shop.publish("latest-chat", "v2", LATER);
    fs::create_dir(shop.directory.path().join("volume")).unwrap();
    fs::create_dir(shop.path("chat").join("my data")).unwrap();
    for mount in MOUNTS {
        for run in [
            command("upgrade"),
            command("install --platform linux/amd64 --reinstall"),
            "countersign remove --store store chat".into(),
        ] {
            shop.registry.reset_requests();
            let mount = mount.replace("$at", "'store/chat/my data'");
            let script = format!(
                "{mount} && echo precious > 'store/chat/my data/file' && {run}; \
                 code=$?; cat 'store/chat/my data/file' >&2; exit $code"
            );
            let Some((code, document, said)) = mounting(&shop, &script) else {
                return;
            };
            assert!(said.ends_with("precious\n"), "{run}: {said}");
            assert_eq!(code, 2, "{document}");
            assert_eq!(document["results"].as_array().unwrap().len(), 1);
            let error = &document["results"][0]["error"];
            let at = shop.path("chat").canonicalize().unwrap().join("my data");
            let expected = format!(
                "store/chat can't be replaced or removed: something is mounted inside it, at {}",
                at.display()
            );
            assert_eq!(error["kind"], "usage");
            assert!(
                error["message"].as_str().unwrap().ends_with(&expected),
                "{document}"
            );
            let hint = error["hints"][0].as_str().unwrap();
            assert!(hint.contains("umount"), "{hint}");
            assert!(shop.registry.requests().is_empty(), "{run}");
            assert_eq!(shop.version("chat").unwrap(), "v1");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_in_the_remains_of_a_killed_run_is_not_removed_with_them() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let remains = shop.path(".chat.countersign-AbCd1234");
    let at = "store/.chat.countersign-AbCd1234/removed/data";
    fs::create_dir(shop.directory.path().join("volume")).unwrap();
    for mount in MOUNTS {
        fs::create_dir_all(remains.join("removed/data")).unwrap();
        // Not even where directories are closed, so that they have to be opened up.
        let script = format!(
            "at={at}; {mount} && echo precious > $at/file && chmod 500 $at && {}; \
             code=$?; cat $at/file >&2; stat -c %a $at >&2; exit $code",
            command("install --platform linux/amd64 --reinstall")
        );
        let Some((code, document, said)) = mounting(&shop, &script) else {
            return;
        };
        assert!(said.ends_with("precious\n500\n"), "{said}");
        assert!(said.contains("something is mounted at `data`"), "{said}");
        assert_eq!(code, 0, "{document}");
        assert_eq!(shop.version("chat").unwrap(), "v1");
    }
    // Without the mount they go.
    assert_eq!(shop.install(&["--reinstall", "chat"]).0, 0);
    assert!(!remains.exists());
}
