//! Answers a registry's challenges, and keeps the tokens.
//!
//! Requests of one scope that are challenged at the same time share one request to the token
//! service. A token is kept until shortly before it expires. If a token service refuses or fails,
//! that is an error: the client never continues with another login, or without one. Secrets are
//! sent only to the registry that they belong to, and to the token service that it names. If the
//! registry uses TLS, the token service must use it too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::scope::{Access, Scope};
use crate::credentials::{Login, Secret, secret_if_any};
use crate::error::Error;
use crate::http::{AttemptError, Body, Connection, Credential, Request, host, shown};
use crate::lock::lock;

/// Our client id at token services.
const CLIENT_ID: &str = "countersign";
const TOKEN_ANSWER_MAX: u64 = 64 << 10;
/// How long a token is valid if the service doesn't say so, in seconds. The token authentication
/// specification allows no shorter time, so a shorter time counts as this one.
const SHORTEST_LIFE: f64 = 60.0;
/// The longest time that a token is used, in seconds.
const LONGEST_LIFE: f64 = 24.0 * 60.0 * 60.0;

/// A login header, and whose login it is.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) credential: Credential,
    /// Whose login this is, for errors.
    pub(super) login: String,
    expires: Option<Instant>,
}

impl Authorization {
    fn is_live(&self) -> bool {
        self.expires.is_none_or(|end| Instant::now() < end)
    }
}

/// The answer to a challenge.
pub(super) enum Reply {
    /// A token from before. It may have expired since.
    Kept(Authorization),
    /// A new token.
    New(Authorization),
}

/// The login that a registry accepted for a scope.
#[derive(Debug)]
struct Grant {
    challenge: Challenge,
    authorization: Authorization,
}

/// Locked while a token is requested, so that other requests wait for it and don't request one too.
type Slot = Arc<tokio::sync::Mutex<Option<Grant>>>;

/// All tokens of a client, by scope.
#[derive(Debug, Default)]
pub(super) struct Authenticator {
    slots: Mutex<HashMap<Scope, Slot>>,
}

impl Authenticator {
    /// The login to send with a request of `scope`: the one from before, renewed if it has expired.
    /// `None` if the registry has not asked for a login yet.
    pub(super) async fn authorization(
        &self,
        connection: &Connection,
        scope: &Scope,
        target: &Url,
    ) -> Result<Option<Authorization>, AttemptError> {
        let wider = Scope::new(&scope.repository, Access::Push);
        if *scope != wider
            && let Some(slot) = self.existing(&wider)
            && let Some(grant) = slot.lock().await.as_ref()
            && grant.authorization.is_live()
        {
            return Ok(Some(grant.authorization.clone()));
        }
        let Some(slot) = self.existing(scope) else {
            return Ok(None);
        };
        let mut slot = slot.lock().await;
        match slot.take() {
            None => Ok(None),
            Some(grant) if grant.authorization.is_live() => {
                let authorization = grant.authorization.clone();
                *slot = Some(grant);
                Ok(Some(authorization))
            }
            Some(Grant { challenge, .. }) => {
                let authorization = authorize(connection, scope, target, &challenge).await?;
                *slot = Some(Grant {
                    challenge,
                    authorization: authorization.clone(),
                });
                Ok(Some(authorization))
            }
        }
    }

    /// Answers the challenge in `headers`, after a request with the login `refused`. The answer is
    /// a token that another request got since, or else a new one.
    pub(super) async fn answer(
        &self,
        connection: &Connection,
        scope: &Scope,
        target: &Url,
        headers: &HeaderMap,
        refused: Option<&Authorization>,
    ) -> Result<Reply, AttemptError> {
        let challenge = Challenge::from_headers(headers).map_err(|found| Error::Unauthorized {
            registry: host(target),
            what: scope.repository.to_string(),
            detail: format!("it answered 401 without saying how to log in: there is {found}"),
        })?;
        self.end_wider(scope, refused).await;
        let slot = self.slot(scope);
        let mut slot = slot.lock().await;
        if let Some(grant) = slot.as_ref()
            && grant.authorization.is_live()
            && refused.is_none_or(|old| old.credential != grant.authorization.credential)
        {
            return Ok(Reply::Kept(grant.authorization.clone()));
        }
        *slot = None;
        let authorization = authorize(connection, scope, target, &challenge).await?;
        *slot = Some(Grant {
            challenge,
            authorization: authorization.clone(),
        });
        Ok(Reply::New(authorization))
    }

