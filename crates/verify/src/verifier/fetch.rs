//! Fetches what a candidate holds.

use std::sync::Arc;

use countersign_oci::{Descriptor, Error as RegistryError, Location, ResolvedImage};
use countersign_policy::Policy;

use super::Verifier;
use crate::candidate::{self, SignatureLayers};
use crate::failure::Failure;
use crate::signature::FetchedLayer;

impl Verifier {
    /// Fetches a referrer's manifest, then its bundle. The payloads of legacy signatures are fetched later, one
    /// after the other.
    pub(super) async fn fetch(
        &self,
        location: &Location,
        image: &ResolvedImage,
        policy: &Policy,
        descriptor: Descriptor,
    ) -> (Descriptor, Result<Fetched, FetchFailure>) {
        let outcome = self
            .fetch_signature(location, image, policy, &descriptor)
            .await;
        (descriptor, outcome)
    }

    async fn fetch_signature(
        &self,
        location: &Location,
        image: &ResolvedImage,
        policy: &Policy,
        descriptor: &Descriptor,
    ) -> Result<Fetched, FetchFailure> {
        let manifest = self
            .registry
            .manifest(&location.at(descriptor.digest.clone()))
            .await?;
        match candidate::signature_layers(image.digest(), &manifest, policy)? {
            SignatureLayers::Bundle(layer) => {
                let limit = self.limits.bundle_bytes;
                let content = self.registry.blob(location, layer, limit).await?;
                Ok(Fetched::Bundle(Box::new(FetchedLayer {
                    layer: layer.clone(),
                    holder: Arc::new(manifest),
                    content,
                })))
            }
            SignatureLayers::SimpleSigning(layers) => {
                let layers = layers.into_iter().cloned().collect();
                Ok(Fetched::SimpleSigning(Arc::new(manifest), layers))
            }
        }
    }
}

/// What was fetched of a candidate.
pub(super) enum Fetched {
    Bundle(Box<FetchedLayer>),
    /// A manifest, and its layers with the payloads of legacy signatures.
    SimpleSigning(Arc<ResolvedImage>, Vec<Descriptor>),
}

/// Why a candidate's bundle could not be fetched.
pub(super) enum FetchFailure {
    /// The candidate is at fault.
    Failure(Failure),
    /// The registry or the network is at fault: the candidate may be good.
    Registry(RegistryError),
}

impl From<Failure> for FetchFailure {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RegistryError> for FetchFailure {
    fn from(error: RegistryError) -> Self {
        if error.spoils_one_candidate() {
            Self::Failure(Failure::Unreadable(Box::new(error)))
        } else {
            Self::Registry(error)
        }
    }
}
