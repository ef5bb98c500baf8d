//! What must be refused.

use std::os::unix::fs::symlink;

use countersign_oci::archive::HeaderError;
use countersign_sandbox::image::{Entry, EntryKind};

use super::*;

macro_rules! assert_refused {
    ($error:expr, $variant:ident $(, $inner:ident)?) => {
        let error = $error;
        assert!(
            matches!(error, ArchiveError::$variant { $(0: HeaderError::$inner { .. },)? .. }),
            "{error:?} ({error})"
        );
    };
}

#[test]
fn names_that_lead_out_are_refused() {
    assert_refused!(
        refusal(Tar::default().file("../outside/x", b"")),
        ParentName
    );
    assert_refused!(
        refusal(Tar::default().file("a/../../outside/x", b"")),
        ParentName
    );
    assert_refused!(refusal(Tar::default().directory("..")), ParentName);
    assert_refused!(refusal(Tar::default().file("/../x", b"")), ParentName);
    let pax = Tar::default().pax("path", "../outside/x");
    assert_refused!(refusal(pax.file("x", b"")), ParentName);
    let gnu = Tar::default().extension(b'L', b"../outside/x\0");
    assert_refused!(refusal(gnu.file("x", b"")), ParentName);
}

#[test]
fn a_link_that_leads_out_is_no_way_out() {
    for target in [
        "../outside",
        "/outside",
        "a/../../outside",
        "../../../../outside",
    ] {
        let linked = || Tar::default().directory("a").symlink("evil", target);
        assert_refused!(refusal(linked().file("evil/x", b"")), DanglingLink);
        assert_refused!(refusal(linked().directory("evil/x")), DanglingLink);
        assert_refused!(refusal(linked().symlink("evil/x", "y")), DanglingLink);
        assert_refused!(refusal(linked().device("evil/x")), DanglingLink);
        // The same, spread over two layers.
        let layers = [linked().end(), Tar::default().file("evil/x", b"").end()];
        assert_refused!(Scene::new().refusal(&layers), DanglingLink);
        // Nothing to remove inside, and what is outside stays.
        let whiteouts = linked().file("evil/.wh.file", b"");
        unpacked(&[whiteouts.file("evil/.wh..wh..opq", b"").end()]);
        // Inside there is a directory of that name.
        let inside = linked().directory("outside").file("evil/x", b"in");
        assert_eq!(unpacked(&[inside.end()]).read("outside/x"), "in");
    }
}

#[test]
fn a_link_in_place_of_a_file_is_replaced_and_not_followed() {
    let scene = Scene::new();
    let linked = Tar::default().symlink("evil", "../outside/file");
    scene.unpack(&[linked.file("evil", b"mine").end()]).unwrap();
    assert_eq!(scene.read("evil"), "mine");
}

#[test]
fn links_that_lead_nowhere_are_refused_as_a_way() {
    let looped = Tar::default().symlink("a", "b").symlink("b", "a");
    assert_refused!(refusal(looped.file("a/x", b"")), DanglingLink);
    let dangling = Tar::default().symlink("a", "nowhere");
    assert_refused!(refusal(dangling.file("a/x", b"")), DanglingLink);
    let file = Tar::default().file("a", b"");
    assert_refused!(refusal(file.file("a/x", b"")), NotADirectory);
}

#[test]
fn hard_links_to_what_is_not_in_the_image_are_refused() {
    let escape = Tar::default().hardlink("x", "../outside/file");
    assert_refused!(refusal(escape), ParentName);
    let absolute = Tar::default().hardlink("x", "/etc/passwd");
    assert_refused!(refusal(absolute), HardLink);
    let through = Tar::default().symlink("l", "d").hardlink("x", "l/../file");
    assert_refused!(refusal(through), ParentName);
    let linked = Tar::default().symlink("evil", "../outside");
    assert_refused!(refusal(linked.hardlink("x", "evil/file")), HardLink);
    assert_refused!(refusal(Tar::default().hardlink("x", "missing")), HardLink);
    let directory = Tar::default().directory("d");
    assert_refused!(refusal(directory.hardlink("x", "d")), HardLink);
    let itself = Tar::default().file("x", b"");
    assert_refused!(refusal(itself.hardlink("x", "x")), HardLink);
}

#[test]
fn a_hard_link_to_a_link_does_not_lead_out() {
    let scene = Scene::new();
    let tar = Tar::default()
        .symlink("link", "../outside/file")
        .hardlink("second", "link")
        .file("second", b"mine");
    scene.unpack(&[tar.end()]).unwrap();
    assert_eq!(scene.read("second"), "mine");
}

