//! With what a signature in a log entry verifies.

use super::keys::pem;

/// With what a signature verifies, as a log entry has it.
#[derive(Clone)]
pub(super) enum EntryVerifier {
    /// A certificate (DER).
    Certificate(Vec<u8>),
    /// A public key (DER SubjectPublicKeyInfo).
    Key(Vec<u8>),
}

impl EntryVerifier {
    /// In PEM, as Rekor v1 has it.
    pub(super) fn pem(&self) -> String {
        match self {
            Self::Certificate(der) => pem("CERTIFICATE", der),
            Self::Key(der) => pem("PUBLIC KEY", der),
        }
    }
}