    /// Removes a wider token that was refused because it expired. Otherwise it would be sent with
    /// each request of this scope, instead of the new token.
    async fn end_wider(&self, scope: &Scope, refused: Option<&Authorization>) {
        let wider = Scope::new(&scope.repository, Access::Push);
        if *scope != wider
            && let (Some(refused), Some(slot)) = (refused, self.existing(&wider))
            && let Some(grant) = slot.lock().await.as_mut()
            && grant.authorization.credential == refused.credential
        {
            grant.authorization.expires = Some(Instant::now());
        }
    }

    fn existing(&self, scope: &Scope) -> Option<Slot> {
        let slots = lock(&self.slots);
        slots.get(scope).cloned()
    }

    fn slot(&self, scope: &Scope) -> Slot {
        let mut slots = lock(&self.slots);
        slots.entry(scope.clone()).or_default().clone()
    }
}

/// Makes the header that answers `challenge`, with the caller's credentials, or anonymously.
async fn authorize(
    connection: &Connection,
    scope: &Scope,
    target: &Url,
    challenge: &Challenge,
) -> Result<Authorization, AttemptError> {
    let options = connection.options();
    let login = options
        .credentials
        .login(&scope.repository, options.timeouts.helper)
        .await?;
    let whose = whose(login.as_ref());
    let unauthorized = |detail: &str| Error::Unauthorized {
        registry: host(target),
        what: scope.repository.to_string(),
        detail: detail.into(),
    };
    match (challenge, login.map(|login| login.secret)) {
        (_, Some(Secret::Registry(token))) => Ok(Authorization {
            credential: bearer(&token, target)
                .ok_or_else(|| unauthorized("the registry token given holds control characters"))?,
            login: whose,
            expires: None,
        }),
        (Challenge::Basic, Some(Secret::Password { user, password })) => Ok(Authorization {
            credential: basic(&user, &password, target)
                .ok_or_else(|| unauthorized("the login can't be sent"))?,
            login: whose,
            expires: None,
        }),
        (Challenge::Basic, Some(Secret::Identity(_))) => Err(unauthorized(
            "it needs a user and a password, but the credentials have only an identity token",
        )
        .into()),
        (Challenge::Basic, None) => {
            Err(unauthorized("it wants a login, and there are no credentials for it").into())
        }
        (
            Challenge::Bearer {
                realm,
                service,
                scope: challenged,
            },
            secret,
        ) => {
            let ask = TokenQuestion {
                registry: target,
                realm,
                service: service.as_deref(),
                scopes: scope.wanted(challenged.as_deref()),
                what: scope.repository.to_string(),
            };
            ask.put(connection, secret, whose).await
        }
    }
}

/// Whose login we use, for errors.
fn whose(login: Option<&Login>) -> String {
    login.map_or_else(|| "without a login".into(), ToString::to_string)
}

/// A request for a token.
struct TokenQuestion<'a> {
    /// The registry that names the token service. The service gets our secrets, so it must be as
    /// safe to reach as the registry, by the rule for redirects.
    registry: &'a Url,
    realm: &'a Url,
    service: Option<&'a str>,
    scopes: Vec<String>,
    what: String,
}

impl TokenQuestion<'_> {
    async fn put(
        self,
        connection: &Connection,
        secret: Option<Secret>,
        login: String,
    ) -> Result<Authorization, AttemptError> {
        let (request, credential, mut body) = match secret {
            Some(Secret::Identity(token)) => self.refresh(&token),
            Some(Secret::Password { user, password }) => {
                let (request, body) = self.get();
                (request, basic(&user, &password, self.realm), body)
            }
            // A registry token is sent as it is, so it is never exchanged here.
            Some(Secret::Registry(_)) | None => {
                let (request, body) = self.get();
                (request, None, body)
            }
        };
        let asked = Instant::now();
        let answer = connection
            .exchange(&request, credential.as_ref(), &mut body)
            .await?
            .settled(&login)
            .await?;
        let url = shown(answer.url());
        let bytes = answer.success().await?.bytes(TOKEN_ANSWER_MAX).await?;
        let unlike = |found: &str| Error::Protocol {
            url: url.clone(),
            expected: "a token in JSON".into(),
            found: found.into(),
        };
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|_| unlike("something else"))?;
        let lifetime = answer.lifetime();
        let token = answer.token().ok_or_else(|| unlike("JSON without one"))?;
        let credential = bearer(&token, self.registry)
            .ok_or_else(|| unlike("a token with control characters"))?;
        Ok(Authorization {
            credential,
            login,
            expires: Some(asked + lifetime),
        })
    }

    /// The request by `GET` (distribution project, "Token Authentication Specification").
    fn get(&self) -> (Request, Body) {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for scope in &self.scopes {
                query.append_pair("scope", scope);
            }
        }
        (
            Request::new(Method::GET, url, self.what.as_str()).named_by(self.registry),
            Body::Empty,
        )
    }

    /// The exchange of an identity token for an access token (distribution project, "Token
    /// Authentication Specification - OAuth2").
    fn refresh(&self, token: &str) -> (Request, Option<Credential>, Body) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token)
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &self.scopes.join(" "));
        if let Some(service) = self.service {
            form.append_pair("service", service);
        }
        let request = Request::new(Method::POST, self.realm.clone(), self.what.as_str())
            .named_by(self.registry)
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        (request, None, Body::Secret(Bytes::from(form.finish())))
    }
}

