//! Logins and permissions: anonymous, basic, and the bearer tokens of the distribution project's
//! [token specification][spec], issued by the registry itself at `/token`.
//!
//! [spec]: https://distribution.github.io/distribution/spec/auth/token/

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::answer;
use super::route::Route;

/// The login that the registry asks for.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// No login at all.
    #[default]
    Anonymous,
    /// A name and a password with every request.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Bearer tokens from a token endpoint of this server, for one scope each.
    /// [`super::RegistryOptions`] say how long a token lasts, and whether there is an identity
    /// token.
    Bearer {
        /// Name and password for the token endpoint. If `None`, everybody gets a token.
        user: Option<(String, String)>,
    },
}

/// Issues tokens, and checks requests by them.
pub(super) struct Gate {
    auth: Auth,
    identity_token: Option<String>,
    token_requests: Option<usize>,
    realm: String,
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    count: usize,
    tokens: HashMap<String, Token>,
}

struct Token {
    scopes: Vec<Scope>,
    /// How many more requests it is valid for; unlimited if `None`.
    remaining: Option<usize>,
}

/// `repository:<name>:<action>,<action>`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    name: String,
    actions: Vec<String>,
}

const SERVICE: &str = "sandbox";

impl Gate {
    pub(super) fn new(
        auth: Auth,
        identity_token: Option<String>,
        token_requests: Option<usize>,
        realm: String,
    ) -> Self {
        Self {
            auth,
            identity_token,
            token_requests,
            realm,
            issued: Mutex::default(),
        }
    }

    /// Allows a request to `/v2/`, or returns the answer that asks for a login.
    #[expect(clippy::result_large_err, reason = "the error is the answer to send")]
    pub(super) fn admit(
        &self,
        method: &Method,
        route: &Route,
        authorization: Option<&str>,
    ) -> Result<(), Response> {
        match &self.auth {
            Auth::Anonymous => Ok(()),
            Auth::Basic { user, password } => {
                if basic(authorization).is_some_and(|(u, p)| u == *user && p == *password) {
                    return Ok(());
                }
                Err(unauthorized(
                    "wrong name or password, or none",
                    "Basic realm=\"sandbox\"",
                ))
            }
            Auth::Bearer { .. } => {
                let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
                let wanted = route
                    .repository()
                    .map(|name| (name, actions(method)))
                    .filter(|(_, actions)| !actions.is_empty());
                self.spend(token, wanted).map_err(|refusal| {
                    let mut challenge =
                        format!("Bearer realm=\"{}\",service=\"{SERVICE}\"", self.realm);
                    if let Some((name, actions)) = wanted {
                        challenge += &format!(",scope=\"repository:{name}:{}\"", actions.join(","));
                    }
                    if let Some(error) = refusal {
                        challenge += &format!(",error=\"{error}\"");
                    }
                    unauthorized("a token for the scope is needed", &challenge)
                })
            }
        }
    }

    /// Counts one request of the token. The error is the challenge's `error`, if it has one.
    fn spend(
        &self,
        token: Option<&str>,
        wanted: Option<(&str, &[&str])>,
    ) -> Result<(), Option<&'static str>> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let token = token.ok_or(None)?;
        let token = issued.tokens.get_mut(token).ok_or(Some("invalid_token"))?;
        match &mut token.remaining {
            Some(0) => return Err(Some("invalid_token")),
            Some(remaining) => *remaining -= 1,
            None => {}
        }
        let Some((name, actions)) = wanted else {
            return Ok(());
        };
        let granted = |action: &&str| {
            token.scopes.iter().any(|scope| {
                scope.name == name && scope.actions.iter().any(|a| a == action || a == "*")
            })
        };
        if actions.iter().all(granted) {
            Ok(())
        } else {
            Err(Some("insufficient_scope"))
        }
    }

    /// The token endpoint: GET with optional basic credentials; POST with a form, whose
    /// `grant_type` is `refresh_token` (an identity token) or `password`.
    pub(super) fn token(
        &self,
        method: &Method,
        query: &str,
        form: &[u8],
        authorization: Option<&str>,
    ) -> Response {
        let Auth::Bearer { user } = &self.auth else {
            return answer::empty(StatusCode::NOT_FOUND);
        };
        let parameters: Vec<(String, String)> = if *method == Method::POST {
            form_urlencoded::parse(form).into_owned().collect()
        } else {
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect()
        };
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let known = |login: Option<(&str, &str)>| match (user, login) {
            (Some((name, password)), Some(login)) => login == (name, password),
            (None, None) => self.identity_token.is_none(),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let allowed = match (method.as_str(), parameter("grant_type")) {
            ("GET", _) => {
                let login = basic(authorization);
                known(login.as_ref().map(|(u, p)| (u.as_str(), p.as_str())))
            }
            ("POST", Some("refresh_token")) => {
                self.identity_token.is_some()
                    && parameter("refresh_token") == self.identity_token.as_deref()
            }
            ("POST", Some("password")) => known(parameter("username").zip(parameter("password"))),
            _ => return answer::empty(StatusCode::BAD_REQUEST),
        };
        if !allowed {
            let message = "wrong credentials, or none";
            return answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
        }
        if parameter("service").is_some_and(|service| service != SERVICE) {
            return answer::empty(StatusCode::BAD_REQUEST);
        }
        let scopes = parameters
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, scopes)| scopes.split(' '))
            .filter_map(Scope::parse)
            .collect();
        let token = self.issue(scopes);
        answer::json(
            StatusCode::OK,
            &serde_json::json!({"token": token, "access_token": token, "expires_in": 300}),
        )
    }

    fn issue(&self, scopes: Vec<Scope>) -> String {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.count += 1;
        // Unique, but not secret: the registry protects nothing.
        let token = format!("token-{}", issued.count);
        let remaining = self.token_requests;
        issued
            .tokens
            .insert(token.clone(), Token { scopes, remaining });
        token
    }
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
        Some(Self {
            name: name.to_owned(),
            actions: actions.split(',').map(str::to_owned).collect(),
        })
    }
}

/// The actions that a method needs in a repository.
fn actions(method: &Method) -> &'static [&'static str] {
    match method.as_str() {
        "GET" | "HEAD" => &["pull"],
        "DELETE" => &["delete"],
        _ => &["pull", "push"],
    }
}

/// Name and password of an `Authorization: Basic` header.
fn basic(authorization: Option<&str>) -> Option<(String, String)> {
    let encoded = authorization?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn unauthorized(message: &str, challenge: &str) -> Response {
    let mut response = answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
    answer::set(&mut response, header::WWW_AUTHENTICATE, challenge);
    response
}
