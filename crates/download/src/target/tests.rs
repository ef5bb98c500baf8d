mod record_place;
mod unseen;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::removal::remove_tree;
use super::*;
use crate::extract::Cancellation;
use crate::options::Durability;

/// A name that staging directories of the target `app` have.
const LEFTOVER: &str = ".app.countersign-abcDEF12";

/// A directory to install into, in which nothing but the target may remain.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("app")
    }

    fn begin(&self) -> Result<Staging, Error> {
        begin(&self.target())
    }

    /// Installs a tree with one file of this content.
    fn install(&self, content: &str) {
        let staging = self.begin().unwrap();
        fill(&staging, content);
        staging
            .commit(Durability::Full, &Cancellation::default())
            .unwrap();
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.target().join("file")).unwrap()
    }

    fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// An empty staging directory, as a killed installation leaves it.
    fn leftover(&self) -> PathBuf {
        let path = self.0.path().join(LEFTOVER);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// What is there besides lock files and staging directories.
    fn refused(&self) -> &'static str {
        match self.begin() {
            Err(Error::Target { found, .. }) => found,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("not refused"),
        }
    }
}

fn begin(target: &Path) -> Result<Staging, Error> {
    let held = Held::take(target)?;
    held.check()?;
    Arc::new(held).claim().stage()
}

fn fill(staging: &Staging, content: &str) {
    fs::write(staging.root_path().join("file"), content).unwrap();
    let record = format!(
        r#"{{"version":1,"digest":"{}"}}"#,
        countersign_oci::Digest::sha256(content.as_bytes())
    );
    staging.write_record(record.as_bytes()).unwrap();
}

#[test]
fn what_is_cancelled_while_the_disk_is_waited_for_does_not_take_the_place() {
    let scene = Scene::new();
    scene.install("old");
    let staging = scene.begin().unwrap();
    fill(&staging, "new");
    let cancellation = Cancellation::default();
    cancellation.cancel();
    let result = staging.commit(Durability::Full, &cancellation);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    drop(staging);
    assert_eq!(scene.installed(), "old");
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn a_new_installation_takes_a_free_place_or_an_empty_directory() {
    let scene = Scene::new();
    scene.install("first");
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);

    let scene = Scene::new();
    fs::create_dir(scene.target()).unwrap();
    scene.install("first");
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn an_earlier_installation_is_replaced_whole() {
    let scene = Scene::new();
    scene.install("first");
    fs::write(scene.target().join("extra"), "").unwrap();
    scene.install("second");
    assert_eq!(scene.installed(), "second");
    assert!(!scene.target().join("extra").exists());
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn what_is_not_ours_is_not_replaced() {
    let scene = Scene::new();
    fs::create_dir(scene.target()).unwrap();
    fs::write(scene.target().join("precious"), "").unwrap();
    assert_eq!(scene.refused(), "a directory with files that are not ours");
    // A record that isn't one makes it no more ours.
    fs::create_dir(scene.target().join(".countersign")).unwrap();
    fs::write(record::path(&scene.target()), "{}").unwrap();
    let unread = "a directory with a record that can't be read: it is damaged, or not ours";
    assert_eq!(scene.refused(), unread);
    fs::remove_dir_all(scene.target()).unwrap();

    fs::write(scene.target(), "precious").unwrap();
    assert_eq!(scene.refused(), "a file");
    fs::remove_file(scene.target()).unwrap();

    fs::create_dir(scene.0.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", scene.target()).unwrap();
    assert_eq!(scene.refused(), "a symbolic link");
    let slashed = begin(&scene.target().join(""));
    assert!(matches!(slashed, Err(Error::Target { .. })));
    assert_eq!(scene.names(), ["app", "elsewhere"]);
}

#[test]
fn something_that_came_meanwhile_is_not_replaced() {
    let scene = Scene::new();
    let staging = scene.begin().unwrap();
    fill(&staging, "mine");
    fs::create_dir(scene.target()).unwrap();
    fs::write(scene.target().join("precious"), "").unwrap();
    assert!(matches!(
        staging.commit(Durability::Full, &Cancellation::default()),
        Err(Error::Target { .. })
    ));
    drop(staging);
    assert!(scene.target().join("precious").exists());
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn targets_without_a_name_or_a_directory_above_are_refused() {
    let scene = Scene::new();
    for path in [
        scene.0.path().join("missing/app"),
        scene.0.path().join(".."),
        PathBuf::from("/"),
    ] {
        let begun = begin(&path);
        assert!(matches!(begun, Err(Error::Target { .. })), "{path:?}");
    }
}

#[test]
fn an_attempt_that_is_given_up_leaves_the_old_installation_and_nothing_else() {
    let scene = Scene::new();
    scene.install("first");
    let staging = scene.begin().unwrap();
    fill(&staging, "second");
    drop(staging);
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);
}

/// By the permissions, since root may remove everything anyway.
#[test]
fn closed_directories_are_opened_for_removal_and_what_links_lead_to_is_not() {
    let scene = Scene::new();
    let (elsewhere, tree) = (
        scene.0.path().join("elsewhere"),
        scene.0.path().join("tree"),
    );
    let inner = tree.join("closed/inner");
    fs::create_dir_all(&inner).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, tree.join("closed/link")).unwrap();
    let close = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    close(&inner, 0);
    close(&tree.join("closed"), 0o555);
    close(&elsewhere, 0o555);
    removal::make_removable(&tree.join("closed/link")).unwrap_err();
    removal::make_removable(&tree).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&tree.join("closed")), 0o700);
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&elsewhere), 0o555);
    remove_tree(&tree).unwrap();
    assert_eq!(scene.names(), ["elsewhere"]);
}

