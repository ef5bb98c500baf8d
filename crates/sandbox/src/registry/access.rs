//! Access to the store without HTTP, for tests that store what no registry would accept, or look at
//! what came. Nothing is checked or refused here, faults have no effect, and no request is
//! recorded.

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest};

use super::{RegistryServer, lock};

impl RegistryServer {
    /// Descriptors of the manifests that refer to `subject`, in the order in which they came. They
    /// are returned even if the registry doesn't list them.
    pub fn referrers(&self, path: &str, subject: &Digest) -> Vec<Descriptor> {
        let store = lock(&self.shared.store);
        let shelf = store.shelf(path);
        shelf
            .map(|shelf| shelf.referrers(subject))
            .unwrap_or_default()
    }

    /// Names of the repositories that something was pushed to, sorted.
    pub fn repositories(&self) -> Vec<String> {
        lock(&self.shared.store).names()
    }

    /// Stores a blob under its digest.
    pub fn put_blob(&self, path: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.replace_blob(path, &digest, bytes);
        digest
    }

    /// Stores bytes under any digest: a tampered blob.
    pub fn replace_blob(&self, path: &str, digest: &Digest, bytes: impl Into<Bytes>) {
        let mut store = lock(&self.shared.store);
        let blobs = &mut store.shelf_mut(path).blobs;
        blobs.insert(digest.clone(), bytes.into());
    }

    /// Removes a blob. `false` if there was none.
    pub fn remove_blob(&self, path: &str, digest: &Digest) -> bool {
        let mut store = lock(&self.shared.store);
        store.shelf_mut(path).blobs.remove(digest).is_some()
    }

    /// A blob's bytes.
    pub fn blob(&self, path: &str, digest: &Digest) -> Option<Bytes> {
        let store = lock(&self.shared.store);
        store.shelf(path)?.blobs.get(digest).cloned()
    }

    /// Digests of a repository's blobs, sorted.
    pub fn blobs(&self, path: &str) -> Vec<Digest> {
        let store = lock(&self.shared.store);
        store
            .shelf(path)
            .map(|shelf| shelf.blobs.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Stores a manifest under its digest, and under a tag if one is given. Nothing is checked.
    pub fn put_manifest(
        &self,
        path: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
        tag: Option<&str>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.replace_manifest(path, &digest, media_type, bytes);
        if let Some(tag) = tag {
            self.tag(path, tag, &digest);
        }
        digest
    }

    /// Stores bytes under any manifest's digest.
    pub fn replace_manifest(
        &self,
        path: &str,
        digest: &Digest,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) {
        let mut store = lock(&self.shared.store);
        store.put_manifest(path, digest.clone(), media_type, bytes.into());
    }

    /// Removes a manifest, but not its tags. `false` if there was none.
    pub fn remove_manifest(&self, path: &str, digest: &Digest) -> bool {
        let mut store = lock(&self.shared.store);
        store.shelf_mut(path).manifests.remove(digest).is_some()
    }

    /// A manifest's media type and bytes, by tag or digest.
    pub fn manifest(&self, path: &str, reference: &str) -> Option<(String, Bytes)> {
        let store = lock(&self.shared.store);
        let (_, manifest) = store.shelf(path)?.manifest(reference)?;
        Some((manifest.media_type.clone(), manifest.bytes.clone()))
    }

    /// Digests of a repository's manifests, sorted.
    pub fn manifests(&self, path: &str) -> Vec<Digest> {
        let store = lock(&self.shared.store);
        store
            .shelf(path)
            .map(|shelf| shelf.manifests.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Sets a tag to a digest, even if there is no such manifest.
    pub fn tag(&self, path: &str, tag: &str, digest: &Digest) {
        let mut store = lock(&self.shared.store);
        let tags = &mut store.shelf_mut(path).tags;
        tags.insert(tag.to_owned(), digest.clone());
    }

    /// Removes a tag. `false` if there was none.
    pub fn untag(&self, path: &str, tag: &str) -> bool {
        let mut store = lock(&self.shared.store);
        store.shelf_mut(path).tags.remove(tag).is_some()
    }

    /// The digest that a tag names.
    pub fn tagged(&self, path: &str, tag: &str) -> Option<Digest> {
        let store = lock(&self.shared.store);
        store.shelf(path)?.tags.get(tag).cloned()
    }

    /// A repository's tags, sorted, including the fallback tags of referrers.
    pub fn tags(&self, path: &str) -> Vec<String> {
        let store = lock(&self.shared.store);
        store
            .shelf(path)
            .map(|shelf| shelf.tags.keys().cloned().collect())
            .unwrap_or_default()
    }
}
