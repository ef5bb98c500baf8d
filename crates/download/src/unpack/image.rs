//! Fetches an admitted image's content and unpacks it, both at the same time.
//!
//! Blobs go to a quarantine in the staging directory. The extractor gets them one by one, each whole
//! and checked against its digest. While one layer is unpacked, on a thread that may block, the next
//! ones are fetched.

use std::path::PathBuf;
use std::sync::Arc;

use countersign_oci::{Descriptor, Digest, Location, Platform, Registry};
use tokio::sync::mpsc;

use super::{UnpackedTree, extractor, manifest};
use crate::admitted::AdmittedImage;
use crate::blocking::CancelOnDrop;
use crate::config::ImageConfig;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::extract::{Cancellation, Extractor};
use crate::limits::Limits;
use crate::target::Staging;

/// An admitted image, and what its content is fetched with.
pub(crate) struct ImageContent<'a> {
    pub(crate) image: &'a AdmittedImage,
    /// The platform that was asked for.
    pub(crate) platform: &'a Platform,
    pub(crate) registry: &'a Registry,
    pub(crate) limits: &'a Limits,
    pub(crate) events: Events<'a>,
}

impl ImageContent<'_> {
    /// Fetches and unpacks everything into a staging directory.
    pub(crate) async fn unpack(&self, staging: Arc<Staging>) -> Result<UnpackedTree, Error> {
        manifest::check(self.image, self.limits)?;
        self.announce_layers();
        let guard = CancelOnDrop::default();
        let extractor = extractor(&staging, self.limits, &guard)?;
        let (fetched, waiting) = mpsc::unbounded_channel();
        let fetch = self.fetch_layers(&staging, fetched);
        let extract = self.extract(extractor, &staging, waiting);
        let extractor = side_by_side(fetch, extract, &guard.cancellation()).await?;
        Ok(UnpackedTree {
            staging,
            extractor,
            guard,
        })
    }

    pub(super) fn layers(&self) -> &[Descriptor] {
        &self.image.manifest().layers
    }

    pub(super) fn location(&self) -> &Location {
        self.image.reference().location()
    }

    /// Reports every layer before the first one has any bytes, so that a listener that adds them up
    /// knows the total.
    fn announce_layers(&self) {
        for layer in self.layers() {
            (self.events)(Event::LayerProgress {
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
        waiting: mpsc::UnboundedReceiver<PathBuf>,
    ) -> Result<Extractor, Error> {
        let diff_ids = self.diff_ids().await?;
        self.extract_layers(extractor, staging, diff_ids, waiting)
            .await
    }

    /// Fetches the configuration, checks it against the platform, and returns its list of layers.
    async fn diff_ids(&self) -> Result<Vec<Digest>, Error> {
        let config = self.config().await?;
        if let Some(found) = config.contradiction(self.platform) {
            return Err(Error::WrongPlatform {
                image: self.image.reference().clone(),
                expected: Box::new(self.platform.clone()),
                found: Box::new(found),
            });
        }
        let diff_ids = config.into_diff_ids();
        if diff_ids.len() != self.layers().len() {
            return Err(Error::LayerCount {
                image: self.image.reference().clone(),
                expected: self.layers().len(),
                found: diff_ids.len(),
            });
        }
        Ok(diff_ids)
    }

    async fn config(&self) -> Result<ImageConfig, Error> {
        let (descriptor, limit) = (&self.image.manifest().config, self.limits.config_bytes);
        let blob = self.registry.blob(self.location(), descriptor, limit);
        serde_json::from_slice(&blob.await?).map_err(|source| Error::Configuration {
            image: self.image.reference().clone(),
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
