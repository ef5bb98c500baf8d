//! What tags in references have to do with what is signed.
//!
//! A registry decides what a tag names, and it is the one who is not trusted. What is signed is
//! therefore named by digest, by whoever built it.

use countersign_oci::{Reference, Registry, ResolvedImage};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use crate::error::Error;

/// What a tag in a reference has to do with what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tags {
    /// Each reference has a digest. A tag beside it exists and names that digest.
    #[default]
    Checked,
    /// A reference without a digest stands for what its tag names now: this signs what the registry
    /// answers. Tags beside a digest are checked.
    Followed,
    /// Each reference has a digest. A tag beside it is signed without asking what it names: for a
    /// build that sets its tags when the image is signed, so that no tag ever names an unsigned one.
    Later,
}

/// Resolves each reference, in order, side by side as `turns` allow.
///
/// # Errors
/// [`Error::ByTag`] with every reference that lacks a digest and must have one; [`Error::Tag`] for
/// the first whose tag does not exist or names another digest.
pub(crate) async fn resolve(
    registry: &Registry,
    references: &[Reference],
    tags: Tags,
    turns: &Semaphore,
) -> Result<Vec<ResolvedImage>, Error> {
    match tags {
        Tags::Followed => {}
        Tags::Checked | Tags::Later => digests_given(registry, references, turns).await?,
    }
    try_join_all(references.iter().map(|reference| async {
        let _turn = turns.acquire().await;
        match tags {
            Tags::Later => Ok(registry.resolve(reference).await?),
            Tags::Checked | Tags::Followed => checked(registry, reference).await,
        }
    }))
    .await
}

/// Whether each reference has a digest, as [`Tags::Checked`] and [`Tags::Later`] ask for. A run does this by itself; it
/// is here for those who want to know before they ask for a token.
///
/// # Errors
/// [`Error::ByTag`], with what the tags name now; or what the registry says when it is asked for that.
pub async fn require_digests(registry: &Registry, references: &[Reference]) -> Result<(), Error> {
    digests_given(registry, references, &Semaphore::new(1)).await
}

async fn digests_given(
    registry: &Registry,
    references: &[Reference],
    turns: &Semaphore,
) -> Result<(), Error> {
    let unpinned = references.iter().filter(|one| one.digest().is_none());
    let pinned = try_join_all(unpinned.map(|reference| async {
        let _turn = turns.acquire().await;
        let image = registry.resolve(reference).await?;
        Ok::<_, Error>(reference.pinned_to(image.digest().clone()))
    }))
    .await?;
    if pinned.is_empty() {
        Ok(())
    } else {
        Err(Error::ByTag { pinned })
    }
}

/// The image of a reference, whose tag, where it has one beside a digest, names that digest.
async fn checked(registry: &Registry, reference: &Reference) -> Result<ResolvedImage, Error> {
    let (Some(digest), Some(_)) = (reference.digest(), reference.tag()) else {
        return Ok(registry.resolve(reference).await?);
    };
    let found = match registry.resolve(&reference.without_digest()).await {
        // One request for the tag is one for the image, too.
        Ok(tagged) if tagged.digest() == digest => {
            return Ok(tagged.requested_as(reference.clone()));
        }
        // The same content by another algorithm.
        Ok(tagged) if digest.matches(tagged.bytes()) => {
            return Ok(registry.resolve(reference).await?);
        }
        Ok(tagged) => Some(tagged.digest().clone()),
        Err(error) if error.is_absence() => {
            // Where the image is missing too, that is what to say.
            registry.resolve(reference).await?;
            None
        }
        Err(error) => return Err(error.into()),
    };
    Err(Error::Tag {
        reference: Box::new(reference.clone()),
        expected: digest.clone(),
        found,
    })
}
