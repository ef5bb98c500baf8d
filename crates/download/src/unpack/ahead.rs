//! Fetches layers while their image is still being verified.
//!
//! They go to the quarantine of a staging directory, and there they stay: nothing opens them before the image is
//! admitted. If it is refused, the staging directory is removed with all that is in it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use countersign_oci::{Digest, Document, ResolvedImage};
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use tokio::sync::oneshot;

use super::image::{Arriving, Fetching, ImageContent, arrival};
use crate::error::Error;
use crate::hold::stage;
use crate::target::{Held, Staging};

/// Says which manifest was selected.
pub(crate) struct Selection(Mutex<Option<oneshot::Sender<ResolvedImage>>>);

impl Selection {
    /// Says that it is this manifest. Only the first one counts.
    pub(crate) fn made(&self, image: &ResolvedImage) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // If nobody waits for it, nothing is fetched ahead.
            let _ = sender.send(image.clone());
        }
    }
}

/// The layers of an image that may still be refused.
pub(crate) struct Ahead<'a> {
    begun: Arc<OnceLock<Begun>>,
    fetch: BoxFuture<'a, Result<(), Error>>,
    ended: Option<Result<(), Error>>,
    arriving: Arriving,
}

/// What is being fetched, and where to.
struct Begun {
    manifest: Digest,
    staging: Arc<Staging>,
}

/// The layers of an image that was admitted: fetched, or on their way.
pub(super) struct Fetched<'a> {
    pub(super) staging: Arc<Staging>,
    /// The rest of the work.
    pub(super) fetch: BoxFuture<'a, Result<(), Error>>,
    pub(super) arriving: Arriving,
}

impl<'a> Ahead<'a> {
    /// Fetches the layers of the manifest that is selected, unless `installed` is its digest.
    pub(crate) fn new(
        fetching: Fetching<'a>,
        held: &'a Arc<Held>,
        installed: Option<&'a Digest>,
    ) -> (Selection, Self) {
        let (sender, selected) = oneshot::channel::<ResolvedImage>();
        let (fetched, arriving) = arrival();
        let begun = Arc::new(OnceLock::new());
        let told = Arc::clone(&begun);
        let fetch = async move {
            let Ok(image) = selected.await else {
                return Ok(());
            };
            let Document::Manifest(manifest) = image.document() else {
                return Ok(());
            };
            if installed == Some(image.digest()) {
                return Ok(());
            }
            let staging = stage(held).await?;
            let _ = told.set(Begun {
                manifest: image.digest().clone(),
                staging: Arc::clone(&staging),
            });
            let content = ImageContent {
                reference: image.reference(),
                manifest,
                with: fetching,
            };
            content.fetch(&staging, fetched).await
        };
        let ahead = Self {
            begun,
            fetch: fetch.boxed(),
            ended: None,
            arriving,
        };
        (Selection(Mutex::new(Some(sender))), ahead)
    }

    /// Fetches until `admitting` has ended.
    pub(crate) async fn until<T>(&mut self, admitting: impl Future<Output = T>) -> T {
        tokio::pin!(admitting);
        loop {
            tokio::select! {
                biased;
                admitted = &mut admitting => return admitted,
                ended = &mut self.fetch, if self.ended.is_none() => self.ended = Some(ended),
            }
        }
    }

    /// The layers of the manifest that was admitted. `None` if others were fetched, or if it failed: then they are
    /// fetched as if nothing had been.
    pub(super) fn into_fetched(self, admitted: &Digest) -> Option<Fetched<'a>> {
        let begun = self.begun.get()?;
        if begun.manifest != *admitted {
            return None;
        }
        let staging = Arc::clone(&begun.staging);
        let fetch = match self.ended {
            None => self.fetch,
            Some(Ok(())) => future::ready(Ok(())).boxed(),
            Some(Err(_)) => return None,
        };
        Some(Fetched {
            staging,
            fetch,
            arriving: self.arriving,
        })
    }
}
