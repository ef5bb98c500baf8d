//! Puts what cosign's older forms have beside an image at its tag, and destroys nothing that is there.

use countersign_oci::{
    CosignTag, Descriptor, Digest, Document, Error as RegistryError, LayoutTurn, ListedAs,
    Location, Reference, Registry, Repository, ResolvedImage,
};
use countersign_verify::Limits;

use super::{BesideTag, NotCopied, Part};
use crate::error::Error;

/// Makes `tag` name `part`. Signatures and attestations are added to others that stand there. Says so if something
/// else stands there, which is left.
pub(super) async fn put_in_registry(
    registry: &Registry,
    target: &Repository,
    part: &Part,
    tag: &BesideTag,
) -> Result<Option<NotCopied>, Error> {
    let pinned = target.at(part.image.digest().clone());
    let name = match Reference::from(pinned.clone()).with_tag(&tag.tag) {
        Ok(name) => name,
        Err(error) => {
            return Ok(Some(NotCopied {
                name: tag.tag.clone(),
                reason: NotCopied::reason(&error),
            }));
        }
    };
    let there = match registry.resolve(&name).await {
        Ok(there) if there.digest() == part.image.digest() => return Ok(None),
        Ok(there) => there,
        Err(error) if error.is_absence() => {
            let image = registry.manifest(&pinned).await?;
            registry.tag(&image, &tag.tag).await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match (tag.content, part.image.document(), there.document()) {
        (
            CosignTag::Signatures | CosignTag::Attestations,
            Document::Manifest(ours),
            Document::Manifest(theirs),
        ) => {
            // A verifier tries no more.
            let limit = Limits::default().candidates;
            let missing = ours.layers.iter();
            let missing = missing.filter(|layer| !theirs.layers.contains(layer));
            let missing: Vec<Descriptor> = missing.cloned().collect();
            if missing.is_empty() {
                return Ok(None);
            }
            let appended = registry.append_layers(target, &tag.tag, &missing, limit);
            match appended.await {
                Ok(_) => Ok(None),
                // Anybody may have put the others there.
                Err(full @ RegistryError::Full { .. }) => Ok(Some(NotCopied {
                    name: name.to_string(),
                    reason: NotCopied::reason(&full),
                })),
                Err(error) => Err(error.into()),
            }
        }
        (CosignTag::Sbom, _, _) | (_, Document::Index(_), _) | (_, _, Document::Index(_)) => {
            Ok(Some(NotCopied {
                name: name.to_string(),
                reason: format!("the destination has another one: {}", there.digest()),
            }))
        }
    }
}

/// Makes the layout list `part` at `tag`. Signatures and attestations are added to others that are listed there. Says so
/// if something else is listed there, which is left.
pub(super) async fn put_in_layout(
    registry: &Registry,
    target: &LayoutTurn<'_>,
    part: &Part,
    tag: &BesideTag,
) -> Result<Option<NotCopied>, Error> {
    let there = match target.draft().listed_at(&tag.tag) {
        Some(there) if there == *part.image.digest() => return Ok(None),
        Some(there) => Some(Location::from(target.draft().path().clone()).at(there)),
        None => None,
    };
    if let Some(there) = there {
        // What this run has written counts too.
        let reader = registry.seeing(target.draft().clone())?;
        let theirs = match reader.manifest(&there).await {
            Ok(theirs) => Some(theirs),
            // It is missing or damaged, and of no use to anybody.
            Err(error) if error.spoils_one_candidate() => None,
            Err(error) => return Err(error.into()),
        };
        let ours = part.image.document();
        if let Some(theirs) = theirs {
            if has_all(theirs.document(), ours) {
                return Ok(None);
            }
            if !has_all(ours, theirs.document()) {
                let added = add_in_layout(&reader, target, part, (&theirs, tag));
                return Box::pin(added).await;
            }
        }
    }
    target.draft().put_document(&part.image).await?;
    target.list(&part.image, &part.media_type, ListedAs::Tag(&tag.tag));
    Ok(None)
}

/// Whether one manifest has all layers of the other.
fn has_all(more: &Document, less: &Document) -> bool {
    match (more, less) {
        (Document::Manifest(more), Document::Manifest(less)) => {
            less.layers.iter().all(|layer| more.layers.contains(layer))
        }
        (Document::Index(_), _) | (_, Document::Index(_)) => false,
    }
}

/// Adds the layers of `part` to what the layout lists at the tag, as a registry's are added. Says so if that can't be:
/// what is there is left then.
async fn add_in_layout(
    reader: &Registry,
    target: &LayoutTurn<'_>,
    part: &Part,
    (theirs, tag): (&ResolvedImage, &BesideTag),
) -> Result<Option<NotCopied>, Error> {
    let (ours, listed) = match (tag.content, part.image.document(), theirs.document()) {
        (
            CosignTag::Signatures | CosignTag::Attestations,
            Document::Manifest(ours),
            Document::Manifest(listed),
        ) => (ours, listed),
        (CosignTag::Sbom, _, _) | (_, Document::Index(_), _) | (_, _, Document::Index(_)) => {
            return Ok(Some(NotCopied {
                name: tag.tag.clone(),
                reason: format!("the layout has another one: {}", theirs.digest()),
            }));
        }
    };
    let missing = ours.layers.iter();
    let missing = missing.filter(|layer| !listed.layers.contains(layer));
    let missing: Vec<Descriptor> = missing.cloned().collect();
    // A verifier tries no more.
    let limit = Limits::default().candidates;
    let (joined, config) = match reader.with_layers(theirs, &missing, limit).await {
        Ok(joined) => joined,
        Err(error)
            if matches!(error, RegistryError::Full { .. }) || error.spoils_one_candidate() =>
        {
            return Ok(Some(NotCopied {
                name: tag.tag.clone(),
                reason: NotCopied::reason(&error),
            }));
        }
        Err(error) => return Err(error.into()),
    };
    let draft = target.draft();
    draft.put(&Digest::sha256(&config), config.clone()).await?;
    draft.put_document(&joined).await?;
    let media_type = joined.document().media_type();
    target.list(&joined, media_type, ListedAs::Tag(&tag.tag));
    Ok(None)
}
