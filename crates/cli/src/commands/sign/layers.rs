//! Whether `install` will unpack what is signed. Nothing here keeps anything from being signed: it
//! is told, for whoever reads the job's output.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use countersign_download::{Limits, inspect};
use countersign_oci::{
    Digest, Document, ErrorKind, INDEX_DEPTH_MAX, Platform, Reference, Registry, ResolvedImage,
};

use crate::blocking::blocking;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};

/// What was found about the images that references lead to.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// What `install` will refuse.
    pub(super) warnings: Vec<String>,
    /// Manifests whose layers have not been looked at: too large, not to be had, too deep in indexes, or not yet.
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
    pub(super) async fn look(
        &mut self,
        registry: &Registry,
        references: &[Reference],
        bound: u64,
        environment: &Environment,
    ) {
        if bound == 0 {
            return;
        }
        let temporary = environment.temporary_directory();
        let made = blocking(move || tempfile::tempdir_in(temporary)).await;
        match made.and_then(|made| made.map_err(|error| no_scratch(&error))) {
            Ok(scratch) => {
                self.check(registry, references, bound, scratch.path())
                    .await;
                let _ = blocking(move || scratch.close()).await;
            }
            Err(failure) => self.warnings.push(failure.line()),
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
            let (images, unread) = images(registry, reference).await;
            for digest in unread {
                if !self.unchecked.contains(&digest) {
                    self.unchecked.push(digest);
                }
            }
            for image in images {
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

fn no_scratch(error: &std::io::Error) -> Failure {
    let message =
        format!("the layers were not looked at: there is no temporary directory: {error}");
    Failure::new(Kind::Machine, message)
}

/// The images that a reference leads to, those in nested indexes too, and what could not be read. Members of an
/// index that are for no platform, such as attestations, are none.
async fn images(registry: &Registry, reference: &Reference) -> (Vec<Image>, Vec<Digest>) {
    let (mut images, mut unread) = (Vec::new(), Vec::new());
    let Ok(resolved) = registry.resolve(reference).await else {
        unread.extend(reference.digest().cloned());
        return (images, unread);
    };
    let mut open = VecDeque::from([(resolved, None, 0)]);
    while let Some((manifest, platform, depth)) = open.pop_front() {
        let Document::Index(index) = manifest.document() else {
            images.push(Image { manifest, platform });
            continue;
        };
        for child in &index.manifests {
            if child.is_attestation() {
                continue;
            }
            let platform = child.platform.clone();
            let read = if depth < INDEX_DEPTH_MAX {
                registry.child(reference.location(), child).await.ok()
            } else {
                None
            };
            match read {
                Some(manifest) => open.push_back((manifest, platform, depth + 1)),
                None => unread.push(child.digest.clone()),
            }
        }
    }
    (images, unread)
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
