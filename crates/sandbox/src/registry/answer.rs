//! Answers in the specification's forms.

use std::fmt::Display;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use countersign_oci::Digest;

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer with a body whose type is `media_type`.
pub(super) fn content(status: StatusCode, media_type: &str, bytes: Bytes) -> Response {
    let length = bytes.len();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, media_type);
    set(&mut response, header::CONTENT_LENGTH, length);
    response
}

/// A JSON document.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    content(status, "application/json", value.to_string().into())
}

/// An error body ("Error Codes"): one of the specification's codes and a message.
pub(super) fn error(status: StatusCode, code: &str, message: impl Display) -> Response {
    let message = message.to_string();
    json(
        status,
        &serde_json::json!({"errors": [{"code": code, "message": message}]}),
    )
}

/// The answer that `digest` was stored at `location`.
pub(super) fn created(location: &str, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, header::LOCATION, location);
    set(&mut response, CONTENT_DIGEST, digest);
    response
}

/// Sets a header, or replaces it. A value that a header can't hold is left out.
pub(super) fn set(response: &mut Response, name: HeaderName, value: impl Display) {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        response.headers_mut().insert(name, value);
    }
}

/// `Docker-Content-Digest`.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `OCI-Subject`.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Filters-Applied`.
pub(super) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// `Docker-Upload-UUID`.
pub(super) const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
