//! The registry's behaviour by the OCI distribution specification, as a plain HTTP client sees it.

use countersign_oci::{Descriptor, Digest, Index, media_type};
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{Mounts, RegistryOptions, RegistryServer, Request};
use reqwest::{Client, Response, StatusCode};

async fn registry() -> RegistryServer {
    start(RegistryOptions::default()).await
}

async fn start(options: RegistryOptions) -> RegistryServer {
    RegistryServer::start(options).await.unwrap()
}

async fn get(registry: &RegistryServer, path: &str) -> Response {
    let url = format!("{}{path}", registry.origin());
    Client::new().get(url).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|v| v.to_str().unwrap())
}

async fn error_code(response: Response) -> String {
    let body: serde_json::Value = response.json().await.unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

fn image() -> Image {
    let layer = Layer::builder().file("app", "hello", 0o755);
    Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build()
}

#[tokio::test]
async fn ping_answers_and_is_written_down() {
    let registry = registry().await;
    assert_eq!(get(&registry, "/v2/").await.status(), StatusCode::OK);
    let lines: Vec<String> = registry.requests().iter().map(Request::line).collect();
    assert_eq!(lines, ["GET /v2/"]);
    registry.reset_requests();
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn manifests_are_served_by_tag_and_by_digest() {
    let registry = registry().await;
    let image = image();
    let digest = image.push(&registry, "team/app", Some("v1"));
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let response = get(&registry, &path).await;
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = header(&response, "content-type");
        assert_eq!(content_type, Some(media_type::OCI_MANIFEST));
        let named = header(&response, "docker-content-digest");
        assert_eq!(named, Some(digest.to_string().as_str()));
        assert_eq!(response.bytes().await.unwrap(), image.bytes());
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let registry = registry().await;
    let image = image();
    image.push(&registry, "app", Some("v1"));
    let url = format!("{}/v2/app/manifests/v1", registry.origin());
    let response = Client::new().head(url).send().await.unwrap();
    let length = image.bytes().len().to_string();
    assert_eq!(header(&response, "content-length"), Some(length.as_str()));
    assert_eq!(response.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_missing_has_the_specifications_codes() {
    let registry = registry().await;
    image().push(&registry, "app", Some("v1"));
    let absent = Digest::sha256(b"absent");
    for (path, code) in [
        ("/v2/app/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        ("/v2/nobody/manifests/v1".to_owned(), "NAME_UNKNOWN"),
        (format!("/v2/app/blobs/{absent}"), "BLOB_UNKNOWN"),
        ("/v2/nobody/tags/list".to_owned(), "NAME_UNKNOWN"),
    ] {
        let response = get(&registry, &path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(error_code(response).await, code, "{path}");
    }
    let response = get(&registry, "/v2/UPPER/tags/list").await;
    assert_eq!(error_code(response).await, "NAME_INVALID");
}

#[tokio::test]
async fn blobs_are_served_in_ranges() {
    let registry = registry().await;
    let digest = registry.put_blob("app", "0123456789");
    let url = format!("{}/v2/app/blobs/{digest}", registry.origin());
    let ranged = |range: &'static str, condition: Option<String>| {
        let mut request = Client::new().get(&url).header("range", range);
        if let Some(condition) = condition {
            request = request.header("if-range", condition);
        }
        async move { request.send().await.unwrap() }
    };
    for (range, covered, text) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=5-99", "bytes 5-9/10", "56789"),
    ] {
        let response = ranged(range, None).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(header(&response, "content-range"), Some(covered));
        assert_eq!(response.text().await.unwrap(), text);
    }
    let beyond = ranged("bytes=10-", None).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), Some("bytes */10"));
    let same = ranged("bytes=2-4", Some(format!("\"{digest}\""))).await;
    assert_eq!(same.status(), StatusCode::PARTIAL_CONTENT);
    let other = ranged("bytes=2-4", Some("\"other\"".into())).await;
    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(other.text().await.unwrap(), "0123456789");
}

#[tokio::test]
async fn blobs_are_uploaded_in_each_of_the_three_ways() {
    let registry = registry().await;
    let client = Client::new();
    let origin = registry.origin();
    let begin = |query: &str| client.post(format!("{origin}/v2/app/blobs/uploads/{query}"));
    let digest = |content: &str| Digest::sha256(content.as_bytes()).to_string();

    let at_once = begin(&format!("?digest={}", digest("at once")));
    let response = at_once.body("at once").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);

    let response = begin("").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = format!("{origin}{}", header(&response, "location").unwrap());
    let put = client.put(format!("{location}?digest={}", digest("put")));
    let response = put.body("put").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);

    let response = begin("").send().await.unwrap();
    let location = format!("{origin}{}", header(&response, "location").unwrap());
    for (range, chunk) in [("0-2", "in "), ("3-7", "parts")] {
        let patch = client.patch(&location).header("content-range", range);
        let response = patch.body(chunk).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
    }
    let out_of_order = client.patch(&location).header("content-range", "3-7");
    let response = out_of_order.body("parts").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&response, "range"), Some("0-7"));
    let put = client.put(format!("{location}?digest={}", digest("in parts")));
    let response = put.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);

    for content in ["at once", "put", "in parts"] {
        let digest = Digest::sha256(content.as_bytes());
        assert_eq!(registry.blob("app", &digest).unwrap(), content);
    }
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let registry = registry().await;
    let digest = registry.put_blob("other", "content");
    let url = format!("{}/v2/app/blobs/uploads/", registry.origin());
    let mount = Client::new().post(format!("{url}?mount={digest}&from=other"));
    assert_eq!(mount.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(registry.blob("app", &digest).unwrap(), "content");
}

