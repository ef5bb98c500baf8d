//! The endpoints of the OCI distribution specification 1.1, over the [`Store`].
//!
//! Answers follow the specification. Where it allows a choice, they follow the stricter registries
//! (zot, distribution), so that a client that works here works there too. `Accept` is ignored.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, Index, Manifest, media_type};
use url::form_urlencoded;

use super::answer::{self, CONTENT_DIGEST, FILTERS_APPLIED, OCI_SUBJECT};
use super::call::{Call, RegistryBehaviour, parameter};
use super::route::Route;
use super::store::{Outline, Shelf, Store};
use super::upload;

/// Serves one request.
pub(super) fn serve(store: &mut Store, behaviour: RegistryBehaviour, call: &Call) -> Response {
    let method = call.method.as_str();
    match (call.route, method) {
        (Route::Ping, "GET" | "HEAD") => answer::json(
            StatusCode::OK,
            &serde_json::Value::Object(Default::default()),
        ),
        (Route::Manifest { name, reference }, "GET" | "HEAD") => {
            manifest(store, behaviour, name, reference)
        }
        (Route::Manifest { name, reference }, "PUT") => {
            put_manifest(store, behaviour, name, reference, call)
        }
        (Route::Manifest { name, reference }, "DELETE") => delete_manifest(store, name, reference),
        (Route::Blob { name, digest }, "GET" | "HEAD") => blob(store, name, digest, call.headers),
        (Route::Blob { name, digest }, "DELETE") => delete_blob(store, name, digest),
        (Route::Uploads { name }, "POST") => upload::begin(store, behaviour, name, call),
        (Route::Upload { name, id }, _) => upload::go_on(store, name, id, call),
        (Route::Tags { name }, "GET") => tags(store, name, call.query),
        (Route::Referrers { name, digest }, "GET") if behaviour.referrers_api => {
            referrers(store, behaviour, name, digest, call)
        }
        (Route::BadName, _) => {
            let message = "not a repository name";
            answer::error(StatusCode::BAD_REQUEST, "NAME_INVALID", message)
        }
        (Route::Unknown | Route::Token | Route::Referrers { .. }, _) => {
            answer::error(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such endpoint")
        }
        (route, method) => {
            tracing::debug!(?route, method, "method not allowed");
            let message = "method not allowed";
            answer::error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
        }
    }
}

fn manifest(store: &Store, behaviour: RegistryBehaviour, name: &str, reference: &str) -> Response {
    let shelf = match known(store, name) {
        Ok(shelf) => shelf,
        Err(response) => return *response,
    };
    let reference = behaviour.dashed_tags.reading(shelf, reference);
    let Some((digest, manifest)) = shelf.manifest(&reference) else {
        return answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", reference);
    };
    let mut response =
        answer::content(StatusCode::OK, &manifest.media_type, manifest.bytes.clone());
    answer::set(&mut response, CONTENT_DIGEST, digest);
    answer::set(&mut response, header::ETAG, format!("\"{digest}\""));
    response
}

fn put_manifest(
    store: &mut Store,
    behaviour: RegistryBehaviour,
    name: &str,
    reference: &str,
    call: &Call,
) -> Response {
    let invalid = |code, message: String| answer::error(StatusCode::BAD_REQUEST, code, message);
    let content_type = call.headers.get(header::CONTENT_TYPE);
    let Some(media_type) = content_type.and_then(|value| value.to_str().ok()) else {
        return invalid("MANIFEST_INVALID", "no Content-Type".into());
    };
    let outline: Outline = match serde_json::from_slice(&call.body) {
        Ok(outline) => outline,
        Err(error) => return invalid("MANIFEST_INVALID", error.to_string()),
    };
    let (digest, tag) = match reference.parse::<Digest>() {
        Ok(digest) if digest.matches(&call.body) => (digest, None),
        Ok(digest) => return invalid("DIGEST_INVALID", format!("the bytes are not {digest}")),
        Err(_) if reference.contains(':') => {
            return invalid("DIGEST_INVALID", reference.to_owned());
        }
        Err(_)
            if format!("localhost/a:{reference}")
                .parse::<countersign_oci::Reference>()
                .is_err() =>
        {
            return invalid("MANIFEST_INVALID", format!("`{reference}` is not a tag"));
        }
        Err(_) => (Digest::sha256(&call.body), Some(reference)),
    };
    let shelf = store.shelf_mut(name);
    let blobs = outline.config.iter().chain(&outline.layers);
    if let Some(missing) = blobs
        .map(|blob| &blob.digest)
        .find(|digest| !shelf.blobs.contains_key(digest))
    {
        let message = format!("push the blob {missing} first");
        return invalid("MANIFEST_BLOB_UNKNOWN", message);
    }
    let children = outline.manifests.iter().flatten();
    if let Some(missing) = children
        .map(|child| &child.digest)
        .find(|digest| !shelf.manifests.contains_key(digest))
    {
        let message = format!("push the manifest {missing} first");
        return invalid("MANIFEST_BLOB_UNKNOWN", message);
    }
    if let Some(tag) = tag {
        shelf.tags.insert(tag.to_owned(), digest.clone());
    }
    store.put_manifest(name, digest.clone(), media_type, call.body.clone());
    let mut response = answer::created(&format!("/v2/{name}/manifests/{digest}"), &digest);
    let listed = behaviour.referrers_api || behaviour.claims_subjects;
    if let Some(subject) = outline.subject.filter(|_| listed) {
        answer::set(&mut response, OCI_SUBJECT, subject.digest);
    }
    response
}

/// By tag, this removes the tag; by digest, the manifest and all its tags.
fn delete_manifest(store: &mut Store, name: &str, reference: &str) -> Response {
    let shelf = store.shelf_mut(name);
    let gone = match reference.parse::<Digest>() {
        Ok(digest) => {
            shelf.tags.retain(|_, tagged| *tagged != digest);
            shelf.manifests.remove(&digest).is_some()
        }
        Err(_) => shelf.tags.remove(reference).is_some(),
    };
    if gone {
        answer::empty(StatusCode::ACCEPTED)
    } else {
        answer::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", reference)
    }
}

fn blob(store: &Store, name: &str, digest: &str, headers: &HeaderMap) -> Response {
    let found = store.shelf(name).zip(digest.parse::<Digest>().ok());
    let Some(bytes) = found.and_then(|(shelf, digest)| shelf.blobs.get(&digest)) else {
        return answer::error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", digest);
    };
    let etag = format!("\"{digest}\"");
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A range is only served if `If-Range` names the same content (RFC 9110, 13.1.5).
    let range = text(header::RANGE)
        .filter(|_| text(header::IF_RANGE).is_none_or(|condition| condition == etag));
    let mut response = match range.map(|range| byte_range(range, bytes.len())) {
        None | Some(Range::Ignored) => answer::content(StatusCode::OK, OCTETS, bytes.clone()),
        Some(Range::Of(first, last)) => {
            let part = bytes.slice(first..=last);
            let mut response = answer::content(StatusCode::PARTIAL_CONTENT, OCTETS, part);
            let covered = format!("bytes {first}-{last}/{}", bytes.len());
            answer::set(&mut response, header::CONTENT_RANGE, covered);
            response
        }
        Some(Range::Unsatisfiable) => {
            let mut response = answer::empty(StatusCode::RANGE_NOT_SATISFIABLE);
            let length = format!("bytes */{}", bytes.len());
            answer::set(&mut response, header::CONTENT_RANGE, length);
            response
        }
    };
    answer::set(&mut response, header::ACCEPT_RANGES, "bytes");
    answer::set(&mut response, header::ETAG, etag);
    answer::set(&mut response, CONTENT_DIGEST, digest);
    response
}

const OCTETS: &str = "application/octet-stream";

enum Range {
    /// The first and the last byte, both included. Both exist.
    Of(usize, usize),
    Unsatisfiable,
    /// Several ranges, or another unit: the whole content is served.
    Ignored,
}

/// Reads `bytes=a-b`, `bytes=a-` and `bytes=-n` (RFC 9110, 14.1.2).
fn byte_range(value: &str, length: usize) -> Range {
    let Some((first, last)) = value
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Range::Ignored;
    };
    let end = length.checked_sub(1);
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, end.map(|end| last.min(end))),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), end),
        _ => return Range::Ignored,
    };
    match last {
        Some(last) if first <= last => Range::Of(first, last),
        _ => Range::Unsatisfiable,
    }
}

