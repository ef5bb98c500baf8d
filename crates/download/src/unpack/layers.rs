//! Fetching layers into the quarantine, and unpacking them from there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_oci::{Descriptor, Digest};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::ImageContent;
use crate::blocking::blocking;
use crate::error::Error;
use crate::events::Event;
use crate::extract::{Extractor, Form, Layer};
use crate::target::Staging;

/// Layers fetched at once. More gain little on one registry, and each has its buffers.
const FETCHES: usize = 4;

impl ImageContent<'_> {
    /// Fetches the layers, several at once. Sends the path of each, in order, once it is complete
    /// and its digest was checked.
    pub(super) async fn fetch_layers(
        &self,
        staging: &Staging,
        fetched: mpsc::UnboundedSender<PathBuf>,
    ) -> Result<(), Error> {
        let fetches = self.layers().iter().enumerate().map(|(number, layer)| {
            let path = staging.blob_path(number);
            async move {
                self.fetch_layer(layer, &path).await?;
                Ok::<_, Error>(path)
            }
        });
        let mut complete = stream::iter(fetches).buffered(FETCHES);
        while let Some(path) = complete.try_next().await? {
            if fetched.send(path).is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn fetch_layer(&self, layer: &Descriptor, path: &Path) -> Result<(), Error> {
        let file = tokio::fs::File::create_new(path).await;
        let mut file = file.map_err(Error::io("create", path))?;
        let progress = |bytes| {
            (self.events)(Event::LayerProgress {
                digest: layer.digest.clone(),
                bytes,
                size: layer.size,
            });
        };
        self.registry
            .fetch_blob(self.location(), layer, &mut file, &progress)
            .await?;
        file.flush().await.map_err(Error::io("write", path))
    }

    /// Unpacks the layers in their order, as they come in.
    pub(super) async fn extract_layers(
        &self,
        mut extractor: Extractor,
        staging: &Arc<Staging>,
        diff_ids: Vec<Digest>,
        mut waiting: mpsc::UnboundedReceiver<PathBuf>,
    ) -> Result<Extractor, Error> {
        for (layer, diff_id) in self.layers().iter().zip(diff_ids) {
            // If fetching ended without this layer, it has failed, and its error is reported.
            let path = waiting.recv().await.ok_or(Error::Cancelled)?;
            let (digest, size) = (layer.digest.clone(), layer.size);
            // The thread may outlive us. The staging directory must stay until it has ended.
            let staging = Arc::clone(staging);
            extractor = blocking(move || {
                let layer = Layer {
                    content: take_file(&path)?,
                    size,
                    form: Form::Layer { diff_id },
                };
                let result = extractor.layer(layer);
                drop(staging);
                result.map_err(|source| Error::Layer {
                    layer: digest,
                    source,
                })?;
                Ok(extractor)
            })
            .await?;
            (self.events)(Event::LayerExtracted {
                digest: layer.digest.clone(),
            });
        }
        Ok(extractor)
    }
}

/// Opens a file and removes its name, so that its disk space is free again as soon as it is closed.
fn take_file(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    fs::remove_file(path).map_err(Error::io("remove", path))?;
    Ok(file)
}
