//! A person who logs in to the OIDC issuer: a fake.
//!
//! No page asks for a password, and nobody decides anything. A test says beforehand who the person
//! is and what the person does. The endpoints are those of the authorization code flow with PKCE
//! (RFC 6749, RFC 7636) and of the device flow (RFC 8628), as far as Sigstore's clients use them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::fill;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The client that Sigstore's tools are.
pub(super) const CLIENT: &str = "sigstore";
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What a person would have to type in.
pub(super) const USER_CODE: &str = "WDJB-MJHT";

pub(super) type Form = HashMap<String, String>;

/// What the person does, or what the issuer makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
pub(super) struct Grant {
    challenge: String,
    pub(super) nonce: Option<String>,
    /// Where the code was sent; `None` for a device's.
    redirect: Option<String>,
    asked: usize,
}

impl Logins {
    pub(super) fn set(&self, email: &str, answer: LoginAnswer) {
        *lock(&self.person) = (email.to_owned(), answer);
    }

    pub(super) fn person(&self) -> (String, LoginAnswer) {
        lock(&self.person).clone()
    }

    /// A code for a login that was begun with `request`.
    pub(super) fn code(
        &self,
        request: &Form,
        redirect: Option<String>,
    ) -> Result<String, OAuthError> {
        let challenge = request.get("code_challenge").cloned();
        let challenge = challenge.ok_or(OAuthError("invalid_request"))?;
        if request.get("code_challenge_method").map(String::as_str) != Some("S256") {
            return Err(OAuthError("invalid_request"));
        }
        let mut random = [0; 18];
        fill(&mut random).map_err(|_| OAuthError("server_error"))?;
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
    pub(super) fn redeem(&self, code: &str, form: &Form) -> Result<Grant, OAuthError> {
        let grant = lock(&self.grants).remove(code);
        let grant = grant.ok_or(OAuthError("invalid_grant"))?;
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        if challenge != grant.challenge || form.get("redirect_uri") != grant.redirect.as_ref() {
            return Err(OAuthError("invalid_grant"));
        }
        Ok(grant)
    }

    /// What a device is told before the person is done: the first time always, that it has to wait.
    pub(super) fn pending(&self, code: &str, answer: &LoginAnswer) -> Result<(), OAuthError> {
        let mut grants = lock(&self.grants);
        let grant = grants.get_mut(code);
        let grant = grant.ok_or(OAuthError("invalid_grant"))?;
        grant.asked += 1;
        match (answer, grant.asked) {
            (LoginAnswer::SlowsDown, 1) => Err(OAuthError("slow_down")),
            (LoginAnswer::Ignores, _) | (_, 1) => Err(OAuthError("authorization_pending")),
            (LoginAnswer::Denies, _) => Err(OAuthError("access_denied")),
            (LoginAnswer::Expires, _) => Err(OAuthError("expired_token")),
            _ => Ok(()),
        }
    }
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

/// An error as RFC 6749 (section 5.2) has it.
pub(super) struct OAuthError(pub(super) &'static str);

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

/// A panic of another test thread leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
