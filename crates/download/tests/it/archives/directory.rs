//! Directories of this machine.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use countersign_download::{
    Error, Grounds, Integrity, Limits, Outcome, PlanError, RequirementError, Role,
};

use super::{failures, install, open};
use crate::shop::{Shop, installed, served};

/// A directory with a program, a link and what has no place in an installation.
fn content(root: &Path) {
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("version"), "v1").unwrap();
    fs::write(root.join("bin/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("bin/run", root.join("start")).unwrap();
    fs::create_dir(root.join(".countersign")).unwrap();
    fs::write(root.join(".countersign/record.json"), "{}").unwrap();
}

#[tokio::test]
async fn a_directory_installs_unverified_and_again_only_when_its_content_changes() {
    let shop = Shop::open().await;
    let source = tempfile::tempdir().unwrap();
    content(source.path());
    let index = format!("[{{name: app, uri: 'file://{}'}}]", source.path().display());
    assert!(matches!(
        open(&index, Integrity::Strict).unwrap_err(),
        PlanError::Requirement {
            source: RequirementError::Unverifiable { .. },
            ..
        }
    ));
    let plan = open(&index, Integrity::Permissive).unwrap();
    let first = installed(install(&shop, &plan).await);
    assert_eq!(first.grounds, Grounds::Nothing);
    let at = shop.directory("app");
    assert_eq!(shop.version("app").unwrap(), "v1");
    let mode = fs::metadata(at.join("bin/run"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(
        fs::read_link(at.join("start")).unwrap(),
        Path::new("bin/run")
    );
    // Times are no content.
    fs::write(source.path().join("version"), "v1").unwrap();
    let again = install(&shop, &plan).await.unwrap();
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
    fs::write(source.path().join("version"), "v2").unwrap();
    let Outcome::Installed { replaced, .. } = install(&shop, &plan).await.unwrap() else {
        panic!("expected an upgrade");
    };
    assert_eq!(replaced.map(|before| before.digest), Some(first.digest));
    assert_eq!(shop.version("app").unwrap(), "v2");
}

#[tokio::test]
async fn a_link_out_of_a_directory_is_packed_as_a_link_and_never_followed() {
    let shop = Shop::open().await;
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("version"), "v1").unwrap();
    symlink("/etc", source.path().join("etc")).unwrap();
    let index = format!("[{{name: app, uri: '{}'}}]", source.path().display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    installed(install(&shop, &plan).await);
    let link = fs::read_link(shop.directory("app").join("etc")).unwrap();
    assert_eq!(link, Path::new("/etc"));
}

#[tokio::test]
async fn names_of_any_length_and_encoding_are_packed_as_they_are() {
    let shop = Shop::open().await;
    let source = tempfile::tempdir().unwrap();
    let long = "n".repeat(200);
    let odd = OsStr::from_bytes(b"caf\xe9\n");
    fs::create_dir_all(source.path().join(&long).join(&long)).unwrap();
    fs::write(source.path().join(&long).join(&long).join("file"), "deep").unwrap();
    fs::write(source.path().join(odd), "odd").unwrap();
    symlink(format!("{long}/{long}/file"), source.path().join("start")).unwrap();
    let index = format!("[{{name: app, uri: '{}'}}]", source.path().display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    installed(install(&shop, &plan).await);
    let at = shop.directory("app");
    assert_eq!(fs::read_to_string(at.join("start")).unwrap(), "deep");
    assert_eq!(fs::read_to_string(at.join(odd)).unwrap(), "odd");
}

#[tokio::test]
async fn special_files_of_a_directory_are_left_out_and_said() {
    let shop = Shop::open().await;
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("version"), "v1").unwrap();
    let fifo = source.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let _socket = UnixListener::bind(source.path().join("socket")).unwrap();
    let index = format!("[{{name: app, uri: '{}'}}]", source.path().display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!(
        done.warnings,
        [
            "2 entries were left out (devices, fifos, and hard links to them), the first of them fifo"
        ]
    );
    for name in ["fifo", "socket"] {
        let there = fs::symlink_metadata(shop.directory("app").join(name));
        assert_eq!(there.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_leads_to_the_mirror() {
    let shop = Shop::open().await;
    let root = tempfile::tempdir().unwrap();
    let (missing, mirror) = (root.path().join("missing"), root.path().join("mirror"));
    let index = format!(
        "[{{name: app, uri: '{}', mirrors: ['{}']}}]",
        missing.display(),
        mirror.display()
    );
    let plan = open(&index, Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    let [
        Error::NoDirectory { path },
        Error::NoDirectory { path: other },
    ] = &errors[..]
    else {
        panic!("other errors: {errors:?}");
    };
    assert_eq!((path, other), (&missing, &mirror));
    fs::create_dir(&mirror).unwrap();
    fs::write(mirror.join("version"), "v1").unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!(served(&done), (Role::Mirror, 1));
}

#[tokio::test]
async fn a_directory_that_holds_the_store_is_refused() {
    let shop = Shop::open().await;
    let index = format!("[{{name: app, uri: '{}'}}]", shop.root.path().display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    let [Error::Directory { found, .. }] = &errors[..] else {
        panic!("other errors: {errors:?}");
    };
    assert_eq!(found, "one that does");
}

#[tokio::test]
async fn a_directory_that_is_none_or_has_too_much_in_it_is_refused() {
    let shop = Shop::open().await;
    let source = tempfile::tempdir().unwrap();
    content(source.path());
    let index = format!("[{{name: app, uri: '{}'}}]", source.path().display());
    let plan = open(&index, Integrity::Permissive).unwrap();
    for limits in [
        Limits {
            entries: 2,
            ..Limits::default()
        },
        Limits {
            depth: 0,
            ..Limits::default()
        },
        Limits {
            compressed_bytes: 100,
            ..Limits::default()
        },
    ] {
        let errors = failures(&shop, &plan, limits).await;
        assert!(
            matches!(&errors[..], [Error::Directory { .. }]),
            "{errors:?}"
        );
    }
    let index = format!(
        "[{{name: app, uri: '{}/version'}}]",
        source.path().display()
    );
    let plan = open(&index, Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    assert!(
        matches!(&errors[..], [Error::Directory { .. }]),
        "{errors:?}"
    );
}
