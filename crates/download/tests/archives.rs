//! Content that is no image: tarballs from the web and directories of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

#[allow(dead_code, reason = "what tests share, not all of them need")]
mod shop;
#[allow(dead_code, reason = "what tests share, not all of them need")]
mod stage;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use countersign_download::{
    ArchiveError, Error, Fulfilled, Grounds, HttpError, Installer, Integrity, Limits, Plan,
    PlanError, RequirementError, Role, StoreError, Succession,
};
use countersign_oci::{Digest, Options, Retries, Timeouts};
use countersign_verify::Verifier;
use shop::{Shop, gallery, installed, plan, served};
use stage::amd64;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A gzipped tar archive with `version` in the file `app/version`.
fn tarball(version: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let mut add = |name: &str, content: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    };
    add("version", version);
    add("app/.wh.kept", "a name like any other");
    builder.into_inner().unwrap().finish().unwrap()
}

async fn serve(server: &MockServer, at: &str, bytes: &[u8]) {
    let answer = ResponseTemplate::new(200).set_body_bytes(bytes.to_vec());
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// The plan for an entry `app` of a gallery without a policy.
fn open(index: &str, integrity: Integrity) -> Result<Plan, PlanError> {
    let gallery = gallery("[{name: plain, url: 'file:index.yaml'}]");
    plan(&gallery, index, "app", integrity)
}

fn entry(server: &MockServer, digest: Option<&Digest>) -> String {
    let sha256 = digest.map_or(String::new(), |digest| {
        format!(", sha256: {}", digest.hex())
    });
    let (uri, mirror) = (server.uri(), server.uri());
    format!("[{{name: app, uri: '{uri}/app.tar.gz', mirrors: ['{mirror}/mirror.tar.gz']{sha256}}}]")
}

fn installer(shop: &Shop, limits: Limits) -> Installer<Verifier> {
    let connection = Options {
        retries: Retries {
            times: 1,
            pause: Duration::from_millis(1),
            ..Retries::default()
        },
        timeouts: Timeouts {
            stall: Duration::from_secs(5),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let installer = shop.stage.installer().with_limits(limits);
    installer.with_connection(connection)
}

async fn install(shop: &Shop, plan: &Plan) -> Result<Fulfilled, StoreError> {
    let installer = installer(shop, Limits::default());
    shop.store
        .install(&installer, plan, &amd64(), Succession::NotOlder, &|_| {})
        .await
}

/// The errors of all sources, of an installation that must leave nothing.
async fn failures(shop: &Shop, plan: &Plan, limits: Limits) -> Vec<Error> {
    let installer = installer(shop, limits);
    let result = shop
        .store
        .install(&installer, plan, &amd64(), Succession::NotOlder, &|_| {})
        .await;
    let Err(StoreError::Plan(failure)) = result else {
        panic!("expected a failure, found {result:?}");
    };
    assert_eq!(shop.leftovers(), [""; 0]);
    assert!(!shop.directory("app").exists());
    failure
        .into_failures()
        .into_iter()
        .map(|one| one.error)
        .collect()
}

#[tokio::test]
async fn a_tarball_installs_by_the_digest_that_the_index_names_in_strict_mode_too() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let bytes = tarball("v1");
    let digest = Digest::sha256(&bytes);
    serve(&server, "/app.tar.gz", &bytes).await;
    let plan = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!((&done.grounds, &done.digest), (&Grounds::Digest, &digest));
    assert_eq!(served(&done), (Role::Primary, 0));
    assert_eq!(shop.version("app").unwrap(), "v1");
    let plain = shop.directory("app").join("app/.wh.kept");
    assert!(plain.is_file(), "a plain archive has no whiteouts");
    // What the digest promises is there: the server isn't asked again.
    let asked = server.received_requests().await.unwrap().len();
    let again = install(&shop, &plan).await.unwrap();
    assert!(matches!(again, Fulfilled::Unchanged { .. }), "{again:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), asked);
}

#[tokio::test]
async fn other_bytes_than_those_of_the_digest_are_refused_and_another_copy_is_tried() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let digest = Digest::sha256(&tarball("v1"));
    serve(&server, "/app.tar.gz", &tarball("swapped")).await;
    let plan = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    let [
        Error::Checksum {
            expected, found, ..
        },
        Error::Http(HttpError::NotFound { .. }),
    ] = &errors[..]
    else {
        panic!("other errors: {errors:?}");
    };
    assert_eq!(
        (expected, found),
        (&digest, &Digest::sha256(&tarball("swapped")))
    );
    serve(&server, "/mirror.tar.gz", &tarball("v1")).await;
    let done = installed(install(&shop, &plan).await);
    assert_eq!(served(&done), (Role::Mirror, 1));
    assert_eq!(shop.version("app").unwrap(), "v1");
}

#[tokio::test]
async fn a_tarball_without_a_digest_installs_unverified_in_permissive_mode_alone() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/app.tar.gz", &tarball("v1")).await;
    let index = entry(&server, None);
    let error = open(&index, Integrity::Strict).unwrap_err();
    assert!(matches!(
        error,
        PlanError::Requirement {
            source: RequirementError::NoDigest { .. },
            ..
        }
    ));
    let plan = open(&index, Integrity::Permissive).unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!(done.grounds, Grounds::Nothing);
    assert_eq!(done.digest, Digest::sha256(&tarball("v1")));
    assert_eq!(shop.version("app").unwrap(), "v1");
    let again = install(&shop, &plan).await.unwrap();
    assert!(matches!(again, Fulfilled::Unchanged { .. }), "{again:?}");
    // A digest, once the index names one, is more than nothing; and nothing is less than it.
    let digest = Digest::sha256(&tarball("v1"));
    let named = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let done = installed(install(&shop, &named).await);
    assert_eq!(done.grounds, Grounds::Digest);
    let Err(StoreError::Plan(failure)) = install(&shop, &plan).await else {
        panic!("weaker grounds replaced stronger ones");
    };
    assert!(
        matches!(failure.decisive(), Some(Error::Weaker { .. })),
        "{failure}"
    );
}

#[tokio::test]
async fn a_server_that_has_it_not_or_is_busy_leads_to_the_mirror() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/mirror.tar.gz", &tarball("v1")).await;
    for status in [404, 503] {
        let busy = Mock::given(path("/app.tar.gz"))
            .respond_with(ResponseTemplate::new(status))
            .mount_as_scoped(&server)
            .await;
        let plan = open(&entry(&server, None), Integrity::Permissive).unwrap();
        let done = installed(install(&shop, &plan).await);
        assert_eq!(served(&done), (Role::Mirror, 1), "{status}");
        shop.store.remove(&"app".parse().unwrap()).await.unwrap();
        drop(busy);
    }
}

