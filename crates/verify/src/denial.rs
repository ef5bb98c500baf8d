//! The digests that a policy denies. A signature does not change that.
//!
//! If an index is denied, the images in it are denied too, also when another index lists them. Only the
//! bytes of the index say what it lists, so the index is fetched from the repository of the image that
//! is verified. A repository that does not have the index, or hides it, can avoid this rule. So the author
//! of a policy lists the images too: `countersign policy check --resolve` prints them.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use countersign_oci::{Digest, Error as RegistryError, Location, PinnedReference, Registry};
use countersign_policy::Policy;

/// How many denied digests are fetched at the same time.
const AT_ONCE: usize = 6;

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

/// From each manifest in a denied index to that index. Only the indexes that could be read are here.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeniedChildren(BTreeMap<Digest, Digest>);

impl DeniedChildren {
    /// Reads the denied indexes that `location` has.
    ///
    /// # Errors
    /// If the repository gives no clear answer. Then it is not known whether the image is denied.
    pub(crate) async fn known_in(
        registry: &Registry,
        location: &Location,
        policy: &Policy,
    ) -> Result<Self, RegistryError> {
        let listed: Vec<Digest> = policy.deny_digests().cloned().collect();
        let asked = listed.into_iter().map(|digest| async move {
            let below = match listed_by(registry, location, &digest).await {
                // The repository does not have this digest, or it is not an index.
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

    /// Refuses an image that is in the policy's list, or in a denied index.
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

/// Everything that this index lists, directly or through the indexes in it.
async fn listed_by(
    registry: &Registry,
    location: &Location,
    index: &Digest,
) -> Result<Vec<Digest>, RegistryError> {
    let index = registry.manifest(&location.at(index.clone())).await?;
    registry.descendants(&index).await
}
