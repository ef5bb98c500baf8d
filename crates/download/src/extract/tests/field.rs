//! Layers as builders in the field write them, with the trees that umoci, containers/storage and
//! containerd make of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

/// The tree that layers come to.
fn field(names: &[&str]) -> Scene {
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let layers = workspace.join("fixtures/layers");
    let layer = |name| fs::read(layers.join(name)).unwrap();
    unpacked(&names.iter().map(layer).collect::<Vec<_>>())
}

#[test]
fn layers_of_the_field_come_to_the_trees_that_peers_make_of_them() {
    let scene = field(&["absolute-names.tar"]);
    let directory = "nix/store/abc-hello";
    let program = format!("{directory}/hello");
    let link = format!("{directory}/l");
    assert_eq!(
        scene.tree(),
        ["nix", "nix/store", directory, &program, &link]
    );
    let mode = fs::metadata(scene.path(&program))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o555);
    let target = fs::read_link(scene.path(&link)).unwrap();
    assert_eq!(target.to_str(), Some("/nix/store/abc-hello/hello"));

    let scene = field(&["absolute-hard-link.tar"]);
    let inode = |scene: &Scene, path| fs::metadata(scene.path(path)).unwrap().ino();
    assert_eq!(
        inode(&scene, "usr/bin/perlthanks"),
        inode(&scene, "usr/bin/perlbug")
    );

    let scene = field(&["pax-latin1-name.tar"]);
    let entries = fs::read_dir(scene.path("")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [OsStr::from_bytes(b"caf\xe9")]);

    let layers = [
        "parent-through-absolute-link.1.tar",
        "parent-through-absolute-link.2.tar",
    ];
    let scene = field(&layers);
    assert_eq!(scene.tree(), ["run", "run/x.pid", "var", "var/run"]);

    let scene = field(&["hard-link-states-size.tar"]);
    assert_eq!(scene.tree(), ["a", "b"]);
    assert_eq!(inode(&scene, "a"), inode(&scene, "b"));

    let scene = field(&["sparse-by-gnu-tar.tar"]);
    let content = fs::read(scene.path("holes")).unwrap();
    assert_eq!(content.len(), 3_145_731);
    let digest = "sha256:599ef46c60599eee251a4f04e49b9fa5712b2dbb80d93d86b16ba205e41f4ba5";
    assert_eq!(Digest::sha256(&content).to_string(), digest);

    let scene = field(&["no-padding-at-end.tar"]);
    assert_eq!(scene.tree(), ["first", "last"]);
    assert_eq!(scene.read("last"), "zzzzzz");

    let layers = [
        "device-over-lower-file.1.tar",
        "device-over-lower-file.2.tar",
    ];
    assert_eq!(field(&layers).tree(), ["etc", "etc/kept"]);
    assert_eq!(field(&["hard-link-to-device.tar"]).tree(), ["f"]);
}
