//! Appends layers to a manifest at a tag, and keeps everything else that is there. cosign's legacy
//! signatures are such layers: all signatures of an image are in one manifest.

mod layered;

use bytes::Bytes;
use serde_json::Value;

use super::Registry;
use super::append::{Append, EntryList as _, Form};
use super::manifests::Served;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::manifest::ManifestError;
use crate::reference::{Location, Repository};
use crate::resolved::ResolvedImage;
use layered::Layered;

impl Registry {
    /// Makes sure that the manifest at `tag` has `layers`, whose blobs have been pushed. Another client may
    /// append at the same time, so the manifest is read again after it was written, until it has all layers
    /// that were ever seen there. If the tag does not exist, it is created. It gets at most `limit` layers.
    /// Returns the digest of the manifest that has them.
    ///
    /// # Errors
    /// [`Error::Manifest`], if the tag names something that is not a manifest with layers, or its
    /// configuration is not JSON; [`Error::Full`], if it has `limit` layers without these;
    /// [`Error::Contended`], if others overwrote a layer each time; others about access, network and the
    /// registry.
    pub async fn append_layers(
        &self,
        repository: &Repository,
        tag: &str,
        layers: &[Descriptor],
        limit: usize,
    ) -> Result<Digest> {
        let what = format!("{repository}:{tag}");
        let layers: Result<_, _> = layers.iter().map(serde_json::to_value).collect();
        let layers = layers.map_err(|source| Error::Manifest {
            what: format!("a layer for {what}"),
            source: ManifestError::Json(source),
        })?;
        let form = Layers {
            registry: self,
            repository,
            what: what.clone(),
        };
        let append = Append::new(self, (repository, tag), form, what, layers, limit);
        Box::pin(append.append_until_kept()).await
    }

    /// The manifest `image` with `layers` behind its own, at most `limit` of them together, and the configuration that
    /// it has then. Nothing is written.
    ///
    /// # Errors
    /// [`Error::Manifest`], if `image` is not a manifest with layers, or its configuration is not JSON;
    /// [`Error::Full`], if it would have more layers than `limit`; [`Error::Limit`], if it would be too long to be read;
    /// others about reading the configuration.
    pub async fn with_layers(
        &self,
        image: &ResolvedImage,
        layers: &[Descriptor],
        limit: usize,
    ) -> Result<(ResolvedImage, Bytes)> {
        let what = image.reference().to_string();
        let error = |source| Error::Manifest {
            what: what.clone(),
            source,
        };
        let Document::Manifest(manifest) = image.document() else {
            return Err(error(ManifestError::Unknown {
                found: "no manifest with layers".to_owned(),
            }));
        };
        let location = image.reference().location();
        let longest = self.options().limits.manifest_bytes;
        let config = self.blob(location, &manifest.config, longest).await?;
        let mut layered = Layered::read(image, manifest, &config).map_err(error)?;
        let found = layered.entries().len();
        if found.saturating_add(layers.len()) > limit {
            return Err(Error::Full {
                what,
                found,
                limit,
                unit: Layers::UNIT,
            });
        }
        for layer in layers {
            let layer = serde_json::to_value(layer);
            layered.append(layer.map_err(|source| error(ManifestError::Json(source)))?);
        }
        let (bytes, config) = (layered.bytes(), layered.config_bytes());
        if [&bytes, &config]
            .iter()
            .any(|one| one.len() as u64 > longest)
        {
            return Err(Error::Limit {
                what,
                limit: longest,
                unit: "bytes",
            });
        }
        let joined = ResolvedImage::from_bytes(location, bytes, Some(layered.media_type()));
        Ok((joined.map_err(error)?, config))
    }
}

/// Manifests with layers.
struct Layers<'a> {
    registry: &'a Registry,
    repository: &'a Repository,
    /// The manifest's name in errors.
    what: String,
}

impl Form for Layers<'_> {
    type List = Layered;
    type Entry = Value;
    const UNIT: &'static str = "layers";

    /// The content with its annotations. A field that no descriptor has makes no other layer.
    fn key(layer: &Value) -> String {
        let descriptor = serde_json::from_value::<Descriptor>(layer.clone());
        let known = descriptor.and_then(serde_json::to_value);
        known.as_ref().unwrap_or(layer).to_string()
    }

    fn empty(&self) -> Layered {
        Layered::empty()
    }

    async fn read(&self, served: Served, _written: bool) -> Result<Layered> {
        let location = Location::from(self.repository.clone());
        let image = served.computed(&location, self.what.clone())?;
        let error = |source| Error::Manifest {
            what: self.what.clone(),
            source,
        };
        let Document::Manifest(manifest) = image.document() else {
            return Err(error(ManifestError::Unknown {
                found: "no manifest with layers".to_owned(),
            }));
        };
        let place = self.repository.clone().into();
        let limit = self.registry.options().limits.manifest_bytes;
        let config = self.registry.blob(&place, &manifest.config, limit).await?;
        Layered::read(&image, manifest, &config).map_err(error)
    }

    fn refused(&self, error: Error) -> Error {
        error
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_are_the_same_if_content_and_annotations_are() {
        let layer = json!(Descriptor::of("application/x", b"first"));
        // The same content, signed by somebody else.
        let mut other = layer.clone();
        other["annotations"] = json!({"signature": "other"});
        assert_ne!(Layers::key(&other), Layers::key(&layer));
        // A field that another program has dropped.
        let mut longer = layer.clone();
        longer["data"] = json!("Zmlyc3Q=");
        assert_eq!(Layers::key(&longer), Layers::key(&layer));
        // No descriptors.
        assert_ne!(Layers::key(&json!(1)), Layers::key(&json!(2)));
    }
}
