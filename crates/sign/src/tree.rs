//! What is signed: an image, or an index and everything below it.
//!
//! The registry decides what is in an index, so it is bounded before it is fetched: in depth, in
//! number and in bytes.

use countersign_oci::{
    Descriptor, Document, INDEX_DEPTH_MAX, PinnedReference, Platform, Registry, ResolvedImage,
};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use crate::error::Error;

/// How many manifests one reference may lead to.
const MANIFESTS_MAX: usize = 256;
/// How many bytes these manifests may have in all: 64 MiB.
const BYTES_MAX: usize = 64 << 20;

/// A manifest to sign, and its platform where the index above it says so.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) image: ResolvedImage,
    pub(crate) platform: Option<Platform>,
}

/// Follows digests down from `image`, with the children of an index side by side as `turns` allow. In cosign's
/// order: an index, then its children, nested ones depth-first.
pub(crate) async fn walk(
    registry: &Registry,
    image: ResolvedImage,
    turns: &Semaphore,
) -> Result<Vec<Leaf>, Error> {
    let mut walk = Walk {
        registry,
        turns,
        root: image.reference().clone(),
        leaves: Vec::new(),
        manifests: 1,
        bytes: image.bytes().len(),
    };
    let platform = None;
    walk.descend(Leaf { image, platform }, 0).await?;
    Ok(walk.leaves)
}

struct Walk<'a> {
    registry: &'a Registry,
    turns: &'a Semaphore,
    root: PinnedReference,
    leaves: Vec<Leaf>,
    /// Manifests fetched or about to be.
    manifests: usize,
    /// Their bytes, by their descriptors, which the registry client holds them to.
    bytes: usize,
}

impl Walk<'_> {
    async fn descend(&mut self, leaf: Leaf, depth: usize) -> Result<(), Error> {
        let children = leaf.image.all_children().map_err(|unread| Error::Entry {
            index: leaf.image.reference().clone(),
            source: unread,
        });
        let children = children?.to_vec();
        let location = leaf.image.reference().location().clone();
        let requested = leaf.image.requested().clone();
        let is_index = matches!(leaf.image.document(), Document::Index(_));
        if is_index && depth >= INDEX_DEPTH_MAX {
            return Err(self.limit(INDEX_DEPTH_MAX, "levels of nested indexes"));
        }
        self.leaves.push(leaf);
        self.account(&children)?;
        let (registry, turns) = (self.registry, self.turns);
        let fetched = try_join_all(children.iter().map(|child| async {
            let _turn = turns.acquire().await;
            registry.child(&location, child).await
        }));
        for (child, image) in children.iter().zip(fetched.await?) {
            // A part of what was asked for is signed by its name.
            let image = image.requested_as(requested.clone());
            let platform = child.platform.clone();
            Box::pin(self.descend(Leaf { image, platform }, depth + 1)).await?;
        }
        Ok(())
    }

    fn account(&mut self, children: &[Descriptor]) -> Result<(), Error> {
        self.manifests = self.manifests.saturating_add(children.len());
        if self.manifests > MANIFESTS_MAX {
            return Err(self.limit(MANIFESTS_MAX, "manifests"));
        }
        let size = |child: &Descriptor| usize::try_from(child.size).unwrap_or(usize::MAX);
        let sizes = children.iter().map(size);
        self.bytes = sizes.fold(self.bytes, usize::saturating_add);
        if self.bytes > BYTES_MAX {
            return Err(self.limit(BYTES_MAX >> 20, "MiB of manifests"));
        }
        Ok(())
    }

    fn limit(&self, limit: usize, unit: &'static str) -> Error {
        Error::Limit {
            image: self.root.clone(),
            limit,
            unit,
        }
    }
}
