//! Reading and writing manifests and indexes.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};

use super::Registry;
use super::checks::check_limit;
use super::scope::Access;
use crate::checked::Checked;
use crate::cosign_tag::CosignTag;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::http::{AttemptError, Body, Request, retrying};
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Reference, Repository};
use crate::resolved::ResolvedImage;

/// The media types of the manifests that this crate reads.
const MANIFEST_TYPES: HeaderValue = HeaderValue::from_static(concat!(
    "application/vnd.oci.image.index.v1+json, ",
    "application/vnd.oci.image.manifest.v1+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json, ",
    "application/vnd.docker.distribution.manifest.v2+json",
));
/// The header by which a registry says that it added a referrer to its subject's list (OCI
/// distribution specification 1.1, "Pushing Manifests with Subject").
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Registry {
    /// Resolves a reference with one `GET`, and keeps the bytes, so that the tag is not requested
    /// again. If the reference has a digest, the content with that digest is fetched. For a layout
    /// without a digest, the only image is taken; signatures, and what an index in the layout
    /// lists, don't count. The result keeps the reference ([`ResolvedImage::requested`]).
    ///
    /// # Errors
    /// As [`Registry::manifest`]; [`Error::Layout`], if a layout has no image or several.
    pub async fn resolve(&self, reference: &Reference) -> Result<ResolvedImage> {
        let location = reference.location();
        let image = match (reference.digest(), location) {
            (Some(digest), _) => self.manifest(&location.at(digest.clone())).await?,
            (None, Location::Layout(layout)) => self.layout_image(layout).await?,
            (None, Location::Registry(repository)) => match self.place(location) {
                Location::Layout(layout) => {
                    let found = self.layout_named(&layout, reference).await?;
                    found.at(location)
                }
                Location::Registry(_) => {
                    let tag = reference.tag().unwrap_or("latest");
                    let what = reference.to_string();
                    let served = self.served(repository, tag, &what).await?;
                    served.computed(location, what)?
                }
            },
        };
        Ok(image.requested_as(reference.clone()))
    }

    /// What stands at one of cosign's tags beside an image, such as `sha256-….sig`.
    /// `None` if nothing is there, or the digest is too long for a tag.
    ///
    /// # Errors
    /// As [`Registry::resolve`], but for what is not there.
    pub async fn beside(
        &self,
        image: &PinnedReference,
        tag: CosignTag,
    ) -> Result<Option<ResolvedImage>> {
        let tag = image.digest().tag_beside(tag);
        let found = match self.place(image.location()) {
            Location::Registry(_) => match Reference::from(image.clone()).with_tag(&tag) {
                Ok(name) => self.resolve(&name).await,
                Err(_) => return Ok(None),
            },
            Location::Layout(layout) => self.layout_tagged(&layout, &tag).await,
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a manifest or an index by digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`] and [`Error::Manifest`] are about the
    /// document; [`Error::Limit`], if it is larger than [`Limits::manifest_bytes`](crate::Limits);
    /// others are about access, network and the registry, or [`Error::Layout`].
    pub async fn manifest(&self, reference: &PinnedReference) -> Result<ResolvedImage> {
        let served = self.document(reference).await?;
        let checked = Checked::by_digest(served.bytes, reference.clone())?;
        let what = reference.to_string();
        parse(checked, served.media_type.as_deref(), what)
    }

    /// Reads the child manifest that an index's descriptor names. Its size, digest and media type
    /// must be the descriptor's.
    ///
    /// # Errors
    /// As [`Registry::manifest`], and [`Error::SizeMismatch`].
    pub async fn child(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<ResolvedImage> {
        let reference = location.at(descriptor.digest.clone());
        let limit = self.options().limits.manifest_bytes;
        check_limit(descriptor, limit, &reference)?;
        let served = self.document(&reference).await?;
        let what = reference.to_string();
        let checked = Checked::by_descriptor(served.bytes, descriptor, reference)?;
        parse(checked, Some(&descriptor.media_type), what)
    }

    /// Pushes a manifest or index by digest, and also under `tag` if there is one.
    ///
    /// # Errors
    /// [`Error::Manifest`], before any request, if `bytes` are not a manifest of `media_type`;
    /// others about access, network and the registry.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
        tag: Option<&str>,
    ) -> Result<ResolvedImage> {
        let image = parse_outgoing(repository, media_type, bytes)?;
        let outgoing = Outgoing::of(&image, media_type);
        let digest = image.digest().to_string();
        self.put_manifest(repository, &digest, &outgoing).await?;
        if let Some(tag) = tag {
            self.put_manifest(repository, tag, &outgoing).await?;
        }
        Ok(image)
    }

    /// Sets `tag` to `image`. The manifest must already be in the repository.
    ///
    /// Other clients may move the tag at any time. Call [`Registry::resolve`] to see what the tag
    /// names afterwards.
    ///
    /// # Errors
    /// About access, network and the registry; [`Error::Layout`] for an image in a layout.
    pub async fn tag(&self, image: &ResolvedImage, tag: &str) -> Result<()> {
        let media_type = image.document().media_type();
        let repository = image.reference().location().writable()?;
        let outgoing = Outgoing::of(image, media_type);
        self.put_manifest(repository, tag, &outgoing).await?;
        Ok(())
    }

    /// The bytes at a digest, unchecked.
    async fn document(&self, reference: &PinnedReference) -> Result<Served> {
        match self.place(reference.location()) {
            Location::Registry(repository) => {
                let digest = reference.digest().to_string();
                self.served(&repository, &digest, &reference.to_string())
                    .await
            }
            Location::Layout(layout) => Ok(Served {
                bytes: self.layout_document(&layout, reference.digest()).await?,
                media_type: None,
            }),
        }
    }

    /// The bytes that a registry serves at a tag or digest, unchecked.
    pub(super) async fn served(
        &self,
        repository: &Repository,
        tag_or_digest: &str,
        what: &str,
    ) -> Result<Served> {
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

    /// Puts a manifest at a tag or digest. If the registry says that it added the manifest to a
    /// subject's list of referrers, returns that subject.
    pub(super) async fn put_manifest(
        &self,
        repository: &Repository,
        tag_or_digest: &str,
        outgoing: &Outgoing<'_>,
    ) -> Result<Option<String>> {
        retrying(&self.options().retries, || {
            self.put_manifest_once(repository, tag_or_digest, outgoing)
        })
        .await
    }

    /// As [`put_manifest`](Self::put_manifest), in one attempt: for what others may be writing too, so
    /// that old bytes are not sent again.
    pub(super) async fn put_manifest_once(
        &self,
        repository: &Repository,
        tag_or_digest: &str,
        outgoing: &Outgoing<'_>,
    ) -> Result<Option<String>, AttemptError> {
        let what = outgoing.what.as_str();
        let content_type =
            HeaderValue::from_str(outgoing.media_type).map_err(|_| Error::Manifest {
                what: what.into(),
                source: ManifestError::Unknown {
                    found: outgoing.media_type.into(),
                },
            })?;
        let url = self.url(repository, &format!("manifests/{tag_or_digest}"))?;
        let request =
            Request::new(Method::PUT, url, what).header(header::CONTENT_TYPE, content_type);
        let body = Body::Bytes(outgoing.bytes.clone());
        let answer = self
            .ask(&request, repository, Access::Push, body)
            .await?
            .success()
            .await
            .map_err(settling)?;
        Ok(answer.header(&OCI_SUBJECT).map(str::to_owned))
    }
}

/// A refusal because of a digest may pass: the digest in the URL was computed from these bytes. While
/// one client pushes or mounts a blob that is there already, docker-registry finds an empty file in the
/// place of the blob's digest, and refuses the manifest of another client who names the blob.
fn settling(failure: AttemptError) -> AttemptError {
    let refuses_digest = matches!(
        &failure.error,
        Error::Status { status: 400, detail: Some(detail), .. } if detail.contains("DIGEST_INVALID")
    );
    if refuses_digest {
        AttemptError::passing(failure.error)
    } else {
        failure
    }
}

/// A manifest's bytes as the registry serves them, and its media type by the registry.
pub(super) struct Served {
    pub(super) bytes: Bytes,
    media_type: Option<String>,
}

impl Served {
    /// With the digest that is computed from the bytes.
    pub(super) fn computed(self, location: &Location, what: String) -> Result<ResolvedImage> {
        let checked = Checked::computed(location, self.bytes);
        parse(checked, self.media_type.as_deref(), what)
    }
}

fn parse(checked: Checked, media_type: Option<&str>, what: String) -> Result<ResolvedImage> {
    ResolvedImage::parse(checked, media_type).map_err(|source| Error::Manifest { what, source })
}

/// A manifest to push.
pub(super) struct Outgoing<'a> {
    pub(super) media_type: &'a str,
    pub(super) bytes: Bytes,
    /// Its name in errors.
    pub(super) what: String,
}

impl<'a> Outgoing<'a> {
    pub(super) fn of(image: &ResolvedImage, media_type: &'a str) -> Self {
        Self {
            media_type,
            bytes: image.bytes().clone(),
            what: image.reference().to_string(),
        }
    }
}

/// Parses the manifest before any request.
pub(super) fn parse_outgoing(
    repository: &Repository,
    media_type: &str,
    bytes: Bytes,
) -> Result<ResolvedImage> {
    let location = Location::from(repository.clone());
    ResolvedImage::from_bytes(&location, bytes, Some(media_type)).map_err(|source| {
        Error::Manifest {
            what: format!("the manifest to push to {repository}"),
            source,
        }
    })
}
