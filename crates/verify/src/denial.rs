//! The digests that a policy denies. A signature does not change that.
//!
//! If an index is denied, the images in it are denied too, also when another index lists them. Only the
//! bytes of the index say what it lists, so the index is fetched from the repository of the image that
//! is verified. A repository that does not have the index, or hides it, can avoid this rule. So the author
//! of a policy lists the images too: `countersign policy check --resolve` prints them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use countersign_oci::{
    Descriptor, Digest, Document, Error as RegistryError, Location, PinnedReference, Registry,
    ResolvedImage, lock,
};
use countersign_policy::Policy;

/// How many denied digests are fetched at the same time.
const AT_ONCE: usize = 6;
/// How many documents the cache keeps.
const CACHED_DOCUMENTS_MAX: usize = 256;
/// How many digests the documents in the cache list, in all. A digest has about 80 bytes, so the cache has at
/// most about 3 MiB.
const CACHED_DIGESTS_MAX: usize = 40_000;

/// The policy's `deny_digests` has the image, or an index that lists it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy denies {image}{}",
    .listed_by.as_ref().map(|index| format!(": it is in the denied index {index}")).unwrap_or_default()
)]
pub struct Denied {
    /// The index or the manifest.
    pub image: PinnedReference,
    /// The denied index, if the image itself is not in `deny_digests`.
    pub listed_by: Option<Digest>,
}

/// An image that the policy doesn't deny: [`DeniedChildren::refuse`] alone makes one, and a proof is of nothing else.
#[derive(Debug, Clone)]
pub(crate) struct NotDenied(ResolvedImage);

impl NotDenied {
    pub(crate) fn image(&self) -> &ResolvedImage {
        &self.0
    }
}

/// From each manifest in a denied index to that index. Only the indexes that could be read are here.
#[derive(Debug, Clone)]
pub(crate) struct DeniedChildren(BTreeMap<Digest, Digest>);

impl DeniedChildren {
    /// Nobody was asked what the denied indexes list: only what the policy itself names is known.
    pub(crate) fn not_asked() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads the denied indexes that `location` has.
    ///
    /// # Errors
    /// If the repository gives no clear answer. Then it is not known whether the image is denied.
    pub(crate) async fn known_in(
        registry: &Registry,
        location: &Location,
        policy: &Policy,
        cache: &DenialCache,
    ) -> Result<Self, RegistryError> {
        let listed: Vec<Digest> = policy.deny_digests().cloned().collect();
        let asked = listed.into_iter().map(|digest| async move {
            let below = match listed_by(registry, location, &digest, cache).await {
                // The repository does not have this digest, or it is not an index.
                Err(error) if error.is_absence() => Arc::default(),
                below => below?,
            };
            Ok::<_, RegistryError>((digest, below))
        });
        let all: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let mut children = BTreeMap::new();
        for (index, below) in all {
            for digest in below.iter() {
                children
                    .entry(digest.clone())
                    .or_insert_with(|| index.clone());
            }
        }
        Ok(Self(children))
    }

    /// The image, unless it is in the policy's list or in a denied index.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn refuse(
        &self,
        policy: &Policy,
        image: ResolvedImage,
    ) -> Result<NotDenied, Denied> {
        self.refuse_digest(policy, image.reference())?;
        Ok(NotDenied(image))
    }

    /// As [`Self::refuse`], where only the digest is known.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn refuse_digest(
        &self,
        policy: &Policy,
        image: &PinnedReference,
    ) -> Result<(), Denied> {
        let digest = image.digest();
        let denied = |listed_by| Denied {
            image: image.clone(),
            listed_by,
        };
        if policy.denies(digest) {
            return Err(denied(None));
        }
        match self.0.get(digest) {
            None => Ok(()),
            Some(index) => Err(denied(Some(index.clone()))),
        }
    }
}

