//! An OIDC issuer, as a person's login needs it: where its endpoints are, and what they answer.
//!
//! What it says is not trusted. Its endpoints are at least as private as the issuer itself, and no
//! redirect is followed.

use countersign_oci::excerpt;
use countersign_oci::http::{AttemptError, Redacted, is_confidential};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::error::LoginError;
use super::secrets::Secrets;
use super::{CLIENT, SCOPES};
use crate::error::{Error, Service};
use crate::token::IdentityToken;
use crate::transport::{Call, NoAnswer, SingleUse, Transport, below};

const SERVICE: Service = Service::OidcIssuer;
const FORM: &str = "application/x-www-form-urlencoded";

/// Whether an issuer may be asked: nobody can read along.
pub(super) fn require_confidential(issuer: &Url) -> Result<(), Error> {
    if is_confidential(issuer) {
        return Ok(());
    }
    Err(Error::Services {
        expected: "an https URL of the OIDC issuer (http only on a loopback address)".into(),
        found: Redacted(issuer).to_string(),
    })
}

/// An issuer and its endpoints.
pub(super) struct Issuer<'a> {
    transport: &'a Transport,
    url: &'a Url,
    authorization: Url,
    token: Url,
    device: Option<Url>,
}

/// OpenID Connect Discovery 1.0, section 3; the device's endpoint: RFC 8628, section 4.
#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
}

impl<'a> Issuer<'a> {
    /// Asks the issuer at `url` for its endpoints.
    pub(super) async fn discover(transport: &'a Transport, url: &'a Url) -> Result<Self, Error> {
        let place = below(url, "/.well-known/openid-configuration");
        let answer = transport.ask(&Call::get(SERVICE, place)).await;
        let answer = answer.map_err(|reason| reason.of(SERVICE))?;
        let expected = "an OpenID Connect discovery document";
        let unusable =
            |found: &dyn std::fmt::Display| NoAnswer::answer(expected, found).of(SERVICE);
        let document: DiscoveryDocument =
            serde_json::from_slice(&answer).map_err(|error| unusable(&error))?;
        if !same(&document.issuer, url.as_str()) {
            return Err(unusable(&format_args!("that of {}", document.issuer)));
        }
        let DiscoveryDocument {
            authorization_endpoint: authorization,
            token_endpoint: token,
            device_authorization_endpoint: device,
            ..
        } = document;
        for endpoint in [Some(&authorization), Some(&token), device.as_ref()] {
            if let Some(endpoint) = endpoint.filter(|endpoint| !is_as_private(url, endpoint)) {
                let found = format_args!("the endpoint {}", Redacted(endpoint));
                return Err(unusable(&found));
            }
        }
        Ok(Self {
            transport,
            url,
            authorization,
            token,
            device,
        })
    }

    /// The URL that the person opens.
    pub(super) fn authorization(&self, redirect: &str, secrets: &Secrets) -> Url {
        let mut url = self.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", CLIENT)
            .append_pair("scope", SCOPES)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", &secrets.state)
            .append_pair("nonce", &secrets.nonce)
            .append_pair("code_challenge", &secrets.challenge())
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges the browser's code for the token.
    pub(super) async fn redeem(
        &self,
        code: SingleUse,
        redirect: &str,
        secrets: &Secrets,
    ) -> Result<IdentityToken, Error> {
        let call = |code: &str| {
            self.post(
                &self.token,
                &[
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("redirect_uri", redirect),
                    ("client_id", CLIENT),
                    ("code_verifier", &secrets.verifier),
                ],
            )
        };
        // Never again: an issuer that sees a code twice takes it for stolen (RFC 6749, section 4.1.2).
        match self.transport.spend(code, call).await {
            Ok(answer) => self.identity(&answer),
            Err(reason) => Err(failed(reason.without(&secrets.verifier))),
        }
    }

    /// Where a login at another device begins, if it can.
    pub(super) fn device_endpoint(&self) -> Option<&Url> {
        self.device.as_ref()
    }

    /// Whether a person may be sent to `page` by this issuer.
    pub(super) fn may_name(&self, page: &Url) -> bool {
        is_as_private(self.url, page)
    }

    /// What the issuer answers to a form that holds no secret. The answer may be one.
    pub(super) async fn ask(
        &self,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let answer = self.transport.ask(&self.post(endpoint, form)).await;
        Ok(Zeroizing::new(answer.map_err(failed)?.to_vec()))
    }

    /// Asks once whether the person has logged in at the other device.
    pub(super) async fn poll(
        &self,
        device_code: &str,
        secrets: &Secrets,
    ) -> Result<IdentityToken, Unfinished> {
        let call = self.post(
            &self.token,
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("device_code", device_code),
                ("client_id", CLIENT),
                ("code_verifier", &secrets.verifier),
            ],
        );
        let clean = |reason: NoAnswer| reason.without(device_code).without(&secrets.verifier);
        match self.transport.attempt(&call).await {
            Ok(answer) => self.identity(&answer).map_err(Unfinished::Failed),
            Err(failure) => Err(unfinished(failure.map(clean))),
        }
    }

