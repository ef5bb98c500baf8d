//! Checks content against its descriptor and its digest.

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::reference::PinnedReference;

/// Refuses content whose descriptor's size is over the limit.
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

/// Refuses bytes whose size or digest differs from the descriptor's.
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

/// Refuses bytes whose digest differs from that of `what`.
pub(super) fn check_digest(bytes: &[u8], what: &PinnedReference) -> Result<()> {
    check_computed(Digest::of(what.digest().algorithm(), bytes), what)
}

/// Refuses content with the digest `found`, unless `what` has the same digest.
pub(super) fn check_computed(found: Digest, what: &PinnedReference) -> Result<()> {
    if found == *what.digest() {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        what: Box::new(what.clone()),
        found,
    })
}

/// The error that `found` bytes came. If reading stopped early, `found` is the descriptor's size
/// plus one.
pub(super) fn size_mismatch(descriptor: &Descriptor, found: u64, what: &PinnedReference) -> Error {
    Error::SizeMismatch {
        what: Box::new(what.clone()),
        expected: descriptor.size,
        found,
    }
}

/// The error of reading a blob of at most the descriptor's size. If reading stopped at that limit,
/// the blob is longer than its descriptor says, so the size is wrong.
pub(super) fn or_wrong_size(
    error: Error,
    descriptor: &Descriptor,
    what: &PinnedReference,
) -> Error {
    if let Error::Limit { .. } = error {
        return size_mismatch(descriptor, descriptor.size.saturating_add(1), what);
    }
    error
}
