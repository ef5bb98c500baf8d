//! What most tests start with: a registry, a Sigstore, and signed images.

use countersign_oci::{Descriptor, Digest};
use jiff::Timestamp;

use crate::image::Image;
use crate::registry::{RegistryOptions, RegistryServer};
use crate::sigstore::{BundleSpec, Sigstore, SigstoreError, Statement};

/// A registry and a Sigstore, with methods to publish signed images. Both stop when this is
/// dropped.
pub struct Scene {
    /// The registry for images, unless another one is named.
    pub registry: RegistryServer,
    /// The services that sign.
    pub sigstore: Sigstore,
}

impl Scene {
    /// A registry with the referrers API, and a Sigstore.
    ///
    /// # Errors
    /// An error, if there is no free port or no randomness.
    pub async fn start() -> std::io::Result<Self> {
        Self::with(RegistryOptions {
            referrers_api: true,
            ..RegistryOptions::default()
        })
        .await
    }

    /// A registry with these options, and a Sigstore.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn with(options: RegistryOptions) -> std::io::Result<Self> {
        Ok(Self {
            registry: RegistryServer::start(options).await?,
            sigstore: Sigstore::start().await?,
        })
    }

    /// A policy's `verification` in YAML, on one line: signatures by `identity` from the Sigstore's
    /// issuer.
    pub fn verification(&self, identity: &str) -> String {
        let issuer = self.sigstore.issuer();
        format!("{{issuer: '{issuer}', identity: '{identity}'}}")
    }

    /// A list of galleries in YAML, with one gallery `acme`. Its index is at `index`, and its
    /// images must be signed by `identity`.
    pub fn gallery(&self, index: &str, identity: &str) -> String {
        let verification = self.verification(identity);
        format!("[{{name: acme, url: '{index}', verification: {verification}}}]")
    }

    /// Stores an image in the repository `path` of the registry, under `tag`, with a signature by
    /// `identity` from the time `signed_at`.
    ///
    /// # Errors
    /// As [`Sigstore::issue`].
    pub fn publish(
        &self,
        image: &Image,
        path: &str,
        tag: &str,
        identity: &str,
        signed_at: Timestamp,
    ) -> Result<Digest, SigstoreError> {
        self.publish_to(&self.registry, image, path, tag, identity, signed_at)
    }

    /// Like [`publish`](Self::publish), in another registry.
    ///
    /// # Errors
    /// As [`Sigstore::issue`].
    pub fn publish_to(
        &self,
        registry: &RegistryServer,
        image: &Image,
        path: &str,
        tag: &str,
        identity: &str,
        signed_at: Timestamp,
    ) -> Result<Digest, SigstoreError> {
        let digest = image.push(registry, path, Some(tag));
        let spec = BundleSpec::new(Statement::of(digest.clone()), identity).signed_at(signed_at);
        self.signature(image.descriptor(), &spec)?
            .push(registry, path, None);
        Ok(digest)
    }

    /// A signature of `subject`, to push to the same repository. `spec` says what it states.
    ///
    /// # Errors
    /// As [`Sigstore::issue`].
    pub fn signature(
        &self,
        subject: Descriptor,
        spec: &BundleSpec,
    ) -> Result<Image, SigstoreError> {
        Ok(Image::signature(subject, self.sigstore.issue(spec)?))
    }
}