#[tokio::test]
async fn a_mount_becomes_an_upload_where_nothing_is_mounted() {
    let options = RegistryOptions {
        mounts: Mounts::BecomeUploads,
        ..RegistryOptions::default()
    };
    let registry = RegistryServer::start(options).await.unwrap();
    let digest = registry.put_blob("other", "content");
    let url = format!("{}/v2/app/blobs/uploads/", registry.origin());
    let mount = Client::new().post(format!("{url}?mount={digest}&from=other"));
    let response = mount.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(header(&response, "location").is_some());
    assert_eq!(registry.blob("app", &digest), None);
}

#[tokio::test]
async fn an_upload_of_other_bytes_is_refused() {
    let registry = registry().await;
    let url = format!("{}/v2/app/blobs/uploads/", registry.origin());
    let digest = Digest::sha256(b"these");
    let upload = Client::new().post(format!("{url}?digest={digest}"));
    let response = upload.body("those").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(error_code(response).await, "DIGEST_INVALID");
    assert!(registry.blobs("app").is_empty());
}

async fn put_manifest(registry: &RegistryServer, reference: &str, image: &Image) -> Response {
    let url = format!("{}/v2/app/manifests/{reference}", registry.origin());
    Client::new()
        .put(url)
        .header("content-type", media_type::OCI_MANIFEST)
        .body(image.bytes().clone())
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_manifest_is_put_after_its_blobs_and_under_its_own_digest() {
    let registry = registry().await;
    let image = image();
    let early = put_manifest(&registry, "v1", &image).await;
    assert_eq!(early.status(), StatusCode::BAD_REQUEST);
    assert_eq!(error_code(early).await, "MANIFEST_BLOB_UNKNOWN");
    for blob in image.blobs() {
        registry.put_blob("app", blob.clone());
    }
    let wrong = put_manifest(&registry, &Digest::sha256(b"x").to_string(), &image).await;
    assert_eq!(error_code(wrong).await, "DIGEST_INVALID");
    let response = put_manifest(&registry, "v1", &image).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let digest = image.digest().to_string();
    assert_eq!(
        header(&response, "docker-content-digest"),
        Some(digest.as_str())
    );
    assert_eq!(registry.tagged("app", "v1"), Some(image.digest()));
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest_and_deleting_the_manifest_takes_its_tags() {
    let registry = registry().await;
    let image = image();
    let digest = image.push(&registry, "app", Some("v1"));
    registry.tag("app", "v2", &digest);
    let delete = |reference: String| {
        let url = format!("{}/v2/app/manifests/{reference}", registry.origin());
        async move { Client::new().delete(url).send().await.unwrap().status() }
    };
    assert_eq!(delete("v1".into()).await, StatusCode::ACCEPTED);
    assert_eq!(registry.tags("app"), ["v2"]);
    assert_eq!(delete(digest.to_string()).await, StatusCode::ACCEPTED);
    assert!(registry.tags("app").is_empty() && registry.manifests("app").is_empty());
    assert_eq!(delete(digest.to_string()).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn tags_come_in_pages() {
    let registry = registry().await;
    let digest = image().push(&registry, "app", None);
    for tag in ["c", "a", "b"] {
        registry.tag("app", tag, &digest);
    }
    let first = get(&registry, "/v2/app/tags/list?n=2").await;
    let link = "</v2/app/tags/list?n=2&last=b>; rel=\"next\"";
    assert_eq!(header(&first, "link"), Some(link));
    let body: serde_json::Value = first.json().await.unwrap();
    assert_eq!(body, serde_json::json!({"name": "app", "tags": ["a", "b"]}));
    let last = get(&registry, "/v2/app/tags/list?n=2&last=b").await;
    assert_eq!(header(&last, "link"), None);
    let body: serde_json::Value = last.json().await.unwrap();
    assert_eq!(body["tags"], serde_json::json!(["c"]));
}

fn referrer(subject: &Image, artifact_type: &str, content: &str) -> Image {
    Image::artifact(artifact_type)
        .subject(subject.descriptor())
        .layer("text/plain", content.to_owned())
        .annotation("content", content)
        .build()
}

async fn referrers(registry: &RegistryServer, path: &str) -> (Response, Vec<Descriptor>) {
    let url = format!("{}{path}", registry.origin());
    let response = Client::new().get(&url).send().await.unwrap();
    let bytes = get(registry, path).await.bytes().await.unwrap();
    let index: Index = serde_json::from_slice(&bytes).unwrap();
    (response, index.manifests)
}

#[tokio::test]
async fn referrers_are_listed_in_order_of_arrival_with_what_their_manifests_say() {
    let options = RegistryOptions {
        referrers_api: true,
        ..Default::default()
    };
    let registry = start(options).await;
    let image = image();
    image.push(&registry, "app", None);
    let path = format!("/v2/app/referrers/{}", image.digest());
    assert!(referrers(&registry, &path).await.1.is_empty());
    let first = referrer(&image, "text/z", "first");
    let legacy = Image::artifact("none")
        .subject(image.descriptor())
        .legacy_config("application/legacy", "{}")
        .build();
    first.push(&registry, "app", None);
    legacy.push(&registry, "app", None);
    let (response, listed) = referrers(&registry, &path).await;
    assert_eq!(
        header(&response, "content-type"),
        Some(media_type::OCI_INDEX)
    );
    let digests: Vec<&Digest> = listed.iter().map(|d| &d.digest).collect();
    assert_eq!(digests, [&first.digest(), &legacy.digest()]);
    assert_eq!(listed[0].artifact_type.as_deref(), Some("text/z"));
    assert_eq!(listed[0].annotations["content"], "first");
    let of_config = listed[1].artifact_type.as_deref();
    assert_eq!(of_config, Some("application/legacy"));
}

#[tokio::test]
async fn referrers_come_in_pages_and_filtered() {
    let options = RegistryOptions {
        referrers_api: true,
        page_size: Some(2),
        ..Default::default()
    };
    let registry = start(options).await;
    let image = image();
    image.push(&registry, "app", None);
    for (artifact_type, content) in [("text/a", "1"), ("text/b", "2"), ("text/a", "3")] {
        referrer(&image, artifact_type, content).push(&registry, "app", None);
    }
    let path = format!("/v2/app/referrers/{}", image.digest());
    let (first, listed) = referrers(&registry, &path).await;
    assert_eq!(listed.len(), 2);
    let link = format!("<{path}?after=2>; rel=\"next\"");
    assert_eq!(header(&first, "link"), Some(link.as_str()));
    let (last, listed) = referrers(&registry, &format!("{path}?after=2")).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(header(&last, "link"), None);

    let filtered = format!("{path}?artifactType=text%2Fa");
    let (response, listed) = referrers(&registry, &filtered).await;
    assert_eq!(listed.len(), 2);
    let applied = header(&response, "oci-filters-applied");
    assert_eq!(applied, Some("artifactType"));
}

#[tokio::test]
async fn without_the_referrers_api_nothing_of_it_shows() {
    let on = start(RegistryOptions {
        referrers_api: true,
        ..Default::default()
    });
    let (on, off) = (on.await, registry().await);
    let image = image();
    let signature = referrer(&image, "text/a", "1");
    let path = format!("/v2/app/referrers/{}", image.digest());
    for (registry, subject, status) in [
        (&on, Some(image.digest().to_string()), StatusCode::OK),
        (&off, None, StatusCode::NOT_FOUND),
    ] {
        for blob in image.blobs().iter().chain(signature.blobs()) {
            registry.put_blob("app", blob.clone());
        }
        let response = put_manifest(registry, &signature.digest().to_string(), &signature).await;
        assert_eq!(header(&response, "oci-subject"), subject.as_deref());
        assert_eq!(get(registry, &path).await.status(), status);
    }
}

#[tokio::test]
async fn an_index_is_put_after_its_children() {
    let registry = registry().await;
    let index = ImageIndex::new(vec![image()]);
    let put = || async {
        let url = format!("{}/v2/app/manifests/v1", registry.origin());
        let request = Client::new().put(url).body(index.bytes().clone());
        let request = request.header("content-type", media_type::OCI_INDEX);
        request.send().await.unwrap()
    };
    assert_eq!(error_code(put().await).await, "MANIFEST_BLOB_UNKNOWN");
    index.images()[0].push(&registry, "app", None);
    assert_eq!(put().await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let registry = registry().await;
    let repository = "what-no-other-test-has";
    image().push(&registry, repository, Some("v1"));
    let url = format!("{}/v2/{repository}/tags/list", registry.origin());
    let connected = Client::new();
    assert_eq!(connected.get(&url).send().await.unwrap().status(), 200);
    drop(registry);
    // Another test's registry may have the port by now. It doesn't have this repository.
    for client in [connected, Client::new()] {
        let answer = client.get(&url).send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 404));
    }
}
