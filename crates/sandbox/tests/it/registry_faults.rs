//! The registry's misbehaviour, fault by fault.

use std::time::Duration;

use countersign_oci::{Descriptor, Digest, Index, media_type};
use countersign_sandbox::{Effect, Fault, Moment, RegistryOptions, RegistryServer};
use futures_util::FutureExt as _;
use reqwest::{Client, Response};

const MANIFEST: &str = "GET /v2/app/manifests/v1";

/// A registry with the manifest `{}` at `app:v1`, which does `effect` when that is read.
async fn with(effect: Effect) -> RegistryServer {
    let options = RegistryOptions {
        faults: vec![Fault::on(MANIFEST, effect)],
        ..Default::default()
    };
    let registry = RegistryServer::start(options).await.unwrap();
    registry.put_manifest("app", media_type::OCI_MANIFEST, "{}", Some("v1"));
    registry
}

fn url(registry: &RegistryServer) -> String {
    format!("{}/v2/app/manifests/v1", registry.origin())
}

async fn read(registry: &RegistryServer) -> Response {
    Client::new().get(url(registry)).send().await.unwrap()
}

#[tokio::test]
async fn a_status_with_its_headers_a_number_of_times() {
    let registry = with(Effect::ContentType("never/reached".into())).await;
    registry.clear_faults();
    let fault = Fault::on(MANIFEST, Effect::too_many_requests(7));
    registry.add_fault(fault.times(1));
    let first = read(&registry).await;
    assert_eq!(first.status(), 429);
    assert_eq!(first.headers()["retry-after"], "7");
    let body: serde_json::Value = first.json().await.unwrap();
    assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(read(&registry).await.status(), 200);
}

#[tokio::test]
async fn a_replaced_body_under_the_same_headers() {
    let registry = with(Effect::Body("[]".into())).await;
    let response = read(&registry).await;
    let digest = Digest::sha256(b"{}").to_string();
    assert_eq!(response.headers()["docker-content-digest"], digest.as_str());
    assert_eq!(response.text().await.unwrap(), "[]");
}

#[tokio::test]
async fn a_truncated_body_keeps_its_length_and_its_first_bytes() {
    let registry = with(Effect::Truncate { after: 1 }).await;
    let mut response = read(&registry).await;
    assert_eq!(response.content_length(), Some(2));
    assert_eq!(response.chunk().await.unwrap().unwrap(), "{");
    assert!(response.chunk().await.is_err(), "the connection is cut");
}

#[tokio::test]
async fn one_other_byte_of_the_same_length() {
    for (at, found) in [(0, vec![0x84, b'}']), (9, vec![b'{', 0x82])] {
        let registry = with(Effect::Corrupt { at }).await;
        assert_eq!(read(&registry).await.bytes().await.unwrap(), found);
    }
}

#[tokio::test]
async fn a_body_that_drips_comes_whole() {
    let pause = Duration::from_millis(20);
    let registry = with(Effect::Drip { piece: 1, pause }).await;
    let asked = std::time::Instant::now();
    assert_eq!(read(&registry).await.text().await.unwrap(), "{}");
    assert!(asked.elapsed() >= 2 * pause);
}

#[tokio::test]
async fn a_header_that_lies_and_a_range_that_is_not_served() {
    let registry = with(Effect::Header {
        name: "etag",
        value: "\"other\"".into(),
    })
    .await;
    assert_eq!(read(&registry).await.headers()["etag"], "\"other\"");
    let digest = registry.put_blob("app", "blob");
    let url = format!("{}/v2/app/blobs/{digest}", registry.origin());
    let part = || Client::new().get(&url).header("range", "bytes=1-");
    assert_eq!(part().send().await.unwrap().text().await.unwrap(), "lob");
    registry.add_fault(Fault::on("GET /v2/app/blobs/*", Effect::IgnoreRange));
    let response = part().send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "blob");
}

#[tokio::test]
async fn a_closed_connection_gives_no_answer_and_says_nothing_of_what_was_stored() {
    let registry = RegistryServer::start(RegistryOptions::default())
        .await
        .unwrap();
    for (moment, stored) in [(Moment::BeforeServing, 0), (Moment::AfterServing, 1)] {
        registry.add_fault(Fault::on("* /v2/*", Effect::Disconnect(moment)).times(2));
        let client = Client::new();
        let put = client.put(url(&registry)).body("{}");
        let put = put
            .header("content-type", media_type::OCI_INDEX)
            .send()
            .await;
        assert!(put.unwrap_err().is_request(), "{moment:?}");
        // A HEAD has no body that could break off.
        let head = client.head(url(&registry)).send().await;
        assert!(head.unwrap_err().is_request(), "{moment:?}");
        assert_eq!(registry.manifests("app").len(), stored, "{moment:?}");
        registry.clear_faults();
    }
    assert_eq!(read(&registry).await.status(), 200, "others are served");
}

#[tokio::test]
async fn a_late_answer_is_whole() {
    let late = Duration::from_millis(50);
    let registry = with(Effect::Delay(late)).await;
    let started = std::time::Instant::now();
    assert_eq!(read(&registry).await.text().await.unwrap(), "{}");
    assert!(started.elapsed() >= late);
}

