//! A signature as a registry stores it: one layer of a manifest.
//!
//! The states of a signature, in their order:
//!
//! - [`FoundSignature`](crate::FoundSignature): bytes from a registry or a file, for callers
//! - [`FetchedLayer`]: the same with the manifest that holds it
//! - [`SignatureToCheck`]: its form is known; of the legacy form, the parts are there
//! - `SignedBundle`: it is read and about the right image
//! - `Genuine`: the cryptography is verified
//! - `Proven`: the policy accepts it

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, ResolvedImage};
use countersign_policy::{Policy, SignatureFormat};

use crate::failure::Failure;
use crate::names::SIMPLE_SIGNING_LAYER;
use crate::simple_signing::SimpleSigning;

/// A layer of a signature manifest, and its content. The content has the digest that the layer names.
#[derive(Debug, Clone)]
pub(crate) struct FetchedLayer {
    pub(crate) holder: Arc<ResolvedImage>,
    pub(crate) layer: Descriptor,
    pub(crate) content: Bytes,
}

/// A signature, whole, in the form in which it was stored.
pub(crate) enum SignatureToCheck<'a> {
    /// A bundle's JSON.
    Bundle(&'a [u8]),
    SimpleSigning(SimpleSigning),
}

impl FetchedLayer {
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
    /// As of [`SimpleSigning::new`].
    pub(crate) fn signature(&self, policy: &Policy) -> Result<SignatureToCheck<'_>, Failure> {
        match self.format() {
            SignatureFormat::Bundle => Ok(SignatureToCheck::Bundle(&self.content)),
            SignatureFormat::SimpleSigning => {
                let stored = SimpleSigning::new(&self.layer, self.content.clone(), policy)?;
                Ok(SignatureToCheck::SimpleSigning(stored))
            }
        }
    }
}
