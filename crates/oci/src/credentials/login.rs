//! Logins at a registry, and where they come from.

use std::fmt;

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
        password: String,
    },
    /// An identity token, which the token service exchanges for access tokens.
    Identity(String),
    /// A registry token, which is sent as it is.
    Registry(String),
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