fn delete_blob(store: &mut Store, name: &str, digest: &str) -> Response {
    let parsed = digest.parse::<Digest>().ok();
    match parsed.and_then(|digest| store.shelf_mut(name).blobs.remove(&digest)) {
        Some(_) => answer::empty(StatusCode::ACCEPTED),
        None => answer::error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", digest),
    }
}

fn tags(store: &Store, name: &str, query: &str) -> Response {
    let shelf = match known(store, name) {
        Ok(shelf) => shelf,
        Err(response) => return *response,
    };
    let last = parameter(query, "last").unwrap_or_default();
    let count = parameter(query, "n").and_then(|n| n.parse().ok());
    let count = count.unwrap_or(usize::MAX);
    let mut rest = shelf.tags.keys().filter(|tag| **tag > last).peekable();
    let page: Vec<&String> = rest.by_ref().take(count).collect();
    let body = serde_json::json!({"name": name, "tags": page});
    let mut response = answer::json(StatusCode::OK, &body);
    if let (Some(_), Some(last)) = (rest.peek(), page.last()) {
        let link = format!("</v2/{name}/tags/list?n={count}&last={last}>; rel=\"next\"");
        answer::set(&mut response, header::LINK, link);
    }
    response
}

/// The parameter `after` selects a page: it is the number of referrers before the page.
fn referrers(
    store: &Store,
    behaviour: RegistryBehaviour,
    name: &str,
    subject: &str,
    call: &Call,
) -> Response {
    let Ok(digest) = subject.parse::<Digest>() else {
        return answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", subject);
    };
    let mut listed = store
        .shelf(name)
        .map(|shelf| shelf.referrers(&digest))
        .unwrap_or_default();
    let filter = parameter(call.query, "artifactType");
    if let Some(wanted) = &filter {
        listed.retain(|referrer| referrer.artifact_type.as_ref() == Some(wanted));
    }
    let after: usize = parameter(call.query, "after")
        .and_then(|after| after.parse().ok())
        .unwrap_or_default();
    let size = behaviour.page_size.unwrap_or(usize::MAX);
    let next = after.saturating_add(size);
    let more = next < listed.len();
    let page: Vec<Descriptor> = listed.into_iter().skip(after).take(size).collect();
    let bytes = index_of(&page);
    let mut response = answer::content(StatusCode::OK, media_type::OCI_INDEX, bytes);
    if filter.is_some() {
        answer::set(&mut response, FILTERS_APPLIED, "artifactType");
    }
    if more {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        parameters.append_pair("after", &next.to_string());
        if let Some(filter) = &filter {
            parameters.append_pair("artifactType", filter);
        }
        let link = format!("<{}?{}>; rel=\"next\"", call.path, parameters.finish());
        answer::set(&mut response, header::LINK, link);
    }
    response
}

