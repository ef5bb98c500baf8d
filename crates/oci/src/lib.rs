//! References, digests, manifests, and a client for registries that can't be trusted.
//!
//! ```no_run
//! use countersign_oci::{Document, Options, Reference, Registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new(Options::default())?;
//! let reference: Reference = "quay.io/team/app:v1".parse()?;
//! // One request. From now on the image has a digest, even if the tag moves.
//! let image = registry.resolve(&reference).await?;
//! let selected = registry.select(&image, &"linux/amd64".parse()?).await?;
//! if let Document::Manifest(manifest) = selected.manifest.document() {
//!     let location = selected.manifest.reference().location();
//!     // Whole and checked, or an error: at most 1 MiB.
//!     let config = registry.blob(location, &manifest.config, 1 << 20).await?;
//!     println!("{} bytes of {}", config.len(), manifest.config.digest);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! All content from this crate was checked against the digest that it was requested by. A
//! [`ResolvedImage`] holds a manifest's bytes and the digest computed from them. A small blob is
//! returned whole and checked, or not at all. A streamed blob may be used only after
//! [`Registry::fetch_blob`] returned `Ok`. What a registry says about content (headers, descriptors
//! of referrers) decides nothing.
//!
//! An image is at a [`Location`]: in a [`Repository`] of a registry, or in an OCI image layout on
//! this machine, which is a directory or an archive. Only a [`LayoutPath`] makes the location of a
//! layout. Parsing a text never does.
//!
//! The crate doesn't read the environment, print, or choose directories. Credentials, proxies and
//! limits are values in [`Options`].

pub mod archive;
mod cache_directory;
mod causes;
mod checked;
mod cosign_tag;
mod credentials;
mod descriptor;
mod digest;
mod document;
mod error;
mod excerpt;
mod host;
pub mod http;
mod index;
mod json;
mod kind;
mod layout;
mod lock;
mod manifest;
mod options;
mod patience;
mod plain_http;
mod platform;
mod reference;
mod registry;
mod resolved;

#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;

/// What only the targets of fuzzing see.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::registry::{read_challenge as challenge, read_referrers as referrers};
}

pub use cache_directory::{CacheDirectory, CacheLimits};
pub use causes::{cut, in_one_line, with_causes};
pub use cosign_tag::CosignTag;
pub use credentials::Credentials;
pub use descriptor::{Descriptor, media_type};
pub use digest::{Algorithm, Digest, DigestError, Digester};
pub use document::Document;
pub use error::{Error, LayoutError, Result};
pub use excerpt::{excerpt, printable};
pub use index::{Index, NoSuchPlatform, UnreadEntries};
pub use kind::{Consequence, ErrorKind, MachineFault, Sorted, StatusMeaning};
pub use layout::{LayoutDraft, LayoutTurn, ListedAs};
#[doc(hidden)]
pub use lock::{lock, when_free};
pub use manifest::{Manifest, ManifestError};
pub use options::{
    AddressLimit, ClientIdentity, Limits, Options, PrivateRedirects, Retries, RootCertificates,
    RootCertificatesError, Timeouts,
};
pub use patience::Patience;
pub use plain_http::PlainHttp;
pub use platform::{Platform, PlatformError};
pub use reference::{
    LayoutPath, LayoutPathError, Location, PinnedReference, Reference, ReferenceError, Repository,
};
pub use registry::{
    Copied, Descendants, INDEX_DEPTH_MAX, LayoutImage, PlatformEntry, Registry, Selected,
};
pub use resolved::ResolvedImage;
