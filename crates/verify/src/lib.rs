//! The consumer.
#![allow(clippy::todo, missing_docs)]
use countersign_oci::{Digest, PinnedReference, Registry, ResolvedImage};
use countersign_policy::Policy;
use std::{path::PathBuf, sync::Arc};

/// Where the trusted root comes from.
#[derive(Debug, Clone)]
pub enum TrustSource {
    /// Contents of a `trusted_root.json`, and its name for errors.
    File { name: String, json: String },
    /// A TUF repository, its initial root.json, and a cache directory.
    Tuf {
        url: url::Url,
        root: Vec<u8>,
        cache: PathBuf,
        offline: bool,
    },
    /// The public-good instance through TUF, with a cache directory.
    PublicGood { cache: PathBuf, offline: bool },
}
/// Trust material, parsed and checked. Shared; cheap to clone.
#[derive(Clone)]
pub struct TrustedRoot(Arc<()>);
impl TrustedRoot {
    pub fn from_json(name: &str, json: &str) -> Result<Self, Error> {
        let _ = (name, json);
        todo!()
    }
    /// File: parse. TUF: fetch or from a fresh cache.
    pub async fn load(source: &TrustSource) -> Result<Self, Error> {
        let _ = source;
        todo!()
    }
}
pub struct Limits {
    /// Default 64.
    pub candidates: usize,
    /// Default 1 MiB.
    pub bundle_bytes: u64,
}
/// Verifies images in registries.
pub struct Verifier(());
impl Verifier {
    pub fn new(registry: Registry, trusted_root: TrustedRoot) -> Self {
        let _ = (registry, trusted_root);
        todo!()
    }
    /// Discovers the image's referrers and judges them: the first passing candidate proves it.
    pub async fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, Error> {
        let _ = (image, policy);
        todo!()
    }
}
/// Proof that a signature which `policy` accepts covers this digest. Only a verifier makes one. Not Clone, Default, Deserialize.
#[derive(Debug)]
pub struct VerifiedImage {
    _private: (),
}
impl VerifiedImage {
    pub fn reference(&self) -> &PinnedReference {
        todo!()
    }
    pub fn digest(&self) -> &Digest {
        todo!()
    }
    pub fn evidence(&self) -> &Evidence {
        todo!()
    }
}
/// What was proven, for records and output. Clone + Serialize; not a proof.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Evidence {
    pub digest: Digest,
    pub identity: String,
    pub issuer: String,
    pub signed_at: Vec<jiff::Timestamp>,
    pub log_index: Option<u64>,
    pub log_id: Option<String>,
    pub predicate_type: String,
    pub signature_manifest: Option<Digest>,
    pub annotations: std::collections::BTreeMap<String, String>,
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No candidate passed.
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error(transparent)]
    Registry(countersign_oci::Error),
    // + trust root errors with expected/found
}
/// Why an image is refused: every candidate with the first check it failed.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub struct Refusal {
    pub image: PinnedReference,
    pub candidates: Vec<Candidate>,
}
impl Refusal {
    /// The class by the candidate that came furthest.
    pub fn kind(&self) -> RefusalKind {
        todo!()
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No signature of a kind that counts (none, legacy only, attestations only).
    Unsigned,
    /// A genuine signature that the policy does not accept.
    Policy,
    /// Signature, certificate, log or digest do not hold.
    Invalid,
}
#[derive(Debug)]
pub struct Candidate {
    pub manifest: Digest,
}
