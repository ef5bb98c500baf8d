//! Pushing referrers, to registries with and without the referrers API.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_oci::{
    Descriptor, Digest, Error, Index, ManifestError, Registry, Repository, media_type,
};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::common::{answer, client, entry, index, manifest, options, repository, requests};

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

fn referrer(remark: &str, artifact_type: Option<&str>) -> String {
    let mut json: serde_json::Value = serde_json::from_str(&manifest(remark)).unwrap();
    let subject = Descriptor::of(media_type::OCI_MANIFEST, b"subject");
    json["subject"] = serde_json::to_value(subject).unwrap();
    if let Some(artifact_type) = artifact_type {
        json["artifactType"] = artifact_type.into();
    }
    json.to_string()
}

fn tag_path() -> String {
    let tag = Digest::sha256(b"subject").referrers_tag();
    format!("/v2/a/b/manifests/{tag}")
}

async fn push_referrer(
    client: &Registry,
    repository: &Repository,
    body: &str,
) -> countersign_oci::Result<Digest> {
    let bytes = Bytes::from(body.to_owned());
    let pushed = client.push_referrer(repository, media_type::OCI_MANIFEST, bytes);
    pushed.await.map(|image| image.digest().clone())
}

#[tokio::test]
async fn a_registry_that_lists_the_referrer_is_left_to_it() {
    let server = MockServer::start().await;
    let subject = Digest::sha256(b"subject").to_string();
    Mock::given(method("PUT"))
        .respond_with(status(201).insert_header("oci-subject", subject))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(answer(media_type::OCI_INDEX, &index(&[])))
        .mount(&server)
        .await;
    let client = client();
    for remark in ["x", "y"] {
        push_referrer(&client, &repository(&server), &referrer(remark, None))
            .await
            .unwrap();
    }
    let methods = requests(&server).await;
    let methods = methods.iter().map(|line| line.split(' ').next().unwrap());
    // Whether there is such a list is asked once.
    assert_eq!(methods.collect::<Vec<_>>(), ["PUT", "GET", "PUT"]);
}

#[tokio::test]
async fn a_manifest_without_subject_is_no_referrer() {
    let server = MockServer::start().await;
    let error = push_referrer(&client(), &repository(&server), &manifest("x")).await;
    assert!(
        matches!(
            &error,
            Err(Error::Manifest {
                source: ManifestError::NoSubject,
                ..
            })
        ),
        "{error:?}"
    );
    assert!(requests(&server).await.is_empty());
}

/// The fallback tag of a registry. The first `lost` writes to it are overwritten by `rival` right
/// after they were made, as by another writer who had read the list before.
#[derive(Clone)]
struct Tag(Arc<Mutex<State>>);

struct State {
    content: Option<String>,
    rival: Option<String>,
    lost: usize,
}

impl Tag {
    async fn mount(server: &MockServer, content: Option<String>, lost: usize) -> Self {
        let rival = content.clone();
        let state = State {
            content,
            rival,
            lost,
        };
        let tag = Self(Arc::new(Mutex::new(state)));
        Mock::given(path(tag_path()))
            .respond_with(tag.clone())
            .with_priority(1)
            .mount(server)
            .await;
        Mock::given(method("PUT"))
            .and(path_regex("/v2/a/b/manifests/sha256:.*"))
            .respond_with(status(201))
            .mount(server)
            .await;
        tag
    }

    fn index(&self) -> Index {
        let state = self.0.lock().unwrap();
        serde_json::from_str(state.content.as_ref().unwrap()).unwrap()
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().content.clone().unwrap()
    }
}

impl Respond for Tag {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if request.method == "PUT" {
            if state.lost > 0 {
                state.lost -= 1;
                state.content = state.rival.clone();
            } else {
                let written = String::from_utf8(request.body.clone()).unwrap();
                state.content = Some(written);
            }
            return status(201);
        }
        match &state.content {
            Some(content) => answer(media_type::OCI_INDEX, content),
            None => status(404),
        }
    }
}

#[tokio::test]
async fn the_first_referrer_makes_the_list() {
    let server = MockServer::start().await;
    let tag = Tag::mount(&server, None, 0).await;
    let body = referrer("x", Some("application/x-signature"));
    let digest = push_referrer(&client(), &repository(&server), &body)
        .await
        .unwrap();
    let index = tag.index();
    assert_eq!(index.media_type.as_deref(), Some(media_type::OCI_INDEX));
    let [listed] = index.manifests.as_slice() else {
        panic!("{index:?}")
    };
    assert_eq!(listed.digest, digest);
    assert_eq!(listed.size, body.len() as u64);
    assert_eq!(listed.media_type, media_type::OCI_MANIFEST);
    assert_eq!(
        listed.artifact_type.as_deref(),
        Some("application/x-signature")
    );
    assert_eq!(listed.annotations["remark"], "x");
}

#[tokio::test]
async fn without_artifact_type_the_config_says_what_it_is() {
    let server = MockServer::start().await;
    let tag = Tag::mount(&server, None, 0).await;
    let body = referrer("x", None);
    push_referrer(&client(), &repository(&server), &body)
        .await
        .unwrap();
    let listed = &tag.index().manifests[0];
    assert_eq!(listed.artifact_type.as_deref(), Some(media_type::EMPTY));
}

#[tokio::test]
async fn what_others_listed_stays_as_it_is() {
    let server = MockServer::start().await;
    let odd = r#"{"mediaType":"x","digest":"blake3:00","size":1,"urls":["u"]}"#.to_owned();
    let before = index(&[odd.clone(), entry("other")]);
    let tag = Tag::mount(&server, Some(before), 0).await;
    let body = referrer("x", None);
    push_referrer(&client(), &repository(&server), &body)
        .await
        .unwrap();
    let text = tag.text();
    assert!(
        text.contains(&odd) && text.contains(&entry("other")),
        "{text}"
    );

    let digest = push_referrer(&client(), &repository(&server), &body).await;
    let times = tag.text().matches(&digest.unwrap().to_string()).count();
    assert_eq!(times, 1, "listed once, however often it is pushed");
}

#[tokio::test]
async fn an_entry_that_another_writer_overwrites_is_written_again() {
    let server = MockServer::start().await;
    let tag = Tag::mount(&server, None, 3).await;
    tag.0.lock().unwrap().rival = Some(index(&[entry("rival")]));
    let body = referrer("x", None);
    let ours = push_referrer(&client(), &repository(&server), &body)
        .await
        .unwrap();
    let listed: Vec<Digest> = tag
        .index()
        .manifests
        .into_iter()
        .map(|d| d.digest)
        .collect();
    assert_eq!(listed, [Digest::sha256(b"rival"), ours]);
}

#[tokio::test]
async fn writers_who_are_always_undone_give_up() {
    let server = MockServer::start().await;
    Tag::mount(&server, Some(index(&[])), 100).await;
    let mut options = options();
    options.retries.merge_rounds = 3;
    let client = Registry::new(options).unwrap();
    let error = push_referrer(&client, &repository(&server), &referrer("x", None)).await;
    assert!(
        matches!(error, Err(Error::Contended { rounds: 3, .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_image_at_the_fallback_tag_is_not_overwritten() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(tag_path()))
        .respond_with(answer(media_type::OCI_MANIFEST, &manifest("image")))
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .respond_with(status(201))
        .mount(&server)
        .await;
    let error = push_referrer(&client(), &repository(&server), &referrer("x", None)).await;
    assert!(
        matches!(
            &error,
            Err(Error::Manifest {
                source: ManifestError::NoIndex,
                ..
            })
        ),
        "{error:?}"
    );
}
