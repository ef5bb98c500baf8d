//! Who must have signed: the policy, from YAML, JSON or flags, and its judgement.
//!
//! A [`Policy`] says which signers are acceptable and what else has to be true of a signature. It
//! is made from a file by [`PolicyFile`], or from flags by way of [`PolicySpec`]; either is checked
//! whole when it is read, and what can't be understood is an error, because a policy that drops
//! what it doesn't know is weaker than its author thinks. [`Policy::judge`] applies it to what a
//! verifier has proven ([`Claimed`]).
//!
//! The crate does no I/O: it reads texts, and names files only in errors. Where a policy says so,
//! its caller takes the trusted root from [`Policy::trust`] and looks for signatures in
//! [`Policy::signature_sources`] too; everything else is judged here.
//!
//! ```
//! use countersign_policy::{Policy, Problem};
//!
//! let policy = Policy::from_yaml(
//!     r"
//! verification:
//!   issuer: https://token.actions.githubusercontent.com
//!   identity_regex: https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+
//!   not_before: 2026-08-05T00:00:00Z
//! ",
//!     "policy.yaml",
//! )?;
//! assert_eq!(policy.signers().len(), 1);
//!
//! let error = Policy::from_yaml("isuer: https://gitlab.com", "policy.yaml").unwrap_err();
//! assert!(matches!(error.problem(), Problem::UnknownKey { nearest: Some(key), .. } if key == "issuer"));
//! assert!(error.to_string().starts_with("policy.yaml:1:1: unknown key `isuer`"));
//! # Ok::<(), countersign_policy::PolicyError>(())
//! ```

mod claims;
mod error;
mod explain;
mod file;
mod forms;
mod index;
mod judge;
mod keys;
mod matcher;
mod nearest;
mod node;
mod policy;
mod schema;
mod spec;
mod timestamp;
mod violation;
mod warning;
mod yaml;

#[doc(hidden)]
pub mod samples;

pub use claims::{CertificateClaims, Claim, ClaimRule};
pub use error::{KeyPath, Place, PolicyError, Position, Problem, TimestampFault};
pub use file::{Gallery, PolicyFile};
pub use index::{GalleryEntry, GalleryIndex};
pub use judge::{Accepted, Claimed};
pub use matcher::{Matcher, RegexError, WholeRegex};
pub use nearest::nearest;
pub use policy::{COSIGN_SIGN_PREDICATE, Policy, Signer, Trust};
pub use spec::{PolicySpec, SignerSpec, TrustSpec};
pub use violation::{Mismatch, Miss, SignerMismatch, Violation};
pub use warning::Warning;
