//! A person logs in: at a browser on this machine, or at another device.
//!
//! The library opens no browser and prints nothing. The caller shows the person what to do. The
//! browser's way is the authorization code flow of `OAuth` 2.0 with PKCE, a state and a nonce
//! (RFC 6749, RFC 7636, RFC 8252, OpenID Connect Core 1.0); the other one is the device flow
//! (RFC 8628), with PKCE too. Each has an end. No error and no `Debug` shows a code, a token or the
//! secret behind the PKCE challenge.

mod callback;
mod device;
mod error;
mod issuer;
mod secrets;

use std::fmt;
use std::time::Duration;

use countersign_oci::http::Connection;
use url::Url;

use crate::error::Error;
use crate::token::IdentityToken;
use crate::transport::Transport;
use callback::Callback;
use device::Device;
use issuer::{Issuer, require_confidential};
use secrets::Secrets;

pub use device::DeviceCode;
pub use error::LoginError;

/// For the whole login.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(300);
/// What Sigstore's tools are to an issuer.
const CLIENT: &str = "sigstore";
/// The identity is the email address.
const SCOPES: &str = "openid email";

/// What the caller made of the URL that a person has to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The person has it, in a browser or to copy. The login waits for the browser.
    ToPerson,
    /// There is no browser to show it in. The login ends with [`LoginError::NoBrowser`].
    NoBrowser,
}

/// Logins of a person at an OIDC issuer, as the client `sigstore`, by email address.
#[derive(Clone)]
pub struct Login {
    transport: Transport,
    issuer: Url,
    time: Duration,
}

impl Login {
    /// Logins at `issuer` ([`Services::oidc_issuer`](crate::Services::oidc_issuer)) over
    /// `connection`.
    ///
    /// # Errors
    /// [`Error::Services`], when the URL is neither https nor http on a loopback address.
    pub fn new(connection: &Connection, issuer: &Url) -> Result<Self, Error> {
        require_confidential(issuer)?;
        Ok(Self {
            transport: Transport::for_identity(connection.clone()),
            issuer: issuer.clone(),
            time: LOGIN_TIME_MAX,
        })
    }

    /// Waits so long for the whole login. Default five minutes.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Logs in by a browser on this machine. `show` gets the URL that the person has to open. The
    /// issuer sends the browser back to a port of `127.0.0.1`, where this waits for it.
    ///
    /// # Errors
    /// [`Error::Login`]; [`Error::Service`] of [`Service::OidcIssuer`](crate::Service::OidcIssuer),
    /// when it can't be asked; [`Error::Token`], when its token can't be used.
    pub async fn by_browser<S>(
        &self,
        show: impl FnOnce(Url) -> S + Send,
    ) -> Result<IdentityToken, Error>
    where
        S: Future<Output = Shown> + Send,
    {
        self.in_time(async {
            let issuer = Issuer::discover(&self.transport, &self.issuer).await?;
            let secrets = Secrets::new()?;
            let callback = Callback::listen(&secrets.state).await?;
            let redirect = callback.redirect().to_string();
            let url = issuer.authorization(&redirect, &secrets);
            match show(url).await {
                Shown::ToPerson => {}
                Shown::NoBrowser => return Err(LoginError::NoBrowser.into()),
            }
            let code = callback.code().await?;
            let token = issuer.redeem(code, &redirect, &secrets).await?;
            match token.claim("nonce") {
                Some(nonce) if nonce == *secrets.nonce => Ok(token),
                _ => Err(LoginError::OtherLogin.into()),
            }
        })
        .await
    }

    /// Logs in at another device. `show` gets the URL and the code that the person needs there.
    ///
    /// # Errors
    /// As [`Self::by_browser`].
    pub async fn by_device(
        &self,
        show: impl FnOnce(DeviceCode) + Send,
    ) -> Result<IdentityToken, Error> {
        self.in_time(async {
            let issuer = Issuer::discover(&self.transport, &self.issuer).await?;
            let secrets = Secrets::new()?;
            let device = Device::begin(&issuer, &secrets).await?;
            show(device.shown());
            device.wait(&issuer, &secrets).await
        })
        .await
    }

    async fn in_time(
        &self,
        login: impl Future<Output = Result<IdentityToken, Error>> + Send,
    ) -> Result<IdentityToken, Error> {
        let time = self.time;
        let ended = tokio::time::timeout(time, login).await;
        ended.unwrap_or_else(|_| Err(LoginError::Late { time }.into()))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("host", &self.issuer.host_str())
            .finish_non_exhaustive()
    }
}
