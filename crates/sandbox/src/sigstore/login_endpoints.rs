//! The endpoints by which a person logs in to the OIDC issuer: a fake, as the logins behind them are.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

use super::login::{CLIENT, DEVICE_GRANT, Form, LoginAnswer, OAuthError, USER_CODE};
use super::services::Services;

type Shared = State<Arc<Services>>;

/// The endpoints.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/auth", get(authorize))
        .route("/token", post(token))
        .route("/device/code", post(device))
}

/// Sends the person's browser back to the client at once.
async fn authorize(
    State(services): Shared,
    Query(request): Query<Form>,
) -> Result<Response, OAuthError> {
    let value = |name: &str| request.get(name).map(String::as_str);
    let scopes = value("scope").unwrap_or_default().split(' ');
    let asked_well = value("client_id") == Some(CLIENT)
        && value("response_type") == Some("code")
        && scopes.collect::<Vec<_>>() == ["openid", "email"];
    // As Dex allows it for public clients: a loopback address, and whatever port.
    let redirect = value("redirect_uri").and_then(|uri| Url::parse(uri).ok());
    let (true, Some(mut redirect)) = (asked_well, redirect) else {
        return Err(OAuthError("invalid_request"));
    };
    let (_, answer) = services.oidc.logins().person();
    let answered = match answer {
        LoginAnswer::Ignores => return Ok("Log in here.".into_response()),
        LoginAnswer::Denies => vec![
            ("error", "access_denied".to_owned()),
            ("error_description", "the person said no".to_owned()),
        ],
        _ => {
            let sent_to = Some(redirect.to_string());
            vec![("code", services.oidc.logins().code(&request, sent_to)?)]
        }
    };
    redirect.query_pairs_mut().extend_pairs(answered);
    if let Some(state) = value("state") {
        redirect.query_pairs_mut().append_pair("state", state);
    }
    let location = [(header::LOCATION, redirect.to_string())];
    Ok((StatusCode::SEE_OTHER, location).into_response())
}

/// Begins a login at another device.
async fn device(State(services): Shared, body: Bytes) -> Result<Json<Value>, OAuthError> {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT) {
        return Err(OAuthError("invalid_client"));
    }
    let code = services.oidc.logins().code(&form, None)?;
    let page = format!("{}/device", services.oidc.url());
    Ok(Json(json!({
        "device_code": code,
        "user_code": USER_CODE,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={USER_CODE}"),
        "expires_in": 300,
        "interval": 1,
    })))
}

/// Exchanges a code for the identity token.
async fn token(State(services): Shared, body: Bytes) -> Result<Json<Value>, OAuthError> {
    let form = form(&body);
    let value = |name: &str| form.get(name).map_or("", String::as_str);
    let logins = services.oidc.logins();
    let (email, answer) = logins.person();
    let code = match value("grant_type") {
        "authorization_code" => value("code"),
        DEVICE_GRANT => {
            let code = value("device_code");
            logins.pending(code, &answer)?;
            code
        }
        _ => return Err(OAuthError("unsupported_grant_type")),
    };
    let grant = logins.redeem(code, &form)?;
    let mut claims = json!({"nonce": grant.nonce});
    match (answer, claims.as_object_mut()) {
        (LoginAnswer::QuotesInsteadOfToken, _) => return Ok(Json(json!({"asked": form}))),
        (LoginAnswer::Claims(Value::Object(others)), Some(claims)) => claims.extend(others),
        _ => {}
    }
    let token = services.oidc.token(&email, services.now(), &claims);
    Ok(Json(json!({
        "access_token": "an access token that nobody needs",
        "token_type": "bearer",
        "expires_in": 600,
        "id_token": token,
    })))
}

fn form(body: &[u8]) -> Form {
    url::form_urlencoded::parse(body).into_owned().collect()
}
