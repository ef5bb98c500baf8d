//! The registry client.
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::digest::Digest;
use crate::error::Result;
use crate::manifest::{Descriptor, ResolvedImage};
use crate::reference::{PinnedReference, Reference, Repository};

/// Upper bounds on what is read from a registry.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one manifest or index. Default 4 MiB.
    pub manifest_bytes: u64,
    /// Pages of one referrers list. Default 10.
    pub referrer_pages: usize,
    /// Referrers of one subject. Default 10,000 listed (callers have their own, lower limit on those they fetch).
    pub referrers: usize,
}
/// Which registries are spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// Only registries on a loopback address.
    #[default]
    Loopback,
    /// Every registry.
    Always,
    /// None.
    Never,
}
/// Where credentials come from. Given by the caller; the library looks nowhere by itself.
#[derive(Clone, Default)]
pub struct Credentials {/* config files, explicit ones */}
/// How to reach registries.
#[derive(Clone, Default)]
pub struct Options {
    /// credentials
    pub credentials: Credentials,
    /// plain http
    pub plain_http: PlainHttp,
    /// limits
    pub limits: Limits,
}
/// A client of any number of registries. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Registry {}
impl Registry {
    /// A client.
    pub fn new(options: Options) -> Result<Self> {
        let _ = options;
        todo!()
    }
    /// One GET. A tag is resolved once; the digest is computed over the bytes; if the reference has a digest, it must match.
    pub async fn resolve(&self, reference: &Reference) -> Result<ResolvedImage> {
        let _ = reference;
        todo!()
    }
    /// By digest.
    pub async fn manifest(&self, reference: &PinnedReference) -> Result<ResolvedImage> {
        let _ = reference;
        todo!()
    }
    /// The child manifest a descriptor of an index names: size, digest and media type enforced.
    pub async fn child(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<ResolvedImage> {
        let _ = (repository, descriptor);
        todo!()
    }
    /// All descriptors in the referrers list of the subject (API with paging, else the tag fallback). Unfiltered: registries' descriptors lie; judge by the manifest. Empty when there are none.
    pub async fn referrers(&self, subject: &PinnedReference) -> Result<Vec<Descriptor>> {
        let _ = subject;
        todo!()
    }
    /// A small blob in memory, of at most `limit` bytes, size and digest checked.
    pub async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes> {
        let _ = (repository, descriptor, limit);
        todo!()
    }
    /// Streams a blob into `into`, resuming after broken connections; size enforced as it flows, digest at the end. `progress` is told the bytes written so far.
    pub async fn fetch_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<()> {
        let _ = (repository, descriptor, into, progress);
        todo!()
    }
    /// Pushes bytes as a blob unless the registry has it.
    pub async fn push_blob(&self, repository: &Repository, bytes: Bytes) -> Result<Descriptor> {
        let _ = (repository, bytes);
        todo!()
    }
    /// Streams a large blob of known digest and size.
    pub async fn push_blob_from(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        from: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<()> {
        let _ = (repository, digest, size, from);
        todo!()
    }
    /// Pushes a manifest or index by digest, and under `tag` too if given.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
        tag: Option<&str>,
    ) -> Result<ResolvedImage> {
        let _ = (repository, media_type, bytes, tag);
        todo!()
    }
    /// Pushes a manifest with a `subject` by digest and sees to it that the subject's referrers list names it: by the registry (OCI-Subject header), else by merging the fallback index until read back with our entry in it.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<ResolvedImage> {
        let _ = (repository, media_type, bytes);
        todo!()
    }
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            referrer_pages: 10,
            referrers: 10_000,
        }
    }
}
