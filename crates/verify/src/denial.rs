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

use crate::error::Error;

/// Denied digests asked for at once.
const AT_ONCE: usize = 6;

/// The digests that a policy denies, each with the denied index that lists it, if that is why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denials(BTreeMap<Digest, Option<Digest>>);

impl Denials {
    /// Those that the policy lists.
    pub(crate) fn of(policy: &Policy) -> Self {
        let listed = policy.deny_digests();
        Self(listed.map(|digest| (digest.clone(), None)).collect())
    }

    /// Those that the policy lists, and what the indexes among them list, as far as `location` has
    /// them.
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
        let mut denials = Self::of(policy);
        for (index, below) in all {
            for digest in below {
                denials
                    .0
                    .entry(digest)
                    .or_insert_with(|| Some(index.clone()));
            }
        }
        Ok(denials)
    }

    /// Refuses an image that is denied.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) fn refuse(&self, image: &PinnedReference) -> Result<(), Error> {
        match self.0.get(image.digest()) {
            None => Ok(()),
            Some(listed_by) => Err(Error::Denied {
                image: image.clone(),
                listed_by: listed_by.clone(),
            }),
        }
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
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