#[test]
fn the_name_of_the_record_is_refused_by_whatever_way() {
    let linked = || {
        Tar::default()
            .directory("d")
            .symlink("here", ".")
            .symlink("d/up", "..")
            .symlink("d/top", "/")
    };
    for way in [
        "",
        "./",
        "/",
        "d/../",
        "here/",
        "here/here/",
        "d/up/",
        "d/top/",
        "d/up/d/up/",
    ] {
        let name = format!("{way}.countersign");
        let inside = format!("{name}/record.json");
        assert_refused!(refusal(linked().file(&inside, b"{}")), ReservedName);
        assert_refused!(refusal(linked().file(&name, b"{}")), ReservedName);
        assert_refused!(refusal(linked().directory(&name)), ReservedName);
        assert_refused!(refusal(linked().symlink(&name, "x")), ReservedName);
        assert_refused!(refusal(linked().device(&name)), ReservedName);
        let second = linked().file("x", b"").hardlink(&name, "x");
        assert_refused!(refusal(second), ReservedName);
        let removed = format!("{way}.wh..countersign");
        assert_refused!(refusal(linked().file(&removed, b"")), ReservedName);
    }
    // Elsewhere it is a name like any other.
    assert!(unpacked(&[Tar::default().file("d/.countersign", b"").end()]).has("d/.countersign"));
}

#[test]
fn whiteouts_of_nothing_nameable_are_refused() {
    for name in [".wh.", ".wh...", ".wh.."] {
        assert_refused!(refusal(Tar::default().file(name, b"")), Whiteout);
    }
    assert_refused!(
        refusal(Tar::default().file("../.wh.outside", b"")),
        ParentName
    );
}

#[test]
fn a_size_by_pax_counts_where_the_header_has_no_room_for_it() {
    // 8 GiB, of which there are none: read as the specification says, the archive is cut.
    let large = Tar::default().pax("size", "8589934592");
    assert_refused!(refusal(large.file("x", b"")), Truncated);
}

#[test]
fn a_size_by_pax_does_not_reach_the_extension_header_after_it() {
    // RUSTSEC-2026-0112: the record is about the file, not about the long name in between.
    let scene = Scene::new();
    let tar = Tar::default()
        .pax("size", "4")
        .extension(b'L', b"a-long-name\0")
        .file("short", b"text");
    scene.unpack(&[tar.end()]).unwrap();
    assert_eq!(scene.read("a-long-name"), "text");
}

#[test]
fn what_readers_take_in_different_ways_is_refused() {
    let global = || Tar::default().extension(b'g', b"18 path=elsewhere\n");
    assert_refused!(refusal(global().file("x", b"")), Header, Extension);
    let between = Tar::default()
        .extension(b'L', b"long\0")
        .extension(b'g', b"20 comment=a commit\n");
    assert_refused!(refusal(between.file("x", b"")), Header, Extension);
    let empty = Tar::default().file("", b"");
    assert_refused!(refusal(empty), Name);
    for root in [".", "/", "./", "a/.."] {
        assert_refused!(refusal(Tar::default().file(root, b"")), Name);
        assert_refused!(refusal(Tar::default().symlink(root, "x")), Name);
    }
}

#[test]
fn types_that_images_do_not_use_are_refused() {
    for flag in [b'D', b'M', b'V', b'7', b'X', 0xff] {
        let entry = Entry::new(EntryKind::Other(flag), "x");
        assert_refused!(refusal(Tar::default().entry(entry)), EntryType);
    }
}

#[test]
fn content_where_there_is_none_is_taken_for_a_header() {
    for flag in [b'1', b'2', b'3', b'5', b'6'] {
        let entry = Entry::new(EntryKind::Other(flag), "x").link("y");
        let tar = Tar::default().file("y", b"").entry(entry.content([1; 512]));
        assert_refused!(refusal(tar), Header, Header);
    }
}

