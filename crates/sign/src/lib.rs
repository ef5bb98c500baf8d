//! The producer: signs images in a registry, and runs the consumer on what it pushed.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//!
//! use countersign_oci::{Options, Reference, Registry};
//! use countersign_sign::{IdentityToken, Services, Signer};
//! use countersign_verify::TrustedRoot;
//!
//! # async fn example(config: &str, token: &str, trusted_root: TrustedRoot) -> Result<(), Box<dyn std::error::Error>> {
//! let services = Services::from_signing_config(config, None)?;
//! let signer = Signer::new(Registry::new(Options::default())?, &services, trusted_root)?;
//! let token = IdentityToken::from_jwt(token)?;
//! let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
//! let image: Reference = format!("quay.io/team/app:v1@{digest}").parse()?;
//! for signed in signer.sign(&[image], &token, &BTreeMap::new(), &|_| {}).await? {
//!     println!("{} is signed by {}", signed.digest, signed.evidence.signer);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! One run of [`Signer::sign`] takes one ephemeral key and one certificate from Fulcio (another
//! when that one is about to expire). Then it works on all manifests that the references lead to, an
//! index and its children, side by side: it signs each, records the signature in the transparency
//! log, pushes it as an OCI 1.1 referrer in the Sigstore bundle format, and verifies it with
//! [`countersign_verify`]. What the consumer refuses is an error here: a run that succeeds has
//! produced what an installer accepts. What an earlier run has signed is left alone.
//!
//! Requests, statements and bundles are composed from the types of the `sigstore-*` crates rather
//! than by `sigstore-sign`, which asks Fulcio anew for every statement and doesn't retry. The
//! services are not trusted: their answers are read within bounds, and count for what the verifier
//! finds in them.
//!
//! The crate reads no environment, prints nothing and picks no directories.

mod blobs;
mod clock;
mod copy;
mod error;
mod existing;
mod foreseen;
mod format;
mod fulcio;
mod further_check;
mod identity_endpoint;
mod log;
mod login;
mod merge;
mod outcome;
mod publication;
mod referrer;
mod renewal;
mod run;
mod secret;
mod services;
mod session;
mod sessions;
mod signer;
mod simple_signing;
mod statement;
mod tags;
mod timestamp;
mod token;
mod transport;
mod tree;

#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;

pub use clock::Skew;
pub use copy::{
    BlobCounts, BlobTurns, CopiedImage, CopyError, CopyEvent, CopyPlace, CopyPlan, Destination,
    NotCopied,
};
pub use error::{Error, NotRenewed, Service};
pub use existing::Existing;
pub use format::WrittenFormats;
pub use further_check::FurtherVerdict;
pub use identity_endpoint::IdentityEndpoint;
pub use login::{DeviceCode, Login, LoginError, Shown};
pub use merge::{Merge, MergeError, Merged, MergedManifest};
pub use outcome::{Reached, Signed, SigningEvent, SigningOutcome, Stopped, Unsigned};
pub use publication::{
    Publication, PublicationError, PublicationEvent, PublicationFailure, Published,
};
pub use renewal::Renewing;
pub use services::{RekorVersion, Services};
pub use signer::Signer;
pub use tags::{Tags, require_digests};
pub use token::{IdentityToken, TokenError};
