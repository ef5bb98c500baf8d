//! Why nobody is logged in.

use std::io;
use std::time::Duration;

use countersign_oci::{ErrorKind, excerpt};

/// Why a person's login gave no identity token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The caller can't open a browser.
    #[error("no browser can be opened")]
    NoBrowser,
    /// The issuer has no device flow.
    #[error("expected an OIDC issuer that logs in other devices, found no device endpoint")]
    NoDevices,
    /// The person or the issuer refused.
    #[error("the login was refused: {}", said(.error, .description.as_deref()))]
    Refused {
        /// The error of RFC 6749 or RFC 8628, in the issuer's words.
        error: String,
        /// What the issuer says about it.
        description: Option<String>,
    },
    /// Nobody logged in.
    #[error("nobody logged in within {} s", .time.as_secs_f64())]
    Late {
        /// How long the login waited.
        time: Duration,
    },
    /// The code for the other device ended before anybody logged in with it.
    #[error("the code for the login has expired")]
    CodeExpired,
    /// The token is from another login.
    #[error("the identity token is not from this login: its nonce is not the one that was sent")]
    OtherLogin,
    /// The token is from another issuer.
    #[error("the identity token is from the wrong issuer: expected {expected}, found {found}")]
    OtherIssuer {
        /// Who was asked.
        expected: String,
        /// Who issued it.
        found: String,
    },
    /// This machine can't wait for the browser.
    #[error("can't listen on 127.0.0.1 for the browser")]
    Listener(#[source] io::Error),
    /// This process has no random numbers.
    #[error("the login can't be protected: there are no random numbers")]
    Random,
}

impl LoginError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoBrowser | Self::NoDevices => ErrorKind::Usage,
            Self::Refused { .. } | Self::Late { .. } | Self::CodeExpired => ErrorKind::Rejected,
            Self::OtherLogin | Self::OtherIssuer { .. } => ErrorKind::Invalid,
            Self::Listener(_) => ErrorKind::Machine,
            Self::Random => ErrorKind::Internal,
        }
    }
}

fn said(error: &str, description: Option<&str>) -> String {
    let error = excerpt(error);
    match description {
        Some(description) => format!("the OIDC issuer says `{error}` ({})", excerpt(description)),
        None => format!("the OIDC issuer says `{error}`"),
    }
}
