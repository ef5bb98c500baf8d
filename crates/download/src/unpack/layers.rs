//! Fetching layers, and unpacking them from there.

use std::collections::VecDeque;
use std::sync::Arc;

use countersign_oci::{Descriptor, Digest, Location};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::blob::{Begun, Blob, Memory, Place};
use super::image::ImageContent;
use super::turns::{Turn, Turns};
use crate::blocking::blocking;
use crate::error::Error;
use crate::events::Event;
use crate::extract::{Extractor, Form, Layer, OpenLayer};
use crate::layer_cache::LayerCache;
use crate::target::Staging;

/// Layers fetched at once, at most. More gain little on one registry, and each has its buffers.
const FETCHES: usize = 4;

impl ImageContent<'_> {
    /// Fetches the layers, several at once. Sends each, in order, once it is complete and its digest was
    /// checked.
    pub(super) async fn fetch_layers(
        &self,
        staging: &Arc<Staging>,
        fetched: mpsc::UnboundedSender<Blob>,
    ) -> Result<(), Error> {
        let (turns, memory) = (&Turns::new(), &Memory::new());
        let fetches = self.layers().iter().enumerate().map(|(number, layer)| {
            let place = Place {
                path: staging.blob_path(number),
                held: Arc::clone(staging),
                memory,
            };
            let fetch = async move {
                if let Some(cache) = self.cache()
                    && let Some(blob) = Blob::cached(cache, layer, &place).await?
                {
                    let digest = layer.digest.clone();
                    (self.with.events)(Event::LayerCached { digest });
                    self.progress(layer, layer.size);
                    return Ok(blob);
                }
                let turn = turns.begin(layer.size).await;
                self.fetch_layer(layer, place, &turn).await
            };
            fetch.boxed()
        });
        let fetches: Vec<_> = fetches.collect();
        let mut complete = stream::iter(fetches).buffered(FETCHES);
        while let Some(blob) = complete.try_next().await? {
            if fetched.send(blob).is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn fetch_layer(
        &self,
        layer: &Descriptor,
        place: Place<'_>,
        turn: &Turn<'_>,
    ) -> Result<Blob, Error> {
        let mut blob = Begun::new(layer.size, place).await?;
        let progress = |bytes| {
            turn.received_all_but(layer.size.saturating_sub(bytes));
            self.progress(layer, bytes);
        };
        self.with
            .registry
            .fetch_blob(self.location(), layer, blob.writer(), &progress)
            .await?;
        blob.end().await
    }

    /// Layers that were kept, unless the image is on this machine anyway.
    fn cache(&self) -> Option<&LayerCache> {
        match self.location() {
            Location::Registry(_) => self.with.layers,
            Location::Layout(_) => None,
        }
    }

    fn progress(&self, layer: &Descriptor, bytes: u64) {
        (self.with.events)(Event::LayerProgress {
            digest: layer.digest.clone(),
            bytes,
            size: layer.size,
        });
    }

    /// Unpacks the layers in their order, as they come in. While one is unpacked, the next one is
    /// decompressed into memory if it is there already.
    pub(super) async fn extract_layers(
        &self,
        mut extractor: Extractor,
        staging: &Arc<Staging>,
        diff_ids: Vec<Digest>,
        fetched: mpsc::UnboundedReceiver<Blob>,
    ) -> Result<Extractor, Error> {
        let layers = self.layers().iter().cloned().zip(diff_ids).collect();
        let mut queue = Queue {
            layers,
            fetched,
            opened: None,
            cache: self.cache().cloned(),
        };
        while let Some(next) = queue.next().await? {
            let digest = next.digest().clone();
            // The thread may outlive us. The staging directory must stay until it has ended.
            let held = Arc::clone(staging);
            (extractor, queue) = blocking(move || {
                let digest = next.digest().clone();
                let layer = next.open()?;
                queue.open_next();
                let result = extractor.apply(layer.content);
                result.map_err(|source| Error::Layer {
                    layer: digest,
                    source,
                })?;
                drop(held);
                Ok((extractor, queue))
            })
            .await?;
            (self.with.events)(Event::LayerExtracted { digest });
        }
        Ok(extractor)
    }
}

/// The layers that were not unpacked yet.
struct Queue {
    /// The layers that were not opened yet, with the digests of their decompressed content.
    layers: VecDeque<(Descriptor, Digest)>,
    /// Their content, in the same order, as it is complete and checked.
    fetched: mpsc::UnboundedReceiver<Blob>,
    /// The layer that comes before them, if it was opened ahead of its turn.
    opened: Option<Result<OpenedLayer, Error>>,
    cache: Option<LayerCache>,
}

impl Queue {
    /// Waits for the next layer. `None` after the last one.
    async fn next(&mut self) -> Result<Option<Next>, Error> {
        if let Some(opened) = self.opened.take() {
            return Ok(Some(Next::Opened(opened?)));
        }
        if self.layers.is_empty() {
            return Ok(None);
        }
        // If fetching ended without this layer, it has failed, and its error is reported.
        let blob = self.fetched.recv().await.ok_or(Error::Cancelled)?;
        Ok(self.take(blob).map(Next::Fetched))
    }

    /// Opens the next layer ahead of its turn, if it was fetched. An error is returned in its turn.
    fn open_next(&mut self) {
        let blob = self.fetched.try_recv().ok();
        let next = blob.and_then(|blob| self.take(blob));
        self.opened = next.map(FetchedLayer::open);
    }

    fn take(&mut self, blob: Blob) -> Option<FetchedLayer> {
        let (descriptor, diff_id) = self.layers.pop_front()?;
        Some(FetchedLayer {
            descriptor,
            diff_id,
            blob,
            cache: self.cache.clone(),
        })
    }
}

/// The layer whose turn it is.
enum Next {
    Fetched(FetchedLayer),
    Opened(OpenedLayer),
}

impl Next {
    fn digest(&self) -> &Digest {
        match self {
            Self::Fetched(layer) => &layer.descriptor.digest,
            Self::Opened(layer) => &layer.digest,
        }
    }

    fn open(self) -> Result<OpenedLayer, Error> {
        match self {
            Self::Fetched(layer) => layer.open(),
            Self::Opened(layer) => Ok(layer),
        }
    }
}

/// A layer in the quarantine, complete and checked against its digest.
struct FetchedLayer {
    descriptor: Descriptor,
    diff_id: Digest,
    blob: Blob,
    cache: Option<LayerCache>,
}

/// A layer that is being decompressed.
struct OpenedLayer {
    digest: Digest,
    content: OpenLayer,
}

impl FetchedLayer {
    /// Keeps a copy in the cache, and not before: nobody's layers are kept but those of an admitted image.
    fn open(self) -> Result<OpenedLayer, Error> {
        if let Some(cache) = &self.cache {
            self.blob.keep(cache, &self.descriptor);
        }
        let Descriptor { digest, size, .. } = self.descriptor;
        let layer = Layer {
            content: self.blob.open()?,
            size,
            form: Form::Layer {
                diff_id: self.diff_id,
            },
        };
        match layer.open() {
            Ok(content) => Ok(OpenedLayer { digest, content }),
            Err(source) => Err(Error::Layer {
                layer: digest,
                source,
            }),
        }
    }
}
