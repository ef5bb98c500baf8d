//! Small images, built in memory. They are correct, unless a test asks for an error.
//!
//! The same calls make the same bytes, so digests stay the same in each run.

mod entry;
mod layer;
mod layout;

use std::collections::BTreeMap;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, Index, Manifest, Platform, media_type};

use crate::registry::RegistryServer;
use crate::sigstore::BUNDLE;
pub use entry::{Entry, EntryKind};
pub use layer::{Compression, Layer, LayerBuilder};
pub use layout::{Layout, blob_path};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const EMPTY_OBJECT: &[u8] = b"{}";

/// The platforms of an index that is larger than most.
pub const EIGHT_PLATFORMS: [&str; 8] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/mips64le",
];

/// The family of a document's media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// The OCI image specification's.
    #[default]
    Oci,
    /// Docker's schema 2.
    Docker,
}

/// One platform's image, or an artifact such as a signature: a manifest and its blobs.
#[derive(Debug, Clone)]
pub struct Image {
    platform: Option<Platform>,
    manifest: Manifest,
    bytes: Bytes,
    blobs: Vec<Bytes>,
}

impl Image {
    /// An image for `platform` without layers.
    pub fn builder(platform: Platform) -> ImageBuilder {
        ImageBuilder {
            platform,
            flavour: Flavour::Oci,
            layers: Vec::new(),
            diff_ids: None,
            annotations: BTreeMap::new(),
            size_error: 0,
        }
    }

    /// An artifact with the empty config and no layers, as an OCI 1.1 referrer is.
    pub fn artifact(artifact_type: &str) -> ArtifactBuilder {
        ArtifactBuilder {
            artifact_type: Some(artifact_type.to_owned()),
            config: (media_type::EMPTY.to_owned(), EMPTY_OBJECT.into()),
            layers: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// A signature of `subject` as an artifact: an OCI 1.1 referrer whose only layer is a bundle.
    pub fn signature(subject: Descriptor, bundle: impl Into<Bytes>) -> Self {
        Self::artifact(BUNDLE)
            .subject(subject)
            .layer(BUNDLE, bundle)
            .build()
    }

    fn of(platform: Option<Platform>, manifest: Manifest, blobs: Vec<Bytes>) -> Self {
        let bytes = json(&manifest);
        Self {
            platform,
            manifest,
            bytes,
            blobs,
        }
    }

    /// The manifest's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    /// A descriptor of the manifest, with the platform.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            platform: self.platform.clone(),
            ..Descriptor::of(self.media_type(), &self.bytes)
        }
    }

    /// Config and layers, as blobs, the config first.
    pub fn blobs(&self) -> &[Bytes] {
        &self.blobs
    }

    /// The layers' blobs, lowest first.
    pub fn layers(&self) -> &[Bytes] {
        self.blobs.get(1..).unwrap_or_default()
    }

    /// Stores the blobs and the manifest in the repository `path` of a registry, without HTTP, and
    /// under `tag` if there is one.
    pub fn push(&self, registry: &RegistryServer, path: &str, tag: Option<&str>) -> Digest {
        for blob in &self.blobs {
            registry.put_blob(path, blob.clone());
        }
        registry.put_manifest(path, self.media_type(), self.bytes.clone(), tag)
    }

    fn media_type(&self) -> &str {
        let named = self.manifest.media_type.as_deref();
        named.unwrap_or(media_type::OCI_MANIFEST)
    }
}

/// Makes an [`Image`].
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    platform: Platform,
    flavour: Flavour,
    layers: Vec<Layer>,
    diff_ids: Option<Vec<Digest>>,
    annotations: BTreeMap<String, String>,
    size_error: u64,
}

