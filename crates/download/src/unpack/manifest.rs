//! What an image is refused for by its manifest alone, before anything else is fetched.

use countersign_oci::{Descriptor, Manifest, PinnedReference};

use crate::config::ImageConfig;
use crate::error::Error;
use crate::extract;
use crate::limits::{Bound, Limits};

/// Checks the types of the configuration and of the layers, and that the manifest is within `limits`.
///
/// # Errors
/// [`Error::NotAnImage`], [`Error::Limit`] or [`Error::LayerType`].
pub(super) fn check(
    image: &PinnedReference,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(), Error> {
    if !ImageConfig::is(&manifest.config) {
        return Err(Error::NotAnImage {
            image: image.clone(),
            found: manifest.config.media_type.clone(),
        });
    }
    check_limits(image, manifest, limits)?;
    manifest.layers.iter().try_for_each(check_type)
}

fn check_limits(
    image: &PinnedReference,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(), Error> {
    let within = |bound, what, found: u64, limit: u64| {
        if found <= limit {
            return Ok(());
        }
        Err(Error::Limit {
            image: image.clone(),
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
    within(Bound::CompressedBytes, what, compressed, limit)
}

fn check_type(layer: &Descriptor) -> Result<(), Error> {
    if extract::is_layer(&layer.media_type) {
        return Ok(());
    }
    Err(Error::LayerType {
        layer: layer.digest.clone(),
        found: layer.media_type.clone(),
    })
}
