//! The signatures that a verdict stood on, kept for whoever wants to come to the verdict again.
//!
//! They are kept as they were found. Nothing here is a proof.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, lock};
use countersign_policy::SignatureFormat;

use crate::signature::FetchedLayer;

/// A signature as it was found, in a registry or in a file.
#[derive(Debug, Clone)]
pub struct FoundSignature {
    /// Of a legacy signature: the descriptor of its layer, which has the signature in its annotations.
    layer: Option<Box<Descriptor>>,
    /// A bundle's JSON; or a legacy signature's payload, which has the digest of its descriptor.
    bytes: Bytes,
}

impl FoundSignature {
    /// A Sigstore bundle, by its JSON.
    pub fn bundle(json: impl Into<Bytes>) -> Self {
        Self {
            layer: None,
            bytes: json.into(),
        }
    }

    /// A legacy signature, by the descriptor of its layer and the layer's content. `None` if the content has another
    /// digest or another size than the descriptor says.
    pub fn simple_signing(layer: Descriptor, payload: impl Into<Bytes>) -> Option<Self> {
        let bytes = payload.into();
        layer.describes(&bytes).then(|| Self {
            layer: Some(Box::new(layer)),
            bytes,
        })
    }

    pub(crate) fn of(stored: &FetchedLayer) -> Self {
        let layer = match stored.format() {
            SignatureFormat::Bundle => None,
            SignatureFormat::SimpleSigning => Some(Box::new(stored.layer.clone())),
        };
        Self {
            layer,
            bytes: stored.content.clone(),
        }
    }

    /// The descriptor of a legacy signature's layer; `None` of a bundle.
    pub fn layer(&self) -> Option<&Descriptor> {
        self.layer.as_deref()
    }

    /// A bundle's JSON, or a legacy signature's payload.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Keeps the signatures that a [`Verifier`](crate::Verifier) judges, whatever becomes of them. Clones keep them together.
/// [`Verifier::survey`](crate::Verifier::survey) adds those that a verdict did not need.
///
/// A verifier judges at most [`Limits::candidates`](crate::Limits) of an image.
#[derive(Debug, Clone, Default)]
pub struct SeenSignatures(Arc<Mutex<Vec<(Digest, FoundSignature)>>>);

impl SeenSignatures {
    /// What was judged for the document with this digest, in the order of the judgements.
    pub fn of(&self, document: &Digest) -> Vec<FoundSignature> {
        let kept = lock(&self.0);
        let kept = kept.iter().filter(|(of, _)| of == document);
        kept.map(|(_, found)| found.clone()).collect()
    }

    /// Keeps it, unless it is kept already.
    pub(crate) fn keep_new(&self, document: &Digest, found: FoundSignature) {
        let mut kept = lock(&self.0);
        let is_it = |(of, one): &(Digest, FoundSignature)| {
            of == document && one.layer == found.layer && one.bytes == found.bytes
        };
        if !kept.iter().any(is_it) {
            kept.push((document.clone(), found));
        }
    }

    pub(crate) fn keep(&self, document: &Digest, found: FoundSignature) {
        let mut kept = lock(&self.0);
        kept.push((document.clone(), found));
    }
}
