//! Puts what cosign's older forms have beside an image at its tag, and destroys nothing that is there.

use countersign_oci::{Document, Reference, Registry, Repository};
use countersign_verify::Limits;

use super::{AttachedContent, BesideTag, NotCopied, Part};
use crate::error::Error;

/// Makes `tag` name `part`. Signatures and attestations are added to others that stand there. Says so if something
/// else stands there, which is left.
pub(super) async fn put_beside(
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
                reason: error.to_string(),
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
            AttachedContent::Signatures | AttachedContent::Attestations,
            Document::Manifest(ours),
            Document::Manifest(theirs),
        ) => {
            // A verifier tries no more.
            let limit = Limits::default().candidates;
            for layer in ours
                .layers
                .iter()
                .filter(|layer| !theirs.layers.contains(layer))
            {
                registry
                    .append_layer(target, &tag.tag, layer, limit)
                    .await?;
            }
            Ok(None)
        }
        _ => Ok(Some(NotCopied {
            name: name.to_string(),
            reason: format!("the destination has another one: {}", there.digest()),
        })),
    }
}
