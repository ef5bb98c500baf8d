//! What most tests begin with: a registry, a Sigstore, and images that somebody signed.

use countersign_oci::{Descriptor, Digest};
use jiff::Timestamp;

use crate::image::Image;
use crate::registry::{RegistryOptions, RegistryServer};
use crate::sigstore::{BundleSpec, Sigstore, SigstoreError, Statement};

/// A registry and a Sigstore, with what it takes to publish signed images. Both end with it.
pub struct Scene {
    /// The registry that images go to, unless another is named.
    pub registry: RegistryServer,
    /// The services that sign.
    pub sigstore: Sigstore,
}

impl Scene {
    /// A registry with the referrers API, and a Sigstore.
    ///
    /// # Errors
    /// Where no port or no randomness is to be had.
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

    /// A policy's `verification` in YAML, on one line: signatures by `identity`, whom the
    /// Sigstore's issuer vouches for.
    pub fn verification(&self, identity: &str) -> String {
        let issuer = self.sigstore.issuer();
        format!("{{issuer: '{issuer}', identity: '{identity}'}}")
    }

    /// A list of galleries in YAML: the one gallery `acme`, whose index is at `index`, and whose
    /// images have to be signed by `identity`.
    pub fn gallery(&self, index: &str, identity: &str) -> String {
        let verification = self.verification(identity);
        format!("[{{name: acme, url: '{index}', verification: {verification}}}]")
    }

    /// Puts an image into the repository `path` of the registry, under `tag`, with a signature by
    /// `identity` of the time `signed_at`.
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

    /// As [`publish`](Self::publish), in another registry.
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

    /// A signature of `subject`, to be pushed beside it. What it states is up to `spec`.
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
