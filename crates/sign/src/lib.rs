//! The producer.
#![allow(clippy::todo, missing_docs)]
use countersign_oci::{Digest, PinnedReference, Reference, Registry};
use countersign_verify::{Evidence, TrustedRoot};
use std::collections::BTreeMap;
use url::Url;

/// Which services sign and record.
#[derive(Debug, Clone)]
pub struct Services {
    pub fulcio: Url,
    pub rekor: Url,
    pub rekor_version: RekorVersion,
    pub tsa: Option<Url>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekorVersion {
    V1,
    V2,
}
impl Services {
    /// From a `signing_config.json` (signingconfig v0.2).
    pub fn from_signing_config(
        json: &str,
        rekor_version: Option<RekorVersion>,
    ) -> Result<Self, Error> {
        let _ = (json, rekor_version);
        todo!()
    }
    // + the public-good instance's, through TUF, with a cache directory
}
/// An OIDC token, checked for form and expiry; never printed.
pub struct IdentityToken(());
impl IdentityToken {
    pub fn from_jwt(text: &str) -> Result<Self, Error> {
        let _ = text;
        todo!()
    }
    // ambient detection takes the environment as a value: `ambient(&impl Fn(&str) -> Option<String>)`
}
pub struct Signer(());
impl Signer {
    pub fn new(
        registry: Registry,
        services: Services,
        trusted_root: TrustedRoot,
    ) -> Result<Self, Error> {
        let _ = (registry, services, trusted_root);
        todo!()
    }
    /// Signs what each reference names and, for an index, every child recursively, with one key and certificate; pushes each bundle as a referrer; verifies each with the consumer.
    pub async fn sign(
        &self,
        references: &[Reference],
        token: &IdentityToken,
        annotations: &BTreeMap<String, String>,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Signed>, Error> {
        let _ = (references, token, annotations, events);
        todo!()
    }
}
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    Signed {
        image: PinnedReference,
    },
    Pushed {
        image: PinnedReference,
        signature: Digest,
    },
    Verified {
        image: PinnedReference,
    },
}
#[derive(Debug, Clone, serde::Serialize)]
pub struct Signed {
    pub reference: Reference,
    pub digest: Digest,
    pub signature_manifest: Digest,
    pub evidence: Evidence,
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Registry(countersign_oci::Error),
    #[error(transparent)]
    Verify(countersign_verify::Error),
}