#[test]
fn two_installations_to_one_target_do_not_meet() {
    let scene = Scene::new();
    let first = scene.begin().unwrap();
    assert!(matches!(scene.begin(), Err(Error::Busy { .. })));
    // Nor did the attempt disturb the first.
    fill(&first, "first");
    first
        .commit(Durability::Full, &Cancellation::default())
        .unwrap();
    drop(first);
    scene.install("second");
    assert_eq!(scene.installed(), "second");
}

#[test]
fn what_a_killed_installation_left_is_cleared_away() {
    for (moment, found) in [
        ("begun", "first"),
        ("filled", "first"),
        ("between two steps", "first"),
        ("committed", "second"),
    ] {
        let scene = Scene::new();
        scene.install("first");
        kill_when(moment, &scene.target());
        // The lock file and the staging directory.
        let left = scene.names().into_iter().filter(|name| name != "app");
        assert_eq!(left.count(), 2, "{moment}");
        drop(scene.begin().unwrap());
        assert_eq!(scene.installed(), found, "{moment}");
        assert_eq!(scene.names(), ["app"], "{moment}");
    }
}

#[test]
fn an_old_installation_that_was_moved_aside_is_put_back() {
    let scene = Scene::new();
    scene.install("first");
    fs::rename(scene.target(), scene.leftover().join(OLD)).unwrap();
    drop(scene.begin().unwrap());
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn an_old_installation_that_can_not_be_put_back_is_kept() {
    let scene = Scene::new();
    scene.install("first");
    let old = scene.leftover().join(OLD);
    fs::rename(scene.target(), &old).unwrap();
    fs::create_dir(scene.target()).unwrap();
    fs::write(scene.target().join("precious"), "").unwrap();
    assert_eq!(scene.refused(), "a directory with files that are not ours");
    assert_eq!(fs::read_to_string(old.join("file")).unwrap(), "first");
    fs::remove_dir_all(scene.target()).unwrap();
    drop(scene.begin().unwrap());
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);
}

/// An installation that was moved aside, as an attacker would make one.
fn plant(leftover: &Path) {
    let old = leftover.join(OLD);
    fs::create_dir_all(old.join(".countersign")).unwrap();
    fs::write(old.join("file"), "planted").unwrap();
    let digest = countersign_oci::Digest::sha256(b"planted");
    let json = format!(r#"{{"version":1,"digest":"{digest}"}}"#);
    fs::write(record::path(&old), json).unwrap();
}

#[test]
fn a_link_in_place_of_a_leftover_is_not_followed() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().unwrap();
    plant(elsewhere.path());
    std::os::unix::fs::symlink(elsewhere.path(), scene.0.path().join(LEFTOVER)).unwrap();
    drop(scene.begin().unwrap());
    assert_eq!(scene.names(), [LEFTOVER]);
    assert!(elsewhere.path().join(OLD).join("file").exists());
}

#[test]
fn a_leftover_that_others_may_write_to_or_own_is_not_installed() {
    let scene = Scene::new();
    let leftover = scene.leftover();
    plant(&leftover);
    fs::set_permissions(&leftover, fs::Permissions::from_mode(0o777)).unwrap();
    drop(scene.begin().unwrap());
    assert_eq!(scene.names(), [LEFTOVER]);

    fs::set_permissions(&leftover, fs::Permissions::from_mode(0o700)).unwrap();
    let mut target = Target::new(&scene.target()).unwrap();
    target.owner += 1;
    target.clear_leftovers().unwrap();
    assert_eq!(scene.names(), [LEFTOVER]);
    assert!(leftover.join(OLD).join("file").exists());
}

