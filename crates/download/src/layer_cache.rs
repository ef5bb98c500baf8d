//! Layers that installations keep for the next ones, by their digests.
//!
//! Nothing in the directory is believed. A layer is copied from there to the quarantine, and it is the copy whose
//! digest is compared: who changes the file meanwhile changes nothing. What doesn't match is removed from the cache
//! and fetched.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use countersign_oci::{CacheDirectory, CacheLimits, Descriptor, Digester};

/// What the names of its files end with.
const ENDING: &str = ".layer";
/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// A directory of layers that were fetched before, up to a size. Those that were not used for the longest time leave
/// first. Several processes may share it.
#[derive(Debug, Clone)]
pub struct LayerCache {
    directory: CacheDirectory,
    bytes: u64,
}

impl LayerCache {
    /// The cache in `directory`, which is made when the first layer is kept. All layers together have at most `bytes`
    /// bytes, compressed as they were fetched.
    #[must_use]
    pub fn new(directory: PathBuf, bytes: u64) -> Self {
        let mut limits = CacheLimits::default();
        limits.entry_bytes = bytes;
        limits.total_bytes = bytes;
        Self {
            directory: CacheDirectory::new(directory, ENDING, limits),
            bytes,
        }
    }

    /// Why the first layer could not be kept, if one could not: in words, and with the directory.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.directory.trouble()
    }

    /// The layer, if the cache has a file by its digest. Waits for the disk.
    pub(crate) fn open<'a>(&'a self, layer: &'a Descriptor) -> Option<KeptLayer<'a>> {
        let file = self.directory.open(&layer.digest)?;
        let cache = &self.directory;
        Some(KeptLayer { cache, layer, file })
    }

    /// Keeps the layer that is in the file at `path`, unless it is larger than the whole cache. Waits for the disk. A
    /// directory that can't be written is no error.
    pub(crate) fn keep_file(&self, layer: &Descriptor, path: &Path) {
        match File::open(path) {
            Ok(mut content) => self.keep(layer, &mut content),
            Err(error) => tracing::warn!(%error, "can't read a layer for the cache"),
        }
    }

    /// The same with `content`, which was checked against the layer's digest. A layer that is there already is the
    /// one that was used last.
    pub(crate) fn keep(&self, layer: &Descriptor, content: &mut dyn Read) {
        if let Some(kept) = self.directory.open(&layer.digest) {
            self.directory.mark_as_used(&kept);
        } else if layer.size <= self.bytes {
            self.directory
                .write_from(&layer.digest, content, layer.size);
        }
    }
}

/// A file in the cache. It may have any bytes.
pub(crate) struct KeptLayer<'a> {
    cache: &'a CacheDirectory,
    layer: &'a Descriptor,
    file: File,
}

impl KeptLayer<'_> {
    /// Copies the layer to `into`. `false` if the file has other bytes; `into` may have anything then. Waits for the
    /// disk.
    ///
    /// # Errors
    /// When `into` can't be written.
    pub(crate) fn copy(mut self, into: &mut dyn Write) -> std::io::Result<bool> {
        if copy(&mut self.file, self.layer, into)? {
            return Ok(true);
        }
        tracing::warn!(digest = %self.layer.digest, "the layer in the cache is damaged: it is fetched again");
        self.cache.remove(&self.layer.digest);
        Ok(false)
    }
}

/// Whether `kept` has the bytes of `layer`, all of which are then in `into`.
fn copy(kept: &mut File, layer: &Descriptor, into: &mut dyn Write) -> std::io::Result<bool> {
    let mut digester = Digester::new(layer.digest.algorithm());
    let mut piece = vec![0; PIECE];
    let mut left = layer.size;
    // One byte more than there should be is enough to know.
    let mut kept = kept.take(layer.size.saturating_add(1));
    loop {
        let read = match kept.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "can't read a layer in the cache");
                return Ok(false);
            }
        };
        let bytes = piece.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(left == 0 && digester.finish() == layer.digest);
        }
        let Some(rest) = left.checked_sub(bytes.len() as u64) else {
            return Ok(false);
        };
        left = rest;
        digester.update(bytes);
        into.write_all(bytes)?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use countersign_oci::Digest;

    use super::*;

    const ROOM: u64 = 100;

    struct Scene {
        directory: tempfile::TempDir,
        cache: LayerCache,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let cache = LayerCache::new(directory.path().join("layers"), ROOM);
            Self { directory, cache }
        }

        fn keep(&self, content: &[u8]) -> Descriptor {
            let layer = layer(content);
            self.cache.keep(&layer, &mut &*content);
            layer
        }

        fn found(&self, layer: &Descriptor) -> Option<Vec<u8>> {
            let mut found = Vec::new();
            let complete = self.cache.open(layer)?.copy(&mut found).unwrap();
            complete.then_some(found)
        }

        fn file(&self, layer: &Descriptor) -> PathBuf {
            let name = format!("{}{ENDING}", layer.digest.hex());
            self.directory.path().join("layers").join(name)
        }
    }

    fn layer(content: &[u8]) -> Descriptor {
        Descriptor::of("application/vnd.oci.image.layer.v1.tar", content)
    }

    #[test]
    fn what_is_kept_is_found_by_its_digest() {
        let scene = Scene::new();
        let kept = scene.keep(b"content");
        assert_eq!(scene.found(&kept).as_deref(), Some(&b"content"[..]));
        assert_eq!(scene.found(&layer(b"other")), None);
    }

    #[test]
    fn a_file_with_other_bytes_is_not_used_and_removed() {
        for changed in [&b"contenT"[..], b"conten", b"content and more", b""] {
            let scene = Scene::new();
            let kept = scene.keep(b"content");
            fs::write(scene.file(&kept), changed).unwrap();
            assert_eq!(scene.found(&kept), None, "{changed:?}");
            assert!(!scene.file(&kept).exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let scene = Scene::new();
        let kept = scene.keep(b"content");
        let elsewhere = scene.directory.path().join("elsewhere");
        fs::rename(scene.file(&kept), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, scene.file(&kept)).unwrap();
        assert_eq!(scene.found(&kept), None);
        assert!(elsewhere.exists());
    }

    #[test]
    fn the_least_recently_used_layer_makes_room() {
        let scene = Scene::new();
        let (old, used) = (scene.keep(&[1; 40]), scene.keep(&[2; 40]));
        for (layer, seconds) in [(&old, 2_000), (&used, 3_000)] {
            let file = File::options().append(true).open(scene.file(layer));
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
            file.unwrap().set_modified(time).unwrap();
        }
        // Reading alone is no use: the image may be refused.
        assert!(scene.found(&old).is_some());
        scene.keep(&[2; 40]);
        let new = scene.keep(&[3; 40]);
        assert!(scene.found(&old).is_none());
        assert!(scene.found(&used).is_some());
        assert!(scene.found(&new).is_some());
    }

    #[test]
    fn a_layer_that_is_larger_than_the_cache_removes_nothing() {
        let scene = Scene::new();
        let small = scene.keep(&[1; 40]);
        let large = scene.keep(&[2; ROOM as usize + 1]);
        assert!(scene.found(&small).is_some());
        assert!(scene.found(&large).is_none());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = LayerCache::new(file, ROOM);
        let digest = Digest::sha256(b"content");
        assert_eq!(cache.trouble(), None);
        cache.clone().keep(&layer(b"content"), &mut &b"content"[..]);
        assert!(cache.directory.open(&digest).is_none());
        // Clones know of it.
        let trouble = cache.trouble().unwrap();
        assert!(trouble.contains("file can't be written: "), "{trouble}");
    }
}
