//! Signatures that proved an image before, from the cache.

use countersign_oci::{Reference, ResolvedImage, Result as RegistryResult};
use countersign_policy::Policy;
use jiff::Timestamp;

use super::search::SearchState;
use super::{Signatures, Verifier};
use crate::cache::{Entry, EntryKey, SignatureCache};
use crate::proof::VerifiedImage;
use crate::signature::FetchedLayer;

impl Verifier {
    /// As [`Registry::resolve`](countersign_oci::Registry::resolve). But a reference with the digest of an image
    /// that is in the cache for this policy needs no request. A tag always does.
    ///
    /// # Errors
    /// As of `Registry::resolve`.
    pub async fn resolve(
        &self,
        reference: &Reference,
        policy: &Policy,
    ) -> RegistryResult<ResolvedImage> {
        if let Some(digest) = reference.digest() {
            let pinned = reference.location().at(digest.clone());
            let key = EntryKey::of(&pinned, reference, policy);
            if let Some(entry) = self.entry(key, Timestamp::now()).await {
                return Ok(entry.image.requested_as(reference.clone()));
            }
        }
        self.registry.resolve(reference).await
    }

    /// The signatures that proved the image before.
    pub(super) async fn kept(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
        now: Timestamp,
    ) -> Vec<FetchedLayer> {
        let key = EntryKey::of(image.reference(), image.requested(), policy);
        let entry = self.entry(key, now).await;
        entry.map_or_else(Vec::new, |entry| entry.signatures)
    }

    fn cache(&self) -> Option<&SignatureCache> {
        match &self.signatures {
            Signatures::InRegistries { cache } => cache.as_ref(),
            Signatures::Given(_) => None,
        }
    }

    async fn entry(&self, key: Option<EntryKey>, now: Timestamp) -> Option<Entry> {
        let (cache, key) = (self.cache()?.clone(), key?);
        let reading = tokio::task::spawn_blocking(move || cache.read(&key, now));
        reading.await.ok()?
    }

    /// Judges what was kept. What it does not prove says nothing about the image: the registry may have more.
    pub(super) async fn search_kept(
        &self,
        kept: Vec<FetchedLayer>,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        for stored in kept {
            if let Some(proof) = self.judge(search, stored).await {
                if let Some(cache) = self.cache() {
                    cache.mark_proved(search.image.digest());
                }
                return Some(proof);
            }
        }
        // A cached signature that does not count now says nothing of the image.
        search.refusal.candidates.clear();
        None
    }

    /// Keeps the signatures that proved the image.
    pub(super) async fn keep(&self, search: &SearchState<'_>) {
        let (image, now) = (search.image.clone(), search.criteria.now);
        let key = EntryKey::of(image.reference(), image.requested(), search.policy);
        let (Some(cache), Some(key)) = (self.cache().cloned(), key) else {
            return;
        };
        let proving = search.proving.clone();
        let keeping = tokio::task::spawn_blocking(move || cache.keep(&key, &image, &proving, now));
        if let Err(error) = keeping.await {
            tracing::warn!(%error, "a signature was not cached");
        }
    }
}
