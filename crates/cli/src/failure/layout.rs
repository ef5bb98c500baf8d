//! What is said of images in layouts where it differs from what is said of those in registries.
//!
//! Hints alone: the exit code is that of the same failure in a registry.

use countersign_oci::{LayoutError, LayoutPath, Location};

/// For a layout without a blob that is asked for.
const PARTIAL: &str = "copy the image again from where it is whole; if it was copied with --platform, the layout has those platforms alone: to copy it on into a layout, pass --platform again";
/// For a path where nothing is, or a layout without the image that is asked for.
const NOT_FOUND: &str = "check the path, and that the whole image was copied";
/// For a path with a tag behind it, as oras writes it.
const TAGGED: &str = "leave the tag out: ocifile://PATH names the only image of a layout, ocifile://PATH@DIGEST one of several";
/// For bytes that are not those that a digest names.
pub(super) const CHANGED: &str =
    "do not use it: the layout was changed or damaged; copy the image again";
const UNSIGNED: &str = "if it is signed in its registry, copy the signatures too (`countersign copy --policy FILE IMAGE ocifile://DIR`), or name that repository in the policy's `signature_sources`";

/// What to do about an image at `location` that nobody signed, if it is in a layout.
pub(super) fn unsigned_hint(location: &Location) -> Option<&'static str> {
    match location {
        Location::Layout(_) => Some(UNSIGNED),
        Location::Registry(_) => None,
    }
}

pub(super) fn hint(error: &LayoutError, layout: &LayoutPath) -> Option<&'static str> {
    match error {
        LayoutError::Nothing if has_tag(layout) => Some(TAGGED),
        LayoutError::NoMarker | LayoutError::NoArchive { .. } => Some(
            "make one with `countersign copy --policy FILE IMAGE ocifile://DIR`, `oras copy --recursive --to-oci-layout` or `skopeo copy docker://IMAGE oci-archive:FILE`",
        ),
        LayoutError::DockerArchive | LayoutError::Version { .. } => {
            Some("convert it to an image layout, as the message says")
        }
        LayoutError::Compressed { .. } => {
            Some("decompress it (`gunzip`, `zstd -d`), then use the decompressed file")
        }
        LayoutError::Truncated { .. } | LayoutError::Header { .. } => {
            Some("copy the archive again, and compare its size")
        }
        LayoutError::NoIndex => {
            Some("copy the image again: an earlier copy has not ended, or the file was lost")
        }
        LayoutError::SeveralImages { .. } => Some(
            "name one of them by its digest: ocifile://PATH@DIGEST; an index can't do that: for it, make a layout of one image with `countersign copy --policy FILE ocifile://PATH@DIGEST ocifile://DIR`",
        ),
        LayoutError::NeedsRegistry => Some("name a repository in a registry"),
        LayoutError::Busy => Some("wait until the other run has ended"),
        LayoutError::Exists => Some("name another file, or remove this one first"),
        LayoutError::NoDirectoryAbove => Some("make that directory first, or correct the path"),
        LayoutError::NotADirectory | LayoutError::NotEmpty => {
            Some("name a directory that is missing, empty or a layout, or a new file FILE.tar")
        }
        LayoutError::Write { .. } => Some("check the path, and who may write there"),
        LayoutError::NoBlob { .. } => Some(PARTIAL),
        LayoutError::Nothing | LayoutError::NoName { .. } | LayoutError::NoImage => Some(NOT_FOUND),
        LayoutError::Io { .. } => Some("check who may read it"),
        // What is left is missing from the layout, or damaged.
        _ => Some(CHANGED),
    }
}

fn has_tag(layout: &LayoutPath) -> bool {
    let last = layout.as_str().rsplit('/').next();
    last.is_some_and(|last| last.contains(':'))
}
