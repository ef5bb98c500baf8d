//! Proves with Sigstore that a signer in a policy has signed an image.
//!
//! ```no_run
//! use countersign_verify::{Options, Policy, Registry, TrustSource, TufNetwork, Verifier};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = "{issuer: 'https://accounts.google.com', identity: 'release@example.org'}";
//!     let policy = Policy::from_yaml(policy, "policy.yaml")?;
//!     let registry = Registry::new(Options::default())?;
//!     let (cache, network) = ("cache/trust".into(), TufNetwork::Online);
//!     let verifier = Verifier::with_source(registry.clone(), TrustSource::PublicGood { cache, network });
//!     let image = registry.resolve(&"quay.io/acme/app:v1".parse()?).await?;
//!     let proof = verifier.verify(&image, &policy).await?;
//!     println!("{} signed {}", proof.evidence().signer, proof.digest());
//!     Ok(())
//! }
//! ```
//!
//! # Depend on it
//!
//! ```toml
//! [dependencies]
//! countersign-verify = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! - Rust 1.95 or later, edition 2024. The tests run on Linux.
//! - All requests need a tokio runtime with I/O and time enabled. Both flavours work. [`verify_bundle`] needs none.
//! - TLS is `rustls` with `aws-lc-rs`, which needs a C compiler to build.
//! - What this page needs of the crates below is exported here too: [`Policy`] with its [`Violation`], [`Registry`] with its
//!   [`Options`], [`Credentials`] and [`PlainHttp`], and [`ErrorKind`], which every error's `kind()` is. The rest is from `countersign-policy` (what a policy may say) and
//!   `countersign-oci` (references, digests, manifests, logins, proxies). `countersign-download` installs what was proven.
//!
//! # What it does
//!
//! `examples/verify_image.rs` is this program for a terminal. `examples/verify_files.rs` works without a
//! network.
//!
//! The core is [`verify_bundle`]. It takes an image, a bundle, a [`TrustedRoot`], a policy and the time. It
//! returns a proof, or the first check that failed. It does no input or output. [`judge_digest`] makes the same
//! checks when only the digest is known; it returns a record, never a proof. [`Verifier`] finds the bundles
//! in the image's registry: it fetches the manifests that refer to the image, and one that passes is enough. If the
//! policy accepts it, it also takes cosign's legacy form ([`SignatureFormat`](countersign_policy::SignatureFormat)).
//! If none passes, a [`Refusal`] lists them all.
//!
//! A [`VerifiedImage`] proves all of this, but for what the policy or the trusted root says otherwise:
//!
//! - An in-toto statement of an accepted predicate type has the image's digest as its only subject. (An attestation
//!   may have others beside it. In the legacy form, a payload names the digest.)
//! - The statement was signed with the key of a certificate. A trusted authority issued the certificate to
//!   exactly one identity, and a trusted certificate log recorded it. (If the policy names a key: with that key. If
//!   the root has no certificate log, none recorded the certificate.)
//! - A trusted transparency log recorded the signature, and a checkpoint of that log includes it. (In the
//!   legacy form, the log has promised to include it. If the root has no logs, a timestamp authority vouches for the
//!   time instead. By a key with `ignore_tlog`, nothing says when it was made.)
//! - Each verified time is within the certificate's validity, if there is a certificate.
//! - The bundle does not contradict itself.
//! - The policy accepts all of it.
//!
//! A signature of an index covers all that it lists, but the policy may deny some of it. So the core returns a
//! [`VerifiedDocument`], and there are two ways from it to a [`VerifiedImage`]: [`Verifier::verify`] refuses
//! the index if the policy denies anything in it, and [`verify_platform`] goes to the image for one platform.
//!
//! From a proven index, trust goes only to what it lists by digest: [`VerifiedImage::into_child`].
//!
//! This crate does not read the environment, does not print, and does not choose directories.

mod blocking;
mod bundle;
mod cache;
mod candidate;
mod certificate;
mod certificate_content;
mod denial;
mod document_proof;
mod error;
mod evidence;
mod failure;
mod gathered;
mod genuine;
mod judge;
mod kind;
mod limits;
mod log;
mod log_and_times;
mod log_entries;
mod not_listed;
mod platform;
mod predicate;
mod proof;
mod proven;
mod refusal;
mod seen_signatures;
mod signature;
mod simple_signing;
mod statement;
mod survey;
mod timestamp;
mod trust;
mod verifier;

#[doc(hidden)]
pub mod names;
#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;

pub use cache::SignatureCache;
pub use certificate_content::CertificateContent;
pub use countersign_oci::{Credentials, ErrorKind, Options, PlainHttp, Registry};
pub use countersign_policy::{Policy, Violation};
pub use denial::Denied;
pub use document_proof::VerifiedDocument;
pub use error::Error;
pub use evidence::{CertificateHolder, Evidence, SignedBy};
pub use failure::{Failure, LogKind, MalformedPart};
pub use judge::{judge_digest, judge_found, verify_bundle, verify_simple_signing};
pub use kind::RefusalKind;
pub use limits::Limits;
pub use not_listed::NotListed;
pub use platform::{
    ImageVerifier, JudgedIndex, SelectedProof, SignedDocument, VerifiedPlatform, judge_index,
    verify_image, verify_platform, verify_platform_ahead,
};
pub use proof::{NotCovered, VerifiedImage};
pub use refusal::{Candidate, Refusal, RequirementState, short_digest};
pub use seen_signatures::{FoundSignature, SeenSignatures};
pub use sigstore_verify::{CertificateError, TimestampError, TransparencyLogError};
pub use survey::{Attached, AttachedContent, AttachedPlace, AttachedSignature, Survey};
pub use trust::{
    AuthorityDescription, LogDescription, RootDescription, TrustError, TrustSource, TrustedRoot,
    TufError, TufMetadata, TufNetwork, Validity, tuf_target,
};
pub use verifier::{Bundles, Verifier};
