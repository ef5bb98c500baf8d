//! Tarballs from the web.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_download::{
    ArchiveError, Error, Grounds, HttpError, InstallRequest, Integrity, Limits, Outcome, PlanError,
    RequirementError, Role, StoreError,
};
use countersign_oci::{Digest, Options, Retries, Timeouts};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{failures, install, installer, open};
use crate::shop::{Shop, installed, served};
use crate::stage::amd64;

/// A gzipped tar archive with `version` in the file `app/version`.
pub(crate) fn tarball(version: &str) -> Vec<u8> {
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

pub(crate) async fn serve(server: &MockServer, at: &str, bytes: &[u8]) {
    let answer = ResponseTemplate::new(200).set_body_bytes(bytes.to_vec());
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer)
        .mount(server)
        .await;
}

pub(crate) fn entry(server: &MockServer, digest: Option<&Digest>) -> String {
    let sha256 = digest.map_or(String::new(), |digest| {
        format!(", sha256: {}", digest.hex())
    });
    let (uri, mirror) = (server.uri(), server.uri());
    format!("[{{name: app, uri: '{uri}/app.tar.gz', mirrors: ['{mirror}/mirror.tar.gz']{sha256}}}]")
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
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
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
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
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
        shop.remove("app").await;
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

#[tokio::test]
async fn a_tarball_that_ends_early_is_refused_also_where_no_digest_tells() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let whole = decompressed(&tarball("v1"));
    // Nothing at all, the first entry alone, and half of a header.
    for length in [0, 1024, 1300] {
        let cut = &whole[..length];
        server.reset().await;
        serve(&server, "/app.tar", cut).await;
        let index = format!("[{{name: app, uri: '{}/app.tar'}}]", server.uri());
        let plan = open(&index, Integrity::Permissive).unwrap();
        let errors = failures(&shop, &plan, Limits::default()).await;
        assert!(
            matches!(
                &errors[..],
                [Error::Archive {
                    source: ArchiveError::Truncated { .. },
                    ..
                }]
            ),
            "{length}: {errors:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_fetched_again_and_then_left_to_the_mirror() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/mirror.tar.gz", &tarball("v1")).await;
    let (cut, connections) = cutting(tarball("v1")).await;
    let digest = Digest::sha256(&tarball("v1"));
    let index = format!(
        "[{{name: app, uri: 'http://{cut}/app.tar.gz', mirrors: ['{}/mirror.tar.gz'], sha256: {}}}]",
        server.uri(),
        digest.hex()
    );
    let plan = open(&index, Integrity::Strict).unwrap();
    let done = installed(install(&shop, &plan).await);
    assert_eq!(served(&done), (Role::Mirror, 1));
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    assert_eq!(shop.version("app").unwrap(), "v1");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let shop = Shop::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nsome";
        stream.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let index = format!("[{{name: app, uri: 'http://{address}/app.tar.gz'}}]");
    let plan = open(&index, Integrity::Permissive).unwrap();
    let connection = Options {
        retries: Retries {
            times: 0,
            ..Retries::default()
        },
        timeouts: Timeouts {
            stall: Duration::from_millis(100),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let installer = shop.stage.installer().with_connection(connection);
    let result = shop
        .store
        .install(&installer, InstallRequest::new(&plan, &amd64()))
        .await;
    let Err(StoreError::Plan(failure)) = result else {
        panic!("expected a failure, found {result:?}");
    };
    assert!(
        matches!(
            failure.decisive(),
            Some(Error::Http(HttpError::Unreachable { .. }))
        ),
        "{failure}"
    );
    assert_eq!(shop.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_mirror_is_asked_where_the_primary_answers_without_end_but_a_digest_tells() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    let bytes = tarball("v1");
    let digest = Digest::sha256(&bytes);
    serve(&server, "/app.tar.gz", &vec![0; 64 << 10]).await;
    serve(&server, "/mirror.tar.gz", &bytes).await;
    let plan = open(&entry(&server, Some(&digest)), Integrity::Strict).unwrap();
    let limits = Limits {
        compressed_bytes: bytes.len() as u64,
        ..Limits::default()
    };
    let done = shop
        .store
        .install(
            &installer(&shop, limits),
            InstallRequest::new(&plan, &amd64()),
        )
        .await;
    assert_eq!(served(&installed(done)), (Role::Mirror, 1));
}

/// A server that says how long its content is, and ends every connection before its last byte.
async fn cutting(content: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = BufReader::new(&mut stream).lines();
            // Until the empty line after its header.
            while let Some(line) = request.next_line().await.unwrap()
                && !line.is_empty()
            {}
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                content.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream
                .write_all(&content[..content.len() - 1])
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, connections)
}

fn decompressed(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    decoder.read_to_end(&mut content).unwrap();
    content
}
