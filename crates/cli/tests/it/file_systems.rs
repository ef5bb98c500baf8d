//! File systems and kernels that can't do all that Linux's own can, and that fail: `strace` makes system calls fail
//! as there. Where it isn't installed, or may not trace, the tests are skipped.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

use countersign_sandbox::image::{Compression, Entry, EntryKind, Image, Layer};
use serde_json::Value;

use crate::shop::{EARLIER, FLAGS, LATER, Shop};
use crate::stage::{possible, succeeds};

/// A system call, and the error that it always has.
type Fault = (&'static str, &'static str);

/// Runs the program while these system calls fail. None, if nobody can trace here.
fn failing(shop: &Shop, faults: &[Fault], arguments: &[&str]) -> Option<(i32, Value)> {
    let is_traced = succeeds(Command::new("strace").args(["-qq", "true"]));
    if !possible("trace by `strace`", is_traced) {
        return None;
    }
    let program = shop.command(&[]);
    let calls: Vec<_> = faults.iter().map(|(call, _)| *call).collect();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    command.arg(format!("trace={}", calls.join(",")));
    for (call, error) in faults {
        command.args(["-e", &format!("inject={call}:error={error}")]);
    }
    command
        .arg(program.get_program())
        .args(["--output", "json"])
        .args(arguments)
        .current_dir(shop.directory.path())
        .env_clear()
        .env("COUNTERSIGN_STORE_DIR", shop.directory.path().join("store"));
    let Output { status, stdout, .. } = command.output().unwrap();
    let document = serde_json::from_slice(&stdout).unwrap();
    crate::schema::conforms(&document);
    Some((status.code().unwrap(), document))
}

fn installing() -> Vec<&'static str> {
    let mut arguments = vec!["install", "--platform", "linux/amd64"];
    arguments.extend(FLAGS);
    arguments.push("chat");
    arguments
}

/// Two layers with links of both kinds. The upper one writes through a link, and links to a file of the lower one.
fn linked(version: &str) -> Image {
    let link = |kind, name: &str, target: &str| Entry::new(kind, name).link(target).mode(0o777);
    let lower = Layer::builder()
        .file("usr/lib/a", "content", 0o640)
        .file("usr/lib/secret", "nobody reads it", 0o000)
        .entry(link(EntryKind::Symlink, "lib", "usr/lib"))
        .entry(link(EntryKind::Hardlink, "usr/lib/b", "usr/lib/a"));
    let upper = Layer::builder()
        .file("lib/c", version, 0o644)
        .entry(link(EntryKind::Hardlink, "lib/d", "lib/a"))
        .entry(link(EntryKind::Hardlink, "lib/e", "usr/lib/secret"))
        .entry(link(EntryKind::Hardlink, "lib2", "lib"))
        .file("version", version, 0o644);
    Image::builder("linux/amd64".parse().unwrap())
        .layer(lower.build(Compression::Gzip))
        .layer(upper.build(Compression::Zstd))
        .build()
}

/// What is installed: each name with its permissions and content, or with its target.
fn tree(shop: &Shop) -> Vec<String> {
    let mut found = Vec::new();
    let names = ["a", "b", "c", "d", "e", "secret"].map(|name| format!("usr/lib/{name}"));
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["lib", "lib2", "version"])
    {
        let path = shop.path("chat").join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        found.push(if metadata.is_symlink() {
            format!("{name} -> {}", fs::read_link(&path).unwrap().display())
        } else {
            let content = fs::read_to_string(&path).unwrap();
            format!(
                "{name} {:o} {} {content}",
                metadata.mode() & 0o7777,
                metadata.mtime()
            )
        });
    }
    found
}

