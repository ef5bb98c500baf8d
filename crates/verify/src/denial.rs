//! What a policy denies by digest, whoever signed it.
//!
//! A denied index denies what it lists, also where an image is served by itself or by another index.
//! What it lists is known only where its bytes are: it is asked for in the repository of the image
//! that is verified. A repository that doesn't have it, or hides it, can't be held to that; whoever
//! writes a policy lists the children too, which `countersign policy check --resolve` prints.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use countersign_oci::{Digest, Error as RegistryError, Location, PinnedReference, Registry};
use countersign_policy::Policy;

/// Denied digests asked for at once.
const AT_ONCE: usize = 6;

/// A policy's `deny_digests` refuses the image, or an index that lists it, whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy denies {image}{}",
    .listed_by.as_ref().map(|index| format!(", which the denied index {index} lists")).unwrap_or_default()
)]
pub struct Denied {
    /// The index or the manifest.
    pub image: PinnedReference,
    /// The index that is denied, where the image itself isn't on the policy's list.
    pub listed_by: Option<Digest>,
}

/// What the indexes that a policy denies list, as far as is known; each with the index that lists it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeniedChildren(BTreeMap<Digest, Digest>);

impl DeniedChildren {
    /// What the denied indexes list that `location` has.
    ///
    /// # Errors
    /// When the repository can't be asked: whether the image is denied is not known then.
    pub(crate) async fn known_in(
        registry: &Registry,
        location: &Location,
        policy: &Policy,
    ) -> Result<Self, RegistryError> {
        let listed: Vec<Digest> = policy.deny_digests().cloned().collect();
        let asked = listed.into_iter().map(|digest| async move {
            let below = match listed_by(registry, location, &digest).await {
                // There is nothing here by this digest, or it is no index.
                Err(error) if error.is_about_content() => Vec::new(),
                below => below?,
            };
            Ok::<_, RegistryError>((digest, below))
        });
        let all: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let mut children = BTreeMap::new();
        for (index, below) in all {
            for digest in below {
                children.entry(digest).or_insert_with(|| index.clone());
            }
        }
        Ok(Self(children))
    }

    /// Refuses an image that `policy` denies, or an index that it denies lists.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn refuse(&self, policy: &Policy, image: &PinnedReference) -> Result<(), Denied> {
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

/// What the index of this digest lists, itself or by the indexes in it.
async fn listed_by(
    registry: &Registry,
    location: &Location,
    index: &Digest,
) -> Result<Vec<Digest>, RegistryError> {
    let index = registry.manifest(&location.at(index.clone())).await?;
    registry.descendants(&index).await
}