impl ImageBuilder {
    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Docker's media types, or OCI's.
    #[must_use]
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.flavour = flavour;
        self
    }

    /// Puts these `diff_ids` into the config instead of the layers' own.
    #[must_use]
    pub fn diff_ids(mut self, diff_ids: Vec<Digest>) -> Self {
        self.diff_ids = Some(diff_ids);
        self
    }

    /// An annotation of the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Makes the layers' descriptors claim this many bytes too many.
    #[must_use]
    pub fn size_error(mut self, bytes: u64) -> Self {
        self.size_error = bytes;
        self
    }

    /// The image.
    pub fn build(self) -> Image {
        let diff_ids = self
            .diff_ids
            .unwrap_or_else(|| self.layers.iter().map(|l| l.diff_id().clone()).collect());
        let mut config = serde_json::json!({
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let (Some(variant), Some(config)) = (&self.platform.variant, config.as_object_mut()) {
            config.insert("variant".into(), variant.as_str().into());
        }
        let config = Bytes::from(config.to_string());
        let (manifest_type, config_type) = match self.flavour {
            Flavour::Oci => (media_type::OCI_MANIFEST, OCI_CONFIG),
            Flavour::Docker => (media_type::DOCKER_MANIFEST, DOCKER_CONFIG),
        };
        let layers = self.layers.iter().map(|layer| {
            let mut descriptor = layer.descriptor();
            descriptor.size += self.size_error;
            descriptor
        });
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(manifest_type.into()),
            artifact_type: None,
            config: Descriptor::of(config_type, &config),
            layers: layers.collect(),
            subject: None,
            annotations: self.annotations,
        };
        let layers = self.layers.iter().map(|layer| layer.bytes().clone());
        let blobs = [config].into_iter().chain(layers).collect();
        Image::of(Some(self.platform), manifest, blobs)
    }
}

/// Makes an [`Image`] that is an artifact: a signature, an attestation, or junk.
#[derive(Debug, Clone)]
pub struct ArtifactBuilder {
    artifact_type: Option<String>,
    config: (String, Bytes),
    layers: Vec<(String, Bytes)>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

impl ArtifactBuilder {
    /// The manifest that the artifact refers to.
    #[must_use]
    pub fn subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// A layer of this media type.
    #[must_use]
    pub fn layer(mut self, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.layers.push((media_type.to_owned(), bytes.into()));
        self
    }

    /// Replaces the empty config and leaves out `artifactType`, as before OCI 1.1: the config's
    /// media type then says what the artifact is.
    #[must_use]
    pub fn legacy_config(mut self, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.artifact_type = None;
        self.config = (media_type.to_owned(), bytes.into());
        self
    }

    /// An annotation of the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The artifact.
    pub fn build(self) -> Image {
        let (config_type, config) = self.config;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.into()),
            artifact_type: self.artifact_type,
            config: Descriptor::of(&config_type, &config),
            layers: self
                .layers
                .iter()
                .map(|(media_type, bytes)| Descriptor::of(media_type, bytes))
                .collect(),
            subject: self.subject,
            annotations: self.annotations,
        };
        let layers = self.layers.into_iter().map(|(_, bytes)| bytes);
        let blobs = [config].into_iter().chain(layers).collect();
        Image::of(None, manifest, blobs)
    }
}

/// An index and the images in it.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    images: Vec<Image>,
    index: Index,
    bytes: Bytes,
}

impl ImageIndex {
    /// An index of `images`, in their order.
    pub fn new(images: Vec<Image>) -> Self {
        Self::with_flavour(images, Flavour::Oci)
    }

    /// An index of `images` with Docker's media type, or OCI's.
    pub fn with_flavour(images: Vec<Image>, flavour: Flavour) -> Self {
        let media_type = match flavour {
            Flavour::Oci => media_type::OCI_INDEX,
            Flavour::Docker => media_type::DOCKER_INDEX,
        };
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type.into()),
            artifact_type: None,
            manifests: images.iter().map(Image::descriptor).collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = json(&index);
        Self {
            images,
            index,
            bytes,
        }
    }

    /// The images, in the index's order.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The index's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The index's digest.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    /// A descriptor of the index.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type(), &self.bytes)
    }

    /// Stores the images and the index in the repository `path` of a registry, without HTTP, and
    /// the index under `tag` if there is one.
    pub fn push(&self, registry: &RegistryServer, path: &str, tag: Option<&str>) -> Digest {
        for image in &self.images {
            image.push(registry, path, None);
        }
        registry.put_manifest(path, self.media_type(), self.bytes.clone(), tag)
    }

    fn media_type(&self) -> &str {
        let named = self.index.media_type.as_deref();
        named.unwrap_or(media_type::OCI_INDEX)
    }
}

#[expect(
    clippy::expect_used,
    reason = "test only: all documents here can be written as JSON"
)]
fn json(document: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(document).expect("JSON").into()
}
