//! OCI image layouts (OCI image specification 1.1, "Image Layout Specification"): images in a
//! directory, or in a tar archive that is not compressed.
//!
//! A layout is trusted no more than a registry. The caller checks all content by its digest. Only
//! digests from `index.json` become file names. Only regular files are read: symbolic links, hard
//! links in the archive and devices are refused. Only a [`LayoutDraft`] is written to.

mod archive;
mod blocking;
mod directory;
mod draft;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::Deserialize;

use crate::digest::Digest;
use crate::error::{Error, LayoutError, Result};
use crate::excerpt::excerpt;
use crate::reference::{LayoutPath, Location, Repository};

use archive::ArchivedLayout;
use directory::DirectoryLayout;
use draft::ArchiveDraft;

pub(crate) use blocking::blocking;
pub use draft::{LayoutDraft, LayoutTurn, ListedAs};

/// The annotation with an entry's name in `index.json` (OCI image specification, "Pre-Defined
/// Annotation Keys"). It is a tag, or a whole reference.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the whole reference, by which containerd, BuildKit and `docker save` name an
/// entry.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The version of the format (OCI image specification, "oci-layout file").
const VERSION: &str = "1.0.0";
/// The largest `oci-layout` file, in bytes. It holds one short object.
const MARKER_BYTES: u64 = 4 << 10;

/// A file of a layout.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    /// `oci-layout`, which marks the layout and has its version.
    Marker,
    /// `index.json`, which lists the layout's images.
    Index,
    /// A blob: a document or a layer.
    Blob(&'a Digest),
    /// `manifest.json` of `docker save`. It isn't part of the format.
    DockerManifest,
}

impl Part<'_> {
    /// Its path in the layout, with slashes.
    fn name(self) -> String {
        match self {
            Self::Marker => "oci-layout".into(),
            Self::Index => "index.json".into(),
            Self::Blob(digest) => format!("blobs/{}/{}", digest.algorithm(), digest.hex()),
            Self::DockerManifest => "manifest.json".into(),
        }
    }
}

/// A layout whose `oci-layout` file was checked. Reading blocks the thread.
#[derive(Debug)]
pub(crate) struct Layout {
    path: LayoutPath,
    store: LayoutFiles,
    /// The next `index.json`, if this is a draft: it is read in the place of the one that others see.
    staged: Option<Bytes>,
}

#[derive(Debug)]
enum LayoutFiles {
    Directory(DirectoryLayout),
    Archive(ArchivedLayout),
    /// An archive that is being written.
    Draft(Arc<ArchiveDraft>),
}

impl Layout {
    /// Opens a directory or an archive.
    ///
    /// # Errors
    /// [`Error::Layout`], also if the path doesn't exist.
    pub(crate) fn open(path: &LayoutPath) -> Result<Self> {
        let opened = Self::opened(path);
        opened.map_err(|source| failure(path, source))
    }

    /// The same with the next `index.json`.
    fn with_staged(self, index: Bytes) -> Self {
        Self {
            staged: Some(index),
            ..self
        }
    }

    /// An archive that is being written, with the next `index.json`.
    fn of_draft(path: &LayoutPath, archive: &Arc<ArchiveDraft>, index: Bytes) -> Self {
        Self {
            path: path.clone(),
            store: LayoutFiles::Draft(Arc::clone(archive)),
            staged: Some(index),
        }
    }

    fn opened(path: &LayoutPath) -> Result<Self, LayoutError> {
        let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file: File = match openat(CWD, path.as_path(), how, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(LayoutError::Nothing),
            Err(source) => return Err(LayoutError::io(".", source)),
        };
        let layout = Self {
            path: path.clone(),
            store: LayoutFiles::of(file)?,
            staged: None,
        };
        layout.check_marker()?;
        Ok(layout)
    }

    /// Makes an error about this layout.
    pub(crate) fn failure(&self, source: LayoutError) -> Error {
        failure(&self.path, source)
    }

