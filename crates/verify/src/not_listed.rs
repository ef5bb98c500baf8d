//! A document that no proof of an index covers.

use countersign_oci::Digest;

/// The proven index does not list the document, so its signature says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature of {signed} does not cover {found}: the index does not list it")]
pub struct NotListed {
    /// Digest of the proven index.
    pub signed: Digest,
    /// Digest of the other document.
    pub found: Digest,
}
