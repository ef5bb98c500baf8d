//! Lists of referrers, by the API and by the fallback tag.

use std::time::Duration;

use countersign_oci::http::proxy_url;
use countersign_oci::{
    Descriptor, Digest, Error, Options, PinnedReference, PlainHttp, Registry, Repository, Result,
    media_type,
};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::common::{
    answer, client, entry, index, manifest, options, pinned, repository, requests,
};

const SUBJECT: &[u8] = b"subject";

fn api() -> String {
    format!("/v2/a/b/referrers/{}", Digest::sha256(SUBJECT))
}

fn fallback() -> String {
    let tag = Digest::sha256(SUBJECT).referrers_tag();
    format!("/v2/a/b/manifests/{tag}")
}

async fn serve(server: &MockServer, at: String, response: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(response)
        .mount(server)
        .await;
}

fn list(names: &[&str]) -> ResponseTemplate {
    let entries: Vec<String> = names.iter().map(|name| entry(name)).collect();
    answer(media_type::OCI_INDEX, &index(&entries))
}

fn digests(found: &[Descriptor]) -> Vec<Digest> {
    found.iter().map(|d| d.digest.clone()).collect()
}

fn expected(names: &[&str]) -> Vec<Digest> {
    names.iter().map(|n| Digest::sha256(n.as_bytes())).collect()
}

async fn listed(client: &Registry, server: &MockServer) -> Result<Vec<Descriptor>> {
    client.referrers(&pinned(server, SUBJECT)).await
}

#[tokio::test]
async fn the_api_is_asked_once_and_nothing_else() {
    let server = MockServer::start().await;
    serve(&server, api(), list(&["1", "2", "1"])).await;
    let found = listed(&client(), &server).await.unwrap();
    assert_eq!(digests(&found), expected(&["1", "2"]));
    assert_eq!(requests(&server).await, [format!("GET {}", api())]);
}

/// A client for whom the server is any host, as for a proxy's client.
fn from_afar(server: &MockServer) -> Registry {
    Registry::new(Options {
        proxy: Some(proxy_url(&server.address().to_string()).unwrap()),
        plain_http: PlainHttp::Always,
        ..options()
    })
    .unwrap()
}

/// The subject in a repository of the host `registry.example`.
fn afar(repository: &str) -> PinnedReference {
    let repository: Repository = format!("registry.example/{repository}").parse().unwrap();
    repository.at(Digest::sha256(SUBJECT))
}

