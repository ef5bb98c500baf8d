//! What layers mean.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use countersign_sandbox::image::{Entry, EntryKind};

use super::*;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn mode(scene: &Scene, path: &str) -> u32 {
    fs::metadata(scene.path(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_copy_of_a_file_counts_as_many_bytes_as_it_has() {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    let tar = Tar::default().file("file", b"content").end();
    extractor.layer(layer(&tar, &tar)).unwrap();
    let name = |name: &[u8]| name::EntryPath::parse(name, &Limits::default()).unwrap();
    let (digests, mut counted) = (extractor.digests.clone(), Vec::new());
    let refused = extractor
        .root
        .copy(&name(b"copy"), &name(b"file"), &digests, |bytes| {
            counted.push(bytes);
            Err(ArchiveError::TrailingData)
        });
    assert!(matches!(refused, Err(ArchiveError::TrailingData)));
    assert_eq!((counted, scene.has("copy")), (vec![7], false));
}

#[test]
fn every_compression_gives_the_same_tree() {
    let tar = Tar::default().directory("d").file("d/x", b"text").end();
    let (front, back) = tar.split_at(700);
    let members = [gzip(front), gzip(back)].concat();
    for bytes in [
        tar.clone(),
        gzip(&tar),
        members,
        zstd::encode_all(&tar[..], 3).unwrap(),
        // A frame to skip comes first.
        [
            &b"\x5f\x2a\x4d\x18\x02\0\0\0no"[..],
            &zstd::encode_all(&tar[..], 3).unwrap(),
        ]
        .concat(),
    ] {
        let scene = Scene::new();
        let mut extractor = scene.extractor();
        extractor.layer(layer(&bytes, &tar)).unwrap();
        extractor.finish().unwrap();
        assert_eq!(scene.read("d/x"), "text");
    }
}

#[test]
fn an_archive_without_its_end_marker_is_whole() {
    let scene = unpacked(&[Tar::default().file("x", b"text").cut()]);
    assert_eq!(scene.read("x"), "text");
}

#[test]
fn permissions_and_times_are_kept_and_privileges_are_not() {
    const TIME: u64 = 1_700_000_000;
    let program = Entry::file("bin/program", "text").mode(0o6755);
    let directory = |name| Entry::new(EntryKind::Directory, name);
    let tar = Tar::default()
        .entry(program.modified(TIME))
        .entry(directory("closed").mode(0o555).modified(TIME))
        .file("closed/x", b"text")
        .entry(directory("shared").mode(0o777));
    let scene = Scene::new();
    let warnings = scene.unpack(&[tar.end()]).unwrap();
    assert_eq!(mode(&scene, "bin/program"), 0o755);
    assert_eq!(mode(&scene, "bin"), 0o755);
    assert_eq!(mode(&scene, "closed"), 0o555);
    assert_eq!(mode(&scene, "shared"), 0o755);
    assert_eq!(scene.read("closed/x"), "text");
    for path in ["bin/program", "closed"] {
        let metadata = fs::metadata(scene.path(path)).unwrap();
        assert_eq!(metadata.mtime() as u64, TIME, "{path}");
    }
    assert_eq!(
        warnings,
        [
            "one entry was installed without their set-user-id, set-group-id or sticky bit: \
             bin/program",
            "one entry was installed without write permission for group and others: shared",
        ]
    );
    // So that whoever isn't root can remove it.
    fs::set_permissions(scene.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn nobody_but_the_owner_may_write() {
    let directory = |name, mode| Entry::new(EntryKind::Directory, name).mode(mode);
    let file = |name, mode| Entry::file(name, "").mode(mode);
    let tar = Tar::default()
        .entry(directory("./", 0o777))
        .entry(directory("tmp", 0o1777))
        .entry(directory("group", 0o2770))
        .entry(file("program", 0o777))
        .entry(file("text", 0o666))
        .entry(file("others", 0o002))
        .entry(file("untouched", 0o640))
        .symlink("link", "text")
        .hardlink("second", "text");
    let scene = Scene::new();
    let warnings = scene.unpack(&[tar.end()]).unwrap();
    for (path, expected) in [
        ("", 0o755),
        ("tmp", 0o755),
        ("group", 0o750),
        ("program", 0o755),
        ("text", 0o644),
        ("second", 0o644),
        ("others", 0o000),
        ("untouched", 0o640),
    ] {
        assert_eq!(mode(&scene, path), expected, "{path}");
    }
    assert_eq!(
        warnings,
        [
            "2 entries were installed without their set-user-id, set-group-id or sticky bit, the \
             first of them tmp",
            "6 entries were installed without write permission for group and others, the first \
             of them /",
        ]
    );
}

#[test]
fn times_beyond_what_disks_can_hold_are_no_error() {
    let tar = ["9223372036854775807", "-9223372036854775807.5"]
        .iter()
        .fold(Tar::default(), |tar, time| {
            tar.pax("mtime", time).file("x", b"")
        });
    assert_eq!(unpacked(&[tar.end()]).read("x"), "");
}

#[test]
fn the_root_stays_writable_to_its_owner() {
    let root = Entry::new(EntryKind::Directory, "./").mode(0o055);
    let scene = unpacked(&[Tar::default().entry(root).end()]);
    assert_eq!(mode(&scene, ""), 0o755);
}

#[test]
fn devices_are_left_out_and_xattrs_dropped_and_it_is_said() {
    let null = Entry::new(EntryKind::CharacterDevice, "dev/null");
    let tar = Tar::default()
        .entry(null.device(1, 3))
        .entry(Entry::new(EntryKind::Fifo, "fifo"))
        .pax("SCHILY.xattr.security.capability", "x")
        .file("ping", b"text");
    let scene = Scene::new();
    let warnings = scene.unpack(&[tar.end()]).unwrap();
    assert!(!scene.has("dev/null") && !scene.has("fifo"));
    assert_eq!(scene.read("ping"), "text");
    assert_eq!(
        warnings,
        [
            "2 entries were left out (devices, fifos, and hard links to them), the first of \
             them dev/null",
            "one entry was installed without their extended attributes: ping",
        ]
    );
}

#[test]
fn long_names_of_either_kind_are_read() {
    let long = format!("{}/{}", "d".repeat(200), "x".repeat(200));
    let pax = Tar::default().pax("path", &long).file("short", b"pax");
    assert_eq!(unpacked(&[pax.end()]).read(&long), "pax");
    let gnu = Tar::default().extension(b'L', format!("{long}\0").as_bytes());
    assert_eq!(
        unpacked(&[gnu.file("short", b"gnu").end()]).read(&long),
        "gnu"
    );
    let target = Tar::default().extension(b'K', format!("{long}\0").as_bytes());
    let scene = unpacked(&[target.symlink("link", "short").end()]);
    let target = fs::read_link(scene.path("link")).unwrap();
    assert_eq!(target.to_str(), Some(long.as_str()));
}

#[test]
fn a_limit_of_any_size_allows_a_long_name() {
    let long = "x".repeat(200);
    let mut scene = Scene::new();
    scene.limits.path_bytes = u64::MAX;
    let tar = Tar::default().extension(b'L', format!("{long}\0").as_bytes());
    scene.unpack(&[tar.file("short", b"gnu").end()]).unwrap();
    assert_eq!(scene.read(&long), "gnu");
}

#[test]
fn remarks_for_the_whole_archive_are_skipped() {
    let tar = Tar::default().extension(b'g', b"20 comment=a commit\n");
    assert_eq!(unpacked(&[tar.file("x", b"text").end()]).read("x"), "text");
}

#[test]
fn links_are_kept_as_they_are() {
    let tar = Tar::default()
        .symlink("absolute", "/usr/lib")
        .symlink("upwards", "../../x")
        .file("file", b"text")
        .hardlink("second", "file");
    let scene = unpacked(&[tar.end()]);
    let target = |path| fs::read_link(scene.path(path)).unwrap();
    assert_eq!(target("absolute").to_str(), Some("/usr/lib"));
    assert_eq!(target("upwards").to_str(), Some("../../x"));
    let inode = |path| fs::metadata(scene.path(path)).unwrap().ino();
    assert_eq!(inode("file"), inode("second"));
}

#[test]
fn links_inside_the_image_are_followed_on_the_way() {
    let lower = Tar::default()
        .directory("usr/lib")
        .symlink("lib", "usr/lib");
    let upper = Tar::default().file("lib/new/x", b"text");
    let scene = unpacked(&[lower.end(), upper.end()]);
    assert_eq!(scene.read("usr/lib/new/x"), "text");
    assert!(scene.path("lib").is_symlink());
}

#[test]
fn upper_layers_replace_what_is_of_another_kind() {
    let lower = Tar::default()
        .file("was_file", b"")
        .file("was_directory/x", b"")
        .symlink("was_link", "was_directory")
        .file("stays/lower", b"lower");
    let upper = Tar::default()
        .directory("was_file")
        .file("was_directory", b"text")
        .directory("was_link")
        .directory("stays");
    let scene = unpacked(&[lower.end(), upper.end()]);
    assert!(scene.path("was_file").is_dir());
    assert_eq!(scene.read("was_directory"), "text");
    assert!(scene.path("was_link").is_dir() && !scene.path("was_link").is_symlink());
    assert_eq!(scene.read("stays/lower"), "lower");
}

#[test]
fn replacing_a_file_leaves_its_other_names_alone() {
    let lower = Tar::default().file("a", b"old").hardlink("b", "a");
    let upper = Tar::default().file("a", b"new");
    let scene = unpacked(&[lower.end(), upper.end()]);
    assert_eq!(scene.read("a"), "new");
    assert_eq!(scene.read("b"), "old");
}

#[test]
fn whiteouts_remove_what_is_below() {
    let lower = || {
        Tar::default()
            .file("d/a", b"")
            .file("d/b/c", b"")
            .file("e", b"")
    };
    let upper = Tar::default()
        .file("d/.wh.a", b"")
        .file(".wh.e", b"")
        .file(".wh.missing", b"")
        .file("nowhere/.wh.x", b"");
    let scene = unpacked(&[lower().end(), upper.end()]);
    assert!(!scene.has("d/a") && !scene.has("e") && scene.has("d/b/c"));
    assert!(!scene.has("d/.wh.a") && !scene.has("nowhere"));
    let directory = Tar::default().file("d/.wh.b", b"");
    let scene = unpacked(&[lower().end(), directory.end()]);
    assert!(!scene.has("d/b") && scene.has("d/a"));
}

#[test]
fn whiteouts_spare_their_own_layer_where_all_readers_do() {
    let lower = || {
        Tar::default()
            .file("d/old", b"")
            .file("d/sub/old", b"")
            .end()
    };
    let opaque = |tar: Tar| tar.file("d/.wh..wh..opq", b"");
    let plain = |tar: Tar| tar.file(".wh.d", b"");
    let implied = |tar: Tar| tar.file("d/new", b"").file("d/sub/new", b"");
    let listed = |tar: Tar| implied(tar.directory("d").directory("d/sub"));
    let none = Tar::default;
    for upper in [
        opaque(listed(none())),
        listed(opaque(none())),
        implied(opaque(none())),
        listed(plain(none())),
        implied(plain(none())),
    ] {
        let scene = unpacked(&[lower(), upper.end()]);
        assert_eq!(scene.tree(), ["d", "d/new", "d/sub", "d/sub/new"]);
    }
    let deep = none().file("d/sub/new", b"");
    for upper in [opaque(implied(none())), plain(listed(none())), plain(deep)] {
        let error = Scene::new().refusal(&[lower(), upper.end()]);
        assert!(
            matches!(error, ArchiveError::OwnWhiteout { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_second_opaque_whiteout_is_judged_as_the_first() {
    let lower = || Tar::default().file("d/old", b"").end();
    let opaque = |tar: Tar, directory: &str| tar.file(&format!("{directory}.wh..wh..opq"), b"");
    let emptied = || opaque(Tar::default().directory("d"), "d/");
    let implied = || emptied().file("d/sub/new", b"");
    for (upper, above) in [(implied(), "d/"), (implied(), "")] {
        let error = Scene::new().refusal(&[lower(), opaque(upper, above).end()]);
        assert!(
            matches!(error, ArchiveError::OwnWhiteout { .. }),
            "{error:?}"
        );
    }
    for upper in [emptied().directory("d/sub"), implied().directory("d/sub")] {
        let upper = opaque(upper.file("d/sub/new", b""), "d/").end();
        assert_eq!(
            unpacked(&[lower(), upper]).tree(),
            ["d", "d/sub", "d/sub/new"]
        );
    }
}

#[test]
fn many_opaque_whiteouts_do_not_have_us_look_without_end() {
    let mut tar = Tar::default().directory("d");
    for at in 0..100 {
        tar = tar.file("d/.wh..wh..opq", b"");
        tar = tar
            .file(&format!("d/{at}/x"), b"")
            .directory(&format!("d/{at}"));
    }
    let mut scene = Scene::new();
    scene.limits.entries = 1_000;
    let error = scene.refusal(&[tar.end()]);
    assert!(matches!(error, ArchiveError::Limit { .. }), "{error:?}");
}

#[test]
fn an_opaque_whiteout_spares_what_came_through_a_link() {
    let lower = Tar::default()
        .file("usr/lib/old", b"")
        .symlink("lib", "usr/lib");
    let upper = Tar::default()
        .file("lib/new", b"")
        .file("usr/lib/.wh..wh..opq", b"");
    let scene = unpacked(&[lower.end(), upper.end()]);
    assert!(scene.has("usr/lib/new") && !scene.has("usr/lib/old"));
}

#[test]
fn a_directory_that_came_back_is_a_new_one() {
    let lower = Tar::default().directory("d/e").file("d/e/x", b"");
    let upper = Tar::default().file(".wh.d", b"").end();
    let third = Tar::default().file("d/e/y", b"").end();
    let scene = unpacked(&[lower.end(), upper, third]);
    assert!(scene.has("d/e/y") && !scene.has("d/e/x"));
}

#[test]
fn whiteouts_by_aufs_for_itself_mean_nothing() {
    let tar = Tar::default()
        .file(".wh..wh.aufs", b"")
        .directory(".wh..wh.plnk")
        .file("x", b"text");
    let scene = unpacked(&[tar.end()]);
    assert!(!scene.has(".wh..wh.aufs") && !scene.has(".wh..wh.plnk"));
    assert_eq!(scene.read("x"), "text");
}
