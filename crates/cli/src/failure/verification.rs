//! What is said of signatures that are refused, and of what they are judged by.

use countersign_verify::RefusalKind;

use super::{Failure, Kind};

impl From<countersign_verify::TrustError> for Failure {
    fn from(error: countersign_verify::TrustError) -> Self {
        use countersign_verify::{TrustError, TufError};
        match error {
            TrustError::Tuf {
                source: TufError::Cache { .. },
                ..
            } => Self::new(Kind::Unreachable, error).hint(
                "run it once without --offline, where the network reaches the TUF repository, or \
                 pass --trusted-root FILE",
            ),
            TrustError::Tuf { .. } => Self::new(Kind::Unreachable, error).hint(
                "check the network, or pass --trusted-root FILE to do without the TUF repository",
            ),
            _ => Self::new(Kind::Usage, error)
                .hint("pass a trusted_root.json as the instance's TUF repository distributes it"),
        }
    }
}

impl From<countersign_verify::Error> for Failure {
    fn from(error: countersign_verify::Error) -> Self {
        use countersign_verify::Error as VerifyError;
        match error {
            VerifyError::Registry(error) => error.into(),
            VerifyError::Trust(error) => error.into(),
            VerifyError::Refused(refusal) => {
                let kind = refused(refusal.kind());
                let repository = refusal.image.repository().clone();
                Self::new(kind, refusal).hinted_as_refused(kind, &repository)
            }
            VerifyError::Late { .. } => Self::new(Kind::Unreachable, error)
                .hint("the registry is very slow, or holds the verification up: try again later"),
            other => Self::new(Kind::Internal, other),
        }
    }
}

pub(super) fn refused(kind: RefusalKind) -> Kind {
    match kind {
        RefusalKind::Unsigned => Kind::Unsigned,
        RefusalKind::Policy => Kind::Policy,
        RefusalKind::Invalid => Kind::Invalid,
    }
}

pub(super) fn refusal_hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Unsigned => {
            "sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)"
        }
        Kind::Policy => {
            "if this signer is the right one, correct the policy; if not, do not use the image"
        }
        _ => {
            "the signature can't be trusted: do not use the image; its publisher has to sign it again"
        }
    }
}
