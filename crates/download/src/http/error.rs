//! Why content from the web is not there.

use std::fmt::Display;

use countersign_oci::http::RedirectRefused;
use countersign_oci::{Consequence, Error, ErrorKind};

/// Why content from the web is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server doesn't have it.
    #[error("{location} was not found")]
    NotFound {
        /// Where it was looked for.
        location: String,
    },
    /// No answer: DNS, connection, TLS, time-out, truncated body.
    #[error("no answer from {location}")]
    Unreachable {
        /// Where it was asked for.
        location: String,
        /// The transport's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server says that it can't answer now.
    #[error("{location} answered {status}, expected 200")]
    Unavailable {
        /// Where it was asked for.
        location: String,
        /// HTTP status code: 408, 425, 429, or one from 500 on.
        status: u16,
    },
    /// Another status that brings no content.
    #[error("{location} answered {status}, expected 200")]
    Status {
        /// Where it was asked for.
        location: String,
        /// HTTP status code.
        status: u16,
    },
    /// A redirect that isn't followed.
    #[error("won't follow {location} to {found}: {reason}")]
    Redirect {
        /// Where it was asked for.
        location: String,
        /// Where the last one leads.
        found: String,
        /// Why it isn't followed.
        reason: RedirectRefused,
    },
    /// More bytes than [`Limits`](crate::Limits) allows of its kind.
    #[error("{location} is over the limit of {limit} bytes")]
    TooLarge {
        /// Where it is.
        location: String,
        /// The limit.
        limit: u64,
    },
    /// The client can't be built as configured.
    #[error("the HTTP client can't be set up: {detail}")]
    Configuration {
        /// What is wrong with which setting.
        detail: String,
    },
}

impl HttpError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::Invalid,
            Self::Configuration { .. } => ErrorKind::Usage,
            Self::Unreachable { source, .. } => ErrorKind::of_network(source.as_ref()),
            Self::Unavailable { .. } | Self::Status { .. } | Self::Redirect { .. } => {
                ErrorKind::Unreachable
            }
        }
    }

    /// What the error of a connection says of the place that was asked.
    pub(crate) fn of(error: Error, name: &dyn Display) -> Self {
        let location = name.to_string();
        match error {
            Error::NotFound { .. } | Error::Status { status: 410, .. } => {
                Self::NotFound { location }
            }
            Error::Status { status, .. } => match Consequence::of_status(status) {
                Consequence::TryNext => Self::Unavailable { location, status },
                Consequence::TrySameDigest | Consequence::End => Self::Status { location, status },
            },
            Error::Network { source, .. } => Self::Unreachable { location, source },
            Error::Limit { limit, .. } => Self::TooLarge { location, limit },
            Error::Redirect { to, reason, .. } => Self::Redirect {
                location,
                found: to,
                reason,
            },
            Error::Configuration { detail } => Self::Configuration { detail },
            // Of a connection there are no others.
            other => Self::Unreachable {
                location,
                source: Box::new(other),
            },
        }
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unavailable { .. } => {
                self.kind() == ErrorKind::Unreachable
            }
            Self::NotFound { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Configuration { .. } => false,
        }
    }

    /// Whether another place may be asked: it isn't there, or nobody answers.
    pub fn leaves_to_mirrors(&self) -> bool {
        self.consequence() == Consequence::TryNext
    }

    /// What the error means for the other places of the same content.
    pub(crate) fn consequence(&self) -> Consequence {
        match self {
            Self::NotFound { .. } => Consequence::TryNext,
            Self::Unreachable { .. } | Self::Unavailable { .. } if self.may_pass() => {
                Consequence::TryNext
            }
            Self::Unreachable { .. }
            | Self::Unavailable { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. } => Consequence::TrySameDigest,
            Self::Configuration { .. } => Consequence::End,
        }
    }
}