    fn check_marker(&self) -> Result<(), LayoutError> {
        #[derive(Deserialize)]
        struct Marker {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let Some(marker) = self.store.content(Part::Marker)? else {
            return Err(match self.store.content(Part::DockerManifest) {
                Ok(Some(_)) => LayoutError::DockerArchive,
                Ok(None) | Err(_) => LayoutError::NoMarker,
            });
        };
        let too_long = marker.size > MARKER_BYTES;
        let json = marker.bytes(MARKER_BYTES);
        let json = json.map_err(|source| LayoutError::io(Part::Marker.name(), source))?;
        let marker: Option<Marker> = serde_json::from_slice(&json).ok().filter(|_| !too_long);
        match marker {
            Some(Marker { version }) if version == VERSION => Ok(()),
            Some(Marker { version }) => Err(LayoutError::Version {
                expected: VERSION,
                found: excerpt(&version),
            }),
            None => Err(LayoutError::Marker {
                found: excerpt(&String::from_utf8_lossy(&json)),
            }),
        }
    }

    /// The bytes of `index.json`, at most `limit`.
    pub(crate) fn index(&self, limit: u64) -> Result<Bytes> {
        let what = format!("index.json of {}", self.path);
        match (&self.staged, self.content(Part::Index)?) {
            (Some(staged), _) if staged.len() as u64 > limit => Err(too_long(what, limit)),
            (Some(staged), _) => Ok(staged.clone()),
            (None, Some(content)) => self.whole(content, Part::Index, limit, what),
            (None, None) => Err(self.failure(LayoutError::NoIndex)),
        }
    }

    /// The bytes at a digest, at most `limit`, not checked.
    pub(crate) fn document(&self, digest: &Digest, limit: u64, what: &str) -> Result<Bytes> {
        let content = self.blob(digest)?;
        self.whole(content, Part::Blob(digest), limit, what.into())
    }

    /// The content at a digest, not checked.
    ///
    /// # Errors
    /// [`LayoutError::NoBlob`], if there is none.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<Content> {
        let content = self.content(Part::Blob(digest))?;
        content.ok_or_else(|| {
            self.failure(LayoutError::NoBlob {
                digest: digest.clone(),
            })
        })
    }

    fn content(&self, part: Part<'_>) -> Result<Option<Content>> {
        let content = self.store.content(part);
        content.map_err(|source| self.failure(source))
    }

    fn whole(&self, content: Content, part: Part<'_>, limit: u64, what: String) -> Result<Bytes> {
        if content.size > limit {
            return Err(too_long(what, limit));
        }
        let bytes = content.bytes(limit);
        let io = |source| self.failure(LayoutError::io(part.name(), source));
        bytes.map(Bytes::from).map_err(io)
    }
}

impl Location {
    /// The repository, to write to it.
    ///
    /// # Errors
    /// [`Error::Layout`] for a layout. Only a [`LayoutDraft`] is written to.
    pub fn writable(&self) -> Result<&Repository> {
        match self {
            Self::Registry(repository) => Ok(repository),
            Self::Layout(path) => Err(failure(path, LayoutError::NeedsRegistry)),
        }
    }
}

impl LayoutPath {
    /// The error of what only a registry can do.
    pub(crate) fn needs_registry(&self) -> Error {
        failure(self, LayoutError::NeedsRegistry)
    }
}

/// A file that is longer than `limit` bytes.
fn too_long(what: String, limit: u64) -> Error {
    Error::Limit {
        what,
        limit,
        unit: "bytes",
    }
}

/// Makes an error about the layout at `path`.
fn failure(path: &LayoutPath, source: LayoutError) -> Error {
    Error::Layout {
        layout: path.clone(),
        source,
    }
}

impl LayoutFiles {
    fn of(file: File) -> Result<Self, LayoutError> {
        let metadata = file.metadata().map_err(|e| LayoutError::io(".", e))?;
        if metadata.is_dir() {
            Ok(Self::Directory(DirectoryLayout::new(file)))
        } else if metadata.is_file() {
            ArchivedLayout::index(file, metadata.len()).map(Self::Archive)
        } else {
            Err(LayoutError::NoArchive {
                found: "a device, a pipe or a socket",
            })
        }
    }

    /// Where the bytes of a part are; `None` if there is no such part.
    fn content(&self, part: Part<'_>) -> Result<Option<Content>, LayoutError> {
        match self {
            Self::Directory(directory) => directory.content(part),
            Self::Archive(archive) => archive.content(part),
            Self::Draft(draft) => draft.content(part),
        }
    }
}

/// A part of a file, to be read from start to end.
#[derive(Debug)]
pub(crate) struct Content {
    file: File,
    offset: u64,
    /// How many bytes are left. If the file gets shorter meanwhile, reading ends early.
    size: u64,
}

impl Content {
    /// How many bytes are left.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// All bytes that are left, at most `limit`.
    fn bytes(self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads at an offset, so that other readers of the same file don't interfere.
impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.size).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self
            .file
            .read_at(buffer.get_mut(..most).unwrap_or_default(), self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        self.size = self.size.saturating_sub(read as u64);
        Ok(read)
    }
}