/// A token service's answer, with docker's name for the token and with OAuth's. The issue time is
/// not read: we count from the time of our request.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default, deserialize_with = "secret_if_any")]
    token: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "secret_if_any")]
    access_token: Option<Zeroizing<String>>,
    /// Seconds. Some services write the number in quotes.
    #[serde(default)]
    expires_in: Value,
}

impl TokenAnswer {
    /// How long to use the token: a tenth less than it is valid, so that it doesn't expire during a
    /// request.
    fn lifetime(&self) -> Duration {
        let seconds: Option<f64> = match &self.expires_in {
            Value::Number(seconds) => seconds.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| seconds.is_finite());
        let life = seconds.map_or(SHORTEST_LIFE, |s| s.clamp(SHORTEST_LIFE, LONGEST_LIFE));
        Duration::from_secs_f64(life * 0.9)
    }

    fn token(self) -> Option<Zeroizing<String>> {
        let filled = |token: &Zeroizing<String>| !token.is_empty();
        self.token
            .filter(filled)
            .or(self.access_token.filter(filled))
    }
}

fn basic(user: &str, password: &str, server: &Url) -> Option<Credential> {
    let login = Zeroizing::new(format!("{user}:{password}"));
    let encoded = Zeroizing::new(BASE64.encode(login.as_bytes()));
    let header = Zeroizing::new(format!("Basic {}", *encoded));
    Credential::new(&header, server)
}

fn bearer(token: &str, server: &Url) -> Option<Credential> {
    let header = Zeroizing::new(format!("Bearer {token}"));
    Credential::new(&header, server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_its_service_says_within_bounds() {
        for (expires_in, seconds) in [
            ("300", 270),
            ("\"300\"", 270),
            ("\" 300 \"", 270),
            ("300.0", 270),
            ("0", 54),
            ("-1", 54),
            ("59", 54),
            ("null", 54),
            ("\"soon\"", 54),
            ("\"NaN\"", 54),
            ("\"inf\"", 54),
            ("[300]", 54),
            ("1e300", 77_760),
            ("18446744073709551615", 77_760),
        ] {
            let json = format!(r#"{{"token":"t","expires_in":{expires_in},"issued_at":0}}"#);
            let answer: TokenAnswer = serde_json::from_str(&json).unwrap();
            assert_eq!(answer.lifetime(), Duration::from_secs(seconds), "{json}");
        }
        let answer: TokenAnswer = serde_json::from_str(r#"{"token":"t"}"#).unwrap();
        assert_eq!(answer.lifetime(), Duration::from_secs(54));
    }

    #[test]
    fn the_token_is_whichever_of_its_two_names_is_filled() {
        for (json, expected) in [
            (
                r#"{"token":"a","access_token":"b","issued_at":"yesterday"}"#,
                Some("a"),
            ),
            (r#"{"token":"","access_token":"b"}"#, Some("b")),
            (r#"{"token":null,"access_token":"b"}"#, Some("b")),
            (r#"{"token":"a"}"#, Some("a")),
            (r#"{"token":""}"#, None),
        ] {
            let answer: TokenAnswer = serde_json::from_str(json).unwrap();
            let token = answer.token();
            let token = token.as_ref().map(|token| token.as_str());
            assert_eq!(token, expected, "{json}");
        }
    }
}
