//! Files with holes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use countersign_sandbox::image::{Entry, EntryKind};

use super::*;

/// What the file is in each form: data at its beginning and, after a hole, before its end.
const SIZE: u64 = 3 << 20;
const AT: u64 = 2 << 20;

fn expected() -> Vec<u8> {
    let mut content = vec![0; SIZE as usize];
    content[..512].fill(b'a');
    content[AT as usize..AT as usize + 3].copy_from_slice(b"end");
    content
}

fn data() -> Vec<u8> {
    [&[b'a'; 512][..], b"end"].concat()
}

fn assert_holes(tar: Tar) {
    let scene = Scene::new();
    scene.unpack(&[tar.file("after", b"text").end()]).unwrap();
    assert_eq!(scene.tree(), ["after", "holes"]);
    assert!(fs::read(scene.path("holes")).unwrap() == expected());
    assert_eq!(scene.read("after"), "text");
    // Where the file system has holes at all, the file has them.
    let probe = File::create(scene.path("probe")).unwrap();
    probe.set_len(SIZE).unwrap();
    if probe.metadata().unwrap().blocks() == 0 {
        let blocks = fs::metadata(scene.path("holes")).unwrap().blocks();
        assert!(blocks * 512 < SIZE / 4, "{blocks} blocks");
    }
}

/// As PAX has it, in the form 0.1 unless the map is empty.
fn listed(map: &str, count: &str, size: &str) -> Tar {
    let tar = Tar::default().pax("GNU.sparse.size", size);
    let tar = tar.pax("GNU.sparse.numblocks", count);
    tar.pax("GNU.sparse.map", map)
}

/// In the form 1.0: the map before the data, in blocks.
fn before_data(map: &[u8], data: &[u8]) -> Entry {
    let mut content = map.to_vec();
    content.resize(map.len().next_multiple_of(512), 0);
    content.extend_from_slice(data);
    let entry = Entry::file("GNUSparseFile.0/holes", content);
    entry
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "holes")
        .pax("GNU.sparse.realsize", SIZE.to_string())
}

/// By GNU's old header, with the map's first four entries, and blocks for the others.
fn old_gnu(map: &[(u64, u64)], size: u64, data: &[u8]) -> Tar {
    let pairs = |map: &[(u64, u64)]| {
        let numbers = map.iter().flat_map(|&(offset, length)| [offset, length]);
        numbers
            .flat_map(|number| format!("{number:011o}\0").into_bytes())
            .collect::<Vec<u8>>()
    };
    let (first, rest) = map.split_at(map.len().min(4));
    let entry = Entry::new(EntryKind::GnuSparse, "holes")
        .size(data.len() as u64)
        .patch(257, b"ustar  \0")
        .patch(386, pairs(first))
        .patch(482, [u8::from(!rest.is_empty())])
        .patch(483, format!("{size:011o}\0"));
    let mut tar = Tar::default().entry(entry);
    let chunks: Vec<_> = rest.chunks(21).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let mut block = pairs(chunk);
        block.resize(512, 0);
        block[504] = u8::from(number + 1 < chunks.len());
        tar = tar.bytes(&block);
    }
    let padding = data.len().next_multiple_of(512) - data.len();
    tar.bytes(data).bytes(&vec![0; padding])
}

#[test]
fn every_form_makes_a_file_with_holes() {
    let size = SIZE.to_string();
    // 0.0: the pairs by turns, under the file's own name.
    let turns = Tar::default()
        .pax("GNU.sparse.size", &size)
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.offset", "0")
        .pax("GNU.sparse.numbytes", "512")
        .pax("GNU.sparse.offset", AT.to_string())
        .pax("GNU.sparse.numbytes", "3");
    assert_holes(turns.file("holes", &data()));
    // 0.1: in one record, the entry's name being one for other readers.
    let list = listed(&format!("0,512,{AT},3"), "2", &size).pax("GNU.sparse.name", "holes");
    assert_holes(list.file("GNUSparseFile.0/holes", &data()));
    // 1.0: before the data, over one block and over two.
    let map = format!("2\n0\n512\n{AT}\n3\n");
    assert_holes(Tar::default().entry(before_data(map.as_bytes(), &data())));
    let mut many = format!("{}\n0\n512\n{AT}\n3\n", 2 + 200);
    many.push_str(&format!("{SIZE}\n0\n").repeat(200));
    assert_holes(Tar::default().entry(before_data(many.as_bytes(), &data())));
    // Old GNU: four pairs in the header, the others in blocks after it.
    assert_holes(old_gnu(&[(0, 512), (AT, 3)], SIZE, &data()));
    let many = [&[(0, 512), (AT, 3)][..], &[(SIZE, 0); 60]].concat();
    assert_holes(old_gnu(&many, SIZE, &data()));
}

