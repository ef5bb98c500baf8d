//! Names that can't be looked at, of which nobody knows whether they are there.

use super::*;

/// The same directory by a path so long that the names in it have none.
fn in_other_words(path: &Path) -> PathBuf {
    const LONGEST: usize = 4095;
    let left = LONGEST - path.as_os_str().len();
    let mut long = path.as_os_str().to_owned();
    long.push("/.".repeat((left - 1) / 2));
    long.into()
}

#[test]
fn an_old_installation_that_can_not_be_looked_at_is_kept() {
    let scene = Scene::new();
    let mut staging = scene.begin().unwrap();
    let old = staging.old_path();
    fs::create_dir(&old).unwrap();
    fs::write(old.join("file"), "first").unwrap();
    staging.path = in_other_words(&staging.path);
    let unseen = fs::symlink_metadata(staging.old_path()).unwrap_err();
    assert_eq!(unseen.kind(), io::ErrorKind::InvalidFilename);
    drop(staging);
    assert_eq!(fs::read_to_string(old.join("file")).unwrap(), "first");
}

#[test]
fn a_directory_above_that_can_not_be_looked_at_is_not_taken_for_none() {
    let scene = Scene::new();
    fs::write(scene.0.path().join("file"), "").unwrap();
    // With a name so long that no file system has it.
    let unseen = scene.0.path().join("x".repeat(300)).join("app");
    let file = scene.0.path().join("file/app");
    let missing = scene.0.path().join("missing/app");
    for above in [Above::Required, Above::Made] {
        let looked = look(&unseen, above);
        assert!(matches!(looked, Err(Error::Io { .. })), "{looked:?}");
        let looked = look(&file, above);
        assert!(
            matches!(
                looked,
                Err(Error::Target {
                    found: "a file",
                    ..
                })
            ),
            "{looked:?}"
        );
    }
    assert!(matches!(begin(&unseen), Err(Error::Io { .. })));
    look(&missing, Above::Made).unwrap();
    let looked = look(&missing, Above::Required);
    assert!(matches!(looked, Err(Error::Target { found: "none", .. })));
}
