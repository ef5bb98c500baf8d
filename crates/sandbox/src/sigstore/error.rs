//! Why something could not be issued, and what a service answers then.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why the local Sigstore could not issue something.
///
/// Only what a test puts into a bundle specification can cause these, or a system
/// without randomness.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigstoreError {
    /// A key could not be made, read or used.
    #[error("the key can't be made or used")]
    Key(#[from] sigstore_crypto::Error),
    /// A certificate or timestamp can't be encoded from what was asked for.
    #[error("the certificate or timestamp can't be encoded")]
    Der(#[from] der::Error),
    /// A signed certificate timestamp can't be encoded.
    #[error("the signed certificate timestamp can't be encoded: {0:?}")]
    CertificateTimestamp(x509_cert::ext::pkix::sct::Error),
    /// JSON can't be written in its canonical form.
    #[error("the JSON has no canonical form")]
    Json(#[from] serde_json::Error),
    /// The time asked for can't stand in a certificate.
    #[error("expected a time between 1970 and 2049, found {found}")]
    Time {
        /// The time asked for.
        found: jiff::Timestamp,
    },
    /// TUF metadata has no canonical form.
    #[error("the TUF metadata has no canonical form")]
    Tuf(#[from] sigstore_tuf::Error),
    /// The bundle has nothing that the flaw could change, so it would be good.
    #[error("a bundle of this form can't have the flaw {0}")]
    Flaw(String),
    /// The system has no randomness.
    #[error("the system gave no randomness for a key or a serial number")]
    Randomness,
}

impl From<x509_cert::ext::pkix::sct::Error> for SigstoreError {
    fn from(error: x509_cert::ext::pkix::sct::Error) -> Self {
        Self::CertificateTimestamp(error)
    }
}

/// A service's refusal: the status and the message of its JSON answer.
#[derive(Debug)]
pub(super) struct ErrorAnswer {
    status: StatusCode,
    message: String,
    location: Option<String>,
}

impl ErrorAnswer {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            location: None,
        }
    }

    /// The request is malformed or proves nothing.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The same refusal with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The log has this entry already. Rekor v1 names it in the message and in a header.
    pub(super) fn duplicate(uuid: &str) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            message: format!(
                "an equivalent entry already exists in the transparency log with UUID {uuid}"
            ),
            location: Some(format!("/api/v1/log/entries/{uuid}")),
        }
    }
}

impl<E: Into<SigstoreError>> From<E> for ErrorAnswer {
    fn from(error: E) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{:?}", error.into()),
        )
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let body = json!({"code": self.status.as_u16(), "message": self.message});
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(location) = self.location.and_then(|location| location.parse().ok()) {
            response
                .headers_mut()
                .insert(axum::http::header::LOCATION, location);
        }
        response
    }
}
