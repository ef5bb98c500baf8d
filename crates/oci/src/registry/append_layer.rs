//! Appends a layer to a manifest at a tag, and keeps everything else that is there.
//!
//! cosign's legacy signatures are such layers: all signatures of an image are in one manifest. It is read,
//! changed and written back without a lock, as the list at the fallback tag is, with the same guard.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Registry;
use super::manifests::Outgoing;
use super::referrers::{rounds, settled};
use crate::descriptor::{Descriptor, media_type};
use crate::error::{Error, Result};
use crate::manifest::ManifestError;
use crate::reference::Repository;

/// The configuration that go-containerregistry gives an image of layers without a base.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The time at which such an image was created.
const CREATED: &str = "0001-01-01T00:00:00Z";

impl Registry {
    /// Makes sure that the manifest at `tag` has `layer`, whose blob has been pushed. Another client may
    /// append at the same time, so the manifest is read again after it was written. If the tag does not
    /// exist, it is created.
    ///
    /// # Errors
    /// [`Error::Manifest`], if the tag names something that is not a manifest with layers;
    /// [`Error::Limit`], if it has as many layers as a list may have referrers; [`Error::Contended`], if
    /// others overwrote the layer each time; others about access, network and the registry.
    pub async fn append_layer(
        &self,
        repository: &Repository,
        tag: &str,
        layer: &Descriptor,
    ) -> Result<()> {
        let retries = &self.options().retries;
        let what = format!("{repository}:{tag}");
        let mut pauses = rounds(retries);
        loop {
            let started = Instant::now();
            let mut layered = self.layered(repository, tag, &what).await?;
            if layered.has(layer) {
                return Ok(());
            }
            let config = layered.append(layer);
            self.push_blob(repository, config).await?;
            let outgoing = Outgoing {
                media_type: media_type::OCI_MANIFEST,
                bytes: layered.manifest.to_string().into(),
                what: what.clone(),
            };
            self.put_manifest(repository, tag, &outgoing).await?;
            let Some(pause) = pauses.next() else {
                return Err(Error::Contended {
                    what,
                    rounds: retries.merge_rounds,
                });
            };
            tokio::time::sleep(settled(pause, started.elapsed())).await;
        }
    }

    async fn layered(&self, repository: &Repository, tag: &str, what: &str) -> Result<Layered> {
        let served = match self.served(repository, tag, what).await {
            Ok(served) => served,
            Err(Error::NotFound { .. }) => return Ok(Layered::empty()),
            Err(other) => return Err(other),
        };
        let unusable = || Error::Manifest {
            what: what.to_owned(),
            source: ManifestError::Unknown {
                found: "no manifest with layers".to_owned(),
            },
        };
        let manifest: Value = serde_json::from_slice(&served.bytes).map_err(|_| unusable())?;
        let layers = manifest.get("layers").and_then(Value::as_array);
        let limit = self.options().limits.referrers;
        if layers.ok_or_else(unusable)?.len() >= limit {
            return Err(Error::Limit {
                what: what.to_owned(),
                limit: limit as u64,
                unit: "layers",
            });
        }
        let config = manifest.get("config").cloned().unwrap_or_default();
        let config: Descriptor = serde_json::from_value(config).map_err(|_| unusable())?;
        let place = repository.clone().into();
        let limit = self.options().limits.manifest_bytes;
        let config = self.blob(&place, &config, limit).await?;
        // Other programs write other configurations, which nobody reads.
        let config = serde_json::from_slice(&config).unwrap_or_default();
        Ok(Layered { manifest, config })
    }
}

/// A manifest, and its configuration.
struct Layered {
    manifest: Value,
    config: Value,
}

impl Layered {
    fn empty() -> Self {
        Self {
            manifest: json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_MANIFEST,
                "layers": [],
            }),
            config: json!({
                "architecture": "",
                "config": {},
                "created": CREATED,
                "history": [],
                "os": "",
                "rootfs": {"type": "layers", "diff_ids": []},
            }),
        }
    }

    /// Whether a layer has the same content and the same annotations.
    fn has(&self, layer: &Descriptor) -> bool {
        let layers = self.manifest.get("layers").and_then(Value::as_array);
        layers.into_iter().flatten().any(|other| {
            serde_json::from_value::<Descriptor>(other.clone()).is_ok_and(|other| other == *layer)
        })
    }

    /// Appends the layer, and returns the configuration that the manifest now names.
    fn append(&mut self, layer: &Descriptor) -> Bytes {
        push(
            self.config.pointer_mut("/rootfs/diff_ids"),
            json!(layer.digest),
        );
        push(
            self.config.pointer_mut("/history"),
            json!({"created": CREATED}),
        );
        push(self.manifest.get_mut("layers"), json!(layer));
        let config: Bytes = self.config.to_string().into();
        if let Some(manifest) = self.manifest.as_object_mut() {
            manifest.insert("config".to_owned(), json!(Descriptor::of(CONFIG, &config)));
        }
        config
    }
}

fn push(list: Option<&mut Value>, value: Value) {
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_appended_and_everything_else_is_kept() {
        let first = Descriptor::of("application/x", b"first");
        let mut second = Descriptor::of("application/x", b"second");
        let mut layered = Layered::empty();
        layered.append(&first);
        layered.manifest["annotations"] = json!({"kept": "yes"});
        assert!(layered.has(&first));
        assert!(!layered.has(&second));
        let config = layered.append(&second);
        assert_eq!(layered.manifest["annotations"]["kept"], "yes");
        assert_eq!(layered.manifest["layers"], json!([first, second]));
        assert_eq!(
            layered.manifest["config"],
            json!(Descriptor::of(CONFIG, &config))
        );
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([first.digest, second.digest])
        );
        // The same content, signed by somebody else.
        second
            .annotations
            .insert("signature".into(), "other".into());
        assert!(!layered.has(&second));
    }
}
