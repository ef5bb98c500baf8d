//! Fetches and unpacks admitted images.
#![allow(clippy::todo, missing_docs)]
use countersign_oci::{Digest, Platform, Reference, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{Error as VerifyError, Evidence, VerifiedImage, Verifier};
use std::{future::Future, path::Path};

/// What an installer asks of a verifier; implement it to stack a check of one's own on [`Verifier`].
pub trait ImageVerifier: Send + Sync {
    fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> impl Future<Output = Result<VerifiedImage, VerifyError>> + Send;
}
impl ImageVerifier for Verifier {
    async fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, VerifyError> {
        Verifier::verify(self, image, policy).await
    }
}

/// What happens, for progress display.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    Resolved {
        digest: Digest,
    },
    Verified {
        digest: Digest,
    },
    LayerProgress {
        digest: Digest,
        bytes: u64,
        size: u64,
    },
    LayerExtracted {
        digest: Digest,
    },
}

pub struct Installer<V>(std::marker::PhantomData<V>);
impl<V: ImageVerifier> Installer<V> {
    pub fn new(registry: Registry, verifier: V) -> Self {
        let _ = (registry, verifier);
        todo!()
    }
    /// Resolves the reference once; accepts a signature on the index or on the platform's manifest; fetches, checks and unpacks into a staging sibling of `directory`; renames into place.
    pub async fn install(
        &self,
        reference: &Reference,
        platform: &Platform,
        policy: &Policy,
        directory: &Path,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Installed, Error> {
        let _ = (reference, platform, policy, directory, events);
        todo!()
    }
}
/// What was installed, and on what evidence.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Installed {
    pub reference: Reference,
    pub platform: Platform,
    pub digest: Digest,
    pub index: Option<Digest>,
    pub evidence: Evidence,
    pub files: u64,
    pub bytes: u64,
    pub warnings: Vec<String>,
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Verify(VerifyError),
    #[error(transparent)]
    Registry(countersign_oci::Error),
    #[error(transparent)]
    Platform(countersign_oci::NoSuchPlatform),
}
