//! What a copy is written to: a repository, or a layout.

use std::sync::Arc;

use countersign_oci::{
    Copied, Descriptor, Error as RegistryError, LayoutTurn, ListedAs, Location, PinnedReference,
    Registry, Repository,
};

use super::beside::{put_in_layout, put_in_registry};
use super::{BesideTag, CopyPlace, Destination, NotCopied, Part};
use crate::error::Error;

/// Where a copy is written, the client that writes it, and the one that reads the source.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    registry: &'a Registry,
    reader: &'a Registry,
    place: CopyPlace<'a>,
}

/// Where what refers to an image is listed. In a layout that takes its turn.
#[derive(Clone, Copy)]
pub(super) enum Lists<'a> {
    Repository(&'a Repository),
    Layout(&'a LayoutTurn<'a>),
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
            CopyPlace::Repository { repository, .. } => repository.clone().into(),
            CopyPlace::Layout { draft, .. } => draft.path().clone().into(),
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
            CopyPlace::Repository { repository, .. } => {
                let copied = self
                    .registry
                    .copy_blob(reader, source, repository, blob, progress);
                copied.await
            }
            CopyPlace::Layout { draft, .. } => {
                let progress = progress.as_ref();
                reader
                    .copy_blob_to_layout(source, draft, blob, progress)
                    .await
            }
        }
    }

    pub(super) async fn push(&self, part: &Part) -> Result<(), Error> {
        match self.place {
            CopyPlace::Repository { repository, .. } => {
                let bytes = part.image.bytes().clone();
                let pushed = self
                    .registry
                    .push_manifest(repository, &part.media_type, bytes, None);
                pushed.await?;
            }
            CopyPlace::Layout { draft, .. } => draft.put_document(&part.image).await?,
        }
        Ok(())
    }

    /// Also makes sure that they are found by what they refer to.
    pub(super) async fn push_referrers(
        &self,
        parts: &[&Part],
        lists: Lists<'_>,
    ) -> Result<(), Error> {
        match lists {
            Lists::Repository(repository) => {
                let manifests = parts.iter().map(|part| {
                    let bytes = part.image.bytes().clone();
                    (part.media_type.as_str(), bytes)
                });
                let pushed = self
                    .registry
                    .push_referrers(repository, manifests.collect());
                pushed.await?;
            }
            Lists::Layout(turn) => {
                for part in parts {
                    turn.draft().put_document(&part.image).await?;
                    turn.list(&part.image, &part.media_type, ListedAs::Unnamed);
                }
            }
        }
        Ok(())
    }

    /// Where what refers to an image can be listed before the image is there: in a repository that doesn't look at what
    /// it refers to. In a layout it waits for its turn.
    pub(super) async fn lists_ahead(
        &self,
        image: &PinnedReference,
    ) -> Result<Option<Lists<'a>>, Error> {
        let CopyPlace::Repository { repository, .. } = self.place else {
            return Ok(None);
        };
        let by_tag = self.registry.seems_to_list_by_tag(image).await?;
        Ok(by_tag.then_some(Lists::Repository(repository)))
    }

    /// Makes `tag` name `part`. Says so if something else stands there, which is left.
    pub(super) async fn beside(
        &self,
        part: &Part,
        tag: &BesideTag,
        lists: Lists<'_>,
    ) -> Result<Option<NotCopied>, Error> {
        match lists {
            Lists::Repository(repository) => {
                put_in_registry(self.registry, repository, part, tag).await
            }
            Lists::Layout(turn) => put_in_layout(self.registry, turn, part, tag).await,
        }
    }
}
