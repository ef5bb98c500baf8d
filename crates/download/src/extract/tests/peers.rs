//! What umoci, containers/storage and containerd all read, read as they do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use countersign_sandbox::image::{Entry, EntryKind};

use super::*;

/// Offsets of header fields.
const MODE: usize = 100;
const SIZE: usize = 124;
const MTIME: usize = 136;
const MAGIC: usize = 257;

fn inode(scene: &Scene, path: &str) -> u64 {
    fs::symlink_metadata(scene.path(path)).unwrap().ino()
}

#[test]
fn leading_slashes_are_dropped() {
    let lower = Tar::default()
        .directory("/nix")
        .file("/nix/store/hello", b"text")
        .file("//odd/.//./x", b"odd")
        .file("/removed", b"")
        .symlink("/nix/l", "/nix/store/hello")
        .hardlink("/nix/second", "/nix/store/hello")
        .hardlink("nix/third", "./nix//second");
    let upper = Tar::default()
        .file("/.wh.removed", b"")
        .file("/odd/.wh..wh..opq", b"");
    let scene = unpacked(&[lower.end(), upper.end()]);
    let tree = [
        "nix",
        "nix/l",
        "nix/second",
        "nix/store",
        "nix/store/hello",
        "nix/third",
        "odd",
    ];
    assert_eq!(scene.tree(), tree);
    assert_eq!(
        inode(&scene, "nix/second"),
        inode(&scene, "nix/store/hello")
    );
    assert_eq!(inode(&scene, "nix/third"), inode(&scene, "nix/store/hello"));
    let target = fs::read_link(scene.path("nix/l")).unwrap();
    assert_eq!(target.to_str(), Some("/nix/store/hello"));
}

#[test]
fn parents_in_names_are_taken_back_as_written() {
    // Whatever `l` is: the name says `b`.
    let tar = Tar::default().symlink("l", "d/e").file("l/../b", b"text");
    assert_eq!(unpacked(&[tar.end()]).tree(), ["b", "l"]);
}

#[test]
fn names_are_bytes() {
    let tar = Tar::default()
        .pax("path", b"caf\xe9")
        .file("cafe", b"pax")
        .pax("hdrcharset", "BINARY")
        .pax("path", b"\xff/\xfe")
        .file("binary", b"charset")
        .pax("linkpath", b"caf\xe9")
        .symlink("l", "cafe")
        .pax("linkpath", b"caf\xe9")
        .hardlink("h", "cafe")
        .entry(Entry::file(b"plain\xe9", "header"));
    let scene = unpacked(&[tar.end()]);
    let read = |name: &[u8]| {
        let path = scene.path("").join(OsStr::from_bytes(name));
        fs::read_to_string(path).unwrap()
    };
    assert_eq!(read(b"caf\xe9"), "pax");
    assert_eq!(read(b"\xff/\xfe"), "charset");
    assert_eq!(read(b"h"), "pax");
    assert_eq!(read(b"plain\xe9"), "header");
    let target = fs::read_link(scene.path("l")).unwrap();
    assert_eq!(target.as_os_str().as_bytes(), b"caf\xe9");
}

#[test]
fn a_way_through_an_absolute_link_stays_inside() {
    let lower = Tar::default()
        .directory("run")
        .symlink("var/run", "/run")
        .symlink("bin", "/usr/bin")
        .directory("usr/bin")
        .symlink("up", "../../run");
    let upper = Tar::default()
        .file("var/run/x.pid", b"pid")
        .file("bin/tool", b"tool")
        .file("up/y", b"")
        .hardlink("second", "/bin/tool")
        .file("var/run/.wh.gone", b"");
    let scene = unpacked(&[lower.file("run/gone", b"").end(), upper.end()]);
    assert_eq!(scene.read("run/x.pid"), "pid");
    assert_eq!(scene.read("usr/bin/tool"), "tool");
    assert_eq!(inode(&scene, "second"), inode(&scene, "usr/bin/tool"));
    assert!(scene.has("run/y") && !scene.has("run/gone"));
    assert!(scene.path("var/run").is_symlink() && scene.path("bin").is_symlink());
}

#[test]
fn a_link_or_directory_that_states_a_size_has_no_content() {
    let sized = |kind, name| Entry::new(kind, name).link("a").size(5).mode(0o755);
    let tar = Tar::default()
        .file("a", b"hello")
        .entry(sized(EntryKind::Hardlink, "b"))
        .entry(sized(EntryKind::Symlink, "c"))
        .entry(sized(EntryKind::Directory, "d"))
        .entry(sized(EntryKind::Other(0), "v7/"))
        .entry(sized(EntryKind::Fifo, "fifo"))
        .pax("size", "1024")
        .entry(sized(EntryKind::Hardlink, "e"))
        .file("last", b"text");
    let scene = unpacked(&[tar.end()]);
    assert_eq!(scene.tree(), ["a", "b", "c", "d", "e", "last", "v7"]);
    assert_eq!(inode(&scene, "b"), inode(&scene, "a"));
    assert_eq!(inode(&scene, "e"), inode(&scene, "a"));
    assert_eq!(scene.read("last"), "text");
}