#[tokio::test]
async fn what_is_over_the_bound_or_leads_elsewhere_is_refused() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/app.tar.gz", &tarball("v1")).await;
    let elsewhere = ResponseTemplate::new(302).insert_header("location", "http://192.0.2.1/x.tar");
    Mock::given(path("/mirror.tar.gz"))
        .respond_with(elsewhere)
        .mount(&server)
        .await;
    let plan = open(&entry(&server, None), Integrity::Permissive).unwrap();
    let small = Limits {
        compressed_bytes: 64,
        ..Limits::default()
    };
    let errors = failures(&shop, &plan, small).await;
    assert!(
        matches!(
            &errors[..],
            [Error::Http(HttpError::TooLarge { limit: 64, .. })]
        ),
        "{errors:?}"
    );
    server.reset().await;
    let elsewhere = ResponseTemplate::new(302).insert_header("location", "http://192.0.2.1/x.tar");
    Mock::given(path("/app.tar.gz"))
        .respond_with(elsewhere)
        .mount(&server)
        .await;
    let errors = failures(&shop, &plan, Limits::default()).await;
    let [Error::Http(HttpError::Redirect { found, .. })] = &errors[..] else {
        panic!("other errors: {errors:?}");
    };
    assert_eq!(found, "http://192.0.2.1/x.tar");
}

#[tokio::test]
async fn a_redirect_is_shown_without_what_may_be_a_token() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let target = "http://192.0.2.1/x.tar?X-Signature=hunter2";
    let elsewhere = ResponseTemplate::new(302).insert_header("location", target);
    Mock::given(path("/app.tar.gz"))
        .respond_with(elsewhere)
        .mount(&server)
        .await;
    let index = format!(
        "[{{name: app, uri: '{}/app.tar.gz?token=hunter2'}}]",
        server.uri()
    );
    let plan = open(&index, Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    let [error @ Error::Http(HttpError::Redirect { .. })] = &errors[..] else {
        panic!("other errors: {errors:?}");
    };
    assert!(!error.to_string().contains("hunter2"), "{error}");
    server.reset().await;
    serve(&server, "/app.tar.gz", &tarball("v1")).await;
    installed(install(&shop, &plan).await);
    let record = shop.directory("app").join(".countersign/record.json");
    let record = fs::read_to_string(record).unwrap();
    assert!(record.contains("/app.tar.gz"), "{record}");
    assert!(!record.contains("hunter2"), "{record}");
}

#[tokio::test]
async fn the_digest_is_that_of_the_bytes_that_the_server_has_whatever_coding_it_calls_them() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let bytes = tarball("v1");
    let coded = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_bytes(bytes.clone());
    Mock::given(path("/app.tar.gz"))
        .respond_with(coded)
        .mount(&server)
        .await;
    let digest = Digest::sha256(&bytes);
    let plan = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!(done.digest, digest);
    let asked = server.received_requests().await.unwrap();
    assert!(
        asked
            .iter()
            .all(|one| !one.headers.contains_key("accept-encoding"))
    );
}

#[tokio::test]
async fn an_answer_that_nothing_is_newer_is_no_content() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    Mock::given(path("/app.tar.gz"))
        .respond_with(ResponseTemplate::new(304))
        .mount(&server)
        .await;
    let plan = open(&entry(&server, None), Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    assert!(
        matches!(
            &errors[..],
            [Error::Http(HttpError::Status { status: 304, .. })]
        ),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_hostile_tarball_is_refused_as_a_layer_would_be() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..10].copy_from_slice(b"../outside");
    header.set_size(1);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    serve(&server, "/app.tar", &bytes).await;
    let index = format!("[{{name: app, uri: '{}/app.tar'}}]", server.uri());
    let plan = open(&index, Integrity::Permissive).unwrap();
    let errors = failures(&shop, &plan, Limits::default()).await;
    assert!(
        matches!(
            &errors[..],
            [Error::Archive {
                source: ArchiveError::ParentName { .. },
                ..
            }]
        ),
        "{errors:?}"
    );
    assert!(!shop.root.path().join("store/outside").exists());
}

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
    assert!(matches!(again, Fulfilled::Unchanged { .. }), "{again:?}");
    fs::write(source.path().join("version"), "v2").unwrap();
    let Fulfilled::Installed { replaced, .. } = install(&shop, &plan).await.unwrap() else {
        panic!("expected an upgrade");
    };
    assert_eq!(replaced, Some(first.digest));
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
        ["2 entries were left out, being devices or fifos, the first of them fifo"]
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
    assert!(found.contains("holds the store"), "{found}");
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
