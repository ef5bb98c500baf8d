//! Which blobs of an image are copied with it.

use countersign_oci::{Descriptor, Document, ResolvedImage};

/// How many blobs of an image are copied at the same time.
pub(crate) const AT_ONCE: usize = 4;

/// The configuration and the layers, but for layers that no registry may hand on.
pub(crate) fn blobs_of(image: &ResolvedImage) -> Vec<&Descriptor> {
    match image.document() {
        Document::Manifest(manifest) => std::iter::once(&manifest.config)
            .chain(&manifest.layers)
            .filter(|blob| !is_foreign(blob))
            .collect(),
        Document::Index(_) => Vec::new(),
    }
}

/// Layers that are fetched from their maker and kept by no registry: base layers of Windows (OCI
/// image specification, "Non-Distributable Layers").
fn is_foreign(blob: &Descriptor) -> bool {
    let media_type = blob.media_type.as_str();
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}
