//! Bytes that have the digest they were asked for by.

use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::reference::{Location, PinnedReference};

/// Bytes with their digest. The functions of this file alone make one, and each computes the digest from the bytes.
/// What leaves this crate comes out of one, so that a check can't be left out.
pub(crate) struct Checked {
    reference: PinnedReference,
    bytes: Bytes,
}

impl Checked {
    /// The bytes with the SHA-256 digest that is computed from them.
    pub(crate) fn computed(location: &Location, bytes: Bytes) -> Self {
        Self {
            reference: location.at(Digest::sha256(&bytes)),
            bytes,
        }
    }

    /// Refuses bytes whose digest differs from that of `what`.
    pub(crate) fn by_digest(bytes: Bytes, what: PinnedReference) -> Result<Self> {
        check_computed(Digest::of(what.digest().algorithm(), &bytes), &what)?;
        Ok(Self {
            reference: what,
            bytes,
        })
    }

    /// Refuses bytes whose size differs from the descriptor's, or whose digest differs from that of `what`.
    pub(crate) fn by_descriptor(
        bytes: Bytes,
        descriptor: &Descriptor,
        what: PinnedReference,
    ) -> Result<Self> {
        let found = bytes.len() as u64;
        if found != descriptor.size {
            return Err(size_mismatch(descriptor, found, &what));
        }
        Self::by_digest(bytes, what)
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    pub(crate) fn into_parts(self) -> (PinnedReference, Bytes) {
        (self.reference, self.bytes)
    }
}

/// Refuses content with the digest `found`, unless `what` has the same digest.
pub(crate) fn check_computed(found: Digest, what: &PinnedReference) -> Result<()> {
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
pub(crate) fn size_mismatch(descriptor: &Descriptor, found: u64, what: &PinnedReference) -> Error {
    Error::SizeMismatch {
        what: Box::new(what.clone()),
        expected: descriptor.size,
        found,
    }
}
