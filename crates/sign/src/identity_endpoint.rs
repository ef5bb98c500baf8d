//! The endpoint at which a CI hands out identity tokens.

use std::fmt;
use std::time::Duration;

use countersign_oci::http::Connection;
use countersign_oci::{Patience, Retries};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Service};
use crate::token::IdentityToken;
use crate::transport::{Call, NoAnswer, Transport};

/// An endpoint that hands out identity tokens to the jobs of a CI, as GitHub Actions has it and
/// Forgejo and Gitea have taken it over: `GET`, a bearer token, and `{"value": "TOKEN"}`.
///
/// `Debug` does not show the bearer token.
#[derive(Clone)]
pub struct IdentityEndpoint {
    transport: Transport,
    url: Url,
    bearer: Zeroizing<String>,
}

impl IdentityEndpoint {
    /// The endpoint at `url` (`ACTIONS_ID_TOKEN_REQUEST_URL`), asked with `bearer`
    /// (`ACTIONS_ID_TOKEN_REQUEST_TOKEN`), over `connection`.
    pub fn new(connection: &Connection, url: Url, bearer: impl Into<String>) -> Self {
        Self {
            transport: Transport::for_identity(connection.clone()),
            url,
            bearer: Zeroizing::new(bearer.into()),
        }
    }

    /// Waits for one answer as long as `answer` (default 15 seconds), and asks again as `retries` say
    /// (default four times).
    #[must_use]
    pub fn with_retries(self, answer: Duration, retries: Retries) -> Self {
        let transport = self.transport.with_answer_time(answer);
        Self {
            transport: transport.with_retries(retries),
            ..self
        }
    }

    /// Asks again until `patience` ends.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self {
            transport: self.transport.with_patience(patience),
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
        let service = Service::IdentityEndpoint;
        let failed = |reason: NoAnswer| reason.without(&self.bearer).of(service);
        let call = Call::get_as(service, url, &self.bearer).map_err(failed)?;
        let answer = self.transport.ask(&call).await;
        let answer = Zeroizing::new(answer.map_err(failed)?.to_vec());
        // What the answer holds instead may be a secret, so it isn't quoted.
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| {
            let expected = "JSON with an identity token as its `value`";
            failed(NoAnswer::answer(expected, "something else"))
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
