//! The class of a refusal.

use countersign_oci::ErrorKind;
use serde::Serialize;

/// The class of a refusal. The order is by the number of checks that the signature passed: no signature,
/// then an invalid one, then one by another kind of signer, then a genuine one that the policy does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No signature: nothing at all, only the old format, or only attestations.
    Unsigned,
    /// The signature, the certificate, the log entry or the digest is not valid.
    Invalid,
    /// A signature by a key where the policy names an identity, or by a certificate where it names a key. Nothing
    /// more of it was checked.
    OtherSigner,
    /// A genuine signature that the policy does not accept.
    Policy,
}

impl From<RefusalKind> for ErrorKind {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Unsigned => Self::Unsigned,
            RefusalKind::Invalid => Self::Invalid,
            RefusalKind::OtherSigner | RefusalKind::Policy => Self::Policy,
        }
    }
}