#[tokio::test]
async fn a_stalled_body_gives_its_first_bytes_and_no_more() {
    let registry = with(Effect::Stall { after: 1 }).await;
    let mut response = read(&registry).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "{");
    // The server serves another request meanwhile. Whatever it would send after the first byte, it has sent then.
    let mut other = read(&registry).await;
    assert_eq!(other.chunk().await.unwrap().unwrap(), "{");
    let more = response.chunk().now_or_never();
    assert!(more.is_none(), "nothing comes: {more:?}");
    drop(registry);
    assert!(response.chunk().await.is_err(), "the connection is cut");
}

#[tokio::test]
async fn an_endless_body_goes_on() {
    let registry = with(Effect::Endless).await;
    let mut response = read(&registry).await;
    assert_eq!(response.content_length(), None);
    let mut received = Vec::new();
    while received.len() < 1 << 20 {
        received.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    assert!(received.starts_with(b"{}  "));
}

#[tokio::test]
async fn a_redirect_to_another_host_keeps_path_and_query() {
    let other = with(Effect::Body("[]".into())).await;
    let registry = with(Effect::Redirect(other.origin())).await;
    let response = Client::new()
        .get(format!("{}?a=b", url(&registry)))
        .send()
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "[]");
    let seen = other.requests();
    assert_eq!(
        (seen[0].line().as_str(), seen[0].query.as_str()),
        (MANIFEST, "a=b")
    );
}

#[tokio::test]
async fn an_html_login_page_with_200() {
    let registry = with(Effect::HtmlLogin).await;
    let response = read(&registry).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(response.text().await.unwrap().contains("log in"));
}

#[tokio::test]
async fn lying_headers_over_a_true_body() {
    let lie = Digest::sha256(b"another").to_string();
    let registry = with(Effect::ContentDigest(lie.clone())).await;
    let response = read(&registry).await;
    assert_eq!(response.headers()["docker-content-digest"], lie.as_str());
    assert_eq!(response.text().await.unwrap(), "{}");

    let registry = with(Effect::ContentType("text/plain".into())).await;
    let response = read(&registry).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.text().await.unwrap(), "{}");
}

#[tokio::test]
async fn a_moving_tag_answers_in_turn() {
    let (first, second) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
    let registry = with(Effect::Manifests(vec![first, second])).await;
    for body in ["1", "2"] {
        registry.put_manifest("app", media_type::OCI_MANIFEST, body, None);
    }
    for expected in ["1", "2", "1"] {
        let response = read(&registry).await;
        let digest = Digest::sha256(expected.as_bytes()).to_string();
        assert_eq!(response.headers()["docker-content-digest"], digest.as_str());
        assert_eq!(response.text().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_referrers_page_that_links_to_itself() {
    let registry = RegistryServer::start(RegistryOptions {
        referrers_api: true,
        faults: vec![Fault::on("GET /v2/app/referrers/*", Effect::LinkToItself)],
        ..Default::default()
    })
    .await
    .unwrap();
    let path = format!("/v2/app/referrers/{}", Digest::sha256(b"{}"));
    let page = Client::new().get(format!("{}{path}", registry.origin()));
    let response = page.send().await.unwrap();
    let link = format!("<{path}>; rel=\"next\"");
    assert_eq!(response.headers()["link"], link.as_str());
}

#[tokio::test]
async fn faults_added_earlier_go_first() {
    let registry = with(Effect::status(500)).await;
    registry.add_fault(Fault::on("* /v2/*", Effect::status(503)));
    assert_eq!(read(&registry).await.status(), 500);
    let ping = format!("{}/v2/", registry.origin());
    let response = Client::new().get(ping).send().await.unwrap();
    assert_eq!(response.status(), 503);
}

fn entry(content: &[u8]) -> Descriptor {
    Descriptor::of(media_type::OCI_MANIFEST, content)
}

fn index(entries: &[&Descriptor]) -> String {
    serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string()
}

/// The entries of the index at a tag, as the registry now has it.
fn entries(registry: &RegistryServer, tag: &str) -> Vec<Descriptor> {
    let (_, bytes) = registry.manifest("app", tag).unwrap();
    serde_json::from_slice::<Index>(&bytes).unwrap().manifests
}

#[tokio::test]
async fn another_writer_comes_between_our_read_and_our_write() {
    let (old, theirs) = (entry(b"old"), entry(b"theirs"));
    let registry = with(Effect::WriteAfterRead(theirs.clone())).await;
    registry.put_manifest("app", media_type::OCI_INDEX, index(&[&old]), Some("v1"));
    let read = read(&registry).await.text().await.unwrap();
    assert_eq!(read, index(&[&old]));
    assert_eq!(entries(&registry, "v1"), [old, theirs]);
}

#[tokio::test]
async fn another_writer_overwrites_what_we_put() {
    let (old, ours, theirs) = (entry(b"old"), entry(b"ours"), entry(b"theirs"));
    let registry = with(Effect::status(500)).await;
    registry.clear_faults();
    for entry in [&b"old"[..], b"ours"] {
        registry.put_manifest("app", media_type::OCI_MANIFEST, entry.to_vec(), None);
    }
    registry.put_manifest("app", media_type::OCI_INDEX, index(&[&old]), Some("v1"));
    let lost = Effect::LostUpdate(theirs.clone());
    registry.add_fault(Fault::on("PUT /v2/app/manifests/v1", lost).times(1));
    let put = Client::new()
        .put(url(&registry))
        .header("content-type", media_type::OCI_INDEX)
        .body(index(&[&old, &ours]));
    assert_eq!(put.send().await.unwrap().status(), 201);
    assert_eq!(entries(&registry, "v1"), [old, theirs]);
}