#[test]
fn a_file_may_be_one_hole() {
    let scene = unpacked(&[listed("", "0", "1000").file("holes", b"").end()]);
    // An empty record says nothing, so that there is no map: the file is as long as its data.
    assert_eq!(fs::metadata(scene.path("holes")).unwrap().len(), 0);
    let scene = unpacked(&[listed("1000,0", "1", "1000").file("holes", b"").end()]);
    assert_eq!(fs::read(scene.path("holes")).unwrap(), [0; 1000]);
}

#[test]
fn maps_that_do_not_fit_are_refused() {
    let reason = |tar: Tar| match refusal(tar) {
        ArchiveError::Sparse { expected, .. } => expected,
        error => panic!("{error:?}"),
    };
    let order = "data in order and without overlap";
    let within = "data within the file";
    let all = "a map of all the data";
    let lines = "a map of its data in lines of digits";
    for (map, count, expected) in [
        ("0,512,511,3", "2", order),
        ("600,3,0,512", "2", order),
        ("0,512,998,3", "2", within),
        ("0,512,9223372036854775807,3", "2", within),
        ("0,512", "1", all),
        ("0,512,600,4", "2", all),
    ] {
        let tar = listed(map, count, "1000").file("holes", &data());
        assert_eq!(reason(tar), expected, "{map}");
    }
    for (map, expected) in [
        (&b"1\n0\n51x\n"[..], lines),
        (b"-1\n", lines),
        (b"300\n", lines),
        (b"1\n0\n512\n", all),
    ] {
        let tar = Tar::default().entry(before_data(map, &data()));
        assert_eq!(reason(tar), expected, "{}", String::from_utf8_lossy(map));
    }
    assert_eq!(reason(old_gnu(&[(0, 515)], 514, &data())), within);
    assert_eq!(reason(old_gnu(&[(0, 512)], SIZE, &data())), all);
    let link = listed("0,0", "1", "0").symlink("holes", "x");
    assert_eq!(reason(link), "a regular file");
}

#[test]
fn maps_are_bounded() {
    let pairs = "0\n0\n".repeat(1 << 18);
    let map = format!("{}\n{pairs}", 1 << 18);
    let error = refusal(Tar::default().entry(before_data(map.as_bytes(), b"")));
    assert!(matches!(error, ArchiveError::Limit { .. }), "{error:?}");
    let error = refusal(old_gnu(&vec![(0, 0); 21 * 2049 + 4], 0, b""));
    assert!(matches!(error, ArchiveError::Limit { .. }), "{error:?}");
    // Of whatever else there is in the format, there is one way to read it.
    let star = Entry::new(EntryKind::GnuSparse, "holes");
    let error = refusal(Tar::default().entry(star));
    assert!(matches!(error, ArchiveError::Header(_)), "{error:?}");
}

#[test]
fn holes_count_as_if_they_were_bytes() {
    let mut scene = Scene::new();
    scene.limits.unpacked_bytes = 1 << 20;
    let hole = |size: &str| {
        listed(&format!("{size},0"), "1", size)
            .file("holes", b"")
            .end()
    };
    scene.unpack(&[hole("900000")]).unwrap();
    let is_limit = |layers: &[Vec<u8>]| {
        let scene = Scene {
            limits: scene.limits.clone(),
            ..Scene::new()
        };
        let error = scene.refusal(layers);
        let ArchiveError::Limit { limit, bound, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((limit, bound.unit()), (1 << 20, "bytes"));
        scene
    };
    assert!(!is_limit(&[hole("9000000000000000000")]).has("holes"));
    is_limit(&[hole("900000"), hole("900000")]);
    let twice = Tar::default();
    let twice = twice.bytes(&hole("600000")[..1536]).bytes(&hole("600000"));
    is_limit(&[twice.end()]);
}
