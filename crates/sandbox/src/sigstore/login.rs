//! A person who logs in to the OIDC issuer: a fake.
//!
//! No page asks for a password, and nobody decides anything. A test says beforehand who the person
//! is and what the person does. The endpoints are those of the authorization code flow with PKCE
//! (RFC 6749, RFC 7636) and of the device flow (RFC 8628), as far as Sigstore's clients use them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::fill;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::services::Services;

/// The client that Sigstore's tools are.
const CLIENT: &str = "sigstore";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a person would have to type in.
const USER_CODE: &str = "WDJB-MJHT";

type Shared = State<Arc<Services>>;
type Form = HashMap<String, String>;

/// What the person does, or what the issuer makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LoginAnswer {
    /// The person logs in.
    #[default]
    Approves,
    /// The person refuses.
    Denies,
    /// The person does nothing: no redirect, and the device's code stays pending.
    Ignores,
    /// The device's code ends.
    Expires,
    /// The first request for the device's token is answered with `slow_down`, the next with the
    /// token.
    SlowsDown,
    /// The person logs in, and the token has these claims in the place of its own.
    Claims(Value),
    /// The person logs in, and the answer has no identity token, but quotes what was asked.
    QuotesInsteadOfToken,
}

/// The logins of an issuer.
pub(super) struct Logins {
    person: Mutex<(String, LoginAnswer)>,
    grants: Mutex<HashMap<String, Grant>>,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            person: Mutex::new(("person@example.com".to_owned(), LoginAnswer::Approves)),
            grants: Mutex::default(),
        }
    }
}

/// What a code was handed out for.
struct Grant {
    challenge: String,
    nonce: Option<String>,
    /// Where the code was sent; `None` for a device's.
    redirect: Option<String>,
    asked: usize,
}

impl Logins {
    pub(super) fn set(&self, email: &str, answer: LoginAnswer) {
        *lock(&self.person) = (email.to_owned(), answer);
    }

    fn person(&self) -> (String, LoginAnswer) {
        lock(&self.person).clone()
    }

    /// A code for a login that was begun with `request`.
    fn code(&self, request: &Form, redirect: Option<String>) -> Result<String, Refusal> {
        let challenge = request.get("code_challenge").cloned();
        let challenge = challenge.ok_or(Refusal("invalid_request"))?;
        if request.get("code_challenge_method").map(String::as_str) != Some("S256") {
            return Err(Refusal("invalid_request"));
        }
        let mut random = [0; 18];
        fill(&mut random).map_err(|_| Refusal("server_error"))?;
        let code = URL_SAFE_NO_PAD.encode(random);
        let grant = Grant {
            challenge,
            nonce: request.get("nonce").cloned(),
            redirect,
            asked: 0,
        };
        lock(&self.grants).insert(code.clone(), grant);
        Ok(code)
    }

    /// Takes the grant of a code: it is good once.
    fn redeem(&self, code: &str, form: &Form) -> Result<Grant, Refusal> {
        let grant = lock(&self.grants).remove(code);
        let grant = grant.ok_or(Refusal("invalid_grant"))?;
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        if challenge != grant.challenge || form.get("redirect_uri") != grant.redirect.as_ref() {
            return Err(Refusal("invalid_grant"));
        }
        Ok(grant)
    }
}

/// The endpoints.
pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/auth", get(authorize))
        .route("/token", post(token))
        .route("/device/code", post(device))
}

/// What the discovery document says of them.
pub(super) fn metadata(issuer: &str) -> Value {
    json!({
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device/code"),
        "grant_types_supported": ["authorization_code", DEVICE_GRANT],
        "response_types_supported": ["code", "id_token"],
        "scopes_supported": ["openid", "email"],
        "code_challenge_methods_supported": ["S256"],
    })
}

/// Sends the person's browser back to the client at once.
async fn authorize(
    State(services): Shared,
    Query(request): Query<Form>,
) -> Result<Response, Refusal> {
    let value = |name: &str| request.get(name).map(String::as_str);
    let scopes = value("scope").unwrap_or_default().split(' ');
    let asked_well = value("client_id") == Some(CLIENT)
        && value("response_type") == Some("code")
        && scopes.collect::<Vec<_>>() == ["openid", "email"];
    // As Dex allows it for public clients: a loopback address, and whatever port.
    let redirect = value("redirect_uri").and_then(|uri| Url::parse(uri).ok());
    let (true, Some(mut redirect)) = (asked_well, redirect) else {
        return Err(Refusal("invalid_request"));
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
async fn device(State(services): Shared, body: Bytes) -> Result<Json<Value>, Refusal> {
    let form = form(&body);
    if form.get("client_id").map(String::as_str) != Some(CLIENT) {
        return Err(Refusal("invalid_client"));
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
async fn token(State(services): Shared, body: Bytes) -> Result<Json<Value>, Refusal> {
    let form = form(&body);
    let value = |name: &str| form.get(name).map_or("", String::as_str);
    let logins = services.oidc.logins();
    let (email, answer) = logins.person();
    let code = match value("grant_type") {
        "authorization_code" => value("code"),
        DEVICE_GRANT => {
            let code = value("device_code");
            pending(logins, code, &answer)?;
            code
        }
        _ => return Err(Refusal("unsupported_grant_type")),
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

/// What a device is told before the person is done: the first time always, that it has to wait.
fn pending(logins: &Logins, code: &str, answer: &LoginAnswer) -> Result<(), Refusal> {
    let mut grants = lock(&logins.grants);
    let grant = grants.get_mut(code);
    let grant = grant.ok_or(Refusal("invalid_grant"))?;
    grant.asked += 1;
    match (answer, grant.asked) {
        (LoginAnswer::SlowsDown, 1) => Err(Refusal("slow_down")),
        (LoginAnswer::Ignores, _) | (_, 1) => Err(Refusal("authorization_pending")),
        (LoginAnswer::Denies, _) => Err(Refusal("access_denied")),
        (LoginAnswer::Expires, _) => Err(Refusal("expired_token")),
        _ => Ok(()),
    }
}

/// An error as RFC 6749 (section 5.2) has it.
struct Refusal(&'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

fn form(body: &[u8]) -> Form {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// A panic of another test thread leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
