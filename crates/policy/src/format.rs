//! The forms in which a signature may be stored.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The form of a signature.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFormat {
    /// A Sigstore bundle with an in-toto statement: what cosign writes since version 3, and this program.
    #[default]
    Bundle,
    /// Simple signing, the legacy form of cosign: a JSON payload, and the rest in annotations of a manifest.
    ///
    /// It is weaker than a bundle. The log has only promised to include the signature, and no proof shows that
    /// it did. The payload names the repository, but seldom the tag.
    SimpleSigning,
}

impl SignatureFormat {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Bundle, Self::SimpleSigning];

    /// The name in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::SimpleSigning => "simple_signing",
        }
    }

    /// The format with this name, if there is one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

impl fmt::Display for SignatureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
