//! The producer: signs images in a registry, and runs the consumer on what it pushed.
//!
//! One run of [`Signer::sign`] takes one ephemeral key and one certificate from Fulcio, signs each
//! manifest that the references lead to (an index first, then its children, nested ones
//! depth-first, as cosign does), records each signature in the transparency log, pushes it as an
//! OCI 1.1 referrer in the Sigstore bundle format, and then verifies it with
//! [`countersign_verify`]. What the consumer refuses is an error here: a run that succeeds has
//! produced what an installer accepts.
//!
//! Composed from `sigstore-fulcio`, `-rekor`, `-tsa` and `-bundle` rather than from
//! `sigstore-sign`, which asks Fulcio anew for every statement and doesn't retry.
//!
//! The crate reads no environment, prints nothing and picks no directories.

mod error;
mod identity;
mod log;
mod referrer;
mod retry;
mod services;
mod session;
mod signer;
mod statement;

pub use error::{Error, Service};
pub use identity::{IdentityToken, TokenError};
pub use services::{RekorVersion, Services};
pub use signer::{Event, Signed, Signer};
