//! Fetching indexes, from servers that behave and from such that don't.

mod cache;

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_download::{
    FetchedIndex, GalleryClient, GalleryError, GalleryOptions, HttpError, Location, LocationError,
    Origin,
};
use countersign_oci::http::RedirectRefused::{HttpsRequired, Nowhere, TooMany};
use countersign_oci::{Limits as RegistryLimits, Options, Retries, Timeouts};
use countersign_policy::{Gallery, Problem};
use countersign_sandbox::ClosedPort;
use tempfile::TempDir;
use wiremock::matchers::{any, header, header_exists, header_regex, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const INDEX: &str = "[{name: app, uri: 'quay.io/acme/app:1'}]";
const NEWER: &str = "[{name: app, uri: 'quay.io/acme/app:2'}]";

fn gallery(url: &str, mirrors: &[&str]) -> Gallery {
    Gallery {
        name: "acme".into(),
        url: url.into(),
        mirrors: mirrors.iter().map(|mirror| (*mirror).to_owned()).collect(),
        policy: None,
    }
}

fn options() -> GalleryOptions {
    GalleryOptions {
        index_bytes: 4096,
        connection: Options {
            retries: Retries {
                times: 1,
                pause: Duration::from_millis(1),
                ..Retries::default()
            },
            limits: RegistryLimits {
                redirects: 2,
                ..RegistryLimits::default()
            },
            ..Options::default()
        },
        ..GalleryOptions::default()
    }
}

fn caching(directory: &TempDir) -> GalleryClient {
    GalleryClient::new(GalleryOptions {
        cache: Some(directory.path().into()),
        ..options()
    })
    .unwrap()
}

async fn fetch(url: &str, mirrors: &[&str]) -> Result<FetchedIndex, GalleryError> {
    let client = GalleryClient::new(options()).unwrap();
    client.fetch(&gallery(url, mirrors), Path::new("")).await
}

fn uri(fetched: &FetchedIndex) -> &str {
    let entry = fetched.index.named("app").unwrap();
    entry.uri.as_deref().unwrap()
}

fn at(server: &MockServer, path: &str) -> String {
    format!("{}{path}", server.uri())
}

async fn serve(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn index() -> ResponseTemplate {
    status(200).set_body_string(INDEX)
}

#[tokio::test]
async fn mirrors_serve_what_is_not_found_or_not_answered() {
    let server = MockServer::start().await;
    serve(&server, "/busy", status(503)).await;
    serve(&server, "/mirror", index()).await;
    let closed = ClosedPort::hold().unwrap();
    let nobody = format!("http://{}/index.yaml", closed.address());
    let fetched = fetch(
        &at(&server, "/missing"),
        &[&nobody, &at(&server, "/busy"), &at(&server, "/mirror")],
    )
    .await
    .unwrap();
    assert_eq!(fetched.location.to_string(), at(&server, "/mirror"));
    let [missing, unreachable, busy] = fetched.skipped.as_slice() else {
        panic!("{:?}", fetched.skipped);
    };
    assert!(matches!(
        missing.error,
        GalleryError::Http(HttpError::NotFound { .. })
    ));
    assert!(matches!(
        unreachable.error,
        GalleryError::Http(HttpError::Unreachable { .. })
    ));
    assert!(matches!(
        busy.error,
        GalleryError::Http(HttpError::Unavailable { status: 503, .. })
    ));
}

#[tokio::test]
async fn a_server_that_is_busy_once_is_asked_again() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(status(503))
        .up_to_n_times(1)
        .with_priority(1)
        .expect(1)
        .mount(&server)
        .await;
    serve(&server, "/index.yaml", index()).await;
    let fetched = fetch(&at(&server, "/index.yaml"), &[]).await.unwrap();
    assert!(fetched.skipped.is_empty());
}

#[tokio::test]
async fn when_no_place_has_the_index_every_error_is_told() {
    let server = MockServer::start().await;
    serve(&server, "/busy", status(503)).await;
    let error = fetch(&at(&server, "/missing"), &[&at(&server, "/busy")])
        .await
        .unwrap_err();
    let text = error.to_string().replace(&server.uri(), "[server]");
    insta::assert_snapshot!(text, @"
    can't get the index of the gallery `acme`
      [server]/missing was not found
      [server]/busy answered 503, expected 200
    ");
    let GalleryError::NotFetched { skipped, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(skipped.len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_no_index_is_told_and_not_passed_over() {
    let server = MockServer::start().await;
    serve(&server, "/mirror", index()).await;
    serve(&server, "/login", status(200).set_body_string("<html>")).await;
    serve(&server, "/forbidden", status(403)).await;
    serve(&server, "/bytes", status(200).set_body_bytes([b'-', 0xff])).await;
    let mirror = at(&server, "/mirror");
    let error = async |path: &str| fetch(&at(&server, path), &[&mirror]).await.unwrap_err();

    let login = error("/login").await;
    let GalleryError::Index(inner) = &login else {
        panic!("{login:?}");
    };
    assert!(matches!(inner.problem(), Problem::Form { .. }), "{inner}");
    assert!(
        inner.to_string().starts_with(&at(&server, "/login:1:1")),
        "{inner}"
    );
    assert!(matches!(
        error("/forbidden").await,
        GalleryError::Http(HttpError::Status { status: 403, .. })
    ));
    assert!(matches!(
        error("/bytes").await,
        GalleryError::NotText { position: 1, .. }
    ));
}

#[tokio::test]
async fn an_index_over_the_limit_is_refused() {
    let server = MockServer::start().await;
    let fits = format!("{INDEX}{}", " ".repeat(4096 - INDEX.len()));
    serve(&server, "/fits", status(200).set_body_string(fits.clone())).await;
    serve(&server, "/large", status(200).set_body_string(fits + " ")).await;
    assert!(fetch(&at(&server, "/fits"), &[]).await.is_ok());
    let error = fetch(&at(&server, "/large"), &[]).await.unwrap_err();
    assert!(
        matches!(
            error,
            GalleryError::Http(HttpError::TooLarge { limit: 4096, .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unreachable() {
    let server = MockServer::start().await;
    let never = index().set_delay(Duration::from_secs(3600));
    serve(&server, "/index.yaml", never).await;
    let mut options = options();
    options.connection.timeouts = Timeouts {
        answer: Duration::from_millis(50),
        ..Timeouts::default()
    };
    let client = GalleryClient::new(options).unwrap();
    let gallery = gallery(&at(&server, "/index.yaml"), &[]);
    let error = client.fetch(&gallery, Path::new("")).await.unwrap_err();
    let GalleryError::NotFetched { skipped, .. } = error else {
        panic!("{error:?}");
    };
    let errors: Vec<_> = skipped.iter().map(|one| &one.error).collect();
    assert!(
        matches!(
            errors.as_slice(),
            [GalleryError::Http(HttpError::Unreachable { .. })]
        ),
        "{errors:?}"
    );
}

#[tokio::test]
async fn redirects_are_followed_within_bounds_and_never_to_plain_http_elsewhere() {
    let server = MockServer::start().await;
    let to = |place: &str| status(302).insert_header("Location", place);
    serve(&server, "/index.yaml", index()).await;
    serve(&server, "/one", to("/two")).await;
    serve(&server, "/two", to("/index.yaml")).await;
    serve(&server, "/loop", to("/loop")).await;
    serve(&server, "/out", to("http://example.org/index.yaml")).await;
    serve(&server, "/file", to("file:///etc/passwd")).await;
    serve(&server, "/nowhere", status(302)).await;

    let fetched = fetch(&at(&server, "/one"), &[]).await.unwrap();
    assert_eq!(fetched.location.to_string(), at(&server, "/one"));
    for (path, expected, why) in [
        ("/loop", at(&server, "/loop"), TooMany { limit: 2 }),
        (
            "/out",
            "http://example.org/index.yaml".into(),
            HttpsRequired,
        ),
        ("/file", "file:///etc/passwd".into(), HttpsRequired),
        ("/nowhere", "an unknown place".into(), Nowhere),
    ] {
        let error = fetch(&at(&server, path), &[]).await.unwrap_err();
        let GalleryError::Http(HttpError::Redirect { found, reason, .. }) = error else {
            panic!("{path}: {error:?}");
        };
        assert_eq!((found, reason), (expected, why));
    }
}

#[tokio::test]
async fn github_locations_are_read_from_the_raw_server() {
    let server = MockServer::start().await;
    serve(&server, "/acme/galleries/v1/backend/index.yaml", index()).await;
    let client = GalleryClient::new(GalleryOptions {
        github: Some(server.uri().parse().unwrap()),
        ..options()
    })
    .unwrap();
    let gallery = gallery("github:acme/galleries/backend/index.yaml@v1", &[]);
    let fetched = client.fetch(&gallery, Path::new("")).await.unwrap();
    assert_eq!(uri(&fetched), "quay.io/acme/app:1");
    assert!(matches!(fetched.location, Location::GitHub(_)));
}

#[tokio::test]
async fn files_are_read_below_the_directory_given() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("index.yaml"), INDEX).unwrap();
    fs::write(directory.path().join("large.yaml"), " ".repeat(4097)).unwrap();
    fs::create_dir(directory.path().join("directory")).unwrap();
    let client = GalleryClient::new(options()).unwrap();
    let fetch = async |url: &str, mirrors: &[&str]| {
        let gallery = gallery(url, mirrors);
        client.fetch(&gallery, directory.path()).await
    };
    let fetched = fetch("file:missing.yaml", &["file://index.yaml"])
        .await
        .unwrap();
    assert_eq!(fetched.origin, Origin::File);
    assert_eq!(fetched.skipped.len(), 1);
    let error = fetch("file:large.yaml", &[]).await.unwrap_err();
    assert!(
        matches!(error, GalleryError::Http(HttpError::TooLarge { .. })),
        "{error:?}"
    );
    let error = fetch("file:directory", &["file:index.yaml"])
        .await
        .unwrap_err();
    assert!(matches!(error, GalleryError::File { .. }), "{error:?}");
}

#[tokio::test]
async fn a_mirror_that_can_not_be_read_is_an_error_before_anything_is_fetched() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(index())
        .expect(0)
        .mount(&server)
        .await;
    let error = fetch(&at(&server, "/index.yaml"), &["ftp://example.org/"])
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            GalleryError::Location {
                source: LocationError::Form { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_proxy_of_another_kind_is_refused_and_its_login_not_shown() {
    let mut options = options();
    options.connection.proxy = Some("socks4://me:hunter2@proxy.example".parse().unwrap());
    let error = GalleryClient::new(options).unwrap_err();
    assert!(
        matches!(error, GalleryError::Http(HttpError::Configuration { .. })),
        "{error:?}"
    );
    assert!(!error.to_string().contains("hunter2"));
}
