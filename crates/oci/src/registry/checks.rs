//! Content is what its descriptor and its digest say, or it is refused.

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::reference::PinnedReference;

/// Refuses to fetch what its descriptor says is over the limit.
pub(super) fn check_limit(
    descriptor: &Descriptor,
    limit: u64,
    what: &PinnedReference,
) -> Result<()> {
    if descriptor.size <= limit {
        return Ok(());
    }
    Err(Error::Limit {
        what: what.to_string(),
        limit,
        unit: "bytes",
    })
}

/// Refuses bytes of another size or digest than the descriptor's.
pub(super) fn check_content(
    bytes: &[u8],
    descriptor: &Descriptor,
    what: &PinnedReference,
) -> Result<()> {
    let found = bytes.len() as u64;
    if found != descriptor.size {
        return Err(size_mismatch(descriptor, found, what));
    }
    check_digest(bytes, what)
}

/// Refuses bytes of another digest than that of `what`.
pub(super) fn check_digest(bytes: &[u8], what: &PinnedReference) -> Result<()> {
    check_computed(Digest::of(what.digest().algorithm(), bytes), what)
}

/// Refuses what has the digest `found`, if that isn't the one of `what`.
pub(super) fn check_computed(found: Digest, what: &PinnedReference) -> Result<()> {
    if found == *what.digest() {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        what: Box::new(what.clone()),
        found,
    })
}

/// The error that `found` bytes came, or one more than the descriptor says.
pub(super) fn size_mismatch(descriptor: &Descriptor, found: u64, what: &PinnedReference) -> Error {
    Error::SizeMismatch {
        what: Box::new(what.clone()),
        expected: descriptor.size,
        found,
    }
}
