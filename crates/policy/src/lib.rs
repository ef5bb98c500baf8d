//! Policies: who must have signed an image. They are read from YAML, JSON or flags.
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
//! assert_eq!(policy.signers().count(), 1);
//!
//! let error = Policy::from_yaml("isuer: https://gitlab.com", "policy.yaml").unwrap_err();
//! assert!(matches!(error.problem(), Problem::UnknownKey { nearest: Some(key), .. } if key == "issuer"));
//! assert!(error.to_string().starts_with("policy.yaml:1:1: unknown key `isuer`"));
//! # Ok::<(), countersign_policy::PolicyError>(())
//! ```
//!
//! A [`Policy`] says which signers are accepted, and what else must be true of a signature. [`PolicyFile`] reads
//! it from a file, [`PolicySpec`] takes it from flags. Both check everything at once. Anything unknown is an
//! error: a policy that ignored it would be weaker than its author thinks. [`Policy::judge`] applies the
//! policy to what a verifier has proven ([`Claimed`]).
//!
//! This crate does no I/O. It reads texts, and uses file names only in errors. The caller reads the files of keys
//! ([`PolicyFile::parse_with_keys`]), loads the trusted root of [`Policy::trust`], and searches the repositories of
//! [`Policy::signature_sources`]. Everything else is checked here.

mod age;
mod bound_name;
mod claims;
mod document;
mod error;
mod explain;
mod export;
mod file;
mod format;
mod forms;
mod image_pattern;
mod image_verifier;
mod import;
mod index;
mod instance;
pub mod issuers;
mod judge;
mod keys;
mod matcher;
mod mistakes;
mod nearest;
mod node;
mod one_or_more;
mod policy;
mod predicate;
mod public_key;
mod schema;
mod source;
mod spec;
mod summary;
mod timestamp;
mod violation;
mod warning;
mod yaml;

#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;

pub use age::Age;
pub use bound_name::BoundName;
pub use claims::{CertificateClaims, Claim, ClaimRule};
pub use document::parse_document;
pub use error::{KeyPath, Place, PolicyError, Position, Problem, TimestampFault};
pub use export::{Difference, Enforcer, Export, ExportError, ExportedPolicy, RulesExport};
pub use file::{Gallery, PolicyFile};
pub use format::SignatureFormat;
pub use image_pattern::{ImagePattern, PatternError};
pub use image_verifier::{
    Demand, ImageRule, ImageVerifierConfig, Mode, NamedFile, RuleMatch, Ruling, Unmatched, Weakness,
};
pub use import::{ImportError, ImportedPolicy, import};
pub use index::{EntryContent, GalleryEntry, GalleryIndex, IndexPlaces, MisspeltKey};
pub use instance::SigstoreInstance;
pub use judge::{Accepted, Claimed, ClaimedSigner};
pub use keys::SIGNATURE_SOURCES_MAX;
pub use matcher::{Matcher, RegexError, WholeRegex};
pub use mistakes::MISTAKES_MAX;
pub use nearest::nearest;
pub use one_or_more::OneOrMore;
pub use policy::{
    AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, KeyReader, KeySigner, LogUse,
    OneSigner, Policy, Trust,
};
pub use predicate::{JsonPointer, PredicateRule};
pub use public_key::{FingerprintError, KeyFingerprint, PublicKey, PublicKeyError};
pub use spec::{
    AttestationSpec, PolicySpec, RequirementSpec, SignerSpec, TrustFilesSpec, TrustSpec,
};
pub use summary::PolicySummary;
pub use violation::{Mismatch, Miss, NeedOfTime, SignerMismatch, TimeCondition, Violation};
pub use warning::{Level, Warning};
