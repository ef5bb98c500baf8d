//! Signatures kept on disk, so that an image that was verified is verified again without a request.
//!
//! A cached verdict would have to be protected from whoever can write to the directory. So no verdict is kept:
//! a file has the image's manifest, the manifest that holds the signature, and the signature, as the registry
//! sent them. All of it is judged again, by the same code, with the policy and the trusted root of now. So the
//! cache is trusted as little as a registry. A changed file proves nothing, and a policy that denies the image
//! is obeyed. A refusal keeps nothing.
//!
//! `entry` says what is in a file.

mod entry;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use countersign_oci::{
    CacheDirectory, CacheLimits, Digest, Location, PinnedReference, Reference, ResolvedImage, lock,
};
use countersign_policy::Policy;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

pub(crate) use self::entry::Entry;
use crate::signature::FetchedLayer;

/// A directory with the signatures that proved images.
///
/// A [`Verifier`](crate::Verifier) with a cache judges the signature that proved an image before, with the policy
/// and the trusted root of now, and asks the registry only if it proves nothing. So no file in the directory
/// makes an image accepted that a registry could not make accepted.
///
/// Several processes may share a directory. A file is written beside and renamed. A file that is damaged, or is
/// none of the cache's, counts as missing. A directory that can't be written costs time, and is no error.
///
/// Cloning is cheap, and clones share a count of what they wrote.
#[derive(Debug, Clone)]
pub struct SignatureCache {
    directory: CacheDirectory,
    age: SignedDuration,
    /// What its signatures proved. Clones share it.
    proved: Arc<Mutex<BTreeSet<Digest>>>,
}

impl SignatureCache {
    /// A cache in `directory`, which is made when something is kept. A signature counts until `age` after it was
    /// found in a registry. Then the registry is asked again, and may no longer have it.
    #[must_use]
    pub fn new(directory: PathBuf, age: SignedDuration) -> Self {
        Self {
            directory: CacheDirectory::new(directory, "", CacheLimits::default()),
            age,
            proved: Arc::default(),
        }
    }

    /// The same cache with other limits.
    #[must_use]
    pub fn with_limits(self, limits: CacheLimits) -> Self {
        Self {
            directory: self.directory.with_limits(limits),
            ..self
        }
    }

    /// Why the first signature could not be kept, if one could not: in words, and with the directory.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.directory.trouble()
    }

    /// Whether a signature of this cache, and none of a registry, has proved the document with this digest.
    #[must_use]
    pub fn has_proved(&self, document: &Digest) -> bool {
        let proved = lock(&self.proved);
        proved.contains(document)
    }

    pub(crate) fn mark_proved(&self, document: &Digest) {
        let mut proved = lock(&self.proved);
        proved.insert(document.clone());
    }

    /// What was kept of this image, if it is whole and not too old.
    pub(crate) fn read(&self, key: &EntryKey, now: Timestamp) -> Option<Entry> {
        let bytes = self.directory.read(&key.name)?;
        let entry = Entry::decode(&bytes, &key.name, &key.image)?;
        let age = now.duration_since(entry.kept_at);
        // A time in the future is of another clock, or of somebody who changed the file.
        (!age.is_negative() && age < self.age).then_some(entry)
    }

    /// Keeps the signatures that proved `image`.
    pub(crate) fn keep(
        &self,
        key: &EntryKey,
        image: &ResolvedImage,
        signatures: &[FetchedLayer],
        now: Timestamp,
    ) {
        if let Some(bytes) = entry::encode(&key.name, image, signatures, now) {
            self.directory.write(&key.name, &bytes);
        }
    }
}

/// Names the file of one image and one question about it. Two questions that may need different signatures have
/// different files. What is in the file is judged anyway, so the name decides nothing.
#[derive(Debug, Clone)]
pub(crate) struct EntryKey {
    name: Digest,
    image: PinnedReference,
}

impl EntryKey {
    /// The key of the image at `reference`, which is requested by the name `requested`. `None` for a layout on
    /// this machine: reading it costs no request.
    pub(crate) fn of(
        image: &PinnedReference,
        requested: &Reference,
        policy: &Policy,
    ) -> Option<Self> {
        let Location::Registry(repository) = image.location() else {
            return None;
        };
        let bound = policy.bind_name().then(|| {
            let tag = requested.tag().unwrap_or_default();
            [requested.location().to_string(), tag.to_owned()]
        });
        let question = json!([
            repository.to_string(),
            image.digest(),
            bound,
            format!("{policy:?}"),
        ]);
        Some(Self {
            name: Digest::sha256(question.to_string().as_bytes()),
            image: image.clone(),
        })
    }
}
