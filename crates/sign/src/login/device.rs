//! A login at another device (RFC 8628): a code that a person enters there, and the wait for it.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::time::{Instant, sleep};
use url::Url;
use zeroize::Zeroizing;

use super::error::LoginError;
use super::issuer::{Issuer, Unfinished};
use super::secrets::Secrets;
use super::{CLIENT, SCOPES};
use crate::error::{Error, Service};
use crate::token::IdentityToken;
use crate::transport::NoAnswer;

/// Seconds between questions, where the issuer doesn't say (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;
/// The least and the most seconds between questions that an issuer can ask for.
const SHORTEST: u64 = 1;
const LONGEST: u64 = 60;
/// Seconds that are added where the issuer asks to slow down (RFC 8628, section 3.5).
const SLOWER: u64 = 5;

/// What a person needs to log in at another device. It comes from the issuer, so make it printable
/// before you show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// The page to open there.
    pub url: Url,
    /// The code to enter there.
    pub user_code: String,
    /// The same page with the code filled in, if the issuer has one.
    pub complete_url: Option<Url>,
}

/// An answer of the device endpoint. It isn't `Debug`: whoever has the device's code can ask for the
/// token.
#[derive(Deserialize)]
pub(super) struct Device {
    #[serde(deserialize_with = "secret")]
    device_code: Zeroizing<String>,
    user_code: String,
    verification_uri: Url,
    verification_uri_complete: Option<Url>,
    expires_in: u64,
    interval: Option<u64>,
}

impl Device {
    /// Asks for a code.
    ///
    /// # Errors
    /// [`LoginError::NoDevices`], and those of the issuer.
    pub(super) async fn begin(issuer: &Issuer<'_>, secrets: &Secrets) -> Result<Self, Error> {
        let endpoint = issuer.device_endpoint().ok_or(LoginError::NoDevices)?;
        let form = [
            ("client_id", CLIENT),
            ("scope", SCOPES),
            ("code_challenge", &secrets.challenge()),
            ("code_challenge_method", "S256"),
        ];
        let answer = issuer.ask(endpoint, &form).await?;
        let device: Option<Self> = serde_json::from_slice(&answer).ok();
        let usable = |device: &Self| device.pages().all(|page| issuer.may_name(page));
        device.filter(usable).ok_or_else(|| {
            // What the answer holds instead may be a secret, so it isn't quoted.
            let expected = "a code and the https URL where a person enters it (RFC 8628)";
            NoAnswer::answer(expected, "something else").of(Service::OidcIssuer)
        })
    }

    /// The pages that a person may be shown.
    fn pages(&self) -> impl Iterator<Item = &Url> {
        [
            Some(&self.verification_uri),
            self.verification_uri_complete.as_ref(),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn shown(&self) -> DeviceCode {
        DeviceCode {
            url: self.verification_uri.clone(),
            user_code: self.user_code.clone(),
            complete_url: self.verification_uri_complete.clone(),
        }
    }

    /// Asks until the person has logged in.
    ///
    /// # Errors
    /// [`LoginError::CodeExpired`] and [`LoginError::Refused`], and those of the issuer.
    pub(super) async fn wait(
        &self,
        issuer: &Issuer<'_>,
        secrets: &Secrets,
    ) -> Result<IdentityToken, Error> {
        let begun = Instant::now();
        let lifetime = Duration::from_secs(self.expires_in);
        let mut interval = interval(self.interval);
        while begun.elapsed() < lifetime {
            sleep(interval).await;
            match issuer.poll(&self.device_code, secrets).await {
                Ok(token) => return Ok(token),
                Err(Unfinished::Failed(error)) => return Err(error),
                Err(Unfinished::Pending) => {}
                Err(Unfinished::TooFast) => interval = slower(interval),
                Err(Unfinished::Away) => interval = longer(interval),
            }
        }
        Err(LoginError::CodeExpired.into())
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// The first pause between questions.
fn interval(asked: Option<u64>) -> Duration {
    Duration::from_secs(asked.unwrap_or(INTERVAL).clamp(SHORTEST, LONGEST))
}

/// The pause where the issuer asks to slow down.
fn slower(interval: Duration) -> Duration {
    (interval + Duration::from_secs(SLOWER)).min(Duration::from_secs(LONGEST))
}

/// The pause where the issuer doesn't answer: twice as long, as RFC 8628 suggests.
fn longer(interval: Duration) -> Duration {
    (interval * 2).min(Duration::from_secs(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_sets_the_pace_within_bounds() {
        let seconds = |asked| interval(asked).as_secs();
        assert_eq!(seconds(None), 5);
        assert_eq!(seconds(Some(7)), 7);
        assert_eq!(seconds(Some(0)), 1);
        assert_eq!(seconds(Some(u64::MAX)), 60);
        let six = Duration::from_secs(6);
        assert_eq!(slower(six).as_secs(), 11);
        assert_eq!(longer(six).as_secs(), 12);
        let most = Duration::from_secs(LONGEST);
        assert_eq!((slower(most), longer(most)), (most, most));
    }
}
