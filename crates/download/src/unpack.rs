//! Fetches an admitted image's content and unpacks it, both at the same time.
//!
//! Blobs go to a quarantine in the staging directory. The extractor gets them one by one, each whole
//! and checked against its digest. While one layer is unpacked, on a thread that may block, the next
//! ones are fetched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_oci::{Descriptor, Digest, Location, Platform, Registry};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::admitted::AdmittedImage;
use crate::archive::AdmittedArchive;
use crate::config::ImageConfig;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::extract::{self, Cancellation, Extractor, Form};
use crate::limits::{Bound, Limits};
use crate::options::WhenBusy;
use crate::record::Record;
use crate::target::{Held, Staging};

/// Between two tries to take a target that somebody else holds.
const PAUSE: Duration = Duration::from_millis(200);

/// Layers fetched at once. More gain little on one registry, and each has its buffers.
const FETCHES: usize = 4;

/// An image that is unpacked and waits in its staging directory.
pub(crate) struct UnpackedImage {
    staging: Arc<Staging>,
    extractor: Extractor,
    guard: CancelOnDrop,
}

impl UnpackedImage {
    pub(crate) fn files(&self) -> u64 {
        self.extractor.unpacked().files
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.extractor.unpacked().bytes
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.extractor.unpacked().warnings()
    }

    /// Adds the record and moves the whole into place.
    pub(crate) async fn commit(self, record: Record<'_>) -> Result<(), Error> {
        let record = record.to_json().map_err(Error::Record)?;
        let Self {
            staging,
            extractor,
            guard,
        } = self;
        blocking(move || {
            staging.write_record(&record)?;
            extractor.finish().map_err(Error::Tree)?;
            staging.commit()
        })
        .await?;
        drop(guard);
        Ok(())
    }
}

/// Stops the work when whoever waits for it goes away: a blocking thread can't be dropped.
#[derive(Default)]
pub(crate) struct CancelOnDrop(Cancellation);

