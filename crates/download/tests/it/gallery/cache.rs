//! The cache of indexes.

use countersign_oci::http::HostKind::ThisMachine;

use super::*;

const SERVER: Origin = Origin::Server(ThisMachine);
const CACHE: Origin = Origin::Cache(ThisMachine);

/// A server whose answer carries `validator`, and that answers 304 to one who shows it.
async fn validating(
    validator: (&'static str, &'static str),
    condition: &'static str,
) -> MockServer {
    let server = MockServer::start().await;
    let (name, value) = validator;
    // Not `header`, which takes the date for a list: it has a comma.
    Mock::given(header_regex(condition, value))
        .respond_with(status(304))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(index().insert_header(name, value))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn an_unchanged_index_is_taken_from_the_cache() {
    for (validator, condition) in [
        (("ETag", "\"v1\""), "If-None-Match"),
        (
            ("Last-Modified", "Wed, 21 Oct 2026 07:28:00 GMT"),
            "If-Modified-Since",
        ),
    ] {
        let server = validating(validator, condition).await;
        let directory = tempfile::tempdir().unwrap();
        let gallery = gallery(&at(&server, "/index.yaml"), &[]);
        for expected in [SERVER, CACHE, CACHE] {
            // Another client each time, as another run of the program has.
            let client = caching(&directory);
            let fetched = client.fetch(&gallery, Path::new("")).await.unwrap();
            assert_eq!(fetched.origin, expected, "{condition}");
            assert_eq!(uri(&fetched), "quay.io/acme/app:1");
        }
    }
}

#[tokio::test]
async fn a_changed_index_replaces_the_cached_one() {
    let server = validating(("ETag", "\"v1\""), "If-None-Match").await;
    let directory = tempfile::tempdir().unwrap();
    let client = caching(&directory);
    let gallery = gallery(&at(&server, "/index.yaml"), &[]);
    client.fetch(&gallery, Path::new("")).await.unwrap();

    server.reset().await;
    let newer = status(200).set_body_string(NEWER);
    Mock::given(header("If-None-Match", "\"v1\""))
        .respond_with(newer.insert_header("ETag", "\"v2\""))
        .expect(1)
        .mount(&server)
        .await;
    let fetched = client.fetch(&gallery, Path::new("")).await.unwrap();
    assert_eq!(fetched.origin, SERVER);
    assert_eq!(uri(&fetched), "quay.io/acme/app:2");

    server.reset().await;
    Mock::given(header("If-None-Match", "\"v2\""))
        .respond_with(status(304))
        .mount(&server)
        .await;
    let fetched = client.fetch(&gallery, Path::new("")).await.unwrap();
    assert_eq!(fetched.origin, CACHE);
    assert_eq!(uri(&fetched), "quay.io/acme/app:2");
}

#[tokio::test]
async fn a_damaged_cache_is_not_used_and_heals() {
    let server = validating(("ETag", "\"v1\""), "If-None-Match").await;
    let directory = tempfile::tempdir().unwrap();
    let client = caching(&directory);
    let gallery = gallery(&at(&server, "/index.yaml"), &[]);
    client.fetch(&gallery, Path::new("")).await.unwrap();
    let file = fs::read_dir(directory.path()).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, whole.get(..whole.len() / 2).unwrap()).unwrap();

    for expected in [SERVER, CACHE] {
        let fetched = client.fetch(&gallery, Path::new("")).await.unwrap();
        assert_eq!(fetched.origin, expected);
        assert_eq!(uri(&fetched), "quay.io/acme/app:1");
    }
}

#[tokio::test]
async fn without_a_cache_no_condition_is_sent_and_304_is_an_error() {
    let server = MockServer::start().await;
    Mock::given(header_exists("If-None-Match"))
        .respond_with(status(500))
        .with_priority(1)
        .mount(&server)
        .await;
    serve(
        &server,
        "/index.yaml",
        index().insert_header("ETag", "\"v\""),
    )
    .await;
    serve(&server, "/never", status(304)).await;
    for _ in 0..2 {
        let fetched = fetch(&at(&server, "/index.yaml"), &[]).await.unwrap();
        assert_eq!(fetched.origin, SERVER);
    }
    let error = fetch(&at(&server, "/never"), &[]).await.unwrap_err();
    assert!(
        matches!(
            error,
            GalleryError::Http(HttpError::Status { status: 304, .. })
        ),
        "{error:?}"
    );
}
