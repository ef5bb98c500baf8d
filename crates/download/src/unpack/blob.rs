//! Where a blob is while it is fetched and until it is unpacked: in the quarantine or, if it is small,
//! in memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_oci::Descriptor;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blocking::blocking;
use crate::error::Error;
use crate::extract::LayerBytes;
use crate::layer_cache::LayerCache;
use crate::target::Staging;

/// Bytes of a blob up to which it needs no file.
const SMALL: u64 = 1 << 20;
/// KiB of all blobs of an image that are in memory.
const MEMORY: usize = 8 << 10;
/// How many bytes of a blob are collected before they are written. Each write is passed to another thread. What comes
/// in larger pieces, over a fast link, is not copied for that.
const WRITE_BUFFER: usize = 64 << 10;

/// The memory that the small blobs of one image share.
pub(super) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY)))
    }

    /// A share for a blob of `size` bytes, if it is small and there is enough left.
    fn share(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        if size > SMALL {
            return None;
        }
        let kibibytes = u32::try_from(size.div_ceil(1 << 10)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(kibibytes).ok()
    }
}

/// Where a blob is put.
pub(super) struct Place<'a, Held = Arc<Staging>> {
    /// The path of the file, if it gets one.
    pub(super) path: PathBuf,
    /// Is dropped only when the file is there: the thread that makes it may outlive us.
    pub(super) held: Held,
    pub(super) memory: &'a Memory,
}

/// A blob that is being fetched.
pub(super) enum Begun {
    File {
        file: BufWriter<tokio::fs::File>,
        path: PathBuf,
    },
    Memory {
        bytes: Vec<u8>,
        share: OwnedSemaphorePermit,
    },
}

impl Begun {
    /// Makes room for a blob of `size` bytes: a new file, or memory.
    pub(super) async fn new<Held: Send + 'static>(
        size: u64,
        place: Place<'_, Held>,
    ) -> Result<Self, Error> {
        let Place { path, held, memory } = place;
        if let Some(share) = memory.share(size) {
            let bytes = Vec::new();
            return Ok(Self::Memory { bytes, share });
        }
        let (file, path) = blocking(move || {
            let file = File::create_new(&path).map_err(Error::io("create", &path))?;
            drop(held);
            Ok((file, path))
        })
        .await?;
        let file = BufWriter::with_capacity(WRITE_BUFFER, tokio::fs::File::from_std(file));
        Ok(Self::File { file, path })
    }

    pub(super) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::File { file, .. } => file,
            Self::Memory { bytes, .. } => bytes,
        }
    }

    /// The blob, when all of it was written and checked.
    pub(super) async fn end(self) -> Result<Blob, Error> {
        match self {
            Self::File { mut file, path } => {
                file.flush().await.map_err(Error::io("write", &path))?;
                Ok(Blob::File(path))
            }
            Self::Memory { bytes, share } => Ok(Blob::Memory {
                bytes,
                _share: share,
            }),
        }
    }
}

/// A blob that is complete and was checked against its digest.
pub(super) enum Blob {
    File(PathBuf),
    Memory {
        bytes: Vec<u8>,
        _share: OwnedSemaphorePermit,
    },
}

impl Blob {
    /// The blob out of the cache, if that has it.
    pub(super) async fn cached(
        cache: &LayerCache,
        layer: &Descriptor,
        place: &Place<'_>,
    ) -> Result<Option<Self>, Error> {
        let (cache, layer, path) = (cache.clone(), layer.clone(), place.path.clone());
        let (held, share) = (Arc::clone(&place.held), place.memory.share(layer.size));
        blocking(move || {
            let Some(kept) = cache.open(&layer) else {
                return Ok(None);
            };
            let blob = match share {
                Some(share) => {
                    let mut bytes = Vec::new();
                    let copied = kept.copy(&mut bytes).map_err(Error::io("copy", &path))?;
                    copied.then_some(Self::Memory {
                        bytes,
                        _share: share,
                    })
                }
                None => {
                    let file = File::create_new(&path);
                    let mut file = file.map_err(Error::io("create", &path))?;
                    if kept.copy(&mut file).map_err(Error::io("write", &path))? {
                        Some(Self::File(path))
                    } else {
                        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                        None
                    }
                }
            };
            drop(held);
            Ok(blob)
        })
        .await
    }

    /// Keeps a copy in the cache. Waits for the disk.
    pub(super) fn keep(&self, cache: &LayerCache, layer: &Descriptor) {
        match self {
            Self::File(path) => cache.keep_file(layer, path),
            Self::Memory { bytes, .. } => cache.keep(layer, &mut bytes.as_slice()),
        }
    }

    pub(super) fn open(self) -> Result<LayerBytes, Error> {
        match self {
            Self::File(path) => Ok(LayerBytes::File(take_file(&path)?)),
            Self::Memory { bytes, .. } => Ok(LayerBytes::Memory(bytes)),
        }
    }
}

/// Opens a file and removes its name, so that its disk space is free again as soon as it is closed.
fn take_file(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    fs::remove_file(path).map_err(Error::io("remove", path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetched(content: &[u8], path: &Path, memory: &Memory) -> Blob {
        let size = content.len() as u64;
        let place = Place {
            path: path.to_owned(),
            held: (),
            memory,
        };
        let mut begun = Begun::new(size, place).await.unwrap();
        begun.writer().write_all(content).await.unwrap();
        begun.end().await.unwrap()
    }

    #[tokio::test]
    async fn small_blobs_are_in_memory_as_long_as_there_is_enough_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::new();
        let content = vec![7; SMALL as usize];
        let mut held = Vec::new();
        for number in 0..MEMORY as u64 * 1024 / SMALL {
            let path = directory.path().join(number.to_string());
            held.push(fetched(&content, &path, &memory).await);
            assert!(!path.exists());
        }
        let path = directory.path().join("more");
        let more = fetched(&content, &path, &memory).await;
        assert!(path.exists());
        assert!(matches!(more.open().unwrap(), LayerBytes::File(_)));
        assert!(!path.exists());

        held.pop();
        let next = fetched(&content, &path, &memory).await;
        let LayerBytes::Memory(bytes) = next.open().unwrap() else {
            panic!("it is in a file");
        };
        assert!(bytes == content);
    }

    #[tokio::test]
    async fn a_large_blob_is_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        let content = vec![7; SMALL as usize + 1];
        let large = fetched(&content, &path, &Memory::new()).await;
        assert!(path.exists());
        assert!(matches!(large, Blob::File(_)));
    }
}
