//! Why content from the web is not there.

use std::fmt::Display;

use countersign_oci::http::RedirectRefused;
use countersign_oci::{Consequence, Error, ErrorKind, Sorted, StatusMeaning};

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
    #[error("no complete answer from {location}")]
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
        /// HTTP status code, of which [`StatusMeaning`] says that the server can't answer, now or at all.
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
    #[error("the redirect from {location} to {found} is not followed: {reason}")]
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
    /// Something else went wrong. It is sorted as the error that it comes from.
    #[error("can't fetch {location}")]
    Failed {
        /// Where it was asked for.
        location: String,
        /// What went wrong.
        #[source]
        source: Box<Error>,
    },
    /// The client can't be built as configured.
    #[error("the HTTP client can't be set up: {detail}")]
    Configuration {
        /// What is wrong with which setting.
        detail: String,
    },
}

impl HttpError {
    /// The table of errors. It names every variant, so a new variant doesn't compile until it has a
    /// row.
    fn sorted(&self) -> Sorted {
        let (kind, consequence) = match self {
            Self::NotFound { .. } => (ErrorKind::NotFound, Consequence::TryNext),
            Self::Unreachable { source, .. } => {
                (ErrorKind::of_network(source.as_ref()), Consequence::TryNext)
            }
            Self::Unavailable { .. } => (ErrorKind::Unreachable, Consequence::TryNext),
            Self::Status { .. } | Self::Redirect { .. } => {
                (ErrorKind::Rejected, Consequence::TrySameDigest)
            }
            Self::TooLarge { .. } => (ErrorKind::Invalid, Consequence::TrySameDigest),
            Self::Failed { source, .. } => (source.kind(), source.consequence()),
            Self::Configuration { .. } => (ErrorKind::Usage, Consequence::End),
        };
        Sorted::new(kind, consequence)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.sorted().kind()
    }

    /// What the error means for the other places of the same content: the next is asked where it isn't
    /// there, or nobody answers.
    pub fn consequence(&self) -> Consequence {
        self.sorted().consequence()
    }

    /// What the error of a connection says of the place that was asked.
    pub(crate) fn of(error: Error, name: &dyn Display) -> Self {
        let location = name.to_string();
        match error {
            Error::NotFound { .. } => Self::NotFound { location },
            Error::Status { status, .. } => match StatusMeaning::of(status) {
                StatusMeaning::Absent => Self::NotFound { location },
                StatusMeaning::NotNow | StatusMeaning::NotAble => {
                    Self::Unavailable { location, status }
                }
                StatusMeaning::Refused => Self::Status { location, status },
            },
            Error::Network { source, .. } => Self::Unreachable { location, source },
            Error::Limit { limit, .. } => Self::TooLarge { location, limit },
            Error::Redirect { to, reason, .. } => Self::Redirect {
                location,
                found: to,
                reason,
            },
            Error::Configuration { detail } => Self::Configuration { detail },
            other => Self::Failed {
                location,
                source: Box::new(other),
            },
        }
    }
}
