//! Fetches an image's content and unpacks it, both at the same time.
//!
//! Blobs go to a quarantine in the staging directory. The extractor gets them one by one, each whole
//! and checked against its digest. While one layer is unpacked, on a thread that may block, the next
//! ones are fetched.

use std::sync::Arc;

use countersign_oci::{
    Descriptor, Digest, Location, Manifest, PinnedReference, Platform, Registry,
};
use tokio::sync::mpsc;

use super::ahead::{Ahead, Fetched};
use super::blob::Blob;
use super::{UnpackedTree, extractor, manifest};
use crate::admitted::AdmittedImage;
use crate::blocking::CancelOnDrop;
use crate::config::ImageConfig;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::extract::{Cancellation, Extractor};
use crate::hold::stage;
use crate::limits::Limits;
use crate::target::{Held, Staging};

/// What the content of an image is fetched with, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Fetching<'a> {
    /// The platform that was asked for.
    pub(crate) platform: &'a Platform,
    pub(crate) registry: &'a Registry,
    pub(crate) limits: &'a Limits,
    pub(crate) events: Events<'a>,
}

impl Fetching<'_> {
    /// Fetches an admitted image and unpacks it into a staging directory. From there it may be moved into
    /// place. What was fetched `ahead` is not fetched again.
    pub(crate) async fn unpack(
        self,
        image: &AdmittedImage,
        held: &Arc<Held>,
        ahead: Option<Ahead<'_>>,
    ) -> Result<UnpackedTree, Error> {
        let content = ImageContent {
            reference: image.reference(),
            manifest: image.manifest(),
            with: self,
        };
        let ahead = ahead.and_then(|ahead| ahead.of(image.reference().digest()));
        let (staging, (extractor, guard)) = match ahead {
            Some(Fetched {
                staging,
                fetch,
                blobs,
            }) => (
                Arc::clone(&staging),
                content.unpack(&staging, fetch, blobs).await?,
            ),
            None => {
                let staging = stage(held).await?;
                let unpacked = content.fetch_and_unpack(&staging).await?;
                (staging, unpacked)
            }
        };
        UnpackedTree::new(staging, extractor, guard).await
    }

    /// Does the same with an image that nobody admitted, and deletes what was unpacked. Returns what an
    /// installation would leave out or change, one sentence each.
    pub(crate) async fn try_out(
        self,
        reference: &PinnedReference,
        manifest: &Manifest,
        staging: Arc<Staging>,
    ) -> Result<Vec<String>, Error> {
        let content = ImageContent {
            reference,
            manifest,
            with: self,
        };
        let (extractor, _guard) = content.fetch_and_unpack(&staging).await?;
        Ok(extractor.unpacked().warnings())
    }
}

/// One platform's image, and what its content is fetched with.
pub(super) struct ImageContent<'a> {
    pub(super) reference: &'a PinnedReference,
    pub(super) manifest: &'a Manifest,
    pub(super) with: Fetching<'a>,
}

impl ImageContent<'_> {
    async fn fetch_and_unpack(
        &self,
        staging: &Arc<Staging>,
    ) -> Result<(Extractor, CancelOnDrop), Error> {
        let (fetched, blobs) = mpsc::unbounded_channel();
        self.unpack(staging, self.fetch(staging, fetched), blobs)
            .await
    }

    /// Fetches the layers to the quarantine, if nothing about the manifest is refused.
    pub(super) async fn fetch(
        &self,
        staging: &Arc<Staging>,
        fetched: mpsc::UnboundedSender<Blob>,
    ) -> Result<(), Error> {
        manifest::check(self.reference, self.manifest, self.with.limits)?;
        self.announce_layers();
        self.fetch_layers(staging, fetched).await
    }

    /// Unpacks the layers that `fetch` sends to `blobs`.
    async fn unpack(
        &self,
        staging: &Arc<Staging>,
        fetch: impl Future<Output = Result<(), Error>>,
        blobs: mpsc::UnboundedReceiver<Blob>,
    ) -> Result<(Extractor, CancelOnDrop), Error> {
        manifest::check(self.reference, self.manifest, self.with.limits)?;
        let guard = CancelOnDrop::default();
        let extractor = extractor(staging, self.with.limits, &guard)?;
        let extract = self.extract(extractor, staging, blobs);
        let extractor = side_by_side(fetch, extract, &guard.cancellation()).await?;
        Ok((extractor, guard))
    }

    pub(super) fn layers(&self) -> &[Descriptor] {
        &self.manifest.layers
    }

    pub(super) fn location(&self) -> &Location {
        self.reference.location()
    }

    /// Reports every layer before the first one has any bytes, so that a listener that adds them up
    /// knows the total.
    fn announce_layers(&self) {
        for layer in self.layers() {
            (self.with.events)(Event::LayerProgress {
                digest: layer.digest.clone(),
                bytes: 0,
                size: layer.size,
            });
        }
    }

    async fn extract(
        &self,
        extractor: Extractor,
        staging: &Arc<Staging>,
        blobs: mpsc::UnboundedReceiver<Blob>,
    ) -> Result<Extractor, Error> {
        let diff_ids = self.diff_ids().await?;
        self.extract_layers(extractor, staging, diff_ids, blobs)
            .await
    }

    /// Fetches the configuration, checks it against the platform, and returns its list of layers.
    async fn diff_ids(&self) -> Result<Vec<Digest>, Error> {
        let config = self.config().await?;
        if let Some(found) = config.contradiction(self.with.platform) {
            return Err(Error::WrongPlatform {
                image: self.reference.clone(),
                expected: Box::new(self.with.platform.clone()),
                found: Box::new(found),
            });
        }
        let diff_ids = config.into_diff_ids();
        if diff_ids.len() != self.layers().len() {
            return Err(Error::LayerCount {
                image: self.reference.clone(),
                expected: self.layers().len(),
                found: diff_ids.len(),
            });
        }
        Ok(diff_ids)
    }

    async fn config(&self) -> Result<ImageConfig, Error> {
        let (descriptor, limit) = (&self.manifest.config, self.with.limits.config_bytes);
        let blob = self.with.registry.blob(self.location(), descriptor, limit);
        serde_json::from_slice(&blob.await?).map_err(|source| Error::Configuration {
            image: self.reference.clone(),
            source,
        })
    }
}

/// Runs both until everything is unpacked or one of them has failed. Returns only when no thread is at
/// work any more: a failed attempt must leave nothing behind.
async fn side_by_side(
    fetch: impl Future<Output = Result<(), Error>>,
    extract: impl Future<Output = Result<Extractor, Error>>,
    cancellation: &Cancellation,
) -> Result<Extractor, Error> {
    tokio::pin!(extract);
    let fetched = tokio::select! {
        extracted = &mut extract => return extracted,
        fetched = fetch => fetched,
    };
    if fetched.is_err() {
        cancellation.cancel();
    }
    let extracted = extract.await;
    fetched.and(extracted)
}
