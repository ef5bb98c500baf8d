//! What fuzzing found (`cargo xtask fuzz`), as tests.

use countersign_oci::archive::HeaderError;
use countersign_sandbox::image::{Entry, EntryKind};

use super::*;

#[test]
fn a_way_through_a_device_that_was_left_out_is_refused() {
    let same = Tar::default().device("a").file("a/b/c", b"");
    let (lower, upper) = (Tar::default().device("a"), Tar::default().file("a/b", b""));
    for layers in [vec![same.end()], vec![lower.end(), upper.end()]] {
        let error = Scene::new().refusal(&layers);
        assert!(
            matches!(error, ArchiveError::NotADirectory { .. }),
            "{error:?}"
        );
    }
    // A directory takes its place.
    let replaced = Tar::default().device("a").directory("a").file("a/b", b"");
    let scene = Scene::new();
    scene.unpack(&[replaced.end()]).unwrap();
    assert_eq!(scene.tree(), ["a", "a/b"]);
}

#[test]
fn a_whiteout_of_a_directory_in_which_its_layer_has_a_device_is_refused() {
    let lower = || Tar::default().file("a/b", b"").end();
    for whiteout in [".wh.a", ".wh..wh..opq"] {
        let upper = Tar::default().device("a/null").file(whiteout, b"");
        let error = Scene::new().refusal(&[lower(), upper.end()]);
        assert!(
            matches!(error, ArchiveError::OwnWhiteout { .. }),
            "{whiteout}: {error:?}"
        );
    }
    // The lower layer's device goes with its directory.
    let lower = Tar::default().file("a/b", b"").device("a/null");
    let scene = Scene::new();
    let upper = Tar::default().file(".wh.a", b"");
    scene.unpack(&[lower.end(), upper.end()]).unwrap();
    assert_eq!(scene.tree(), [""; 0]);
}

#[test]
fn numbers_that_we_do_not_use_have_to_be_numbers_too() {
    const FIELDS: [(&str, usize); 7] = [
        ("mode", 100),
        ("user", 108),
        ("group", 116),
        ("size", 124),
        ("time", 136),
        ("major device number", 329),
        ("minor device number", 337),
    ];
    // In the entry's header, and in that of its extension.
    let entry = Entry::file("f", b"");
    let extension = Entry::new(EntryKind::PaxGlobal, "g");
    for (expected, at) in FIELDS {
        for entry in [entry.clone(), extension.clone()] {
            let broken = Tar::default().entry(entry.patch(at, b"00p0"));
            let error = Scene::new().refusal(&[broken.end()]);
            let ArchiveError::Header(HeaderError::Header { field, .. }) = &error else {
                panic!("{expected}: {error:?}");
            };
            assert_eq!(*field, expected);
        }
    }
    // A V7 header has no device numbers.
    let old = Entry::file("f", b"").patch(257, [0; 8]).patch(337, b"00p0");
    let scene = Scene::new();
    scene.unpack(&[Tar::default().entry(old).end()]).unwrap();
}

#[test]
fn a_part_of_the_second_block_of_zeros_is_refused() {
    let archive = |zeros: usize| [Tar::default().file("f", b"x").cut(), vec![0; zeros]].concat();
    for zeros in [0, 512, 1024, 1025] {
        Scene::new().unpack(&[archive(zeros)]).unwrap();
    }
    for zeros in [513, 1023] {
        let error = Scene::new().refusal(&[archive(zeros)]);
        assert!(
            matches!(error, ArchiveError::Truncated { expected, .. } if expected == 1024 - zeros as u64),
            "{zeros}: {error:?}"
        );
    }
}
