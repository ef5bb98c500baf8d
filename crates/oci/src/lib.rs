//! References, digests, manifests, and a client for registries that are not to be trusted.
//!
//! Everything that leaves this crate was checked against the digest it was asked by: a
//! [`ResolvedImage`] holds manifest bytes together with the digest computed from them, a small blob
//! is handed out whole and verified or not at all, and a streamed one counts only once its end was
//! reached and its digest right. What a registry says about content (headers, descriptors of
//! referrers) decides nothing.
//!
//! An OCI image layout, in a directory or an archive, is read as a registry is: a [`LayoutPath`] makes
//! a [`Repository`] and a [`Reference`] that no text makes.
//!
//! The crate reads no environment, prints nothing and picks no directories: credentials, proxies
//! and limits are values in [`Options`].

mod descriptor;
mod digest;
mod document;
mod error;
mod excerpt;

pub mod http;
mod index;
mod json;
mod kind;
mod layout;
mod manifest;
mod options;
mod patience;
mod platform;
mod reference;
mod registry;
mod resolved;

#[doc(hidden)]
pub mod samples;

pub use descriptor::{Descriptor, media_type};
pub use digest::{Algorithm, Digest, DigestError, Digester};
pub use document::Document;
pub use error::{Error, LayoutError, Result};
pub use excerpt::{excerpt, printable};
pub use index::{Index, NoSuchPlatform};
pub use kind::{Consequence, ErrorKind, MachineFault};
pub use manifest::{Manifest, ManifestError};
pub use options::{ClientIdentity, LedFrom, Limits, Options, PlainHttp, Retries, Timeouts};
pub use patience::Patience;
pub use platform::{Platform, PlatformError};
pub use reference::{
    LayoutPath, LayoutPathError, Location, PinnedReference, Reference, ReferenceError, Repository,
};
pub use registry::{Copied, Credentials, Registry, Selected};
pub use resolved::ResolvedImage;
