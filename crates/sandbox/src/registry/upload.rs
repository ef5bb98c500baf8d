//! Uploads of blobs: in one request, in one piece after an opening request, or in chunks ("Pushing
//! Blobs"). A blob is stored once all its bytes came and have the digest that the client named.

use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use countersign_oci::Digest;

use super::answer::{self, UPLOAD_ID};
use super::call::{Call, Mounts, RegistryBehaviour, parameter};
use super::store::Store;

pub(super) fn begin(
    store: &mut Store,
    behaviour: RegistryBehaviour,
    name: &str,
    call: &Call,
) -> Response {
    if let Some((digest, bytes)) = mountable(store, behaviour, call) {
        let blobs = &mut store.shelf_mut(name).blobs;
        blobs.insert(digest.clone(), bytes);
        return answer::created(&format!("/v2/{name}/blobs/{digest}"), &digest);
    }
    match parameter(call.query, "digest") {
        Some(digest) => finish(store, name, &digest, call.body.to_vec()),
        None => {
            let id = store.begin_upload(name, call.body.to_vec());
            progress(StatusCode::ACCEPTED, name, &id, call.body.len())
        }
    }
}

/// The requested blob of another repository ("Mounting a blob from another repository").
fn mountable(store: &Store, behaviour: RegistryBehaviour, call: &Call) -> Option<(Digest, Bytes)> {
    let digest: Digest = parameter(call.query, "mount")?.parse().ok()?;
    let from = parameter(call.query, "from")?;
    let bytes = store.shelf(&from)?.blobs.get(&digest)?.clone();
    (behaviour.mounts == Mounts::Served).then_some((digest, bytes))
}

pub(super) fn go_on(store: &mut Store, name: &str, id: &str, call: &Call) -> Response {
    let Some(received) = store.shelf_mut(name).uploads.get_mut(id) else {
        return answer::error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", id);
    };
    let content_range = call.headers.get(header::CONTENT_RANGE);
    let start = content_range.and_then(|value| {
        value
            .to_str()
            .ok()?
            .split('-')
            .next()?
            .parse::<usize>()
            .ok()
    });
    match call.method.as_str() {
        "GET" => progress(StatusCode::NO_CONTENT, name, id, received.len()),
        "PATCH" | "PUT" if start.is_some_and(|start| start != received.len()) => {
            progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, received.len())
        }
        "PATCH" => {
            received.extend_from_slice(&call.body);
            progress(StatusCode::ACCEPTED, name, id, received.len())
        }
        "PUT" => {
            let Some(digest) = parameter(call.query, "digest") else {
                let message = "no digest parameter";
                return answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message);
            };
            let mut bytes = std::mem::take(received);
            bytes.extend_from_slice(&call.body);
            store.shelf_mut(name).uploads.remove(id);
            finish(store, name, &digest, bytes)
        }
        "DELETE" => {
            store.shelf_mut(name).uploads.remove(id);
            answer::empty(StatusCode::NO_CONTENT)
        }
        _ => answer::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "method not allowed",
        ),
    }
}

fn finish(store: &mut Store, name: &str, digest: &str, bytes: Vec<u8>) -> Response {
    match digest.parse::<Digest>() {
        Ok(digest) if digest.matches(&bytes) => {
            let blobs = &mut store.shelf_mut(name).blobs;
            blobs.insert(digest.clone(), bytes.into());
            answer::created(&format!("/v2/{name}/blobs/{digest}"), &digest)
        }
        _ => answer::error(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            format!("{} bytes of {}", bytes.len(), Digest::sha256(&bytes)),
        ),
    }
}

/// An answer with an upload's progress.
fn progress(status: StatusCode, name: &str, id: &str, length: usize) -> Response {
    let mut response = answer::empty(status);
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    answer::set(&mut response, header::LOCATION, location);
    let last = length.saturating_sub(1);
    answer::set(&mut response, header::RANGE, format!("0-{last}"));
    answer::set(&mut response, UPLOAD_ID, id);
    response
}
