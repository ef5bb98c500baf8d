//! Image layouts, in a directory or an archive. They are written here and not by users' tools, so
//! that a test can break one thing in them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest, Index, media_type};

use super::{Image, ImageIndex, Layer, LayerBuilder, json};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An image layout (OCI image specification 1.1), as a list of files.
#[derive(Debug, Clone)]
pub struct Layout {
    entries: Vec<Descriptor>,
    files: BTreeMap<String, Bytes>,
}

impl Layout {
    /// A layout without images.
    #[expect(clippy::new_without_default, reason = "as the other builders here")]
    pub fn new() -> Self {
        let marker = Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#);
        Self {
            entries: Vec::new(),
            files: [("oci-layout".to_owned(), marker)].into(),
        }
    }

    /// Adds an image or an artifact, and lists it in `index.json`, under `name` if there is one.
    #[must_use]
    pub fn image(self, image: &Image, name: Option<&str>) -> Self {
        self.content(image).entry(image.descriptor(), name)
    }

    /// Adds an index with its images, and lists the index alone in `index.json`.
    #[must_use]
    pub fn index(self, index: &ImageIndex, name: Option<&str>) -> Self {
        let images = index.images().iter();
        images
            .fold(self, Self::content)
            .blob(index.bytes())
            .entry(index.descriptor(), name)
    }

    /// Adds an image without listing it.
    #[must_use]
    pub fn content(self, image: &Image) -> Self {
        let blobs = image.blobs().iter();
        blobs.fold(self, Self::blob).blob(image.bytes())
    }

    /// Adds a blob.
    #[must_use]
    pub fn blob(self, bytes: &Bytes) -> Self {
        self.file(&blob_path(&Digest::sha256(bytes)), bytes.clone())
    }

    /// Adds an entry to `index.json`.
    #[must_use]
    pub fn entry(mut self, mut entry: Descriptor, name: Option<&str>) -> Self {
        if let Some(name) = name {
            entry.annotations.insert(REF_NAME.into(), name.into());
        }
        self.entries.push(entry);
        self
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Bytes>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    /// Removes a file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    /// All files by their paths.
    pub fn files(&self) -> BTreeMap<String, Bytes> {
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.into()),
            artifact_type: None,
            manifests: self.entries.clone(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let mut files = self.files.clone();
        files
            .entry("index.json".into())
            .or_insert_with(|| json(&index));
        files
    }

    /// Makes a directory and writes the layout into it.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        for (path, bytes) in self.files() {
            let path = directory.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// The layout as an archive. More entries can be added.
    pub fn archive(&self) -> LayerBuilder {
        let files = self.files();
        files.iter().fold(Layer::builder(), |tar, (path, bytes)| {
            tar.file(path, bytes, 0o644)
        })
    }
}

/// The path of a blob in a layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}
