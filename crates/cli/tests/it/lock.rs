//! `install --lock`, `upgrade --lock` and `install --from-lock`, as a person and a script meet them.

mod pins;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::shop::{EARLIER, LATER, SIGNER, Shop};
use countersign_download::{FileLock, Lock};
use countersign_sandbox::{Effect, Fault};
use serde_json::Value;

const LOCK: &str = "countersign.lock";

/// A shop with `chat` and `draw`, both installed and locked, and removed again.
async fn locked() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let (code, document) = shop.install(&["--lock", "chat", "draw"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(shop.run(&["remove", "chat", "draw"]).0, 0);
    shop
}

fn read(shop: &Shop, name: &str) -> String {
    fs::read_to_string(shop.directory.path().join(name)).unwrap()
}

fn replace(shop: &Shop, old: &str, new: &str) {
    let text = read(shop, LOCK);
    assert!(text.contains(old), "{old} in {text}");
    shop.write(LOCK, &text.replacen(old, new, 1));
}

fn texts(error: &Value) -> String {
    format!(
        "{} {} {}",
        error["message"], error["causes"], error["hints"]
    )
}

/// The error of a run that ended before anything was installed.
fn refused(shop: &Shop, arguments: &[&str], expected: i32) -> String {
    let (code, document) = shop.install(arguments);
    assert_eq!(code, expected, "{document}");
    assert!(!shop.path("chat").exists());
    let error = match &document["error"] {
        Value::Null => &document["results"][0]["error"],
        error => error,
    };
    texts(error)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_is_installed_again_whatever_the_tags_say_now() {
    let shop = locked().await;
    shop.publish("latest-chat", "v2", LATER);
    let (code, document) = shop.install(&["--from-lock"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["name"], "chat");
    assert_eq!(shop.version("chat").unwrap(), "v1");
    assert_eq!(shop.version("draw").unwrap(), "d1");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_choose_among_what_is_locked() {
    let shop = locked().await;
    let (code, document) = shop.install(&["--from-lock", "acme@draw"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(shop.version("draw").unwrap(), "d1");
    assert!(!shop.path("chat").exists());
    let error = refused(&shop, &["--from-lock", "caht"], 6);
    assert!(error.contains("did you mean `chat`?"), "{error}");
    assert!(error.contains("--lock first"), "{error}");
    for flag in ["--from-lock", "--lock"] {
        let error = refused(&shop, &[flag, "other.lock"], 2);
        assert!(error.contains(&format!("{flag}=other.lock")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_the_same_again_leaves_the_file_and_upgrading_changes_what_it_upgrades() {
    let shop = locked().await;
    let before = read(&shop, LOCK);
    let path = shop.directory.path().join(LOCK);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(shop.install(&["--from-lock"]).0, 0);
    assert_eq!(shop.install(&["--lock=countersign.lock", "chat"]).0, 0);
    assert_eq!(read(&shop, LOCK), before);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);

    shop.publish("latest-chat", "v2", LATER);
    let (code, document) = shop.upgrade(&["--lock"]);
    assert_eq!(code, 0, "{document}");
    let after = read(&shop, LOCK);
    let digest = &document["results"][0]["installation"]["digest"];
    assert!(after.contains(digest.as_str().unwrap()));
    let of_draw = |text: &str| text[text.find("- name: draw").unwrap()..].to_owned();
    assert_eq!(of_draw(&after), of_draw(&before));
    let changed = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let pairs = changed(&before).into_iter().zip(changed(&after));
    let changes = pairs.filter(|(one, other)| one != other).count();
    assert_eq!(changes, 2, "digest and time, a line each:\n{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_edited_by_hand_is_refused_with_both_signers() {
    let shop = locked().await;
    let other = SIGNER.replace("release.yml", "nightly.yml");
    replace(&shop, SIGNER, &other);
    let error = refused(&shop, &["--from-lock", "chat"], 4);
    assert!(error.contains("nightly.yml"), "{error}");
    assert!(error.contains("no longer accepts the signer"), "{error}");
    // The policy accepts either; the lock does not.
    let galleries = read(&shop, "galleries.yaml");
    let open = galleries.replace(&format!("identity: '{SIGNER}'"), "identity_regex: '.*'");
    assert_ne!(open, galleries);
    shop.write("galleries.yaml", &open);
    let error = refused(&shop, &["--from-lock", "chat"], 4);
    assert!(error.contains(&format!("expected {other}")), "{error}");
    assert!(error.contains(&format!("found    {SIGNER}")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_gone_is_not_found_and_said_to_be_locked() {
    let shop = locked().await;
    let digest = shop.registry.tagged("acme/app", "latest-chat").unwrap();
    shop.publish("latest-chat", "v2", LATER);
    assert!(shop.registry.remove_manifest("acme/app", &digest));
    let error = refused(&shop, &["--from-lock", "chat"], 6);
    assert!(error.contains(&format!("locked to {digest}")), "{error}");
    assert!(
        error.contains("no longer have the locked digest"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_lock_file_is_said_with_its_place_before_anything_is_asked() {
    let shop = locked().await;
    shop.registry.reset_requests();
    let good = read(&shop, LOCK);
    for (old, new, expected) in [
        (
            "  digest: sha256:",
            "  digest: sha256:0",
            "countersign.lock:10:11: `digest`: ",
        ),
        ("grounds:", "ground:", "did you mean `grounds`?"),
        (
            "version: 1",
            "version: 2",
            "unknown version of a lock file: expected 1, found 2",
        ),
        (
            "- name: draw",
            "- name: chat",
            "`chat` for linux/amd64 is there twice",
        ),
        (
            "  gallery: acme",
            "<<<<<<< HEAD\n  gallery: acme",
            "countersign.lock:7",
        ),
    ] {
        replace(&shop, old, new);
        for flag in ["--from-lock", "--lock"] {
            let error = refused(&shop, &[flag, "chat"], 2);
            assert!(error.contains(expected), "{expected}: {error}");
        }
        shop.write(LOCK, &good);
    }
    assert!(shop.registry.requests().is_empty());
    let error = refused(&shop, &["--from-lock=never.lock"], 2);
    assert!(
        error.contains("there is no lock file never.lock"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_for_another_platform_is_not_installed_on_this() {
    let shop = locked().await;
    let (code, document) = shop.run(&[
        "install",
        "--platform=linux/arm64",
        "--gallery=galleries.yaml",
        "--trusted-root=root.json",
        "--from-lock",
    ]);
    assert_eq!(code, 6, "{document}");
    let error = texts(&document["error"]);
    assert!(
        error.contains("is not locked for linux/arm64: it is locked for linux/amd64"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_for_other_hardware_is_not_silently_taken_out_of_a_lock_file() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    shop.one_entry_for_each_hardware();
    let lock = |capability: &str, store: &str| {
        let flags = [
            "--lock",
            "--capability",
            capability,
            "--store",
            store,
            "any",
        ];
        let all = [
            &[
                "install",
                "--gallery",
                "galleries.yaml",
                "--trusted-root",
                "root.json",
            ],
            &["--platform", "linux/amd64"][..],
            &flags,
        ];
        let (code, _, told) = shop.shown(&all.concat());
        assert_eq!(code, 0, "{told}");
        told
    };
    assert!(!lock("nvidia", "one").contains("warning"));
    let told = lock("default", "two");
    assert!(
        told.contains("any: countersign.lock had the entry `gpu` for it until now"),
        "{told}"
    );
    assert!(!lock("default", "two").contains("warning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_is_compared_with_the_usual_lock_file() {
    let shop = locked().await;
    let (code, document) = shop.run(&["list", "--check"]);
    assert_eq!(code, 8, "{document}");
    assert_eq!(document["lock"], LOCK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_is_locked() {
    let shop = locked().await;
    shop.publish("latest-chat", "v2", LATER);
    let (code, document) = shop.install(&["--from-lock", "--dry-run"]);
    assert_eq!(code, 0, "{document}");
    let result = &document["results"][0];
    assert_eq!(result["would_be"], "installed");
    let digest = result["available"]["digest"].as_str().unwrap();
    assert!(read(&shop, LOCK).contains(digest), "{document}");
    assert!(!shop.path("chat").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_is_written_through_a_link_and_keeps_its_mode() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let (real, link) = ("real.lock", shop.directory.path().join("link.lock"));
    shop.write(real, "version: 1\nentries: []\n");
    let path = shop.directory.path().join(real);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(real, &link).unwrap();
    let (code, document) = shop.install(&["--lock=link.lock", "chat"]);
    assert_eq!(code, 0, "{document}");
    assert!(read(&shop, real).contains("- name: chat"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

/// A run that has installed `chat`, while somebody else holds the lock of its lock file.
fn installed_and_waiting(shop: &Shop, lock: &str) -> Child {
    let mut child = installing(shop, lock, &["chat"]);
    until(&mut child, || shop.version("chat").is_some());
    child
}

fn installing(shop: &Shop, lock: &str, names: &[&str]) -> Child {
    let install = ["--output", "json", "install", "--platform", "linux/amd64"];
    let arguments = [&install[..], &[lock], &crate::shop::FLAGS[..], names].concat();
    let mut command = shop.command(&arguments);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits, while the program runs.
fn until(child: &mut Child, what: impl Fn() -> bool) {
    while !what() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Tells when a file is opened.
#[cfg(target_os = "linux")]
struct Opened(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Opened {
    fn watch(file: &std::path::Path) -> Self {
        use rustix::fs::inotify;
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = inotify::init(flags).unwrap();
        inotify::add_watch(&watch, file, inotify::WatchFlags::OPEN).unwrap();
        Self(watch)
    }

    /// Whether it was opened since this was asked the last time.
    fn again(&self) -> bool {
        let mut events = [std::mem::MaybeUninit::uninit(); 4096];
        rustix::fs::inotify::Reader::new(&self.0, &mut events)
            .next()
            .is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_installed_while_one_waits_for_the_lock_file() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let beside = ".countersign.lock.countersign.lock";
    let other = FileLock::try_take(&shop.directory.path().join(beside));
    let other = other.unwrap().unwrap();
    // `chat` is installed before `draw` has begun.
    let late = Effect::Delay(Duration::from_secs(1));
    let fault = Fault::on("GET /v2/acme/app/manifests/latest-draw", late);
    shop.registry.add_fault(fault.times(1));
    let mut child = installing(&shop, "--lock", &["chat", "draw"]);
    until(&mut child, || shop.version("chat").is_some());
    until(&mut child, || shop.version("draw").is_some());
    drop(other);
    assert!(child.wait().unwrap().success());
    let lock = Lock::parse(&read(&shop, LOCK)).unwrap();
    let names: Vec<_> = lock.entries().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["chat", "draw"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_becomes_unwritable_during_the_run_fails_it_and_what_is_installed_stays() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let locks = shop.directory.path().join("locks");
    fs::create_dir(&locks).unwrap();
    let other = FileLock::try_take(&locks.join(".x.lock.countersign.lock"));
    let other = other.unwrap().unwrap();
    let child = installed_and_waiting(&shop, "--lock=locks/x.lock");
    fs::remove_dir_all(&locks).unwrap();
    drop(other);
    let output = child.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{document}");
    let result = &document["results"][0];
    let message = result["error"]["message"].as_str().unwrap();
    assert_eq!(message, "the lock file locks/x.lock can't be written");
    // The document says that it is installed, and it is.
    assert_eq!(result["outcome"], "installed", "{document}");
    assert_eq!(shop.version("chat").unwrap(), "v1");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn two_runs_that_write_one_lock_file_at_once_keep_each_other_s_entries() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let path = shop.directory.path().join("countersign.lock");
    assert_eq!(shop.install(&["--lock", "draw"]).0, 0);
    let others = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();

    // Another run is about to write what it has read and changed.
    let beside = shop
        .directory
        .path()
        .join(".countersign.lock.countersign.lock");
    let other = FileLock::try_take(&beside).unwrap().unwrap();
    let opened = Opened::watch(&beside);
    let mut child = installed_and_waiting(&shop, "--lock");
    // It looks whether it may write, and then looks again.
    until(&mut child, || opened.again());
    until(&mut child, || opened.again());
    assert!(!path.exists(), "it did not wait for its turn");
    fs::write(&path, others).unwrap();
    drop(other);
    assert!(child.wait().unwrap().success());
    let lock = Lock::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    let names: Vec<_> = lock.entries().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["chat", "draw"]);
    assert!(!beside.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_can_t_be_written_is_refused_before_anything_is_fetched() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.registry.reset_requests();
    let (code, document) = shop.install(&["--lock=nowhere/x.lock", "chat"]);
    assert_eq!(code, 2, "{document}");
    assert_eq!(document["results"], serde_json::json!([]), "{document}");
    let message = document["error"]["message"].as_str().unwrap();
    assert_eq!(message, "the lock file nowhere/x.lock can't be written");
    assert!(shop.registry.requests().is_empty());
    assert_eq!(shop.version("chat"), None);
    // Nothing is left of the trial.
    let (code, document) = shop.install(&["--lock=x.lock", "never-there"]);
    assert_eq!(code, 6, "{document}");
    let left = fs::read_dir(shop.directory.path()).unwrap();
    let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.all(|name| !name.contains("lock")));
}
