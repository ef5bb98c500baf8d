//! Which files are read, in which order, and whom they have to belong to.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use tempfile::TempDir;

use super::*;

/// Directories in the place of the user's, of the machine's, and of a project with a directory below it.
struct Scene {
    root: TempDir,
}

const PROJECT: &str = "project/countersign.toml";
const USER: &str = "home/countersign.toml";
const SYSTEM: &str = "etc/countersign.toml";

impl Scene {
    fn new() -> Self {
        let scene = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for directory in ["project/below", "home", "etc"] {
            fs::create_dir_all(scene.path(directory)).unwrap();
        }
        for directory in ["", "project", "project/below", "home", "etc"] {
            scene.mode(directory, 0o755);
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o644);
    }

    /// Writes the user's file, which allows the project and the directory below it.
    fn allow(&self, text: &str) {
        let [project, below] = ["project", "project/below"].map(|name| self.path(name));
        self.write(USER, &format!("allow = [{project:?}, {below:?}]\n{text}"));
    }

    /// Gives a file to somebody else, or takes the program for somebody else's.
    fn give_away(&self, name: &str, places: &mut Places) {
        match places.me {
            ROOT => chown(self.path(name), Some(12345), None).unwrap(),
            me => places.me = me + 1,
        }
    }

    fn places(&self) -> Places {
        Places {
            working_directory: Some(self.path("project/below")),
            user: Some(self.path(USER)),
            system: self.path(SYSTEM),
            me: rustix::process::geteuid().as_raw(),
        }
    }

    /// What the error says, with its hints.
    fn refused(&self, places: &Places) -> String {
        let failure = places.read().unwrap_err();
        let root = self.path("").display().to_string();
        let said = failure.said().into_iter().map(|(_, said)| said);
        said.collect::<Vec<_>>().join("\n").replace(&root, "/")
    }
}

fn store(settings: &Settings) -> Option<&Path> {
    settings.store.as_ref().map(|store| store.value.as_path())
}

#[test]
fn the_nearest_file_comes_first_and_its_paths_are_relative_to_it() {
    let scene = Scene::new();
    let found = || scene.places().read().unwrap();
    assert_eq!(store(&found()), None);
    scene.allow("store = '/srv/user'\npolicy = 'p.yaml'");
    assert_eq!(store(&found()), Some(Path::new("/srv/user")));
    let policy = found().policy.unwrap();
    assert_eq!(policy.value, scene.path("home/p.yaml"));
    assert_eq!(policy.file, scene.path(USER));
    scene.write(PROJECT, "store = 'models'");
    assert_eq!(
        store(&found()),
        Some(scene.path("project/models").as_path())
    );
    // One below hides the one above, and not the user's.
    scene.write("project/below/countersign.toml", "proxy = 'proxy:1'");
    let found = found();
    assert_eq!(store(&found), Some(Path::new("/srv/user")));
    assert_eq!(
        found.proxy.unwrap().file,
        scene.path("project/below/countersign.toml")
    );
    assert!(found.policy.is_some());
}

#[test]
fn the_machine_s_file_comes_last_and_is_root_s() {
    let scene = Scene::new();
    scene.write(SYSTEM, "store = '/srv/system'\ntrust = 'github'");
    scene.write(USER, "store = '/srv/user'");
    let places = scene.places();
    if places.me == ROOT {
        let settings = places.read().unwrap();
        assert_eq!(store(&settings), Some(Path::new("/srv/user")));
        assert_eq!(settings.trust.unwrap().file, scene.path(SYSTEM));
        chown(scene.path(SYSTEM), Some(12345), None).unwrap();
    }
    let said = scene.refused(&places);
    assert!(said.contains(": expected root"), "{said}");
}

#[test]
fn without_a_home_and_a_working_directory_the_machine_s_file_is_left() {
    let scene = Scene::new();
    let places = Places {
        working_directory: None,
        user: None,
        ..scene.places()
    };
    let settings = places.read().unwrap();
    let [file] = settings.files.as_slice() else {
        panic!("{settings:?}");
    };
    assert_eq!(
        (file.scope, file.state),
        (Scope::System, FileState::NotFound)
    );
}

/// Whoever works where the user's file is has it as the user's, with all that it may set.
#[test]
fn the_user_s_own_file_is_no_project_s() {
    let scene = Scene::new();
    scene.write(USER, "gallery = 'galleries.yaml'");
    let places = Places {
        working_directory: Some(scene.path("home")),
        ..scene.places()
    };
    let settings = places.read().unwrap();
    assert_eq!(settings.gallery.unwrap().file, scene.path(USER));
    // The same where it is a link, as managers of such files make it.
    fs::rename(scene.path(USER), scene.path("project/countersign.toml")).unwrap();
    symlink("../project/countersign.toml", scene.path(USER)).unwrap();
    let settings = scene.places().read().unwrap();
    assert_eq!(settings.gallery.unwrap().file, scene.path(USER));
}