    /// The token in an answer of the token endpoint (OpenID Connect Core 1.0, section 3.1.3.3).
    /// The others in it are left where they are.
    fn identity(&self, answer: &[u8]) -> Result<IdentityToken, Error> {
        let answer = Zeroizing::new(answer.to_vec());
        // What the answer holds instead may be a secret, so it isn't quoted.
        let answer: TokenAnswer = serde_json::from_slice(&answer).map_err(|_| {
            let expected = "JSON with an identity token as its `id_token`";
            NoAnswer::answer(expected, "something else").of(SERVICE)
        })?;
        let token = IdentityToken::just_issued(&Zeroizing::new(answer.id_token))?;
        if same(token.issuer(), self.url.as_str()) {
            return Ok(token);
        }
        Err(LoginError::OtherIssuer {
            expected: self.url.to_string(),
            found: excerpt(token.issuer()),
        }
        .into())
    }

    fn post(&self, endpoint: &Url, form: &[(&str, &str)]) -> Call {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        Call::post(SERVICE, endpoint.clone(), FORM, body).named_by(self.url)
    }
}

/// Not `Debug`: it holds the token.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// Why there is no token yet (RFC 8628, section 3.5).
pub(super) enum Unfinished {
    /// The person isn't done.
    Pending,
    /// The issuer is asked too often.
    TooFast,
    /// The issuer gave no answer, which may pass.
    Away,
    Failed(Error),
}

fn unfinished(failure: AttemptError<NoAnswer>) -> Unfinished {
    let refused = oauth_error(&failure.error);
    let error = refused.as_ref().map(|refused| refused.error.as_str());
    match error {
        Some("authorization_pending") => Unfinished::Pending,
        Some("slow_down") => Unfinished::TooFast,
        Some("expired_token") => Unfinished::Failed(LoginError::CodeExpired.into()),
        _ if failure.may_pass() => Unfinished::Away,
        _ => Unfinished::Failed(failed(failure.error)),
    }
}

/// An error of the issuer (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct OAuthError {
    error: String,
    error_description: Option<String>,
}

/// What the issuer says in an answer of failure; `None`, where that isn't in `OAuth`'s form.
fn oauth_error(reason: &NoAnswer) -> Option<OAuthError> {
    match reason.refused()? {
        (400..=499, said, _) => serde_json::from_str(said).ok(),
        _ => None,
    }
}

fn failed(reason: NoAnswer) -> Error {
    match oauth_error(&reason) {
        Some(OAuthError {
            error,
            error_description: description,
        }) => LoginError::Refused { error, description }.into(),
        None => reason.of(SERVICE),
    }
}

/// Whether two URLs are of one issuer: some write a slash at the end.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether an endpoint may take an issuer's place: https, or http on loopback as the issuer itself.
fn is_as_private(issuer: &Url, endpoint: &Url) -> bool {
    endpoint.scheme() == "https" || issuer.scheme() == "http" && is_confidential(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_issuer_is_asked_over_https_or_on_loopback() {
        for good in ["https://issuer.example/auth", "http://127.0.0.1:5556"] {
            assert!(require_confidential(&url(good)).is_ok(), "{good}");
        }
        for bad in ["http://issuer.example", "ftp://127.0.0.1", "file:///issuer"] {
            assert!(
                matches!(require_confidential(&url(bad)), Err(Error::Services { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn no_endpoint_is_less_private_than_its_issuer() {
        let (public, local) = (url("https://issuer.example"), url("http://127.0.0.1:1"));
        assert!(is_as_private(&public, &url("https://other.example/token")));
        assert!(is_as_private(&local, &url("http://127.0.0.1:2/token")));
        for bad in [
            "http://issuer.example/token",
            "http://127.0.0.1/token",
            "javascript:alert(1)",
            "file:///etc/passwd",
        ] {
            assert!(!is_as_private(&public, &url(bad)), "{bad}");
        }
        assert!(!is_as_private(&local, &url("http://issuer.example/token")));
    }
}
