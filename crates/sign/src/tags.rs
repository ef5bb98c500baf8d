//! What tags in references have to do with what is signed.
//!
//! A registry decides what a tag names, and it is the one who is not trusted. What is signed is
//! therefore named by digest, by whoever built it.

use countersign_oci::{Reference, Registry, ResolvedImage};

use crate::error::Error;

/// What a tag in a reference has to do with what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
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

/// Resolves each reference, in order.
///
/// # Errors
/// [`Error::ByTag`] with every reference that lacks a digest and must have one; [`Error::Tag`] for
/// the first whose tag does not exist or names another digest.
pub(crate) async fn resolve(
    registry: &Registry,
    references: &[Reference],
    tags: Tags,
) -> Result<Vec<ResolvedImage>, Error> {
    if tags != Tags::Followed {
        let mut pinned = Vec::new();
        for reference in references.iter().filter(|one| one.digest().is_none()) {
            let image = registry.resolve(reference).await?;
            pinned.push(reference.pinned_to(image.digest().clone()));
        }
        if !pinned.is_empty() {
            return Err(Error::ByTag { pinned });
        }
    }
    let mut images = Vec::new();
    for reference in references {
        images.push(match tags {
            Tags::Later => registry.resolve(reference).await?,
            Tags::Checked | Tags::Followed => checked(registry, reference).await?,
        });
    }
    Ok(images)
}

/// The image of a reference, whose tag, where it has one beside a digest, names that digest.
async fn checked(registry: &Registry, reference: &Reference) -> Result<ResolvedImage, Error> {
    let (Some(digest), Some(_)) = (reference.digest(), reference.tag()) else {
        return Ok(registry.resolve(reference).await?);
    };
    let found = match registry.resolve(&reference.with_tag_of(reference)).await {
        // One request for the tag is one for the image, too.
        Ok(tagged) if tagged.digest() == digest => {
            return Ok(tagged.asked_as(reference.clone()));
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