/// What became of the project's file.
fn project(settings: &Settings) -> Vec<(PathBuf, FileState)> {
    let files = settings.files.iter();
    let files = files.filter(|file| file.scope == Scope::Project);
    files.map(|file| (file.path.clone(), file.state)).collect()
}

/// A clone belongs to the user, so that only a list of the user's tells whose it is.
#[test]
fn a_file_whose_directory_is_not_allowed_is_told_and_sets_nothing() {
    let scene = Scene::new();
    let text = "gallery = 'g'\npolicy = 'p'\ntrust = 'github'\nsigning-config = 's'\nstore = 'x'\nproxy = 'proxy:1'\n";
    let [above, below, beside] = ["", "project/below", "home"].map(|name| scene.path(name));
    // Nor is a directory allowed by the one above it, by one below it, or by one that isn't there.
    let allow = format!("allow = [{above:?}, {below:?}, {beside:?}, '/nowhere/at/all']");
    for (user, text) in [
        ("", text),
        (&allow, text),
        ("", "no TOML"),
        (&allow, "allow = ['/']"),
    ] {
        scene.write(USER, user);
        scene.write(PROJECT, text);
        // Nobody can stop others with it, however it is made.
        for mode in [0o644, 0o666, 0o000] {
            scene.mode(PROJECT, mode);
            let settings = scene.places().read().unwrap();
            let expected = [(scene.path(PROJECT), FileState::NotAllowed)];
            assert_eq!(project(&settings), expected, "{user}");
            let bare = Settings {
                allow: settings.allow.clone(),
                files: settings.files.clone(),
                ..Settings::default()
            };
            assert_eq!(settings, bare);
            let warnings = warnings(&settings).join("\n");
            let root = scene.path("").display().to_string();
            let hint = "/project/countersign.toml is not used: to use it, add /project to `allow` in /home/countersign.toml, \
                        or pass --config /project/countersign.toml";
            assert_eq!(warnings.replace(&root, "/"), hint);
        }
    }
    fs::remove_file(scene.path(PROJECT)).unwrap();
    symlink("../home/secret", scene.path(PROJECT)).unwrap();
    let settings = scene.places().read().unwrap();
    let expected = [(scene.path(PROJECT), FileState::NotAllowed)];
    assert_eq!(project(&settings), expected);
}

#[test]
fn a_file_whose_directory_is_allowed_sets_everything_but_what_is_allowed() {
    let scene = Scene::new();
    let text = "gallery = 'g'\npolicy = 'p'\ntrust = 'github'\nsigning-config = 's'\nstore = 'x'\nproxy = 'proxy:1'\n";
    scene.write(PROJECT, text);
    symlink("project", scene.path("link")).unwrap();
    let link = scene.path("link");
    scene.write(USER, &format!("allow = [{link:?}]\ngallery = 'user'"));
    let settings = scene.places().read().unwrap();
    let expected = [(scene.path(PROJECT), FileState::Read)];
    assert_eq!(project(&settings), expected);
    assert_eq!(settings.gallery(), Some(scene.path("project/g").as_path()));
    assert!(settings.policy.is_some() && settings.trust.is_some() && settings.proxy.is_some());
    assert!(settings.signing_config.is_some() && settings.store.is_some());
    assert_eq!(warnings(&settings), Vec::<String>::new());
    scene.write(PROJECT, "allow = ['/']");
    let said = scene.refused(&scene.places());
    assert!(said.contains("can't allow directories"), "{said}");
    let named = read_named(&scene.path(PROJECT)).unwrap_err().line();
    assert!(
        named.contains("it has no meaning in a file that --config"),
        "{named}"
    );
    // The machine's file may allow as the user's does.
    let places = scene.places();
    if places.me == ROOT {
        scene.write(PROJECT, text);
        fs::rename(scene.path(USER), scene.path(SYSTEM)).unwrap();
        let settings = places.read().unwrap();
        assert_eq!(project(&settings), expected);
    }
}