#[test]
fn a_file_in_place_of_a_leftover_does_not_stop_an_installation() {
    let scene = Scene::new();
    fs::write(scene.0.path().join(LEFTOVER), "").unwrap();
    scene.install("first");
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), [LEFTOVER, "app"]);
}

#[test]
fn a_fifo_or_a_link_in_place_of_a_record_is_none_and_is_not_waited_for() {
    let scene = Scene::new();
    scene.install("first");
    let record = record::path(&scene.target());
    let real = record.with_extension("real");
    fs::rename(&record, &real).unwrap();
    let made = Command::new("mkfifo").arg(&record).status().unwrap();
    assert!(made.success());
    assert_eq!(scene.refused(), "a directory with files that are not ours");
    fs::remove_file(&record).unwrap();
    std::os::unix::fs::symlink(&real, &record).unwrap();
    assert_eq!(scene.refused(), "a directory with files that are not ours");
    fs::rename(&real, &record).unwrap();
    drop(scene.begin().unwrap());
}

#[test]
fn without_an_exchange_two_steps_do_and_a_second_that_fails_takes_back_the_first() {
    let scene = Scene::new();
    scene.install("first");
    let staging = scene.begin().unwrap();
    let missing = staging.path.join("missing");
    let Err(Error::Io { source, .. }) = staging.exchange_in_two_steps(&missing) else {
        panic!("another error, or none");
    };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert_eq!(scene.installed(), "first");
    fill(&staging, "second");
    let root = staging.root_path();
    staging.exchange_in_two_steps(&root).unwrap();
    drop(staging);
    assert_eq!(scene.installed(), "second");
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn an_old_installation_whose_place_was_taken_between_two_steps_is_kept_and_it_is_said_where() {
    let scene = Scene::new();
    scene.install("first");
    let staging = scene.begin().unwrap();
    fill(&staging, "second");
    // After the first step, somebody else is quicker than the second.
    fs::rename(scene.target(), staging.old_path()).unwrap();
    fs::create_dir(scene.target()).unwrap();
    // Not even where it is empty.
    staging.put_back().unwrap_err();
    fs::write(scene.target().join("precious"), "").unwrap();
    let Err(Error::Displaced { path, kept, .. }) = staging.put_back() else {
        panic!("another error, or none");
    };
    drop(staging);
    assert_eq!(path, scene.target());
    assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "first");
    let beside: Vec<_> = fs::read_dir(kept.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");

    fs::remove_dir_all(scene.target()).unwrap();
    drop(scene.begin().unwrap());
    assert_eq!(scene.installed(), "first");
    assert_eq!(scene.names(), ["app"]);
}

#[test]
fn other_names_are_not_taken_for_leftovers() {
    let scene = Scene::new();
    let others = [
        ".app.countersign-",
        ".app.countersign-abcDEF123",
        ".app.countersign-x.countersign-abcDEF12",
        ".application.countersign-abcDEF12",
    ];
    for name in others {
        fs::create_dir(scene.0.path().join(name)).unwrap();
    }
    drop(scene.begin().unwrap());
    assert_eq!(scene.names(), others);
}

/// Runs [`installation_that_is_killed`] in a process of its own.
fn kill_when(moment: &str, target: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "target::tests::installation_that_is_killed"])
        .args(["--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{moment}").unwrap();
    stdin.write_all(target.as_os_str().as_bytes()).unwrap();
    drop(stdin);
    let status = child.wait().unwrap();
    assert!(!status.success());
}

#[test]
#[ignore = "not a test: the process that another test has killed"]
fn installation_that_is_killed() {
    let input = io::read_to_string(io::stdin()).unwrap();
    let Some((moment, target)) = input.split_once('\n') else {
        // Run by somebody who runs ignored tests too.
        return;
    };
    let staging = begin(Path::new(target)).unwrap();
    if moment != "begun" {
        fill(&staging, "second");
    }
    match moment {
        "between two steps" => fs::rename(target, staging.old_path()).unwrap(),
        "committed" => staging
            .commit(Durability::Full, &Cancellation::default())
            .unwrap(),
        _ => {}
    }
    // No destructor runs, as with a signal from outside.
    std::process::abort();
}