/// Everything that this index lists, directly or through the indexes in it.
async fn listed_by(
    registry: &Registry,
    location: &Location,
    index: &Digest,
    cache: &DenialCache,
) -> Result<Arc<[Digest]>, RegistryError> {
    if let Some(listed) = cache.listed(location, index) {
        return Ok(listed);
    }
    let document = registry.manifest(&location.at(index.clone())).await?;
    // A repository that hides an index in it could hide the denied index itself: what is known is denied.
    let listed: Arc<[Digest]> = registry.descendants(&document).await?.digests.into();
    if lists_no_index(document.document()) {
        cache.keep(location, index, &listed);
    }
    Ok(listed)
}

/// Whether the document's own bytes name everything that it lists. An index inside an index has to be fetched
/// too, and a registry that does not have it now may have it later.
fn lists_no_index(document: &Document) -> bool {
    match document {
        Document::Manifest(_) => true,
        Document::Index(index) => !index.manifests.iter().any(Descriptor::is_index),
    }
}

/// What denied documents list, kept from one verification to the next. The digest is the digest of the bytes,
/// so what was found stays true. What was not found is never kept: the repository may have it later. If the
/// cache is full, the oldest document is removed.
#[derive(Debug, Default)]
pub(crate) struct DenialCache(Mutex<CachedDocuments>);

#[derive(Debug, Default)]
struct CachedDocuments {
    listed: HashMap<(Location, Digest), Arc<[Digest]>>,
    /// The keys of `listed`, the oldest first.
    oldest_first: VecDeque<(Location, Digest)>,
    /// How many digests all of `listed` have.
    digests: usize,
}

impl DenialCache {
    fn listed(&self, location: &Location, document: &Digest) -> Option<Arc<[Digest]>> {
        let documents = lock(&self.0);
        let key = (location.clone(), document.clone());
        documents.listed.get(&key).cloned()
    }

    fn keep(&self, location: &Location, document: &Digest, listed: &Arc<[Digest]>) {
        if listed.len() > CACHED_DIGESTS_MAX {
            return;
        }
        let mut documents = lock(&self.0);
        let documents = &mut *documents;
        let key = (location.clone(), document.clone());
        if documents.listed.contains_key(&key) {
            return;
        }
        documents.digests += listed.len();
        documents.oldest_first.push_back(key.clone());
        documents.listed.insert(key, Arc::clone(listed));
        while documents.listed.len() > CACHED_DOCUMENTS_MAX
            || documents.digests > CACHED_DIGESTS_MAX
        {
            let Some(oldest) = documents.oldest_first.pop_front() else {
                return;
            };
            if let Some(removed) = documents.listed.remove(&oldest) {
                documents.digests -= removed.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_oci::samples::reference;

    fn digest(number: usize) -> Digest {
        Digest::sha256(&number.to_le_bytes())
    }

    fn digests(count: usize) -> Arc<[Digest]> {
        (0..count).map(digest).collect()
    }

    #[test]
    fn the_cache_has_a_bound_on_documents_and_on_what_they_list() {
        let cache = DenialCache::default();
        let reference = reference();
        let location = reference.location();
        for document in 0..=CACHED_DOCUMENTS_MAX {
            cache.keep(location, &digest(document), &digests(1));
        }
        assert!(cache.listed(location, &digest(0)).is_none(), "the oldest");
        assert!(cache.listed(location, &digest(1)).is_some());

        let large = digests(CACHED_DIGESTS_MAX);
        cache.keep(location, &digest(1_000), &large);
        assert_eq!(
            cache.listed(location, &digest(1_000)).unwrap().len(),
            CACHED_DIGESTS_MAX
        );
        assert!(cache.listed(location, &digest(1)).is_none(), "no room");

        cache.keep(location, &digest(1_001), &digests(CACHED_DIGESTS_MAX + 1));
        assert!(
            cache.listed(location, &digest(1_001)).is_none(),
            "too large"
        );
        assert!(cache.listed(location, &digest(1_000)).is_some());
    }
}
