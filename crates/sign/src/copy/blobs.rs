//! Copies the blobs of a copy.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_oci::{Copied, Descriptor, Digest, Error as RegistryError, Location};
use futures_util::{StreamExt as _, stream};

use super::target::Target;
use super::{BlobCounts, BlobTurns, CopyEvent, Events, Role};
use crate::blobs::AT_ONCE;
use crate::error::Error;

/// A blob, and where it is now.
#[derive(Debug)]
pub(super) struct Blob<'a> {
    pub(super) role: Role,
    pub(super) source: &'a Location,
    pub(super) descriptor: &'a Descriptor,
}

/// Where blobs are copied, and by whose turns.
#[derive(Clone, Copy)]
pub(super) struct Blobs<'a> {
    pub(super) target: Target<'a>,
    pub(super) turns: &'a BlobTurns,
    pub(super) events: &'a Events,
}

/// Blobs that can't be read, by digest and size, and why not.
pub(super) type Failed = HashMap<(Digest, u64), String>;

/// What became of some blobs.
#[derive(Default)]
pub(super) struct CopiedBlobs {
    pub(super) counts: BlobCounts,
    /// Those of what refers to the image that can't be read, and why not.
    pub(super) failed: Failed,
}

impl Blobs<'_> {
    /// Names all before the first is copied, so that the total is known.
    pub(super) fn tell<'b>(&self, all: impl IntoIterator<Item = &'b Vec<Vec<Blob<'b>>>>) {
        let all = all.into_iter().flatten();
        for blob in all.filter_map(|of_one_digest| of_one_digest.first()) {
            (self.events)(CopyEvent::Blob {
                digest: blob.descriptor.digest.clone(),
                bytes: 0,
                size: blob.descriptor.size,
            });
        }
    }

    /// Copies blobs; those of one digest are together.
    pub(super) async fn copy(&self, blobs: Vec<Vec<Blob<'_>>>) -> Result<CopiedBlobs, Error> {
        let copies = blobs.into_iter().map(|blobs| self.one_of_sizes(blobs));
        let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
        let mut all = CopiedBlobs::default();
        while let Some(ended) = copies.next().await {
            for (
                Blob {
                    role, descriptor, ..
                },
                copied,
            ) in ended
            {
                let counts = &mut all.counts;
                match copied {
                    Ok(Copied::Present) => counts.present += 1,
                    Ok(Copied::Mounted) => counts.mounted += 1,
                    Ok(Copied::Sent) => {
                        counts.sent += 1;
                        counts.sent_bytes += descriptor.size;
                    }
                    Err(error) if role == Role::Attached && error.spoils_one_candidate() => {
                        let blob = (descriptor.digest.clone(), descriptor.size);
                        all.failed.insert(blob, error.to_string());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(all)
    }

    /// Copies a blob with the first of these sizes that it has. The others are wrong then.
    async fn one_of_sizes<'b>(
        &self,
        blobs: Vec<Blob<'b>>,
    ) -> Vec<(Blob<'b>, Result<Copied, RegistryError>)> {
        let (mut ended, mut size) = (Vec::with_capacity(blobs.len()), None);
        for blob in blobs {
            let descriptor = blob.descriptor;
            let copied = match size {
                None => self.one(&blob).await,
                Some(found) => Err(RegistryError::SizeMismatch {
                    what: Box::new(blob.source.at(descriptor.digest.clone())),
                    expected: descriptor.size,
                    found,
                }),
            };
            if copied.is_ok() {
                size = Some(descriptor.size);
            }
            ended.push((blob, copied));
        }
        ended
    }

    async fn one(&self, blob: &Blob<'_>) -> Result<Copied, RegistryError> {
        let _turn = self.turns.next().await;
        let (digest, size) = (blob.descriptor.digest.clone(), blob.descriptor.size);
        let (named, tell) = (digest.clone(), Arc::clone(self.events));
        let progress = Arc::new(move |bytes| {
            tell(CopyEvent::Blob {
                digest: named.clone(),
                bytes,
                size,
            });
        });
        let copied = self.target.blob(blob.source, blob.descriptor, progress);
        let copied = copied.await?;
        (self.events)(CopyEvent::BlobDone {
            digest,
            size,
            copied,
        });
        Ok(copied)
    }
}