/// Stores under a tag the document `old` with `entry` added, like a client that ignores other clients: to its
/// layers, if it is a manifest, and else to its manifests.
pub(super) fn append_to_tag(
    store: &mut Store,
    name: &str,
    tag: &str,
    old: Option<Bytes>,
    entry: Descriptor,
) {
    let old = old.unwrap_or_default();
    let (media_type, bytes) = match serde_json::from_slice::<Manifest>(&old) {
        Ok(mut manifest) => {
            manifest.layers.push(entry);
            let bytes = serde_json::json!(manifest).to_string();
            (media_type::OCI_MANIFEST, bytes.into())
        }
        Err(_) => {
            let index: Option<Index> = serde_json::from_slice(&old).ok();
            let mut entries = index.map(|index| index.manifests).unwrap_or_default();
            entries.push(entry);
            (media_type::OCI_INDEX, index_of(&entries))
        }
    };
    let digest = Digest::sha256(&bytes);
    let shelf = store.shelf_mut(name);
    shelf.tags.insert(tag.to_owned(), digest.clone());
    store.put_manifest(name, digest, media_type, bytes);
}

/// The bytes that a tag names.
pub(super) fn tagged(store: &Store, name: &str, tag: &str) -> Option<Bytes> {
    let (_, manifest) = store.shelf(name)?.manifest(tag)?;
    Some(manifest.bytes.clone())
}

fn index_of(manifests: &[Descriptor]) -> Bytes {
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": manifests,
    });
    index.to_string().into()
}

fn known<'a>(store: &'a Store, name: &str) -> Result<&'a Shelf, Box<Response>> {
    store
        .shelf(name)
        .ok_or_else(|| Box::new(answer::error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", name)))
}
