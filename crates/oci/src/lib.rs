//! References, digests, manifests, and a client for registries that are not to be trusted.
//!
//! ```no_run
//! use countersign_oci::{Document, Options, Reference, Registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new(Options::default())?;
//! let reference: Reference = "quay.io/team/app:v1".parse()?;
//! // One request. From here on the image has a digest, whatever becomes of the tag.
//! let image = registry.resolve(&reference).await?;
//! let selected = registry.select(&image, &"linux/amd64".parse()?).await?;
//! if let Document::Manifest(manifest) = selected.manifest.document() {
//!     let location = selected.manifest.reference().location();
//!     // Whole and checked, or an error: of at most 1 MiB.
//!     let config = registry.blob(location, &manifest.config, 1 << 20).await?;
//!     println!("{} bytes of {}", config.len(), manifest.config.digest);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything that leaves this crate was checked against the digest it was asked for by. A
//! [`ResolvedImage`] holds a manifest's bytes together with the digest computed from them. A small blob
//! is handed out whole and checked, or not at all. A streamed blob counts only when
//! [`Registry::fetch_blob`] returned `Ok`. What a registry says about content (headers, descriptors
//! of referrers) decides nothing.
//!
//! An image is at a [`Location`]: in a [`Repository`] of a registry, or in an OCI image layout on this
//! machine, a directory or an archive. Only a [`LayoutPath`] makes a location of a layout; a text that is
//! parsed never does.
//!
//! The crate reads no environment, prints nothing and picks no directories: credentials, proxies
//! and limits are values in [`Options`].

pub mod archive;
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
mod plain_http;
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
pub use options::{ClientIdentity, LedFrom, Limits, Options, Retries, Timeouts};
pub use patience::Patience;
pub use plain_http::PlainHttp;
pub use platform::{Platform, PlatformError};
pub use reference::{
    LayoutPath, LayoutPathError, Location, PinnedReference, Reference, ReferenceError, Repository,
};
pub use registry::{Copied, Credentials, Registry, Selected};
pub use resolved::ResolvedImage;
