//! Logins: what proves to a registry who we are, and where it is from.

use std::fmt;

/// A way to prove to a registry who we are.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) secret: Secret,
    pub(super) from: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    Password {
        user: String,
        password: String,
    },
    /// Exchanged for access tokens at the token service.
    Identity(String),
    /// Sent as it is.
    Registry(String),
}

/// For errors: whose credentials these are and where they are from, without the secret.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Secret::Password { user, .. } => write!(f, "as `{user}` by {}", self.from),
            Secret::Identity(_) => write!(f, "with the identity token of {}", self.from),
            Secret::Registry(_) => write!(f, "with the registry token of {}", self.from),
        }
    }
}