#[test]
fn a_slash_at_the_end_makes_a_directory_of_what_has_no_type() {
    let v7 = |name| Entry::new(EntryKind::Other(0), name).patch(MAGIC, [0; 8]);
    let tar = Tar::default()
        .entry(v7("directory/").mode(0o755))
        .entry(v7("directory/file").content("text"))
        // The type `0` is a file's, slash or not.
        .file("file/", b"content");
    let scene = unpacked(&[tar.end()]);
    assert!(scene.path("directory").is_dir());
    assert_eq!(scene.read("directory/file"), "text");
    assert_eq!(scene.read("file"), "content");
}

#[test]
fn numbers_may_be_of_base_256() {
    let mut size = [0; 12];
    (size[0], size[11]) = (0x80, 4);
    let mut before = [0xff; 12];
    before[11] = 0xfe;
    let entry = Entry::file("x", "text").patch(SIZE, size);
    let tar = Tar::default()
        .entry(entry.patch(MODE, [0x80, 0, 0, 0, 0, 0, 0x01, 0xed]))
        .entry(Entry::file("before", "").patch(MTIME, before))
        .entry(
            Entry::file("blank", "")
                .patch(MODE, [b' '; 8])
                .patch(MTIME, [0; 12]),
        );
    let scene = unpacked(&[tar.end()]);
    assert_eq!(scene.read("x"), "text");
    let metadata = |path: &str| fs::metadata(scene.path(path)).unwrap();
    assert_eq!(metadata("x").permissions().mode() & 0o7777, 0o755);
    assert_eq!(metadata("before").mtime(), -2);
    assert_eq!(metadata("blank").permissions().mode() & 0o7777, 0);
    assert_eq!(metadata("blank").mtime(), 0);
}

#[test]
fn prefixes_are_read_by_the_headers_format() {
    let prefixed = |name| Entry::file(name, "").patch(345, b"prefix");
    let gnu = |name| prefixed(name).patch(MAGIC, b"ustar  \0");
    let star = prefixed("star").patch(345 + 131, b"00000000001 ");
    let tar = Tar::default()
        .entry(prefixed("ustar"))
        .entry(prefixed("v7").patch(MAGIC, [0; 8]))
        .entry(star.patch(508, b"tar\0"))
        // As Go wrote it before 1.8: no time that could be read.
        .entry(gnu("old-go"))
        .entry(gnu("gnu").patch(345, b"00000000001 00000000001 "));
    let scene = unpacked(&[tar.end()]);
    let tree = [
        "gnu",
        "prefix",
        "prefix/old-go",
        "prefix/star",
        "prefix/ustar",
        "v7",
    ];
    assert_eq!(scene.tree(), tree);
}

#[test]
fn sums_of_signed_bytes_are_right_too() {
    let tar = Tar::default().entry(Entry::file(b"\xe9\xe9", "text"));
    let mut tar = tar.end();
    let sum: i64 = tar[..512].iter().map(|&byte| i64::from(byte as i8)).sum();
    let own: i64 = tar[148..156].iter().map(|&byte| i64::from(byte)).sum();
    let sum = sum - own + 8 * i64::from(b' ');
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let scene = unpacked(&[tar]);
    assert_eq!(scene.tree().len(), 1);
}

#[test]
fn the_last_extension_counts_and_gnus_name_before_pax() {
    let tar = Tar::default()
        .pax("path", "first")
        .pax("path", "second")
        .file("x", b"twice")
        .extension(b'x', b"12 path=old\n")
        .pax("mtime", "7")
        .file("whole", b"the second header stands for both")
        .pax("path", "pax")
        .extension(b'L', b"gnu\0rest")
        .file("y", b"both")
        .extension(b'L', b"\0")
        .file("z", b"empty");
    let scene = unpacked(&[tar.end()]);
    assert_eq!(scene.tree(), ["gnu", "second", "whole", "z"]);
    assert_eq!(fs::metadata(scene.path("whole")).unwrap().mtime(), 7);
}

#[test]
fn a_size_by_pax_goes_before_the_headers() {
    let hidden = Tar::default().file("hidden", b"").cut();
    let tar = Tar::default().pax("size", "0").file("x", &hidden);
    assert_eq!(unpacked(&[tar.end()]).tree(), ["hidden", "x"]);
    let tar = Tar::default().pax("size", "512");
    let entry = Entry::file("x", &hidden).size(0);
    assert_eq!(unpacked(&[tar.entry(entry).end()]).tree(), ["x"]);
}

