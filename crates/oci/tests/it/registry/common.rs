//! What the tests of the registry client share.

use std::time::Duration;

use countersign_oci::{
    Descriptor, Digest, Error, Options, PinnedReference, Reference, Registry, Repository, Retries,
    http::RedirectRefused, media_type,
};
use wiremock::{MockServer, ResponseTemplate};

/// Options that don't make tests wait.
pub(crate) fn options() -> Options {
    Options {
        retries: Retries {
            pause: Duration::from_millis(1),
            ..Retries::default()
        },
        ..Options::default()
    }
}

pub(crate) fn client() -> Registry {
    Registry::new(options()).unwrap()
}

pub(crate) fn repository(server: &MockServer) -> Repository {
    format!("{}/a/b", server.address()).parse().unwrap()
}

pub(crate) fn reference(server: &MockServer, rest: &str) -> Reference {
    format!("{}/a/b{rest}", server.address()).parse().unwrap()
}

pub(crate) fn pinned(server: &MockServer, bytes: &[u8]) -> PinnedReference {
    repository(server).at(Digest::sha256(bytes))
}

/// An image manifest of no layers, told from others by `remark`.
pub(crate) fn manifest(remark: &str) -> String {
    let config = serde_json::to_string(&Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[],"annotations":{{"remark":"{remark}"}}}}"#,
        media_type::OCI_MANIFEST
    )
}

/// An index of `entries`, each a descriptor in JSON.
pub(crate) fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
        media_type::OCI_INDEX,
        entries.join(",")
    )
}

pub(crate) fn entry(bytes: &str) -> String {
    serde_json::to_string(&Descriptor::of(media_type::OCI_MANIFEST, bytes.as_bytes())).unwrap()
}

pub(crate) fn answer(content_type: &str, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.as_bytes(), content_type)
}

/// The requests that a server got: method and path, with the query if there is one.
pub(crate) async fn requests(server: &MockServer) -> Vec<String> {
    let received = server.received_requests().await.unwrap();
    let lines = received.iter().map(|request| {
        let query = request.url.query().map(|q| format!("?{q}"));
        format!(
            "{} {}{}",
            request.method,
            request.url.path(),
            query.unwrap_or_default()
        )
    });
    lines.collect()
}

/// An error with all its causes, as a person would see it, and as `Debug` has it.
pub(crate) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("\n{inner}\n{inner:?}"));
        cause = inner.source();
    }
    text
}

/// Where a way on that isn't followed leads, and why it isn't.
pub(crate) fn not_followed(error: Error) -> (String, RedirectRefused) {
    match error {
        Error::Redirect { to, reason, .. } => (to, reason),
        other => panic!("{other:?}"),
    }
}
