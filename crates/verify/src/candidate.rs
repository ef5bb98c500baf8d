//! Whether a referrer is a signature. Its manifest decides.
//!
//! The descriptors in lists of referrers are often wrong, and a registry can write anything into them.
//! They decide only the order in which candidates are checked.

use countersign_oci::{Descriptor, Digest, Document, Manifest, ResolvedImage, excerpt};
use countersign_policy::Policy;

use crate::bundle::BUNDLE_MEDIA_TYPE_PREFIX;
use crate::failure::Failure;

const LEGACY_CONFIG: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const LEGACY_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation in which cosign and others state the predicate type.
const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// The bundle's descriptor, if `manifest` is a signature manifest that refers to `image`.
///
/// # Errors
/// What the manifest is, if it is not such a manifest.
pub(crate) fn bundle_layer<'a>(
    image: &Digest,
    manifest: &'a ResolvedImage,
) -> Result<&'a Descriptor, Failure> {
    let manifest = match manifest.document() {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => {
            return Err(Failure::OtherArtifact {
                found: "an index".into(),
            });
        }
    };
    if is_legacy_signature(manifest) {
        return Err(Failure::LegacySignature);
    }
    let Some(layer) = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type.starts_with(BUNDLE_MEDIA_TYPE_PREFIX))
    else {
        return Err(Failure::OtherArtifact {
            found: describe(manifest),
        });
    };
    let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
    if subject != Some(image) {
        return Err(Failure::OtherSubject {
            expected: image.clone(),
            found: subject.cloned(),
        });
    }
    if manifest.layers.len() != 1 {
        return Err(Failure::LayerCount {
            found: manifest.layers.len(),
        });
    }
    Ok(layer)
}

/// Whether the manifest is a signature in cosign's format from before bundles.
pub(crate) fn is_legacy_signature(manifest: &Manifest) -> bool {
    manifest.config.media_type == LEGACY_CONFIG
        || manifest
            .layers
            .iter()
            .any(|layer| layer.media_type == LEGACY_LAYER)
}

/// How likely a referrer is a signature, by its descriptor: the lower, the likelier. A descriptor without
/// a type is common in fallback lists. It comes after those that name a signature and before those that
/// name something else.
pub(crate) fn rank(descriptor: &Descriptor, policy: &Policy) -> u8 {
    if let Some(predicate_type) = descriptor.annotations.get(PREDICATE_TYPE_ANNOTATION) {
        return if policy.is_signature_type(predicate_type) {
            0
        } else {
            3
        };
    }
    match descriptor.artifact_type.as_deref() {
        Some(artifact_type) if artifact_type.starts_with(BUNDLE_MEDIA_TYPE_PREFIX) => 1,
        None | Some("" | countersign_oci::media_type::EMPTY) => 1,
        Some(_) => 2,
    }
}

fn describe(manifest: &Manifest) -> String {
    let config = manifest.config.media_type.as_str();
    let named = excerpt(manifest.artifact_type.as_deref().unwrap_or(config));
    match manifest.layers.as_slice() {
        [layer] => format!("{named} with a layer of {}", excerpt(&layer.media_type)),
        layers => format!("{named} with {} layers", layers.len()),
    }
}