/// Root sees everything, so that this needs another user.
#[test]
fn a_user_s_file_that_is_hidden_is_told() {
    let scene = Scene::new();
    scene.write(USER, "trust = 'github'");
    scene.mode("home", 0o000);
    let places = scene.places();
    if places.me != ROOT {
        let settings = places.read().unwrap();
        assert!(
            settings
                .files
                .iter()
                .any(|file| file.state == FileState::Hidden)
        );
        let warnings = warnings(&settings);
        assert!(
            warnings[0].contains("can't search a directory above it"),
            "{warnings:?}"
        );
    }
    scene.mode("home", 0o755);
    let hidden = with_file(
        Settings::default(),
        Path::new("/h/c.toml"),
        Scope::User,
        FileState::Hidden,
    );
    let settings = with_file(
        hidden,
        Path::new("/p/c.toml"),
        Scope::Project,
        FileState::NotAllowed,
    );
    let warnings = warnings(&settings);
    assert!(
        warnings[0].starts_with("/h/c.toml is not used: this user can't search"),
        "{warnings:?}"
    );
    // Where it can't be looked at, nothing can be added to it.
    assert!(
        warnings[1].contains("in /etc/countersign/countersign.toml"),
        "{warnings:?}"
    );
}

#[test]
fn what_somebody_else_can_write_to_is_not_used() {
    for (name, mode, expected) in [
        (
            PROJECT,
            0o646,
            "/project/countersign.toml can be written to by everybody (mode 646)",
        ),
        (
            "project",
            0o757,
            "/project can be written to by everybody (mode 757)",
        ),
        (
            "project",
            0o1777,
            "/project can be written to by everybody (mode 1777)",
        ),
        (
            USER,
            0o666,
            "/home/countersign.toml can be written to by everybody (mode 666)",
        ),
        (
            "home",
            0o777,
            "/home can be written to by everybody (mode 777)",
        ),
    ] {
        let scene = Scene::new();
        scene.write(PROJECT, "store = 'x'");
        scene.allow("store = 'y'");
        scene.mode(name, mode);
        let said = scene.refused(&scene.places());
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains("chmod go-w"), "{name}: {said}");
    }
}

/// A user's own group has the user's number.
#[test]
fn what_a_group_can_write_to_is_used_only_if_it_is_the_user_s_own() {
    let scene = Scene::new();
    scene.write(PROJECT, "store = 'x'");
    scene.allow("");
    scene.mode(PROJECT, 0o664);
    let found = fs::metadata(scene.path(PROJECT)).unwrap();
    let read = scene.places().read();
    assert_eq!(read.is_ok(), found.gid() == found.uid());
    if scene.places().me == ROOT {
        chown(scene.path(PROJECT), None, Some(12345)).unwrap();
        let said = scene.refused(&scene.places());
        assert!(
            said.contains("written to by its group (mode 664)"),
            "{said}"
        );
    }
}

#[test]
fn a_file_of_somebody_else_is_not_used() {
    for name in [PROJECT, "project", USER, "home"] {
        let scene = Scene::new();
        scene.write(PROJECT, "store = 'x'");
        scene.allow("store = 'y'");
        let mut places = scene.places();
        scene.give_away(name, &mut places);
        let said = scene.refused(&places);
        assert!(said.contains("belongs to user"), "{said}");
    }
}

#[test]
fn what_is_no_file_is_neither_followed_nor_waited_for() {
    let scene = Scene::new();
    scene.write("secret", "password = 'hunter2'");
    scene.allow("");
    symlink("../secret", scene.path(PROJECT)).unwrap();
    let said = scene.refused(&scene.places());
    assert!(said.contains("is a symbolic link"), "{said}");
    assert!(
        !said.contains("hunter2") && !said.contains("password"),
        "{said}"
    );
    fs::remove_file(scene.path(PROJECT)).unwrap();
    fs::create_dir(scene.path(PROJECT)).unwrap();
    let said = scene.refused(&scene.places());
    assert!(said.contains("is not a file"), "{said}");
    fs::remove_dir(scene.path(PROJECT)).unwrap();
    let fifo = std::process::Command::new("mkfifo");
    let made = { fifo }.arg(scene.path(PROJECT)).status().unwrap();
    assert!(made.success());
    let said = scene.refused(&scene.places());
    assert!(said.contains("is not a file"), "{said}");
}

#[test]
fn what_is_no_text_and_what_has_no_end_is_an_error() {
    let scene = Scene::new();
    fs::write(scene.path(USER), [0xff, 0xfe]).unwrap();
    let said = scene.refused(&scene.places());
    assert!(said.contains("can't be read"), "{said}");
    scene.write(USER, &"#".repeat(2 << 20));
    let said = scene.refused(&scene.places());
    assert!(said.contains("at most 1048576 bytes, found more"), "{said}");
    let endless = read_named(Path::new("/dev/zero")).unwrap_err();
    assert!(endless.line().contains("found more"), "{}", endless.line());
    assert_eq!(read_named(Path::new("/dev/null")).unwrap().files.len(), 1);
}
