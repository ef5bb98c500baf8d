//! Copies the blobs of a copy.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use countersign_oci::{Copied, Descriptor, Digest, Error as RegistryError, Location};
use futures_util::{StreamExt as _, stream};

use super::target::Target;
use super::{BlobCounts, BlobTurns, CopyEvent, Events, NotCopied, Role};
use crate::blobs::AT_ONCE;
use crate::error::Error;

/// How many sizes of one blob are tried.
const SIZES_TRIED: usize = 3;

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

/// What became of the blobs of one digest.
struct OneDigest<'a> {
    tried: Vec<(Blob<'a>, Result<Copied, RegistryError>)>,
    /// Those of what refers to the image that no try is left for, and why the last one failed.
    left: Vec<(Blob<'a>, String)>,
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
        // A list: a future with the closure in it would not be `Send` for every lifetime.
        let copies: Vec<_> = copies.collect();
        let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
        let mut all = CopiedBlobs::default();
        while let Some(OneDigest { tried, left }) = copies.next().await {
            for (blob, reason) in left {
                let Descriptor { digest, size, .. } = blob.descriptor;
                all.failed.insert((digest.clone(), *size), reason);
            }
            for (
                Blob {
                    role, descriptor, ..
                },
                copied,
            ) in tried
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
                        all.failed.insert(blob, NotCopied::reason(&error));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(all)
    }

    /// Copies a blob with the first of these sizes that it has. The others are wrong then. Anybody may name any number of
    /// sizes, so few are tried: the first, then the largest, since only who expects too much learns how long the blob is.
    async fn one_of_sizes<'b>(&self, blobs: Vec<Blob<'b>>) -> OneDigest<'b> {
        let mut left = VecDeque::from(blobs);
        let first = left.pop_front();
        let others = left.make_contiguous();
        others.sort_by_key(|blob| (blob.role == Role::Attached, Reverse(blob.descriptor.size)));
        if let Some(first) = first {
            left.push_front(first);
        }
        let (mut tried, mut size, mut reason) = (Vec::new(), None, String::new());
        while tried.len() < SIZES_TRIED {
            let next = match size {
                None => Some(0),
                Some(size) => left.iter().position(|blob| blob.descriptor.size == size),
            };
            let Some(blob) = next.and_then(|next| left.remove(next)) else {
                break;
            };
            let copied = self.one(&blob).await;
            match &copied {
                Ok(_) => size = Some(blob.descriptor.size),
                Err(error) => {
                    if let RegistryError::SizeMismatch {
                        expected, found, ..
                    } = error
                        && found < expected
                    {
                        size = Some(*found);
                    }
                    reason = NotCopied::reason(error);
                }
            }
            tried.push((blob, copied));
        }
        if let Some(found) = size {
            let wrong = left.drain(..).map(|blob| {
                let error = RegistryError::SizeMismatch {
                    what: Box::new(blob.source.at(blob.descriptor.digest.clone())),
                    expected: blob.descriptor.size,
                    found,
                };
                (blob, Err(error))
            });
            tried.extend(wrong);
        }
        let left = left.into_iter().map(|blob| (blob, reason.clone()));
        OneDigest {
            tried,
            left: left.collect(),
        }
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
