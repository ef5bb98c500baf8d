//! Copies the images of a merge, with all their blobs, into a target repository.

use std::collections::HashSet;
use std::sync::Arc;

use countersign_oci::{Descriptor, Digest, Location, Registry, Repository, ResolvedImage};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Merge;
use crate::blobs::{AT_ONCE, blobs_of};
use crate::error::Error;
use crate::publication::PublicationEvent;

/// Copies the members of `merge` to `target`, blobs first, and pushes the index by its digest.
pub(super) async fn copy(
    registry: &Registry,
    merge: &Merge,
    target: &Repository,
    events: &(dyn Fn(PublicationEvent) + Send + Sync),
) -> Result<ResolvedImage, Error> {
    let place = Location::from(target.clone());
    let mut seen: HashSet<Digest> = HashSet::new();
    // Owned, so that the copies can be a part of a task of their own.
    let mut blobs: Vec<(Location, Descriptor)> = Vec::new();
    for member in &merge.members {
        let source = member.image.reference().location();
        if *source == place {
            continue;
        }
        for blob in blobs_of(&member.image) {
            if seen.insert(blob.digest.clone()) {
                blobs.push((source.clone(), blob.clone()));
            }
        }
    }
    let copies = blobs.into_iter().map(|(source, blob)| async move {
        let copied = registry
            .copy_blob(registry, &source, target, &blob, Arc::new(|_bytes| {}))
            .await?;
        events(PublicationEvent::Copied {
            blob: target.at(blob.digest),
            size: blob.size,
            copied,
        });
        Ok::<(), Error>(())
    });
    stream::iter(copies)
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    for member in &merge.members {
        if *member.image.reference().location() != place {
            let bytes = member.image.bytes().clone();
            registry
                .push_manifest(target, &member.media_type, bytes, None)
                .await?;
        }
    }
    let bytes = merge.bytes.clone();
    let index = registry
        .push_manifest(target, merge.media_type, bytes, None)
        .await?;
    events(PublicationEvent::Pushed {
        index: index.reference().clone(),
    });
    Ok(index)
}
