//! The services' HTTP interfaces.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ErrorAnswer;
use super::fulcio::{LegacyRequest, SigningCertificateRequest};
use super::http::Service;
use super::keys::pem;
use super::login_endpoints;
use super::rekor_v2::EntryRequest;
use super::services::Services;

/// Where the OIDC issuer hands out tokens to jobs.
pub(super) const IDENTITY_TOKEN: &str = "/job/token";

type Shared = State<Arc<Services>>;

/// The interface of a service.
pub(super) fn router(service: Service, services: Arc<Services>) -> Router {
    match service {
        Service::Oidc => oidc(services),
        Service::Fulcio => fulcio(services),
        Service::RekorV1 => rekor_v1(services),
        Service::RekorV2 => rekor_v2(services),
        Service::TimestampAuthority => timestamp_authority(services),
        Service::Tuf => tuf(services),
    }
}

/// OpenID Connect discovery.
fn oidc(services: Arc<Services>) -> Router {
    Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(|State(services): Shared| async move { Json(services.oidc.discovery()) }),
        )
        .route(
            "/keys",
            get(|State(services): Shared| async move { Json(services.oidc.keys()) }),
        )
        .route(IDENTITY_TOKEN, get(identity_token))
        .merge(login_endpoints::routes())
        .with_state(services)
}

#[derive(Deserialize)]
struct TokenRequest {
    identity: String,
    audience: String,
}

/// As GitHub Actions hands out tokens.
async fn identity_token(
    State(services): Shared,
    headers: HeaderMap,
    Query(request): Query<TokenRequest>,
) -> Result<Json<Value>, ErrorAnswer> {
    if bearer(&headers) != Some(services.oidc.bearer()) {
        return Err(ErrorAnswer::new(
            StatusCode::UNAUTHORIZED,
            "expected the job's token",
        ));
    }
    let audience = json!({"aud": request.audience});
    let token = services
        .oidc
        .token(&request.identity, services.now(), &audience);
    Ok(Json(json!({"value": token})))
}

/// Fulcio v1 and v2.
fn fulcio(services: Arc<Services>) -> Router {
    Router::new()
        .route("/api/v2/signingCert", post(signing_certificate))
        .route("/api/v1/signingCert", post(legacy_signing_certificate))
        .route(
            "/api/v2/trustBundle",
            get(|State(services): Shared| async move { Json(services.fulcio.trust_bundle()) }),
        )
        .route(
            "/api/v2/configuration",
            get(|State(services): Shared| async move {
                Json(services.fulcio.configuration(&services.oidc))
            }),
        )
        .with_state(services)
}

async fn signing_certificate(
    State(services): Shared,
    headers: HeaderMap,
    Json(request): Json<SigningCertificateRequest>,
) -> Result<Json<Value>, ErrorAnswer> {
    let now = services.now();
    let answer =
        services
            .fulcio
            .signing_certificate(&services.oidc, bearer(&headers), &request, now)?;
    Ok(Json(answer))
}

async fn legacy_signing_certificate(
    State(services): Shared,
    headers: HeaderMap,
    Json(request): Json<LegacyRequest>,
) -> Result<Response, ErrorAnswer> {
    let now = services.now();
    let chain = services.fulcio.legacy_signing_certificate(
        &services.oidc,
        bearer(&headers),
        &request,
        now,
    )?;
    let content_type = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    Ok((StatusCode::CREATED, content_type, chain).into_response())
}

/// The token of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    value.to_str().ok()?.strip_prefix("Bearer ")
}

/// Rekor v1.
fn rekor_v1(services: Arc<Services>) -> Router {
    Router::new()
        .route("/api/v1/log/entries", post(add_entry).get(entry_by_index))
        .route("/api/v1/log/entries/{uuid}", get(entry_by_uuid))
        .route(
            "/api/v1/log",
            get(|State(services): Shared| async move { Json(services.rekor_v1.head()) }),
        )
        .route(
            "/api/v1/log/publicKey",
            get(|State(services): Shared| async move {
                let content_type = [(header::CONTENT_TYPE, "application/x-pem-file")];
                (content_type, services.rekor_v1.key().pem())
            }),
        )
        .with_state(services)
}

async fn add_entry(
    State(services): Shared,
    Json(proposal): Json<Value>,
) -> Result<Response, ErrorAnswer> {
    let entry = services.rekor_v1.add(&proposal, services.now())?;
    let uuid = services.rekor_v1.uuid(&entry.body);
    // Rekor's Go client finds its entry in the answer by the ETag.
    let headers = [
        (header::LOCATION, format!("/api/v1/log/entries/{uuid}")),
        (header::ETAG, uuid),
    ];
    let answer = Json(services.rekor_v1.answer(&entry));
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexQuery {
    log_index: usize,
}

async fn entry_by_index(
    State(services): Shared,
    Query(query): Query<IndexQuery>,
) -> Result<Json<Value>, ErrorAnswer> {
    entry(&services, query.log_index)
}

async fn entry_by_uuid(
    State(services): Shared,
    Path(uuid): Path<String>,
) -> Result<Json<Value>, ErrorAnswer> {
    let index = services.rekor_v1.index_of(&uuid).ok_or_else(not_found)?;
    entry(&services, index)
}

fn entry(services: &Services, index: usize) -> Result<Json<Value>, ErrorAnswer> {
    let entry = services.rekor_v1.entry(index)?.ok_or_else(not_found)?;
    Ok(Json(services.rekor_v1.answer(&entry)))
}

fn not_found() -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::NOT_FOUND, "there is no such thing here")
}

/// Rekor v2.
fn rekor_v2(services: Arc<Services>) -> Router {
    Router::new()
        .route("/api/v2/log/entries", post(add_entry_v2))
        .route(
            "/api/v2/checkpoint",
            get(|State(services): Shared| async move { services.rekor_v2.head() }),
        )
        .with_state(services)
}

async fn add_entry_v2(
    State(services): Shared,
    Json(request): Json<EntryRequest>,
) -> Result<Response, ErrorAnswer> {
    let entry = services.rekor_v2.add(&request)?.transparency_log_entry();
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

/// The timestamp authority.
fn timestamp_authority(services: Arc<Services>) -> Router {
    Router::new()
        .route("/api/v1/timestamp", post(timestamp))
        .route(
            "/api/v1/timestamp/certchain",
            get(|State(services): Shared| async move {
                let authority = &services.timestamp_authority;
                let leaf = std::iter::once(authority.certificate());
                let chain = authority.authority().chain().iter().map(Vec::as_slice);
                let chain: String = leaf
                    .chain(chain)
                    .map(|der| pem("CERTIFICATE", der))
                    .collect();
                (
                    [(header::CONTENT_TYPE, "application/pem-certificate-chain")],
                    chain,
                )
            }),
        )
        .with_state(services)
}

async fn timestamp(State(services): Shared, request: Bytes) -> Result<Response, ErrorAnswer> {
    let authority = &services.timestamp_authority;
    let answer = authority.answer(&request, services.now())?;
    let content_type = [(header::CONTENT_TYPE, "application/timestamp-reply")];
    Ok((StatusCode::CREATED, content_type, answer).into_response())
}

/// The TUF repository.
fn tuf(services: Arc<Services>) -> Router {
    Router::new()
        .route("/{*path}", get(tuf_file))
        .with_state(services)
}

async fn tuf_file(
    State(services): Shared,
    Path(path): Path<String>,
) -> Result<Response, ErrorAnswer> {
    let file = services.tuf.file(&path, services.now())?;
    Ok(file.ok_or_else(not_found)?.into_response())
}
