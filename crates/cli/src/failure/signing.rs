//! What is said of signing.

use super::verification::refused;
use super::{Failure, Kind};

impl From<countersign_sign::TokenError> for Failure {
    fn from(error: countersign_sign::TokenError) -> Self {
        use countersign_sign::TokenError;
        match error {
            TokenError::Expired { .. } => Self::new(Kind::Unreachable, error)
                .hint("get a new token right before signing: most live for five to ten minutes"),
            TokenError::Audience { .. } => Self::new(Kind::Usage, error)
                .hint("ask the issuer for a token with the audience `sigstore`"),
            _ => Self::new(Kind::Usage, error)
                .hint("pass the token itself, or @FILE to read it from a file"),
        }
    }
}

impl From<countersign_sign::Error> for Failure {
    fn from(error: countersign_sign::Error) -> Self {
        use countersign_sign::Error as SignError;
        match error {
            SignError::Registry(error) => error.into(),
            SignError::Trust(error) => error.into(),
            SignError::Token(error) => error.into(),
            SignError::Services { .. } => Self::new(Kind::Usage, error),
            SignError::Service { .. } => Self::new(Kind::Unreachable, error),
            SignError::Refused { ref source, .. } => {
                let kind = match source.as_ref() {
                    countersign_verify::Error::Refused(refusal) => refused(refusal.kind()),
                    countersign_verify::Error::Registry(_) => Kind::Unreachable,
                    _ => Kind::Internal,
                };
                Self::new(kind, error).hint(
                    "an installer would refuse this image too: compare the trusted root with the services that signed, and the policy with the signer",
                )
            }
            SignError::Unneeded { ref source, .. } => {
                let kind = refused(source.kind());
                Self::new(kind, error).hint(
                    "an installer would accept the image for another signature, and not for this one: compare the policy with the signer",
                )
            }
            SignError::Bundle { .. } => Self::new(Kind::Invalid, error)
                .hint("the trusted root has to be of the instance whose services signed"),
            SignError::NotListed { .. } => Self::new(Kind::Unreachable, error)
                .hint("sign again; if it stays so, the registry's referrers support is at fault"),
            SignError::Limit { .. } => Self::new(Kind::Invalid, error),
            _ => Self::new(Kind::Internal, error),
        }
    }
}
