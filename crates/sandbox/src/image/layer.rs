//! Layers: archives of entries, compressed.

use std::io::Write as _;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest};

use super::entry::{BLOCK, Entry, EntryKind};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, fast.
    #[default]
    Gzip,
    /// Zstandard, level 3.
    Zstd,
}

impl Compression {
    /// The media type of an OCI layer compressed in this way.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// `bytes`, compressed; the same bytes each time.
    #[expect(
        clippy::expect_used,
        reason = "an encoder fails only if its writer does, and a list of bytes doesn't"
    )]
    pub fn compress(self, bytes: &[u8]) -> Bytes {
        let compressed = match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::stream::encode_all(bytes, 3),
        };
        compressed.expect("compressed bytes").into()
    }
}

/// A layer as it is pushed.
#[derive(Debug, Clone)]
pub struct Layer {
    bytes: Bytes,
    media_type: String,
    diff_id: Digest,
}

impl Layer {
    /// Starts an empty layer.
    pub fn builder() -> LayerBuilder {
        LayerBuilder::default()
    }

    /// A layer with this archive, which may be any bytes.
    pub fn from_tar(tar: &[u8], compression: Compression) -> Self {
        Self {
            bytes: compression.compress(tar),
            media_type: compression.media_type().to_owned(),
            diff_id: Digest::sha256(tar),
        }
    }

    /// A layer of these bytes. They need not be an archive, or have the media type's compression.
    pub fn from_bytes(bytes: impl Into<Bytes>, media_type: &str, diff_id: Digest) -> Self {
        Self {
            bytes: bytes.into(),
            media_type: media_type.to_owned(),
            diff_id,
        }
    }

    /// The blob, compressed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the archive before compression.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// The layer's descriptor for a manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.bytes)
    }
}

/// Writes a layer's archive, entry by entry. Names are written as given, even if they are absolute,
/// contain `..`, are too long, or are not UTF-8.
#[derive(Debug, Clone, Default)]
pub struct LayerBuilder {
    tar: Vec<u8>,
    unfinished: bool,
}

impl LayerBuilder {
    /// A regular file with these permission bits.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.entry(Entry::file(path, content).mode(mode))
    }

    /// A directory with these permission bits.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(Entry::new(EntryKind::Directory, path).mode(mode))
    }

    /// A symbolic link at `path` to `target`.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(
            Entry::new(EntryKind::Symlink, path)
                .link(target)
                .mode(0o777),
        )
    }

    /// A hard link at `path` to the archive's earlier entry `target`.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(Entry::new(EntryKind::Hardlink, path).link(target))
    }

    /// A whiteout of `path`: the empty file `.wh.<name>` next to it, which removes it from the
    /// layers below (OCI image specification, "Whiteouts").
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let marker = match path.rsplit_once('/') {
            Some((directory, name)) => format!("{directory}/.wh.{name}"),
            None => format!(".wh.{path}"),
        };
        self.file(&marker, "", 0o644)
    }

    /// An opaque whiteout of `directory`. It hides everything that lower layers have there.
    #[must_use]
    pub fn opaque(self, directory: &str) -> Self {
        self.file(&format!("{directory}/.wh..wh..opq"), "", 0o644)
    }

    /// Any entry, correct or not.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        entry.write_to(&mut self.tar);
        self
    }

    /// These bytes, without header and padding.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.tar.extend_from_slice(bytes);
        self
    }

    /// Leaves out the two zero blocks at the end, as if the archive were cut off.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.unfinished = true;
        self
    }

    /// The archive, uncompressed.
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = self.tar.clone();
        if !self.unfinished {
            tar.extend_from_slice(&[0; 2 * BLOCK]);
        }
        tar
    }

    /// The layer.
    pub fn build(&self, compression: Compression) -> Layer {
        Layer::from_tar(&self.tar(), compression)
    }
}
