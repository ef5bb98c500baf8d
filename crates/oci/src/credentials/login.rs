//! Logins at a registry, and where they come from.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A login at a registry.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) secret: Secret,
    pub(crate) from: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Password {
        user: String,
        password: Zeroizing<String>,
    },
    /// An identity token, which the token service exchanges for access tokens.
    Identity(Zeroizing<String>),
    /// A registry token, which is sent as it is.
    Registry(Zeroizing<String>),
}

/// Reads a secret into memory that is overwritten when it is dropped.
pub(crate) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// The same for a secret that may be left out or `null`.
pub(crate) fn secret_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    let secret = Option::<String>::deserialize(deserializer)?;
    Ok(secret.map(Zeroizing::new))
}

/// For errors: whose login this is and where it comes from, without the secret.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Secret::Password { user, .. } => write!(f, "as `{user}` by {}", self.from),
            Secret::Identity(_) => write!(f, "with the identity token of {}", self.from),
            Secret::Registry(_) => write!(f, "with the registry token of {}", self.from),
        }
    }
}
