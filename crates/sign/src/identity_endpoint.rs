//! The endpoint at which a CI hands out identity tokens.

use std::fmt;
use std::time::Duration;

use countersign_oci::http::Connection;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Service};
use crate::retry::Retries;
use crate::token::IdentityToken;
use crate::transport::{Failure, Transport};

/// For one answer. It takes GitHub well under a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// An endpoint that hands out identity tokens to the jobs of a CI, as GitHub Actions has it and
/// Forgejo and Gitea have taken it over: `GET`, a bearer token, and `{"value": "TOKEN"}`.
///
/// `Debug` does not show the bearer token.
#[derive(Clone)]
pub struct IdentityEndpoint {
    connection: Connection,
    url: Url,
    bearer: Zeroizing<String>,
    patience: Duration,
    retries: Retries,
}

impl IdentityEndpoint {
    /// The endpoint at `url` (`ACTIONS_ID_TOKEN_REQUEST_URL`), asked with `bearer`
    /// (`ACTIONS_ID_TOKEN_REQUEST_TOKEN`), by `connection`.
    pub fn new(connection: &Connection, url: Url, bearer: impl Into<String>) -> Self {
        Self {
            connection: connection.clone(),
            url,
            bearer: Zeroizing::new(bearer.into()),
            patience: PATIENCE,
            retries: Retries {
                times: 4,
                ..Retries::default()
            },
        }
    }

    /// Waits `patience` for one answer (default 15 seconds), and asks again as `retries` say
    /// (default four times).
    #[must_use]
    pub fn with_patience(self, patience: Duration, retries: Retries) -> Self {
        Self {
            patience,
            retries,
            ..self
        }
    }

    /// Asks for a token for Sigstore.
    ///
    /// # Errors
    /// [`Error::Service`] of [`Service::IdentityEndpoint`], when there is no token after all
    /// retries; [`Error::Token`], when it can't be used.
    pub async fn token(&self) -> Result<IdentityToken, Error> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", "sigstore");
        let transport = Transport::new(self.connection.clone(), self.retries.clone());
        let transport = transport.with_patience(self.patience);
        let service = Service::IdentityEndpoint;
        let failed = |failure: Failure| failure.without(&self.bearer).of(service);
        let answer = transport.get_as(service, url, Some(&self.bearer)).await;
        let answer = Zeroizing::new(answer.map_err(failed)?.to_vec());
        // What the answer holds instead may be a secret, so it isn't quoted.
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| {
            let expected = "JSON with an identity token as its `value`";
            failed(Failure::answer(expected, "something else"))
        })?;
        let token = Zeroizing::new(answer.value);
        Ok(IdentityToken::just_issued(&token)?)
    }
}

impl fmt::Debug for IdentityEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL's query names the job, and is no one else's business either.
        f.debug_struct("IdentityEndpoint")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Not `Debug`: it holds the token.
#[derive(Deserialize)]
struct Answer {
    value: String,
}
