//! File systems where upper and lower case are the same. None can be had everywhere, so these tests rename what was
//! unpacked: the next name finds it, as it would there.

use super::*;

/// Unpacks `first`, gives `from` the name `to`, and unpacks `then`.
fn found_as(first: Tar, [from, to]: [&str; 2], then: Tar) -> Result<(), ArchiveError> {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.root.force_spellings();
    let (first, then) = (first.end(), then.end());
    extractor.layer(layer(&first, &first)).unwrap();
    fs::rename(scene.path(from), scene.path(to)).unwrap();
    extractor.layer(layer(&then, &then))
}

fn file(name: &str) -> Tar {
    Tar::default().file(name, b"text")
}

#[test]
fn what_another_spelling_made_is_neither_replaced_nor_removed_nor_written_into() {
    for (first, renamed, then, told) in [
        (file("A"), ["A", "a"], file("a"), "a"),
        (file("A"), ["A", "a"], Tar::default().directory("a"), "a"),
        (file("A"), ["A", "a"], Tar::default().symlink("a", "b"), "a"),
        (file("A"), ["A", "a"], file(".wh.a"), ".wh.a"),
        (file("A"), ["A", "a"], Tar::default().device("a"), "a"),
        (file("Lib/x"), ["Lib", "lib"], file("lib/y"), "lib/y"),
        (
            file("Lib/x"),
            ["Lib", "lib"],
            Tar::default().directory("lib"),
            "lib",
        ),
        (
            file("usr/Lib/x").symlink("l", "usr/lib"),
            ["usr/Lib", "usr/lib"],
            file("l/y"),
            "l/y",
        ),
    ] {
        match found_as(first, renamed, then) {
            Err(ArchiveError::Spelling { name }) => assert_eq!(name, told),
            other => panic!("{told}: {other:?}"),
        }
    }
}

#[test]
fn a_hard_link_to_another_spelling_leads_nowhere() {
    let then = Tar::default().hardlink("b", "a");
    let error = found_as(file("A"), ["A", "a"], then).unwrap_err();
    assert!(matches!(error, ArchiveError::HardLink { .. }), "{error:?}");
}

#[test]
fn the_record_s_name_is_reserved_in_every_spelling() {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.root.force_spellings();
    let tar = file(".Countersign/record.json").end();
    let error = extractor.layer(layer(&tar, &tar)).unwrap_err();
    assert!(
        matches!(error, ArchiveError::ReservedName { .. }),
        "{error:?}"
    );
    // Where case matters it is a name like any other.
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.layer(layer(&tar, &tar)).unwrap();
    assert_eq!(scene.read(".Countersign/record.json"), "text");
}
