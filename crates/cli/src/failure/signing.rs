//! What is said of signing.

use super::verification::refused;
use super::{Failure, Kind};

const CLOCK: &str = "set the clock of this machine, by NTP best, and sign again";

impl From<countersign_sign::TokenError> for Failure {
    fn from(error: countersign_sign::TokenError) -> Self {
        use countersign_sign::TokenError;
        match error {
            TokenError::Expired { .. } => Self::new(Kind::Unreachable, error)
                .hint("get a new token right before signing: most live for five to ten minutes")
                .hint("if the token is new, the clock of this machine is ahead: set it"),
            TokenError::Clock(_) => Self::new(Kind::Internal, error).hint(CLOCK),
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
            SignError::ByTag { ref pinned } => {
                let words: Vec<_> = pinned.iter().map(ToString::to_string).collect();
                Self::new(Kind::Usage, error)
                    .hint(format!(
                        "compare with the digest that the push printed; if it is the one that the tag names now, run `countersign sign {}` with the same flags",
                        words.join(" ")
                    ))
                    .hint("or pass --by-tag, to sign whatever the registry answers")
                    .field("pinned_references", words)
            }
            SignError::Tag {
                ref reference,
                ref found,
                ..
            } => {
                let kind = if found.is_some() {
                    Kind::Invalid
                } else {
                    Kind::NotFound
                };
                let untagged = match reference.digest() {
                    Some(digest) => format!("{}@{digest}", reference.repository()),
                    None => reference.to_string(),
                };
                Self::new(kind, error).hint(format!(
                    "push the tag first, or sign without it: {untagged}; if the tag is set once the image is signed, pass --tag-later",
                ))
            }
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
            SignError::Policy { .. } => Self::new(Kind::Policy, error).hint(
                "an installer would refuse what would be signed here: compare the policy with the job that signs, and with the references and annotations given",
            ),
            SignError::Clock { .. } => Self::new(Kind::Internal, error).hint(CLOCK),
            SignError::Bundle { ref source, .. } => {
                let kind = refused(source.kind());
                Self::new(kind, error)
                    .hint("the trusted root has to be of the instance whose services signed")
            }
            SignError::NotListed { .. } => Self::new(Kind::Unreachable, error)
                .hint("sign again; if it stays so, the registry's referrers support is at fault"),
            SignError::Limit { .. } => Self::new(Kind::Invalid, error),
            _ => Self::new(Kind::Internal, error),
        }
    }
}
