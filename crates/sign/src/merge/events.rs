//! What a merge reports while it runs.

use countersign_oci::{Copied, PinnedReference, Reference};

use crate::outcome::Event;

/// How far a merge is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MergeEvent {
    /// A blob is in the target repository.
    Copied {
        /// The blob there.
        blob: PinnedReference,
        /// Its size, in bytes.
        size: u64,
        /// How it came there.
        copied: Copied,
    },
    /// All images are in a target repository, and so is the index, without a tag.
    Pushed {
        /// The index.
        index: PinnedReference,
    },
    /// Signing goes on.
    Signing(Event),
    /// Everything is signed, and verified by a client that looked for the first time.
    Proven,
    /// A tag names the merged image.
    Tagged {
        /// The tag.
        tag: Reference,
    },
}