fn listing(shop: &Shop) -> Vec<String> {
    let entries = fs::read_dir(shop.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn without_newer_system_calls_the_same_is_installed_and_replaced() {
    let shop = Shop::open().await;
    shop.publish_image("latest-chat", &linked("v1"), EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let expected = tree(&shop);
    let left = listing(&shop);
    for faults in [
        &[("openat2", "ENOSYS"), ("renameat2", "ENOSYS")][..],
        &[("openat2", "EPERM"), ("renameat2", "EINVAL")],
        &[("renameat2", "EOPNOTSUPP")],
    ] {
        // Into an empty place, and in the place of what is there.
        fs::remove_dir_all(shop.path("chat")).unwrap();
        for options in [&[][..], &["--reinstall"]] {
            let arguments = [&installing()[..], options].concat();
            let Some((code, document)) = failing(&shop, faults, &arguments) else {
                return;
            };
            assert_eq!(code, 0, "{faults:?}: {document}");
            assert_eq!(tree(&shop), expected, "{faults:?}");
            assert_eq!(listing(&shop), left, "{faults:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_hard_links_are_refused_a_copy_is_made_and_the_record_says_so() {
    let shop = Shop::open().await;
    shop.publish_image("latest-chat", &linked("v1"), EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let expected = tree(&shop);
    let inode = |name: &str| fs::metadata(shop.path("chat").join(name)).unwrap().ino();
    assert_eq!(inode("usr/lib/a"), inode("usr/lib/b"));
    for error in ["EPERM", "EOPNOTSUPP", "EMLINK"] {
        fs::remove_dir_all(shop.path("chat")).unwrap();
        let Some((code, document)) = failing(&shop, &[("linkat", error)], &installing()) else {
            return;
        };
        assert_eq!(code, 0, "{document}");
        assert_eq!(tree(&shop), expected, "{error}");
        assert_ne!(inode("usr/lib/a"), inode("usr/lib/b"));
        let record = fs::read_to_string(shop.path("chat/.countersign/record.json")).unwrap();
        let said = "4 entries were copied in place of hard links, which this file system refused, the first \
                    of them usr/lib/b";
        assert!(record.contains(said), "{record}");
        // The inventory has the copies, too.
        let (code, document) = shop.run(&["check", "chat"]);
        assert_eq!(code, 0, "{document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_fails_leaves_the_old_version_and_nothing_else() {
    let shop = Shop::open().await;
    shop.publish_image("latest-chat", &linked("v1"), EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (before, left) = (tree(&shop), listing(&shop));
    shop.publish_image("latest-chat", &linked("v2"), LATER);
    let upgrade = [&["upgrade"], &FLAGS[..], &["chat"]].concat();
    for (call, error, hint) in [
        ("symlinkat", "EPERM", "this file system can't do that"),
        ("symlinkat", "EACCES", "you have no permission"),
        ("mkdirat", "EACCES", "you have no permission"),
        (
            "mkdirat",
            "ESTALE",
            "the file server no longer knows the file",
        ),
        ("linkat", "EIO", "the disk can't be read or written"),
        ("fchmod", "EROFS", "the file system is mounted read-only"),
        ("utimensat", "EDQUOT", "the disk or the quota is full"),
        (
            "fsync,fdatasync,syncfs",
            "EIO",
            "the disk can't be read or written",
        ),
        (
            "fsync,fdatasync,syncfs",
            "ESTALE",
            "the file server no longer knows the file",
        ),
        (
            "renameat2",
            "ESTALE",
            "the file server no longer knows the file",
        ),
        ("renameat2", "EACCES", "you have no permission"),
    ] {
        let faults: Vec<_> = call.split(',').map(|call| (call, error)).collect();
        let Some((code, document)) = failing(&shop, &faults, &upgrade) else {
            return;
        };
        let found = &document["results"][0]["error"];
        assert_eq!(
            (code, &found["kind"]),
            (1, &"machine".into()),
            "{call}: {document}"
        );
        let first = found["hints"][0].as_str().unwrap();
        assert!(first.starts_with(hint), "{call} {error}: {first}");
        assert_eq!(tree(&shop), before, "{call} {error}");
        assert_eq!(listing(&shop), left, "{call} {error}");
    }
    // Without the fault it goes on.
    assert_eq!(shop.run(&upgrade).0, 0);
    assert_eq!(shop.version("chat").unwrap(), "v2");
}

/// The directory was made by this run, and nothing is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_can_t_be_begun_leaves_no_directory() {
    let shop = Shop::open().await;
    let mut arguments = vec!["copy", "--to", "ocifile://kit"];
    arguments.extend(FLAGS);
    let Some((code, document)) = failing(&shop, &[("fsync", "ENOSPC")], &arguments) else {
        return;
    };
    assert_eq!(code, 1, "{document}");
    assert!(!shop.directory.path().join("kit").exists(), "{document}");
}
