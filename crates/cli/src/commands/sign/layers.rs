//! Whether `install` will unpack what is signed. Nothing here keeps anything from being signed: it
//! is told, for whoever reads the job's output.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use countersign_download::{Limits, inspect};
use countersign_oci::{
    Digest, Document, ErrorKind, INDEX_DEPTH_MAX, Platform, Reference, Registry, ResolvedImage,
};

use crate::failure::Failure;

/// What was found about the images that references lead to.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// What `install` will refuse.
    pub(super) warnings: Vec<String>,
    /// Manifests whose layers have not been looked at: too large, not to be had, or not yet.
    pub(super) unchecked: Vec<Digest>,
}

/// An image of one platform.
struct Image {
    manifest: ResolvedImage,
    platform: Option<Platform>,
}

impl Layers {
    /// Unpacks each image once, in a temporary directory, as long as all layers together have no
    /// more than `bound` compressed bytes. With a bound of 0 nothing is asked for. Where this is
    /// given up half-way, what was found so far stays.
    pub(super) async fn look(&mut self, registry: &Registry, references: &[Reference], bound: u64) {
        if bound == 0 {
            return;
        }
        match tempfile::tempdir() {
            Ok(scratch) => {
                self.check(registry, references, bound, scratch.path())
                    .await;
            }
            Err(error) => self.warnings.push(format!(
                "the layers were not looked at: there is no temporary directory: {error}"
            )),
        }
    }

    /// It fails at nothing: a reference that can't be read is not signed either, and told there.
    async fn check(
        &mut self,
        registry: &Registry,
        references: &[Reference],
        bound: u64,
        scratch: &Path,
    ) {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for reference in references {
            for image in images(registry, reference).await {
                if seen.insert(image.manifest.reference().clone()) {
                    self.unchecked.push(image.manifest.digest().clone());
                    found.push(image);
                }
            }
        }
        let mut rest = bound;
        for Image { manifest, platform } in found {
            let size = size(&manifest);
            if size > rest {
                continue;
            }
            rest -= size;
            let limits = Limits::default();
            match inspect(registry, &limits, &manifest, platform.as_ref(), scratch).await {
                // What is left out by rule, such as devices, is for whoever installs to know.
                Ok(_left_out) => {}
                Err(error) => match error.kind() {
                    // Nothing was found out about the image.
                    ErrorKind::Unreachable
                    | ErrorKind::Rejected
                    | ErrorKind::Machine
                    | ErrorKind::Internal => continue,
                    ErrorKind::Usage
                    | ErrorKind::Unsigned
                    | ErrorKind::Policy
                    | ErrorKind::Invalid
                    | ErrorKind::NotFound
                    | ErrorKind::Differs => self.warnings.push(format!(
                        "`install` will refuse {}: {}",
                        manifest.reference(),
                        Failure::from(error).line()
                    )),
                },
            }
            self.unchecked.retain(|digest| digest != manifest.digest());
        }
    }
}

/// The images that a reference leads to, those in nested indexes too. Members of an index that are
/// for no platform, such as attestations, are none.
async fn images(registry: &Registry, reference: &Reference) -> Vec<Image> {
    let mut images = Vec::new();
    let Ok(resolved) = registry.resolve(reference).await else {
        return images;
    };
    let mut open = VecDeque::from([(resolved, None, 0)]);
    while let Some((manifest, platform, depth)) = open.pop_front() {
        let Document::Index(index) = manifest.document() else {
            images.push(Image { manifest, platform });
            continue;
        };
        for child in &index.manifests {
            let platform = child.platform.clone();
            if depth >= INDEX_DEPTH_MAX || platform.as_ref().is_some_and(Platform::is_unknown) {
                continue;
            }
            if let Ok(manifest) = registry.child(reference.location(), child).await {
                open.push_back((manifest, platform, depth + 1));
            }
        }
    }
    images
}

/// Compressed bytes of all layers.
fn size(image: &ResolvedImage) -> u64 {
    match image.document() {
        Document::Manifest(manifest) => {
            let sizes = manifest.layers.iter().map(|layer| layer.size);
            sizes.fold(0, u64::saturating_add)
        }
        Document::Index(_) => 0,
    }
}