#[test]
fn content_compressed_in_other_ways_is_refused_by_name() {
    let xz = [0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4];
    for (bytes, expected) in [
        (&xz[..], "xz"),
        (b"BZh91AY&SY........", "bzip2"),
        (b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", "bzip2"),
    ] {
        let error = Scene::new()
            .extractor()
            .layer(layer(bytes, b""))
            .unwrap_err();
        let ArchiveError::Compression { found } = error else {
            panic!("{error:?}");
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn damaged_headers_are_refused() {
    let entry = || Entry::file("x", "");
    let damaged = Tar::default().entry(entry().bad_checksum());
    assert_refused!(refusal(damaged), Header, Checksum);
    let too_large = entry().size(u64::MAX);
    assert_refused!(refusal(Tar::default().entry(too_large)), Header, Header);
    for size in [
        *b"0000000000z\0",
        // Negative, and one over eight bytes, in base 256.
        [0xff; 12],
        [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let entry = entry().patch(124, size);
        assert_refused!(refusal(Tar::default().entry(entry)), Header, Header);
    }
    for field in [100, 108, 116, 136] {
        let entry = entry().patch(field, b"z");
        assert_refused!(refusal(Tar::default().entry(entry)), Header, Header);
    }
}

#[test]
fn archives_that_end_early_are_refused() {
    let cut = |tar: Tar, at: usize| Scene::new().refusal(&[tar.cut()[..at].to_vec()]);
    let file = || Tar::default().file("x", &[1; 512]);
    assert_refused!(cut(file(), 300), Truncated);
    assert_refused!(cut(file(), 600), Truncated);
    let extension = || Tar::default().extension(b'x', b"10 path=a\n");
    assert_refused!(cut(extension(), 518), Truncated);
    // A plain archive has nothing else that tells that all is there.
    let plain = |bytes: Vec<u8>| {
        let mut plain = layer(&bytes, &bytes);
        plain.form = Form::Plain;
        Scene::new().extractor().layer(plain)
    };
    let whole = Tar::default().file("x", b"text");
    plain(whole.end()).unwrap();
    let whole = || Tar::default().file("x", b"text").cut();
    assert_refused!(plain(whole()).unwrap_err(), Truncated);
    assert_refused!(plain(whole()[..700].to_vec()).unwrap_err(), Truncated);
    assert_refused!(plain(extension().cut()).unwrap_err(), Truncated);
    assert_refused!(plain(Vec::new()).unwrap_err(), Truncated);
}

#[test]
fn data_in_the_middle_of_the_end_is_refused() {
    let zeros = [0; 512];
    let hidden = Tar::default().file("hidden", b"").cut();
    let tar = Tar::default().file("x", b"").bytes(&zeros).bytes(&hidden);
    assert_refused!(refusal(tar), TrailingData);
}

#[test]
fn names_and_headers_over_a_bound_are_refused() {
    let long = "x/".repeat(50_000);
    let pax = Tar::default().pax("path", &long);
    assert_refused!(refusal(pax.file("x", b"")), Limit);
    let gnu = Tar::default().extension(b'L', long.as_bytes());
    assert_refused!(refusal(gnu.file("x", b"")), Limit);
    let link = Tar::default().pax("linkpath", &long);
    assert_refused!(refusal(link.symlink("x", "y")), Limit);
    let huge = Tar::default().extension(b'x', &vec![b'x'; (1 << 20) + 1]);
    assert_refused!(refusal(huge.file("x", b"")), Limit);
}

#[test]
fn depth_is_bounded_through_links_too() {
    let mut scene = Scene::new();
    scene.limits.depth = 4;
    let deep = || Tar::default().directory("a/b/c/d").symlink("l", "a/b/c");
    scene.unpack(&[deep().end()]).unwrap();
    let deeper = deep().directory("l/x/y").end();
    assert_refused!(
        Scene {
            limits: scene.limits,
            ..Scene::new()
        }
        .refusal(&[deeper]),
        Limit
    );
}

#[test]
fn too_many_entries_are_refused() {
    let mut scene = Scene::new();
    scene.limits.entries = 2;
    let tar = Tar::default().file("a", b"").file("b", b"").file("c", b"");
    assert_refused!(scene.refusal(&[tar.end()]), Limit);
}

#[test]
fn directories_that_only_names_imply_count_as_entries() {
    let tar = || Tar::default().file("a/b/x", b"").file("a/c/x", b"").end();
    let mut scene = Scene::new();
    // Two files, and `a`, `b` and `c`.
    scene.limits.entries = 5;
    scene.unpack(&[tar()]).unwrap();
    let mut scene = Scene::new();
    scene.limits.entries = 4;
    let error = scene.refusal(&[tar()]);
    assert!(
        matches!(error, ArchiveError::Limit { limit: 4, .. }),
        "{error:?}"
    );
    assert!(!scene.has("a/c"));
}

#[test]
fn bombs_are_cut_off() {
    // 128 MiB of zeros in one file, less than 6 kB as zstd has it.
    let tar = Tar::default().file("zeros", &vec![0; 128 << 20]).end();
    let small = zstd::encode_all(&tar[..], 1).unwrap();
    let scene = Scene::new();
    let bomb = layer(&small, &tar);
    assert_refused!(scene.extractor().layer(bomb).unwrap_err(), Limit);

    // The same by the total of several layers.
    let mut scene = Scene::new();
    scene.limits.unpacked_bytes = 4096;
    let tar = || Tar::default().file("x", &[1; 512]).end();
    assert_refused!(scene.refusal(&[tar(), tar(), tar()]), Limit);
}

#[test]
fn another_diff_id_is_refused() {
    let tar = Tar::default().file("x", b"").end();
    let other = layer(&tar, b"something else");
    let error = Scene::new().extractor().layer(other).unwrap_err();
    assert_refused!(error, DiffId);
}

#[test]
fn rubbish_after_the_compressed_stream_is_refused() {
    let tar = Tar::default().file("x", b"").end();
    for mut bytes in [
        semantics::gzip(&tar),
        zstd::encode_all(&tar[..], 1).unwrap(),
    ] {
        bytes.extend_from_slice(b"rubbish");
        let damaged = layer(&bytes, &tar);
        let error = Scene::new().extractor().layer(damaged).unwrap_err();
        assert_refused!(error, Read);
    }
}

#[test]
fn an_extraction_that_is_cancelled_ends() {
    let scene = Scene::new();
    let cancellation = Cancellation::default();
    let root = OwnedFd::from(File::open(scene.path("")).unwrap());
    let limits = scene.limits.clone();
    let mut extractor = Extractor::new(root, limits, cancellation.clone()).unwrap();
    cancellation.cancel();
    let tar = Tar::default().file("x", b"").end();
    let error = extractor.layer(layer(&tar, &tar));
    assert_refused!(error.unwrap_err(), Cancelled);
    assert!(!scene.has("x"));
}

#[test]
fn a_removal_that_is_cancelled_ends() {
    let scene = Scene::new();
    let cancellation = Cancellation::default();
    let root = OwnedFd::from(File::open(scene.path("")).unwrap());
    let limits = scene.limits.clone();
    let mut extractor = Extractor::new(root, limits, cancellation.clone()).unwrap();
    let tar = Tar::default().file("d/x", b"").end();
    let lower = layer(&tar, &tar);
    extractor.layer(lower).unwrap();
    extractor.root.next_layer();
    cancellation.cancel();
    let opaque = EntryPath::parse(b"d/.wh..wh..opq", &scene.limits).unwrap();
    let error = extractor.root.opaque_whiteout(b"d", &opaque);
    assert_refused!(error.unwrap_err(), Cancelled);
    assert!(scene.has("d/x"));
}

#[test]
fn whiteouts_look_into_a_directory_once_for_each_layer() {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    let tar = Tar::default().file("d/e/x", b"").end();
    let lower = layer(&tar, &tar);
    extractor.layer(lower).unwrap();
    let name = |name: &[u8]| EntryPath::parse(name, &scene.limits).unwrap();
    let opaque = name(b"d/.wh..wh..opq");
    extractor.root.next_layer();
    let metadata = archive::Metadata {
        mode: 0o755,
        mtime: None,
    };
    extractor.root.directory(&name(b"d/e"), metadata).unwrap();
    drop(extractor.root.file(&name(b"d/e/mine"), metadata).unwrap());
    extractor.root.opaque_whiteout(b"d", &opaque).unwrap();
    assert!(!scene.has("d/e/x") && scene.has("d/e/mine"));
    // What nobody but this test can have put there shows who looks.
    fs::write(scene.path("d/seen"), "").unwrap();
    fs::write(scene.path("d/e/seen"), "").unwrap();
    extractor.root.opaque_whiteout(b"d", &opaque).unwrap();
    extractor.root.opaque_whiteout(b"d/e", &opaque).unwrap();
    assert!(scene.has("d/seen") && scene.has("d/e/seen"));
    extractor.root.next_layer();
    extractor.root.opaque_whiteout(b"d", &opaque).unwrap();
    assert!(scene.has("d") && !scene.has("d/seen") && !scene.has("d/e"));
}

/// Not an attack by the archive, but by whatever else may be there.
#[test]
fn what_lies_in_the_way_is_never_written_through() {
    let scene = Scene::new();
    symlink("../outside/file", scene.path("x")).unwrap();
    let tar = Tar::default().file("x", b"mine").end();
    scene.unpack(&[tar]).unwrap();
    assert_eq!(scene.read("x"), "mine");
}
