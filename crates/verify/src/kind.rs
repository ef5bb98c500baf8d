//! How far a signature came that is refused.

use countersign_oci::ErrorKind;
use serde::Serialize;

/// The class of a refusal. The order is by how far the signature came: a genuine one that misses
/// the policy tells more than a broken one, and a broken one more than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No signature of a kind that counts (none, legacy only, attestations only).
    Unsigned,
    /// Signature, certificate, log or digest do not hold.
    Invalid,
    /// A genuine signature that the policy does not accept.
    Policy,
}

impl From<RefusalKind> for ErrorKind {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Unsigned => Self::Unsigned,
            RefusalKind::Invalid => Self::Invalid,
            RefusalKind::Policy => Self::Policy,
        }
    }
}
