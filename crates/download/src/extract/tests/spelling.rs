//! File systems where upper and lower case, or two forms of Unicode, are the same. None can be had everywhere, so these
//! tests rename what was unpacked: the next name finds it, as it would there.

use super::*;

/// Two spellings, and where they are one name. A letter with an accent is one character or two.
const SPELLINGS: [(Same, [&str; 2]); 3] = [
    (CASE, ["A", "a"]),
    (FORMS, ["\u{e9}", "e\u{301}"]),
    (FORMS, ["e\u{301}", "\u{e9}"]),
];

/// Unpacks `first`, gives `from` the name `to`, and unpacks `then`.
fn found_as(same: Same, first: Tar, [from, to]: [&str; 2], then: Tar) -> Result<(), ArchiveError> {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.root.force_spellings(same);
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
    for (same, [made, found]) in SPELLINGS {
        let [within, then_within] = [made, found].map(|name| format!("{name}/x"));
        let whiteout = format!(".wh.{found}");
        for (first, then, told) in [
            (made, file(found), found),
            (made, Tar::default().directory(found), found),
            (made, Tar::default().symlink(found, "b"), found),
            (made, file(&whiteout), &whiteout),
            (made, Tar::default().device(found), found),
            (&within, file(&then_within), &then_within),
            (&within, Tar::default().directory(found), found),
        ] {
            match found_as(same, file(first), [made, found], then) {
                Err(ArchiveError::Spelling { name }) => assert_eq!(name, told),
                other => panic!("{told}: {other:?}"),
            }
        }
        // Through a link, too.
        let [made, found] = [made, found].map(|name| format!("usr/{name}"));
        let first = file(&format!("{made}/x")).symlink("l", &found);
        let refused = found_as(same, first, [&made, &found], file("l/y"));
        assert!(
            matches!(&refused, Err(ArchiveError::Spelling { name }) if name == "l/y"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_hard_link_to_another_spelling_leads_nowhere() {
    for (same, [made, found]) in SPELLINGS {
        let then = Tar::default().hardlink("b", found);
        let error = found_as(same, file(made), [made, found], then).unwrap_err();
        assert!(matches!(error, ArchiveError::HardLink { .. }), "{error:?}");
    }
}

#[test]
fn the_record_s_name_is_reserved_in_every_spelling() {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.root.force_spellings(CASE);
    let tar = file(".Countersign/record.json").end();
    let error = extractor.layer(layer(&tar, &tar)).unwrap_err();
    assert!(
        matches!(error, ArchiveError::ReservedName { .. }),
        "{error:?}"
    );
    // Where case matters it is a name like any other.
    for same in [None, Some(FORMS)] {
        let scene = Scene::new();
        let mut extractor = scene.extractor();
        if let Some(same) = same {
            extractor.root.force_spellings(same);
        }
        extractor.layer(layer(&tar, &tar)).unwrap();
        assert_eq!(scene.read(".Countersign/record.json"), "text");
    }
}
