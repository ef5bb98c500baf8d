//! What only the targets of fuzzing see.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use countersign_oci::Digest;

use crate::extract::{ArchiveError, Cancellation, Extractor, Form, Layer, LayerBytes};
use crate::limits::Limits;

/// Unpacks `layers`, whose digests are the right ones, into the empty directory `root`.
///
/// # Errors
/// The first layer that is refused.
pub fn unpack(layers: &[&[u8]], root: &Path) -> Result<(), ArchiveError> {
    // Small ones: a run is to be short.
    let limits = Limits {
        unpacked_bytes: 1 << 20,
        entries: 500,
        depth: 16,
        ..Limits::default()
    };
    let root = OwnedFd::from(File::open(root)?);
    let mut extractor = Extractor::new(root, limits, Cancellation::default())?;
    for layer in layers {
        extractor.layer(Layer {
            content: LayerBytes::Memory(layer.to_vec()),
            size: layer.len() as u64,
            form: Form::Layer {
                // Only an archive that is not compressed has it.
                diff_id: Digest::sha256(layer),
            },
        })?;
    }
    extractor.finish()
}
