//! What a referrer is, judged by its fetched manifest.
//!
//! Descriptors in referrers lists are often wrong, and a registry can make them say anything. They
//! decide in which order candidates are tried, and nothing else.

use countersign_oci::{Descriptor, Digest, Document, Manifest, ResolvedImage, excerpt};
use countersign_policy::Policy;

use crate::bundle::BUNDLE_MEDIA_TYPE_PREFIX;
use crate::failure::Failure;

const LEGACY_CONFIG: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const LEGACY_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where cosign and others say what a bundle is about.
const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// The bundle's descriptor, if `manifest` is a signature manifest that refers to `image`.
///
/// # Errors
/// What the manifest is instead.
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

/// Whether cosign wrote the manifest as a signature of the kind it made before bundles.
pub(crate) fn is_legacy_signature(manifest: &Manifest) -> bool {
    manifest.config.media_type == LEGACY_CONFIG
        || manifest
            .layers
            .iter()
            .any(|layer| layer.media_type == LEGACY_LAYER)
}

/// How likely a referrer is to be the signature looked for, by what its descriptor says: the lower
/// the likelier. A descriptor that says nothing, as registries' fallback lists often do, stands
/// between one that names a signature and one that names something else.
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