#[test]
fn archives_may_end_without_anything() {
    let whole = Tar::default()
        .file("first", b"")
        .file("last", b"zzzzzz")
        .cut();
    for end in [whole.len(), whole.len() - 1, whole.len() - 506] {
        let scene = unpacked(&[whole[..end].to_vec()]);
        assert_eq!(scene.read("last"), "zzzzzz", "{end}");
    }
    let one = [&whole[..], &[0; 512]].concat();
    assert_eq!(unpacked(&[one]).tree(), ["first", "last"]);
    let extension = Tar::default()
        .file("x", b"")
        .extension(b'x', b"10 path=a\n");
    assert_eq!(unpacked(&[extension.cut()]).tree(), ["x"]);
    assert_eq!(unpacked(&[Vec::new()]).tree(), [""; 0]);
}

#[test]
fn a_layer_of_no_bytes_is_empty_however_it_is_compressed() {
    for bytes in [
        Vec::new(),
        semantics::gzip(b""),
        zstd::encode_all(&b""[..], 1).unwrap(),
    ] {
        let scene = Scene::new();
        let mut extractor = scene.extractor();
        extractor.layer(layer(&bytes, b"")).unwrap();
        extractor.finish().unwrap();
        assert_eq!(scene.tree(), [""; 0]);
    }
}

#[test]
fn what_follows_the_end_is_nothing() {
    let hidden = Tar::default().file("hidden", b"").end();
    let tar = Tar::default().file("x", b"").end();
    let scene = unpacked(&[[&tar[..], &hidden[..], b"rubbish"].concat()]);
    assert_eq!(scene.tree(), ["x"]);
}

#[test]
fn a_whiteout_is_the_last_part_of_a_name() {
    let lower = Tar::default().file("a/b/x", b"");
    let upper = Tar::default().file("a/.wh.b/c", b"text");
    let scene = unpacked(&[lower.end(), upper.end()]);
    assert_eq!(scene.tree(), ["a", "a/.wh.b", "a/.wh.b/c", "a/b", "a/b/x"]);
}

#[test]
fn devices_take_the_place_of_what_was_there() {
    let lower = Tar::default()
        .file("etc/secret", b"secret")
        .file("etc/kept", b"")
        .file("dir/x", b"")
        .file("pipe", b"")
        .symlink("link", "etc/kept");
    let overlay = Entry::new(EntryKind::CharacterDevice, "etc/secret").device(0, 0);
    let upper = Tar::default()
        .entry(overlay)
        .device("dir")
        .entry(Entry::new(EntryKind::Fifo, "pipe"))
        .entry(Entry::new(EntryKind::BlockDevice, "link"))
        .device("new/null");
    let scene = Scene::new();
    let warnings = scene.unpack(&[lower.end(), upper.end()]).unwrap();
    assert_eq!(scene.tree(), ["etc", "etc/kept", "new"]);
    let sentence = "5 entries were left out (devices, fifos, and hard links to them), the \
                    first of them etc/secret";
    assert_eq!(warnings, [sentence]);
}

#[test]
fn a_hard_link_to_a_device_is_left_out_with_it() {
    let lower = Tar::default()
        .device("dev/null")
        .file("dev/zero", b"")
        .hardlink("dev/zero", "dev/null")
        .hardlink("again", "/dev/zero")
        .file("f", b"");
    let upper = Tar::default().hardlink("later", "dev/null");
    let scene = Scene::new();
    let warnings = scene.unpack(&[lower.end(), upper.end()]).unwrap();
    assert_eq!(scene.tree(), ["dev", "f"]);
    let sentence = "4 entries were left out (devices, fifos, and hard links to them), the \
                    first of them dev/null";
    assert_eq!(warnings, [sentence]);
}

#[test]
fn what_took_a_devices_place_is_linked_to_and_what_removed_it_leaves_nothing() {
    let device = || Tar::default().device("d/null").end();
    let file = Tar::default()
        .file("d/null", b"text")
        .hardlink("x", "d/null");
    assert_eq!(unpacked(&[device(), file.end()]).read("x"), "text");
    for upper in [
        Tar::default().file("d/.wh.null", b""),
        Tar::default().file("d/.wh..wh..opq", b""),
        Tar::default().file(".wh.d", b"").directory("d"),
        Tar::default().file("d", b"").directory("d"),
    ] {
        let third = Tar::default().directory("d").hardlink("x", "d/null");
        let layers = [
            device(),
            upper.end(),
            Tar::default().file(".wh.d", b"").end(),
            third.end(),
        ];
        let error = Scene::new().refusal(&layers);
        assert!(matches!(error, ArchiveError::HardLink { .. }), "{error:?}");
    }
    // An opaque whiteout spares the device of its own layer.
    let own = Tar::default().device("d/null").file("d/.wh..wh..opq", b"");
    assert_eq!(unpacked(&[own.hardlink("x", "d/null").end()]).tree(), ["d"]);
}
