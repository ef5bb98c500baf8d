//! What came of a run: what was signed, and what wasn't.

use std::fmt;

use countersign_oci::{Digest, ErrorKind, PinnedReference, Platform, Reference};
use countersign_policy::SignatureFormat;
use countersign_verify::Evidence;
use serde::Serialize;

use crate::error::Error;

/// How far a run is.
#[derive(Debug, Clone)]
pub enum SigningEvent {
    /// It is known what there is to sign.
    Begun {
        /// Every manifest, in the order of the results; of several forms, once for each.
        subjects: Vec<Unsigned>,
    },
    /// A manifest was signed and the signature recorded.
    Signed {
        /// The manifest.
        image: PinnedReference,
        /// The form of the signature.
        format: SignatureFormat,
    },
    /// The signature was pushed.
    Pushed {
        /// The manifest that was signed.
        image: PinnedReference,
        /// The form of the signature.
        format: SignatureFormat,
        /// Digest of the signature's manifest.
        signature: Digest,
    },
    /// The consumer accepts the signature, and all is done for this manifest in this form.
    Verified {
        /// The manifest, and its signature.
        signed: Box<Signed>,
    },
}

/// A manifest that has a signature in one form, and what the consumer says of the signature.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Signed {
    /// The reference that led to it.
    pub reference: Reference,
    /// Its platform, where an index says so.
    pub platform: Option<Platform>,
    /// Its digest.
    pub digest: Digest,
    /// Whether this run signed it.
    pub outcome: SigningOutcome,
    /// Digest of the manifest that holds the signature.
    pub signature_manifest: Digest,
    /// What the consumer found proven.
    pub evidence: Evidence,
}

/// Whether a run had to sign a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningOutcome {
    /// It was signed.
    Signed,
    /// An earlier run by the same identity had signed it. Nothing was added.
    AlreadySigned,
}

/// A manifest that the run was to sign in one form, and has not proven to be signed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Unsigned {
    /// The reference that led to it.
    pub reference: Reference,
    /// Its platform, where an index says so.
    pub platform: Option<Platform>,
    /// Its digest.
    pub digest: Digest,
    /// The form of the signature that was to be made.
    pub format: SignatureFormat,
    /// How far the run got with it.
    pub reached: Reached,
}

/// How far a run got with a manifest that it didn't finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// Nothing was pushed. The log may have an entry, which harms nobody.
    NotSigned,
    /// A signature was made, and pushing it failed: it may be there all the same.
    NotPushed,
    /// A signature was pushed, and the consumer doesn't accept it, or doesn't see it.
    NotVerified,
}

/// A run that ended early. No tag was touched, and running it again is safe: it goes on with what
/// isn't signed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Why. Where several manifests failed, it is the first of them, in the order of the references.
    pub error: Error,
    /// What has a signature that the consumer accepts, in order.
    pub signed: Vec<Signed>,
    /// What has none, in order. Empty where the run ended before it knew what there was to sign.
    pub unsigned: Vec<Unsigned>,
}

impl Stopped {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
}

/// A run that ended before it knew what there was to sign.
impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self {
            error,
            signed: Vec::new(),
            unsigned: Vec::new(),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
