//! What an installation tells while it runs.

use std::path::PathBuf;

use countersign_oci::Digest;

/// What happens, for a display of progress.
#[derive(Debug, Clone)]
pub enum Event {
    /// Another run installs to the same directory. This one waits for it.
    Waiting {
        /// The directory.
        path: PathBuf,
    },
    /// The reference was resolved to this digest, of an index or of a manifest.
    Resolved {
        /// The digest that everything after depends on.
        digest: Digest,
    },
    /// A signature was verified.
    Verified {
        /// Digest of the document that the signature is for.
        digest: Digest,
    },
    /// Nothing proves the content, and no proof is required: it is installed.
    Unverified {
        /// Digest that the permit is for.
        digest: Digest,
    },
    /// Some more of a tarball was fetched.
    ArchiveProgress {
        /// The tarball.
        source: String,
        /// Bytes fetched so far.
        bytes: u64,
        /// Bytes of the whole tarball, where the server states them.
        size: Option<u64>,
    },
    /// Some more of a layer was fetched. Every layer of an image is told of with no bytes before any
    /// has some: that is the total.
    LayerProgress {
        /// The layer.
        digest: Digest,
        /// Bytes fetched so far.
        bytes: u64,
        /// Bytes of the whole layer.
        size: u64,
    },
    /// A layer was in the [`LayerCache`](crate::LayerCache), and is not fetched.
    LayerCached {
        /// The layer.
        digest: Digest,
    },
    /// A layer was unpacked.
    LayerExtracted {
        /// The layer.
        digest: Digest,
    },
}

/// Takes [`Event`]s, on whichever thread they happen.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);
