//! A signature as a registry stores it: one layer of a manifest.

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, ResolvedImage};
use countersign_policy::{Policy, SignatureFormat};

use crate::failure::Failure;
use crate::names::SIMPLE_SIGNING_LAYER;
use crate::simple_signing::StoredSignature;

/// A layer of a signature manifest, and its content. The content has the digest that the layer names.
#[derive(Debug, Clone)]
pub(crate) struct StoredLayer {
    pub(crate) holder: Arc<ResolvedImage>,
    pub(crate) layer: Descriptor,
    pub(crate) content: Bytes,
}

/// A signature, whole, in the form in which it was stored.
pub(crate) enum Stored<'a> {
    /// A bundle's JSON.
    Bundle(&'a [u8]),
    SimpleSigning(StoredSignature),
}

impl StoredLayer {
    /// The digest of the manifest that holds the signature.
    pub(crate) fn holder(&self) -> &Digest {
        self.holder.digest()
    }

    /// The form of the signature, by the media type of the layer.
    pub(crate) fn format(&self) -> SignatureFormat {
        if self.layer.media_type == SIMPLE_SIGNING_LAYER {
            SignatureFormat::SimpleSigning
        } else {
            SignatureFormat::Bundle
        }
    }

    /// The signature. The media type of the layer says the form.
    ///
    /// # Errors
    /// As of [`StoredSignature::new`].
    pub(crate) fn signature(&self, policy: &Policy) -> Result<Stored<'_>, Failure> {
        match self.format() {
            SignatureFormat::Bundle => Ok(Stored::Bundle(&self.content)),
            SignatureFormat::SimpleSigning => {
                let stored = StoredSignature::new(&self.layer, self.content.clone(), policy)?;
                Ok(Stored::SimpleSigning(stored))
            }
        }
    }
}
