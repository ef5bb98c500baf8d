//! What a publication reports while it runs.

use countersign_oci::{Copied, PinnedReference, Reference};

use crate::outcome::SigningEvent;

/// How far a publication is.
#[derive(Debug, Clone)]
pub enum PublicationEvent {
    /// A merge: a blob is in the target repository.
    Copied {
        /// The blob there.
        blob: PinnedReference,
        /// Its size, in bytes.
        size: u64,
        /// How it came there.
        copied: Copied,
    },
    /// A merge: all images are in a target repository, and so is the index, without a tag.
    Pushed {
        /// The index.
        index: PinnedReference,
    },
    /// These tags are to be written, in this order. Until then each of them is left as it is.
    Planned {
        /// The tags.
        tags: Vec<Reference>,
    },
    /// Signing goes on.
    Signing(SigningEvent),
    /// Everything is signed, and verified by a client that looked for the first time.
    Proven,
    /// A tag is about to be written. Until [`Tagged`](Self::Tagged), nobody knows what it names.
    Tagging {
        /// The tag.
        tag: Reference,
    },
    /// A tag names the signed image.
    Tagged {
        /// The tag.
        tag: Reference,
    },
}
