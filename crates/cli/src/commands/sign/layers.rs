//! Whether `install` will unpack what is signed. Nothing here keeps anything from being signed: it
//! is told, for whoever reads the job's output.

use std::collections::HashSet;
use std::path::Path;

use countersign_download::{Limits, inspect};
use countersign_oci::{
    Digest, Document, ErrorKind, Manifest, Platform, Reference, Registry, ResolvedImage,
};

use crate::failure::Failure;

/// What was found about the images that references lead to.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// What `install` will refuse.
    pub(super) warnings: Vec<String>,
    /// Manifests whose layers were too large to look at, or can't be had.
    pub(super) unchecked: Vec<Digest>,
}

/// An image of one platform.
struct Image {
    manifest: ResolvedImage,
    platform: Option<Platform>,
}

/// Unpacks each image once, in a temporary directory, as long as all layers together have no more
/// than `bound` compressed bytes. With a bound of 0 nothing is asked for.
pub(super) async fn look(registry: &Registry, references: &[Reference], bound: u64) -> Layers {
    if bound == 0 {
        return Layers::default();
    }
    match tempfile::tempdir() {
        Ok(scratch) => check(registry, references, bound, scratch.path()).await,
        Err(error) => Layers {
            warnings: vec![format!(
                "the layers were not looked at: there is no temporary directory: {error}"
            )],
            ..Layers::default()
        },
    }
}

/// It fails at nothing: a reference that can't be read is not signed either, and told there.
async fn check(
    registry: &Registry,
    references: &[Reference],
    bound: u64,
    scratch: &Path,
) -> Layers {
    let mut layers = Layers::default();
    let mut rest = bound;
    let mut seen = HashSet::new();
    for reference in references {
        for Image { manifest, platform } in images(registry, reference).await {
            if !seen.insert(manifest.reference().clone()) {
                continue;
            }
            let size = match manifest.document() {
                Document::Manifest(document) => size(document),
                Document::Index(_) => continue,
            };
            if size > rest {
                layers.unchecked.push(manifest.digest().clone());
                continue;
            }
            rest -= size;
            let limits = Limits::default();
            match inspect(registry, &limits, &manifest, platform.as_ref(), scratch).await {
                // What is left out by rule, such as devices, is for whoever installs to know.
                Ok(_left_out) => {}
                Err(error) => match error.kind() {
                    // Nothing was found out about the image.
                    ErrorKind::Unreachable | ErrorKind::Machine | ErrorKind::Internal => {
                        layers.unchecked.push(manifest.digest().clone());
                    }
                    _ => layers.warnings.push(format!(
                        "`install` will refuse {}: {}",
                        manifest.reference(),
                        Failure::from(error).line()
                    )),
                },
            }
        }
    }
    layers
}

/// The images that a reference leads to. Members of an index that are for no platform, such as
/// attestations, are none.
async fn images(registry: &Registry, reference: &Reference) -> Vec<Image> {
    let mut images = Vec::new();
    let Ok(resolved) = registry.resolve(reference).await else {
        return images;
    };
    let Document::Index(index) = resolved.document() else {
        images.push(Image {
            manifest: resolved,
            platform: None,
        });
        return images;
    };
    let repository = reference.repository();
    for child in &index.manifests {
        let platform = child.platform.clone();
        if platform.as_ref().is_some_and(|one| one.os == "unknown") {
            continue;
        }
        if let Ok(manifest) = registry.child(repository, child).await {
            images.push(Image { manifest, platform });
        }
    }
    images
}

/// Compressed bytes of all layers.
fn size(manifest: &Manifest) -> u64 {
    let sizes = manifest.layers.iter().map(|layer| layer.size);
    sizes.fold(0, u64::saturating_add)
}
