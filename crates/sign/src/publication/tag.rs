//! Writes one tag, and reads it back.

use std::time::Duration;

use countersign_oci::http::{AttemptError, retrying};
use countersign_oci::{Digest, Error as RegistryError, Location, Reference, Registry, Retries};

use super::PublicationError;
use super::proven::Taggable;
use crate::error::Error;

/// A name that an image is to get: a repository and a tag, without a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagName {
    reference: Reference,
    tag: String,
}

impl TagName {
    /// # Errors
    /// [`PublicationError::Target`] for a reference that has a digest, or no tag. [`PublicationError::OfSignatures`]
    /// for a tag where clients look for signatures.
    pub(crate) fn new(reference: &Reference) -> Result<Self, PublicationError> {
        let target = |expected| PublicationError::Target {
            reference: Box::new(reference.clone()),
            expected,
        };
        if reference.digest().is_some() {
            return Err(target("a tag alone, without a digest"));
        }
        let tag = reference.tag().ok_or_else(|| target("a tag"))?;
        if Digest::is_made_into(tag) {
            return Err(PublicationError::OfSignatures {
                tag: Box::new(reference.clone()),
            });
        }
        Ok(Self {
            reference: reference.clone(),
            tag: tag.to_owned(),
        })
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn location(&self) -> &Location {
        self.reference.location()
    }

    pub(crate) fn pinned_to(&self, digest: &Digest) -> Reference {
        self.reference.pinned_to(digest.clone())
    }

    /// Makes the tag name `image`, and reads it back with `stranger`. Some registries show an old
    /// answer for a moment.
    pub(crate) async fn write(
        &self,
        registry: &Registry,
        stranger: &Registry,
        image: Taggable<'_>,
    ) -> Result<(), NotWritten> {
        let image = image.image();
        let read = || async {
            let named = stranger.resolve(&self.reference).await?;
            if named.digest() == image.digest() {
                Ok(())
            } else {
                Err(Error::from(PublicationError::TagMoved {
                    tag: Box::new(self.reference.clone()),
                    expected: image.digest().clone(),
                    found: named.digest().clone(),
                }))
            }
        };
        match registry.tag(image, &self.tag).await {
            Ok(()) => retrying(&reading_back(), || async { read().await.map_err(early) })
                .await
                .map_err(NotWritten::Unclear),
            // The answer may have been lost, and not the request.
            Err(error) => match read().await {
                Ok(()) => Ok(()),
                Err(Error::Registry(RegistryError::NotFound { .. }) | Error::Publication(_)) => {
                    Err(NotWritten::Left(error.into()))
                }
                Err(_) => Err(NotWritten::Unclear(error.into())),
            },
        }
    }
}

/// A tag that was not written, or perhaps was.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// The tag is as it was.
    Left(Error),
    /// The registry may have taken the new tag all the same.
    Unclear(Error),
}

/// How long a registry may show what a tag named before: about three seconds in all.
fn reading_back() -> Retries {
    Retries {
        times: 4,
        pause: Duration::from_millis(200),
        ..Retries::default()
    }
}

/// A tag that was just written may not have come through yet.
fn early(error: Error) -> AttemptError<Error> {
    match error {
        Error::Publication(PublicationError::TagMoved { .. })
        | Error::Registry(RegistryError::NotFound { .. }) => AttemptError::passing(error),
        other => other.into(),
    }
}
