//! Pushing manifests, indexes and referrers.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};

use super::Registry;
use super::challenge::Access;
use crate::error::{Error, Result};
use crate::http::{Body, Request, retrying};
use crate::manifest::{self, Descriptor, ManifestError, ResolvedImage};
use crate::reference::Repository;

/// By this header a registry says that it has put a referrer into its subject's list (OCI
/// distribution specification 1.1, "Pushing Manifests with Subject").
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Registry {
    /// Pushes a manifest or index by digest, and under `tag` too if given.
    ///
    /// # Errors
    /// [`Error::Manifest`], before anything is sent, if `bytes` are no manifest of `media_type`;
    /// the others about access, transport and the registry.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
        tag: Option<&str>,
    ) -> Result<ResolvedImage> {
        let image = parse(repository, media_type, bytes)?;
        let document = Document::of(&image, media_type);
        let digest = image.digest().to_string();
        self.put_manifest(repository, &digest, &document).await?;
        if let Some(tag) = tag {
            self.put_manifest(repository, tag, &document).await?;
        }
        Ok(image)
    }

    /// Pushes a manifest with a `subject` by digest and sees to it that the subject's referrers
    /// list names it. The registry does so itself if it says so and has the referrers API. Else we
    /// write the manifest into the list at the fallback tag and read it back.
    ///
    /// # Errors
    /// [`Error::Manifest`], before anything is sent, if `bytes` are no manifest of `media_type` or
    /// have no `subject`; [`Error::Contended`] if others kept overwriting the list;
    /// [`Error::NoReferrers`] if the registry can't keep one; the others about access, transport
    /// and the registry.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<ResolvedImage> {
        let image = parse(repository, media_type, bytes)?;
        let subject = match image.document() {
            manifest::Document::Manifest(manifest) => manifest.subject.clone(),
            manifest::Document::Index(index) => index.subject.clone(),
        };
        let subject = subject.ok_or_else(|| Error::Manifest {
            what: image.reference().to_string(),
            source: ManifestError::NoSubject,
        })?;
        let digest = image.digest().to_string();
        let document = Document::of(&image, media_type);
        let indexed = self.put_manifest(repository, &digest, &document).await?;
        let indexed = indexed.is_some_and(|found| found == subject.digest.to_string());
        let subject = repository.at(subject.digest);
        // Some registries pass the header on from what they are made of, and have no such API.
        if !(indexed && self.lists_referrers(&subject).await?) {
            self.list_by_tag(&subject, &listed(&image)).await?;
        }
        Ok(image)
    }

    /// Puts a manifest under a tag or digest; the answer is the subject in whose list of referrers
    /// the registry has put it, if it says so.
    pub(super) async fn put_manifest(
        &self,
        repository: &Repository,
        tag_or_digest: &str,
        document: &Document<'_>,
    ) -> Result<Option<String>> {
        let what = document.what.as_str();
        let content_type =
            HeaderValue::from_str(document.media_type).map_err(|_| Error::Manifest {
                what: what.into(),
                source: ManifestError::Unknown {
                    found: document.media_type.into(),
                },
            })?;
        let url = self.url(repository, &format!("manifests/{tag_or_digest}"))?;
        let request =
            Request::new(Method::PUT, url, what).header(header::CONTENT_TYPE, content_type);
        retrying(&self.options().retries, || async {
            let body = Body::Bytes(document.bytes.clone());
            let answer = self
                .ask(&request, repository, Access::Push, body)
                .await?
                .success()
                .await?;
            Ok(answer.header(&OCI_SUBJECT).map(str::to_owned))
        })
        .await
    }
}

/// A manifest as it is sent.
pub(super) struct Document<'a> {
    pub(super) media_type: &'a str,
    pub(super) bytes: Bytes,
    /// What errors call it.
    pub(super) what: String,
}

impl<'a> Document<'a> {
    pub(super) fn of(image: &ResolvedImage, media_type: &'a str) -> Self {
        Self {
            media_type,
            bytes: image.bytes().clone(),
            what: image.reference().to_string(),
        }
    }
}

fn parse(repository: &Repository, media_type: &str, bytes: Bytes) -> Result<ResolvedImage> {
    ResolvedImage::from_bytes(repository, bytes, Some(media_type)).map_err(|source| {
        Error::Manifest {
            what: format!("the manifest to push to {repository}"),
            source,
        }
    })
}

/// The descriptor of a referrer in its subject's list: with the manifest's annotations and its
/// artifact type, which for a manifest without one is its config's media type.
pub(super) fn listed(image: &ResolvedImage) -> Descriptor {
    let (artifact_type, annotations) = match image.document() {
        manifest::Document::Manifest(manifest) => {
            let config = manifest.config.media_type.clone();
            let artifact_type = manifest.artifact_type.clone().or(Some(config));
            (artifact_type, manifest.annotations.clone())
        }
        manifest::Document::Index(index) => {
            (index.artifact_type.clone(), index.annotations.clone())
        }
    };
    Descriptor {
        artifact_type,
        annotations,
        ..image.descriptor()
    }
}
