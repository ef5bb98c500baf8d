//! Pushing manifests, indexes and referrers.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};

use super::Registry;
use super::challenge::Access;
use super::retry::retrying;
use super::transport::{Body, Request};
use crate::error::{Error, Result};
use crate::manifest::{Descriptor, Document, ManifestError, ResolvedImage};
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
        let digest = image.digest().to_string();
        self.put_manifest(&image, media_type, &digest).await?;
        if let Some(tag) = tag {
            self.put_manifest(&image, media_type, tag).await?;
        }
        Ok(image)
    }

    /// Pushes a manifest with a `subject` by digest and sees to it that the subject's referrers
    /// list names it: the registry says that it does, or we write it into the list at the fallback
    /// tag and read it back.
    ///
    /// # Errors
    /// [`Error::Manifest`], before anything is sent, if `bytes` are no manifest of `media_type` or
    /// have no `subject`; [`Error::Contended`] if others kept overwriting the list; the others about
    /// access, transport and the registry.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<ResolvedImage> {
        let image = parse(repository, media_type, bytes)?;
        let subject = match image.document() {
            Document::Manifest(manifest) => manifest.subject.clone(),
            Document::Index(index) => index.subject.clone(),
        };
        let subject = subject.ok_or_else(|| Error::Manifest {
            what: image.reference().to_string(),
            source: ManifestError::NoSubject,
        })?;
        let digest = image.digest().to_string();
        let indexed = self.put_manifest(&image, media_type, &digest).await?;
        if indexed.is_none_or(|found| found != subject.digest.to_string()) {
            self.list_by_tag(repository, &subject.digest, &listed(&image))
                .await?;
        }
        Ok(image)
    }

    /// Puts a manifest under a tag or digest; the answer is the subject in whose list of referrers
    /// the registry has put it, if it says so.
    pub(super) async fn put_manifest(
        &self,
        image: &ResolvedImage,
        media_type: &str,
        tag_or_digest: &str,
    ) -> Result<Option<String>> {
        let repository = image.reference().repository();
        let what = image.reference().to_string();
        let content_type = HeaderValue::from_str(media_type).map_err(|_| Error::Manifest {
            what: what.clone(),
            source: ManifestError::Unknown {
                found: media_type.into(),
            },
        })?;
        let url = self.url(repository, &format!("manifests/{tag_or_digest}"))?;
        let request =
            Request::new(Method::PUT, url, what).header(header::CONTENT_TYPE, content_type);
        retrying(&self.options().retries, || async {
            let body = Body::Bytes(image.bytes().clone());
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
fn listed(image: &ResolvedImage) -> Descriptor {
    let (artifact_type, annotations) = match image.document() {
        Document::Manifest(manifest) => {
            let config = manifest.config.media_type.clone();
            let artifact_type = manifest.artifact_type.clone().or(Some(config));
            (artifact_type, manifest.annotations.clone())
        }
        Document::Index(index) => (index.artifact_type.clone(), index.annotations.clone()),
    };
    Descriptor {
        artifact_type,
        annotations,
        ..image.descriptor()
    }
}
