//! Proves with Sigstore that a signer whom a policy names signed an image.
//!
//! ```no_run
//! use countersign_oci::{Options, Registry};
//! use countersign_policy::Policy;
//! use countersign_verify::{TrustSource, Verifier};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::from_yaml(
//!     r"
//! issuer: https://token.actions.githubusercontent.com
//! identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
//! ",
//!     "policy.yaml",
//! )?;
//! let registry = Registry::new(Options::default())?;
//! let source = TrustSource::PublicGood {
//!     cache: "/var/cache/acme/tuf".into(),
//!     offline: false,
//! };
//! let image = registry.resolve(&"quay.io/acme/app:v1".parse()?).await?;
//! let proof = Verifier::with_source(registry, source)
//!     .verify(&image, &policy)
//!     .await?;
//! assert_eq!(proof.digest(), image.digest());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/verify_image.rs` is this program for a terminal; `examples/verify_files.rs` needs no
//! network.
//!
//! The core, [`verify_bundle`], takes an image's digest, a bundle, a [`TrustedRoot`] and a policy,
//! and gives a proof or the first check that failed; it does no input or output. [`judge_digest`]
//! makes the same checks where nobody has the bytes, and gives a record, never a proof. [`Verifier`]
//! finds the bundles in the image's registry: it fetches what refers to the image, judges each
//! candidate by its own manifest, and is content with one that passes. When none does, a
//! [`Refusal`] lists them all.
//!
//! What is proven of a [`VerifiedImage`]: an in-toto statement of an accepted predicate type
//! names the image's digest as its only subject; it was signed with the key of a certificate that
//! one of the trusted authorities issued to the one identity named, and recorded in a trusted
//! certificate log; the signature was recorded in a trusted transparency log whose own checkpoint
//! includes it; each verified time lies in the certificate's validity; what the bundle states twice it
//! states alike; and the policy accepts all of it. Trust then follows digest edges only: [`VerifiedImage::into_child`].
//!
//! The crate reads no environment, prints nothing and picks no directories.

mod bundle;
mod candidate;
mod certificate;
mod certified;
mod denial;
mod error;
mod evidence;
mod failure;
mod genuine;
mod judge;
mod kind;
mod log;
mod platform;
mod proof;
mod proven;
mod refusal;
mod statement;
mod timestamp;
mod trust;
mod turns;
mod verifier;

#[doc(hidden)]
pub mod samples;

pub use certified::Certified;
pub use denial::Denied;
pub use error::Error;
pub use evidence::Evidence;
pub use failure::Failure;
pub use judge::{judge_digest, verify_bundle};
pub use kind::RefusalKind;
pub use platform::{ImageVerifier, SignedDocument, VerifiedPlatform, verify_platform};
pub use proof::{NotCovered, VerifiedImage};
pub use refusal::{Candidate, Refusal};
pub use sigstore_verify::{CertificateError, TimestampError, TransparencyLogError};
pub use trust::{TrustError, TrustSource, TrustedRoot, TufError};
pub use verifier::{Limits, Verifier};