impl CancelOnDrop {
    /// To be asked by the work.
    pub(crate) fn cancellation(&self) -> Cancellation {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The target `directory`, which nobody else installs to while it is held. Where somebody else
/// holds it this waits, if `busy` says so, and says so once.
pub(crate) async fn hold(
    directory: &Path,
    busy: WhenBusy,
    events: Events<'_>,
) -> Result<Arc<Held>, Error> {
    let mut told = false;
    loop {
        let path = directory.to_path_buf();
        match blocking(move || Held::take(&path)).await {
            Err(Error::Busy { path }) if busy == WhenBusy::Wait => {
                if !told {
                    events(Event::Waiting { path });
                    told = true;
                }
                // Not on a thread that blocks: whoever waits may be stopped.
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(Arc::new(result?)),
        }
    }
}

/// A staging directory beside a target that is held.
pub(crate) async fn stage(held: &Arc<Held>) -> Result<Arc<Staging>, Error> {
    let held = Arc::clone(held);
    Ok(Arc::new(blocking(move || held.stage()).await?))
}

/// Fetches and unpacks `image` into a staging directory.
pub(crate) async fn unpack(
    registry: &Registry,
    limits: &Limits,
    image: &AdmittedImage,
    platform: &Platform,
    staging: Arc<Staging>,
    events: Events<'_>,
) -> Result<UnpackedImage, Error> {
    let layers = plan(image, limits)?;
    // All of them before the first has any bytes, so that whoever adds them up knows the total.
    for layer in &layers {
        events(Event::LayerProgress {
            digest: layer.digest.clone(),
            bytes: 0,
            size: layer.size,
        });
    }
    let guard = CancelOnDrop::default();
    let root = staging.root()?;
    let extractor = Extractor::new(root, limits.clone(), guard.cancellation())
        .map_err(Error::io("look at", staging.target()))?;

    let location = image.reference().location();
    let (fetched, waiting) = mpsc::unbounded_channel();
    let fetch = fetch_layers(registry, location, &layers, &staging, events, fetched);
    let extract = async {
        let diff_ids = diff_ids(registry, limits, image, platform).await?;
        extract_layers(extractor, &staging, &layers, diff_ids, waiting, events).await
    };
    let extractor = side_by_side(fetch, extract, &guard.0).await?;
    Ok(UnpackedImage {
        staging,
        extractor,
        guard,
    })
}

/// Unpacks an admitted archive into the staging directory that it was quarantined in.
pub(crate) async fn unpack_archive(
    limits: &Limits,
    archive: AdmittedArchive,
    staging: Arc<Staging>,
    events: Events<'_>,
) -> Result<UnpackedImage, Error> {
    let guard = CancelOnDrop::default();
    let root = staging.root()?;
    let mut extractor = Extractor::new(root, limits.clone(), guard.cancellation())
        .map_err(Error::io("look at", staging.target()))?;
    let digest = archive.digest().clone();
    let held = Arc::clone(&staging);
    let extractor = blocking(move || {
        let (layer, location) = archive.open()?;
        let result = extractor.layer(layer);
        drop(held);
        result.map_err(|source| Error::Archive { location, source })?;
        Ok(extractor)
    })
    .await?;
    events(Event::LayerExtracted { digest });
    Ok(UnpackedImage {
        staging,
        extractor,
        guard,
    })
}

/// Runs both until everything is unpacked or one of them has failed, and returns only when no
/// thread is at work any more: nothing may be left of an attempt that failed.
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

/// Everything that the manifest alone can be refused for.
fn plan(image: &AdmittedImage, limits: &Limits) -> Result<Vec<Descriptor>, Error> {
    let manifest = image.manifest();
    if !ImageConfig::is(&manifest.config) {
        return Err(Error::NotAnImage {
            image: image.reference().clone(),
            found: manifest.config.media_type.clone(),
        });
    }
    let within = |bound, what, found: u64, limit: u64| {
        if found <= limit {
            return Ok(());
        }
        Err(Error::Limit {
            image: image.reference().clone(),
            what,
            limit,
            found,
            bound,
        })
    };
    let layers = manifest.layers.len() as u64;
    within(Bound::Layers, "layers", layers, limits.layers)?;
    let (what, size) = ("bytes of configuration", manifest.config.size);
    within(Bound::ConfigBytes, what, size, limits.config_bytes)?;
    let sizes = manifest.layers.iter().map(|layer| layer.size);
    let compressed = sizes.fold(0, u64::saturating_add);
    let (what, limit) = ("compressed bytes", limits.compressed_bytes);
    within(Bound::CompressedBytes, what, compressed, limit)?;
    let layers = manifest.layers.iter();
    let unknown = layers
        .clone()
        .find(|layer| !extract::is_layer(&layer.media_type));
    if let Some(layer) = unknown {
        return Err(Error::LayerType {
            layer: layer.digest.clone(),
            found: layer.media_type.clone(),
        });
    }
    Ok(layers.cloned().collect())
}

/// Fetches the configuration, checks it against what was asked for, and returns its list of layers.
async fn diff_ids(
    registry: &Registry,
    limits: &Limits,
    image: &AdmittedImage,
    platform: &Platform,
) -> Result<Vec<Digest>, Error> {
    let location = image.reference().location();
    let manifest = image.manifest();
    let json = registry
        .blob(location, &manifest.config, limits.config_bytes)
        .await?;
    let config: ImageConfig =
        serde_json::from_slice(&json).map_err(|source| Error::Configuration {
            image: image.reference().clone(),
            source,
        })?;
    if let Some(found) = config.contradiction(platform) {
        return Err(Error::WrongPlatform {
            image: image.reference().clone(),
            expected: Box::new(platform.clone()),
            found: Box::new(found),
        });
    }
    let diff_ids = config.into_diff_ids();
    if diff_ids.len() != manifest.layers.len() {
        return Err(Error::LayerCount {
            image: image.reference().clone(),
            expected: manifest.layers.len(),
            found: diff_ids.len(),
        });
    }
    Ok(diff_ids)
}

/// Fetches the layers, several at once, and sends the path of each, in order, once it is complete
/// and its digest was checked.
async fn fetch_layers(
    registry: &Registry,
    location: &Location,
    layers: &[Descriptor],
    staging: &Staging,
    events: Events<'_>,
    fetched: mpsc::UnboundedSender<PathBuf>,
) -> Result<(), Error> {
    let fetches = layers.iter().enumerate().map(|(number, layer)| {
        let path = staging.blob_path(number);
        async move {
            fetch_layer(registry, location, layer, &path, events).await?;
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

async fn fetch_layer(
    registry: &Registry,
    location: &Location,
    layer: &Descriptor,
    path: &Path,
    events: Events<'_>,
) -> Result<(), Error> {
    let file = tokio::fs::File::create_new(path).await;
    let mut file = file.map_err(Error::io("create", path))?;
    let progress = |bytes| {
        events(Event::LayerProgress {
            digest: layer.digest.clone(),
            bytes,
            size: layer.size,
        });
    };
    registry
        .fetch_blob(location, layer, &mut file, &progress)
        .await?;
    file.flush().await.map_err(Error::io("write", path))
}

/// Unpacks the layers in their order, as they come in.
async fn extract_layers(
    mut extractor: Extractor,
    staging: &Arc<Staging>,
    layers: &[Descriptor],
    diff_ids: Vec<Digest>,
    mut waiting: mpsc::UnboundedReceiver<PathBuf>,
    events: Events<'_>,
) -> Result<Extractor, Error> {
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        // Fetching ended without this one: it has failed, and its error is the one to report.
        let path = waiting.recv().await.ok_or(Error::Cancelled)?;
        let digest = layer.digest.clone();
        let size = layer.size;
        // The thread may outlive us; the staging directory must not go before it does.
        let staging = Arc::clone(staging);
        extractor = blocking(move || {
            let content = File::open(&path).map_err(Error::io("open", &path))?;
            // The disk space is given back as soon as the layer is unpacked.
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            let layer = extract::Layer {
                content,
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
        events(Event::LayerExtracted {
            digest: layer.digest.clone(),
        });
    }
    Ok(extractor)
}

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Cancelled),
        },
    }
}
