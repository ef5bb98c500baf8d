//! Whether an image can be unpacked: for a signer who is about to publish it.

use std::path::Path;

use countersign_oci::{Document, Manifest, Platform, Registry, ResolvedImage};
use serde::Deserialize;

use crate::error::Error;
use crate::hold::{hold, settled, stage};
use crate::limits::Limits;
use crate::options::WhenBusy;
use crate::unpack::Fetching;

/// Unpacks an image as [`Installer`](crate::Installer) would, then deletes the files. Returns what an
/// installer would leave out of the image, one sentence each.
///
/// The image needs no signature, and nothing is installed: the files are in a directory of their own
/// below `scratch` while this runs, and are gone when it ends, also on an error. `platform` is the one
/// that an index names for the image; without it, the image's own configuration says.
///
/// # Errors
/// As for an installation: the first thing in the image that would be refused.
pub async fn inspect(
    registry: &Registry,
    limits: &Limits,
    image: &ResolvedImage,
    platform: Option<&Platform>,
    scratch: &Path,
) -> Result<Vec<String>, Error> {
    let Document::Manifest(manifest) = image.document() else {
        return Err(Error::NotAnImage {
            image: image.reference().clone(),
            found: image.document().media_type().into(),
        });
    };
    let platform = match platform {
        Some(platform) => platform.clone(),
        None => platform_of(registry, limits, image, manifest).await?,
    };
    let held = hold(&scratch.join(image.digest().hex()), WhenBusy::Fail, &|_| {}).await?;
    let fetching = Fetching {
        platform: &platform,
        registry,
        limits,
        layers: None,
        events: &|_| {},
    };
    let tried_out = async {
        let staging = stage(&held).await?;
        let tried_out = fetching.try_out(image.reference(), manifest, staging);
        tried_out.await
    };
    settled(&held, tried_out).await
}

/// The platform by the image's own configuration.
async fn platform_of(
    registry: &Registry,
    limits: &Limits,
    image: &ResolvedImage,
    manifest: &Manifest,
) -> Result<Platform, Error> {
    let config = &manifest.config;
    let location = image.reference().location();
    let json = registry.blob(location, config, limits.config_bytes).await?;
    // What can't be read is refused where an installation would refuse it.
    let named: Named = serde_json::from_slice(&json).unwrap_or_default();
    Ok(named.into())
}

/// The platform that a configuration names, as far as it does.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl From<Named> for Platform {
    fn from(named: Named) -> Self {
        Self {
            os: named.os,
            architecture: named.architecture,
            variant: named.variant,
            os_version: None,
        }
    }
}
