//! Identity tokens that end while a run waits.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::error::Error;
use crate::token::{IdentityToken, TokenError};

/// A fresh identity token, on its way.
pub type Renewing =
    Pin<Box<dyn Future<Output = Result<IdentityToken, Box<dyn StdError + Send + Sync>>> + Send>>;

/// Asks for a fresh identity token.
pub(crate) type Renew = Box<dyn Fn() -> Renewing + Send + Sync>;

/// The identity token of a run, and where the next one comes from.
pub(crate) struct Tokens<'a> {
    current: Mutex<IdentityToken>,
    renew: Option<&'a Renew>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(token: IdentityToken, renew: Option<&'a Renew>) -> Self {
        Self {
            current: Mutex::new(token),
            renew,
        }
    }

    /// A token that a certificate can be asked for with.
    ///
    /// # Errors
    /// [`Error::Token`], if the token has ended and nobody can be asked for a new one;
    /// [`Error::Renewal`], if the CI was asked and gave none.
    pub(crate) async fn live(&self) -> Result<IdentityToken, Error> {
        let token = self.lock().clone();
        match (token.check(Timestamp::now()), self.renew) {
            (Ok(()), _) => Ok(token),
            (Err(TokenError::Expired { .. }), Some(renew)) => {
                tracing::info!("the identity token has ended: asking for another");
                let fresh = renew().await.map_err(Error::Renewal)?;
                fresh.check(Timestamp::now())?;
                self.lock().clone_from(&fresh);
                Ok(fresh)
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IdentityToken> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
