//! Reading manifests and small blobs.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{self, HeaderValue};

use super::Registry;
use super::challenge::Access;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{Body, Failure, Request, retrying};
use crate::manifest::{Descriptor, ResolvedImage};
use crate::reference::{PinnedReference, Reference, Repository};

/// The manifests that we can read.
const MANIFEST_TYPES: HeaderValue = HeaderValue::from_static(concat!(
    "application/vnd.oci.image.index.v1+json, ",
    "application/vnd.oci.image.manifest.v1+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json, ",
    "application/vnd.docker.distribution.manifest.v2+json",
));

impl Registry {
    /// Resolves a reference by one `GET`, whose bytes are kept: the tag is not asked for again.
    /// If the reference has a digest, that is what is asked for. Of a layout without one it is the
    /// one image that the layout is for: signatures, and what an index of the layout lists, don't
    /// count. What was asked for is kept with the image ([`ResolvedImage::asked`]).
    ///
    /// # Errors
    /// As [`Registry::manifest`].
    pub async fn resolve(&self, reference: &Reference) -> Result<ResolvedImage> {
        let image = self.resolved(reference).await?;
        Ok(image.asked_as(reference.clone()))
    }

    async fn resolved(&self, reference: &Reference) -> Result<ResolvedImage> {
        let repository = reference.repository();
        if let (Some(layout), None) = (repository.layout(), reference.digest()) {
            return self.layout_image(layout).await;
        }
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => self.manifest(&repository.at(digest.clone())).await,
            (None, tag) => {
                let what = reference.to_string();
                let served = self
                    .document(repository, tag.unwrap_or("latest"), &what)
                    .await?;
                let pinned = repository.at(Digest::sha256(&served.bytes));
                served.parse(pinned, what)
            }
        }
    }

    /// A manifest or index by digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`] and [`Error::Manifest`] are about the
    /// document; [`Error::Limit`] if it is larger than [`Limits::manifest_bytes`](crate::Limits);
    /// the others about access, transport and the registry.
    pub async fn manifest(&self, reference: &PinnedReference) -> Result<ResolvedImage> {
        let what = reference.to_string();
        let served = self
            .document(
                reference.repository(),
                &reference.digest().to_string(),
                &what,
            )
            .await?;
        check_digest(&served.bytes, reference.digest(), &what)?;
        served.parse(reference.clone(), what)
    }

    /// The child manifest that a descriptor of an index names: its size, digest and media type
    /// are the descriptor's.
    ///
    /// # Errors
    /// As [`Registry::manifest`], and [`Error::SizeMismatch`].
    pub async fn child(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<ResolvedImage> {
        let reference = repository.at(descriptor.digest.clone());
        let what = reference.to_string();
        let limit = self.options().limits.manifest_bytes;
        check_limit(descriptor, limit, &what)?;
        let served = self
            .document(repository, &descriptor.digest.to_string(), &what)
            .await?;
        check_content(&served.bytes, descriptor, &what)?;
        let media_type = Some(descriptor.media_type.clone());
        Served {
            media_type,
            ..served
        }
        .parse(reference, what)
    }

    /// A small blob in memory, of at most `limit` bytes, size and digest checked.
    ///
    /// # Errors
    /// [`Error::Limit`] before anything is asked for, if the descriptor's size is over `limit`;
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`] if it is other content than the
    /// descriptor's; the others as for manifests.
    pub async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes> {
        let what = repository.at(descriptor.digest.clone()).to_string();
        check_limit(descriptor, limit, &what)?;
        if let Some(layout) = repository.layout() {
            return self.layout_blob(layout, descriptor).await;
        }
        let url = self.url(repository, &format!("blobs/{}", descriptor.digest))?;
        let request = Request::new(Method::GET, url, what.as_str());
        let bytes = retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, repository, Access::Pull, Body::Empty)
                .await?
                .success()
                .await?;
            if let Some(found) = answer.content_length()
                && found != descriptor.size
            {
                return Err(Failure::from(size_mismatch(descriptor, found, &what)));
            }
            answer.bytes(descriptor.size).await.map_err(|failure| {
                match failure.error {
                    // More than the descriptor says is a lie about the size, not a large blob.
                    Error::Limit { .. } => {
                        size_mismatch(descriptor, descriptor.size.saturating_add(1), &what).into()
                    }
                    _ => failure,
                }
            })
        })
        .await?;
        check_content(&bytes, descriptor, &what)?;
        Ok(bytes)
    }

    /// The bytes at a tag or digest, unchecked.
    pub(super) async fn document(
        &self,
        repository: &Repository,
        tag_or_digest: &str,
        what: &str,
    ) -> Result<Served> {
        if let Some(layout) = repository.layout() {
            return self.layout_document(layout, tag_or_digest, what).await;
        }
        let url = self.url(repository, &format!("manifests/{tag_or_digest}"))?;
        let request =
            Request::new(Method::GET, url, what).header(header::ACCEPT, MANIFEST_TYPES.clone());
        retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, repository, Access::Pull, Body::Empty)
                .await?
                .success()
                .await?;
            answer.expect_machine_readable("a manifest or index")?;
            Ok(Served {
                media_type: answer.content_type(),
                bytes: answer.bytes(self.options().limits.manifest_bytes).await?,
            })
        })
        .await
    }
}

/// Bytes as a registry served them, and what it calls them.
pub(super) struct Served {
    pub(super) bytes: Bytes,
    pub(super) media_type: Option<String>,
}

impl Served {
    fn parse(self, reference: PinnedReference, what: String) -> Result<ResolvedImage> {
        ResolvedImage::checked(reference, self.bytes, self.media_type.as_deref())
            .map_err(|source| Error::Manifest { what, source })
    }
}

pub(super) fn check_limit(descriptor: &Descriptor, limit: u64, what: &str) -> Result<()> {
    if descriptor.size <= limit {
        return Ok(());
    }
    Err(Error::Limit {
        what: what.into(),
        limit,
        unit: "bytes",
    })
}

pub(super) fn check_content(bytes: &[u8], descriptor: &Descriptor, what: &str) -> Result<()> {
    let found = bytes.len() as u64;
    if found != descriptor.size {
        return Err(size_mismatch(descriptor, found, what));
    }
    check_digest(bytes, &descriptor.digest, what)
}

fn check_digest(bytes: &[u8], expected: &Digest, what: &str) -> Result<()> {
    let found = Digest::of(expected.algorithm(), bytes);
    if found == *expected {
        return Ok(());
    }
    Err(Error::DigestMismatch {
        what: what.into(),
        expected: expected.clone(),
        found,
    })
}

pub(super) fn size_mismatch(descriptor: &Descriptor, found: u64, what: &str) -> Error {
    Error::SizeMismatch {
        what: what.into(),
        expected: descriptor.size,
        found,
    }
}
