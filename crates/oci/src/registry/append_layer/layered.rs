//! A manifest with its layers and its configuration, to which layers are appended.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::append::EntryList;
use crate::descriptor::{Descriptor, media_type};
use crate::manifest::{Manifest, ManifestError};
use crate::resolved::ResolvedImage;

/// The time at which an image of layers without a base was created, as go-containerregistry gives it.
const CREATED: &str = "0001-01-01T00:00:00Z";

/// A manifest, and its configuration. Fields that nobody here knows stay as they are.
pub(super) struct Layered {
    manifest: Value,
    media_type: String,
    layers: Vec<Value>,
    config: Value,
    config_type: String,
}

impl Layered {
    pub(super) fn empty() -> Self {
        Self {
            manifest: json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_MANIFEST,
            }),
            media_type: media_type::OCI_MANIFEST.to_owned(),
            layers: Vec::new(),
            config: json!({
                "architecture": "",
                "config": {},
                "created": CREATED,
                "history": [],
                "os": "",
                "rootfs": {"type": "layers", "diff_ids": []},
            }),
            config_type: media_type::OCI_CONFIG.to_owned(),
        }
    }

    /// `image` is the document that `manifest` was read from, and `config` its configuration.
    pub(super) fn read(
        image: &ResolvedImage,
        manifest: &Manifest,
        config: &[u8],
    ) -> Result<Self, ManifestError> {
        let raw: Value = serde_json::from_slice(image.bytes()).map_err(ManifestError::Json)?;
        let layers = raw.get("layers").and_then(Value::as_array);
        Ok(Self {
            layers: layers.cloned().unwrap_or_default(),
            manifest: raw,
            media_type: image.descriptor().media_type,
            config: serde_json::from_slice(config).map_err(ManifestError::Configuration)?,
            config_type: manifest.config.media_type.clone(),
        })
    }

    pub(super) fn config_bytes(&self) -> Bytes {
        self.config.to_string().into()
    }
}

impl EntryList for Layered {
    type Entry = Value;

    fn entries(&self) -> &[Value] {
        &self.layers
    }

    fn append(&mut self, layer: Value) {
        let digest = layer.get("digest").cloned().unwrap_or_default();
        push(self.config.pointer_mut("/rootfs/diff_ids"), digest);
        push(
            self.config.pointer_mut("/history"),
            json!({"created": CREATED}),
        );
        self.layers.push(layer);
    }

    fn blob(&self) -> Option<Bytes> {
        Some(self.config_bytes())
    }

    fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The manifest, with its layers and the configuration as they are now.
    fn bytes(&self) -> Bytes {
        let mut manifest = self.manifest.clone();
        if let Some(manifest) = manifest.as_object_mut() {
            let config = Descriptor::of(&self.config_type, &self.config_bytes());
            manifest.insert("config".to_owned(), json!(config));
            manifest.insert("layers".to_owned(), json!(self.layers));
        }
        manifest.to_string().into()
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
    use crate::document::Document;
    use crate::reference::Repository;

    fn layer(content: &str) -> Value {
        json!(Descriptor::of("application/x", content.as_bytes()))
    }

    fn read(manifest: &Value, config: &str) -> Result<Layered, ManifestError> {
        let repository: Repository = "registry.example/app".parse().unwrap();
        let bytes = manifest.to_string().into();
        let image = ResolvedImage::from_bytes(&repository.into(), bytes, None).unwrap();
        let Document::Manifest(parsed) = image.document() else {
            panic!("{manifest}");
        };
        Layered::read(&image, parsed, config.as_bytes())
    }

    #[test]
    fn a_layer_is_appended_and_everything_else_is_kept() {
        let (first, second) = (layer("first"), layer("second"));
        let mut layered = Layered::empty();
        layered.append(first.clone());
        layered.manifest["annotations"] = json!({"kept": "yes"});
        layered.append(second.clone());
        let manifest: Value = serde_json::from_slice(&layered.bytes()).unwrap();
        let config = layered.config_bytes();
        assert_eq!(manifest["annotations"]["kept"], "yes");
        assert_eq!(manifest["layers"], json!([first, second]));
        assert_eq!(
            manifest["config"],
            json!(Descriptor::of(media_type::OCI_CONFIG, &config))
        );
        let config: Value = serde_json::from_slice(&config).unwrap();
        let digests = json!([first["digest"], second["digest"]]);
        assert_eq!(config["rootfs"]["diff_ids"], digests);
    }

    #[test]
    fn the_media_types_of_manifest_and_configuration_stay() {
        let docker_config = "application/vnd.docker.container.image.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::DOCKER_MANIFEST,
            "config": Descriptor::of(docker_config, b"{}"),
            "layers": [layer("first")],
        });
        let mut layered = read(&manifest, "{}").unwrap();
        layered.append(layer("second"));
        assert_eq!(layered.media_type(), media_type::DOCKER_MANIFEST);
        let written: Value = serde_json::from_slice(&layered.bytes()).unwrap();
        assert_eq!(written["mediaType"], media_type::DOCKER_MANIFEST);
        assert_eq!(written["config"]["mediaType"], docker_config);
        assert_eq!(written["layers"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_configuration_that_is_not_json_is_refused() {
        let manifest = json!({
            "schemaVersion": 2,
            "config": Descriptor::of(media_type::OCI_CONFIG, b"\x1f"),
            "layers": [layer("first")],
        });
        let error = read(&manifest, "\u{1f}").err().unwrap();
        assert!(
            matches!(error, ManifestError::Configuration(_)),
            "{error:?}"
        );
    }
}