/// Longer than the head start that the API has.
const FAR: Duration = Duration::from_millis(300);
/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_registry_that_is_far_away_is_asked_for_the_tag_before_it_has_answered() {
    let server = MockServer::start().await;
    serve(&server, api(), ResponseTemplate::new(404).set_delay(NEVER)).await;
    let both_are_asked = async {
        while requests(&server).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (client, subject) = (from_afar(&server), afar("a/b"));
    tokio::select! {
        found = client.referrers(&subject) => panic!("the API has not answered: {found:?}"),
        () = both_are_asked => {}
    }
    let both = [api(), fallback()].map(|path| format!("GET {path}"));
    assert_eq!(requests(&server).await, both);
}

#[tokio::test]
async fn of_a_registry_that_is_far_away_it_is_known_afterwards_what_it_has() {
    let server = MockServer::start().await;
    serve(&server, fallback(), list(&["1"])).await;
    let missing = ResponseTemplate::new(404).set_delay(FAR);
    serve(&server, api(), missing).await;
    let client = from_afar(&server);
    let found = client.referrers(&afar("a/b")).await.unwrap();
    assert_eq!(digests(&found), expected(&["1"]));
    client.referrers(&afar("a/b")).await.unwrap();
    let both = [api(), fallback(), fallback()].map(|path| format!("GET {path}"));
    assert_eq!(requests(&server).await, both);
}

#[tokio::test]
async fn the_tag_decides_nothing_where_the_api_is_there() {
    let server = MockServer::start().await;
    serve(&server, fallback(), list(&["2"])).await;
    serve(&server, api(), list(&["1"]).set_delay(FAR)).await;
    let client = from_afar(&server);
    let found = client.referrers(&afar("a/b")).await.unwrap();
    assert_eq!(digests(&found), expected(&["1"]));
    assert_eq!(requests(&server).await.len(), 2);
    // Another repository of the same host is asked by the API alone.
    let other = format!("/v2/c/d/referrers/{}", Digest::sha256(SUBJECT));
    serve(&server, other, list(&["3"]).set_delay(FAR)).await;
    let found = client.referrers(&afar("c/d")).await.unwrap();
    assert_eq!(digests(&found), expected(&["3"]));
    assert_eq!(requests(&server).await.len(), 3);
}

#[tokio::test]
async fn an_api_that_fails_is_an_error_whatever_the_tag_says() {
    let server = MockServer::start().await;
    serve(&server, fallback(), list(&["2"])).await;
    let failing = ResponseTemplate::new(503).set_delay(FAR);
    serve(&server, api(), failing).await;
    let error = from_afar(&server)
        .referrers(&afar("a/b"))
        .await
        .unwrap_err();
    assert!(!error.is_absence(), "{error:?}");
}

#[tokio::test]
async fn all_pages_are_read() {
    let server = MockServer::start().await;
    let page = |names: &[&str], next: &str| {
        let link = format!("<{}?n=1&last={next}>; rel=\"next\"", api());
        list(names).insert_header("link", link)
    };
    for (last, response) in [
        (Some("a"), page(&["2"], "b")),
        (Some("b"), list(&["3"])),
        (None, page(&["1"], "a")),
    ] {
        let mock = Mock::given(path(api()));
        let mock = match last {
            Some(last) => mock.and(query_param("last", last)),
            None => mock.and(query_param_is_missing("last")),
        };
        mock.respond_with(response).mount(&server).await;
    }
    let found = listed(&client(), &server).await.unwrap();
    assert_eq!(digests(&found), expected(&["1", "2", "3"]));

    let mut options = options();
    options.limits.referrer_pages = 2;
    let error = listed(&Registry::new(options).unwrap(), &server).await;
    assert!(
        matches!(
            error,
            Err(Error::Limit {
                limit: 2,
                unit: "pages",
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_page_that_links_to_itself_is_refused() {
    let server = MockServer::start().await;
    let link = format!("<{}>; rel=\"next\"", api());
    serve(&server, api(), list(&["1"]).insert_header("link", link)).await;
    let error = listed(&client(), &server).await.unwrap_err();
    assert!(
        matches!(&error, Error::Protocol { found, .. } if found == "a page that links to one before it"),
        "{error:?}"
    );
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn a_page_at_another_host_is_refused() {
    let server = MockServer::start().await;
    let link = "<https://elsewhere.example/next?t=s>; rel=\"next\"";
    serve(&server, api(), list(&["1"]).insert_header("link", link)).await;
    let error = listed(&client(), &server).await.unwrap_err();
    assert!(
        matches!(&error, Error::Protocol { found, .. } if found == "a link to https://elsewhere.example/next"),
        "{error:?}"
    );
}

#[tokio::test]
async fn too_many_referrers_are_over_the_limit() {
    let server = MockServer::start().await;
    serve(&server, api(), list(&["1", "2", "3"])).await;
    let mut options = options();
    options.limits.referrers = 2;
    let error = listed(&Registry::new(options).unwrap(), &server).await;
    assert!(
        matches!(
            error,
            Err(Error::Limit {
                limit: 2,
                unit: "referrers",
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn entries_that_are_left_out_count_too() {
    let body = |count| index(&vec!["{}".to_owned(); count]);
    for (at, count) in [(api(), 10_001), (fallback(), 10_001), (api(), 1_390_000)] {
        let server = MockServer::start().await;
        serve(&server, at, answer(media_type::OCI_INDEX, &body(count))).await;
        let error = listed(&client(), &server).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Limit {
                    limit: 10_000,
                    unit: "referrers",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let server = MockServer::start().await;
    let response = answer(media_type::OCI_INDEX, &body(10_000));
    serve(&server, api(), response).await;
    assert_eq!(listed(&client(), &server).await.unwrap(), []);
}

#[tokio::test]
async fn entries_that_cannot_be_followed_are_left_out() {
    let server = MockServer::start().await;
    let odd = r#"{"mediaType":"x","digest":"blake3:00","size":1}"#.to_owned();
    let body = index(&[odd, entry("1")]);
    serve(&server, api(), answer(media_type::OCI_INDEX, &body)).await;
    let found = listed(&client(), &server).await.unwrap();
    assert_eq!(digests(&found), expected(&["1"]));
}

#[tokio::test]
async fn registries_without_the_api_are_asked_for_the_tag() {
    let page = answer("text/html", "<html>log in</html>");
    for missing in [
        answer("application/json", r#"{"errors":[]}"#),
        answer("application/json", r#"{"manifests":[]}"#),
        answer("text/plain", "404 page not found"),
        answer("text/html", &index(&[])),
        ResponseTemplate::new(404),
        ResponseTemplate::new(400),
        ResponseTemplate::new(405),
        ResponseTemplate::new(406),
        ResponseTemplate::new(501),
        page,
    ] {
        let server = MockServer::start().await;
        serve(&server, api(), missing).await;
        serve(&server, fallback(), list(&["1"])).await;
        let client = client();
        for _ in 0..2 {
            let found = listed(&client, &server).await.unwrap();
            assert_eq!(digests(&found), expected(&["1"]));
        }
        let (api, tag) = (format!("GET {}", api()), format!("GET {}", fallback()));
        assert_eq!(requests(&server).await, [api, tag.clone(), tag]);
    }
}

#[tokio::test]
async fn an_unknown_repository_says_nothing_about_the_api() {
    let server = MockServer::start().await;
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#;
    let unknown = ResponseTemplate::new(404).set_body_raw(body, "application/json");
    Mock::given(path(api()))
        .respond_with(unknown)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let client = client();
    assert!(listed(&client, &server).await.unwrap().is_empty());
    serve(&server, api(), list(&["1"])).await;
    let found = listed(&client, &server).await.unwrap();
    assert_eq!(digests(&found), expected(&["1"]));
}

#[tokio::test]
async fn no_tag_means_no_referrers() {
    let server = MockServer::start().await;
    assert!(listed(&client(), &server).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_image_at_the_fallback_tag_lists_nothing() {
    let server = MockServer::start().await;
    let image = answer(media_type::OCI_MANIFEST, &manifest("x"));
    serve(&server, fallback(), image).await;
    assert!(listed(&client(), &server).await.unwrap().is_empty());
}

#[tokio::test]
async fn refusals_and_failures_are_not_taken_for_none() {
    for at in [api(), fallback()] {
        for status in [401, 403, 429, 500] {
            let server = MockServer::start().await;
            serve(&server, at.clone(), ResponseTemplate::new(status)).await;
            let error = listed(&client(), &server).await.unwrap_err();
            let right = match error {
                Error::Unauthorized { .. } => matches!(status, 401 | 403),
                Error::Status { status: found, .. } => found == status,
                _ => false,
            };
            assert!(right, "{status} at {at}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_verifier_needs_four_requests() {
    let server = MockServer::start().await;
    let (image, signature) = (manifest("image"), manifest("signature"));
    let repository = repository(&server);
    let digest = Digest::sha256(image.as_bytes());
    let bundle = Descriptor::of("application/octet-stream", b"bundle");
    let listed = Descriptor::of(media_type::OCI_MANIFEST, signature.as_bytes());
    let document = |body: &str| answer(media_type::OCI_MANIFEST, body);
    serve(&server, "/v2/a/b/manifests/t".into(), document(&image)).await;
    serve(
        &server,
        format!("/v2/a/b/referrers/{digest}"),
        list(&[signature.as_str()]),
    )
    .await;
    serve(
        &server,
        format!("/v2/a/b/manifests/{}", listed.digest),
        document(&signature),
    )
    .await;
    serve(
        &server,
        format!("/v2/a/b/blobs/{}", bundle.digest),
        answer("application/octet-stream", "bundle"),
    )
    .await;
    let client = client();
    let reference = super::common::reference(&server, ":t");
    let image = client.resolve(&reference).await.unwrap();
    let found = client.referrers(image.reference()).await.unwrap();
    client
        .child(&repository.clone().into(), &found[0])
        .await
        .unwrap();
    client
        .blob(&repository.clone().into(), &bundle, 1024)
        .await
        .unwrap();
    assert_eq!(requests(&server).await.len(), 4);
}
