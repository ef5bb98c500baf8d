//! What a copy is written to: a repository, or a layout.

use std::sync::Arc;

use countersign_oci::{
    Copied, Descriptor, Error as RegistryError, ListedAs, Location, PinnedReference, Registry,
};

use super::beside::{put_in_layout, put_in_registry};
use super::{BesideTag, Destination, NotCopied, Part, Place};
use crate::error::Error;

/// Where a copy is written, the client that writes it, and the one that reads the source.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    registry: &'a Registry,
    reader: &'a Registry,
    place: Place<'a>,
}

impl<'a> Target<'a> {
    pub(super) fn new(to: &Destination<'a>, reader: &'a Registry) -> Self {
        Self {
            registry: to.registry,
            reader,
            place: to.place,
        }
    }

    pub(super) fn location(&self) -> Location {
        match self.place {
            Place::Repository { repository, .. } => repository.clone().into(),
            Place::Layout { draft, .. } => draft.path().clone().into(),
        }
    }

    pub(super) async fn blob(
        &self,
        source: &Location,
        blob: &Descriptor,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Copied, RegistryError> {
        let reader = self.reader;
        match self.place {
            Place::Repository { repository, .. } => {
                let copied = self
                    .registry
                    .copy_blob(reader, source, repository, blob, progress);
                copied.await
            }
            Place::Layout { draft, .. } => {
                let progress = progress.as_ref();
                reader
                    .copy_blob_to_layout(source, draft, blob, progress)
                    .await
            }
        }
    }

    pub(super) async fn push(&self, part: &Part) -> Result<(), Error> {
        match self.place {
            Place::Repository { repository, .. } => {
                let bytes = part.image.bytes().clone();
                let pushed = self
                    .registry
                    .push_manifest(repository, &part.media_type, bytes, None);
                pushed.await?;
            }
            Place::Layout { draft, .. } => draft.put_document(&part.image).await?,
        }
        Ok(())
    }

    /// Also makes sure that they are found by what they refer to.
    pub(super) async fn push_referrers(&self, parts: &[&Part]) -> Result<(), Error> {
        match self.place {
            Place::Repository { repository, .. } => {
                let manifests = parts.iter().map(|part| {
                    let bytes = part.image.bytes().clone();
                    (part.media_type.as_str(), bytes)
                });
                let pushed = self
                    .registry
                    .push_referrers(repository, manifests.collect());
                pushed.await?;
            }
            Place::Layout { draft, .. } => {
                for part in parts {
                    draft.put_document(&part.image).await?;
                    draft.list(&part.image, &part.media_type, ListedAs::Unnamed);
                }
            }
        }
        Ok(())
    }

    /// Whether what refers to an image is pushed without a look at what it refers to.
    pub(super) async fn seems_to_list_by_tag(
        &self,
        image: &PinnedReference,
    ) -> Result<bool, Error> {
        match self.place {
            Place::Repository { .. } => Ok(self.registry.seems_to_list_by_tag(image).await?),
            // What is listed waits for its turn.
            Place::Layout { .. } => Ok(false),
        }
    }

    /// Makes `tag` name `part`. Says so if something else stands there, which is left.
    pub(super) async fn beside(
        &self,
        part: &Part,
        tag: &BesideTag,
    ) -> Result<Option<NotCopied>, Error> {
        match self.place {
            Place::Repository { repository, .. } => {
                put_in_registry(self.registry, repository, part, tag).await
            }
            Place::Layout { draft, .. } => put_in_layout(self.registry, draft, part, tag).await,
        }
    }
}
