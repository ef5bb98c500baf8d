//! Fetches an image's content and unpacks it, both at the same time.
//!
//! Blobs go to a quarantine in the staging directory. The extractor gets them one by one, each whole
//! and checked against its digest. While one layer is unpacked, on a thread that may block, the next
//! ones are fetched.

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{
    Descriptor, Digest, Location, Manifest, PinnedReference, Platform, Registry,
};
use futures_util::future::try_join;
use tokio::sync::{mpsc, oneshot};

use super::blob::Blob;
use super::{extractor, manifest};
use crate::blocking::CancelOnDrop;
use crate::config::ImageConfig;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::extract::{Cancellation, Extractor};
use crate::layer_cache::LayerCache;
use crate::limits::Limits;
use crate::target::Staging;

/// What the content of an image is fetched with, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Fetching<'a> {
    /// The platform that was asked for.
    pub(crate) platform: &'a Platform,
    pub(crate) registry: &'a Registry,
    pub(crate) limits: &'a Limits,
    /// Layers that were kept.
    pub(crate) layers: Option<&'a LayerCache>,
    pub(crate) events: Events<'a>,
}

impl Fetching<'_> {
    /// Checks all that an image is refused for before its layers are unpacked. Only its configuration is fetched.
    pub(crate) async fn check(
        self,
        reference: &PinnedReference,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let content = ImageContent {
            reference,
            manifest,
            with: self,
        };
        content.check()?;
        content.diff_ids(&content.config().await?)?;
        Ok(())
    }

    /// Fetches an image without a proof, unpacks it, and deletes what was unpacked. Returns what an installation would
    /// leave out or change, one sentence each.
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
    pub(super) async fn fetch_and_unpack(
        &self,
        staging: &Arc<Staging>,
    ) -> Result<(Extractor, CancelOnDrop), Error> {
        let (fetched, arriving) = arrival();
        self.unpack(staging, self.fetch(staging, fetched), arriving)
            .await
    }

    /// Fetches the configuration, and the layers to the quarantine, if nothing about the manifest is refused.
    pub(super) async fn fetch(&self, staging: &Arc<Staging>, fetched: Sent) -> Result<(), Error> {
        self.check()?;
        self.announce_layers();
        let Sent { config, blobs } = fetched;
        let layers = self.fetch_layers(staging, blobs);
        try_join(self.fetch_config(config), layers).await?;
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        manifest::check(self.reference, self.manifest, self.with.limits)
    }

    async fn config(&self) -> Result<Bytes, Error> {
        let (descriptor, limit) = (&self.manifest.config, self.with.limits.config_bytes);
        let blob = self.with.registry.blob(self.location(), descriptor, limit);
        Ok(blob.await?)
    }

    async fn fetch_config(&self, fetched: oneshot::Sender<Bytes>) -> Result<(), Error> {
        // Without anybody who waits for it, unpacking has failed.
        let _ = fetched.send(self.config().await?);
        Ok(())
    }

    /// Unpacks the layers that `fetch` sends.
    pub(super) async fn unpack(
        &self,
        staging: &Arc<Staging>,
        fetch: impl Future<Output = Result<(), Error>>,
        arriving: Arriving,
    ) -> Result<(Extractor, CancelOnDrop), Error> {
        let guard = CancelOnDrop::default();
        let extract = async {
            let extractor = extractor(staging, self.with.limits, &guard).await?;
            self.extract(extractor, staging, arriving).await
        };
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
        arriving: Arriving,
    ) -> Result<Extractor, Error> {
        let Arriving { config, blobs } = arriving;
        // If fetching ended without it, it has failed, and its error is reported.
        let config = config.await.map_err(|_| Error::Cancelled)?;
        let diff_ids = self.diff_ids(&config)?;
        self.extract_layers(extractor, staging, diff_ids, blobs)
            .await
    }

    /// Checks the configuration against the platform, and returns its list of layers.
    fn diff_ids(&self, config: &[u8]) -> Result<Vec<Digest>, Error> {
        let config: ImageConfig =
            serde_json::from_slice(config).map_err(|source| Error::Configuration {
                image: self.reference.clone(),
                source,
            })?;
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
}

/// Where the content of an image is sent to as it is fetched, checked against its digests.
pub(super) struct Sent {
    config: oneshot::Sender<Bytes>,
    /// The layers, in their order.
    blobs: mpsc::UnboundedSender<Blob>,
}

/// The other end of [`Sent`].
pub(super) struct Arriving {
    config: oneshot::Receiver<Bytes>,
    blobs: mpsc::UnboundedReceiver<Blob>,
}

pub(super) fn arrival() -> (Sent, Arriving) {
    let (config, arriving_config) = oneshot::channel();
    let (blobs, arriving_blobs) = mpsc::unbounded_channel();
    let arriving = Arriving {
        config: arriving_config,
        blobs: arriving_blobs,
    };
    (Sent { config, blobs }, arriving)
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
