//! Checks content against its descriptor before all of it is read.

use crate::checked::size_mismatch;
use crate::descriptor::Descriptor;
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
