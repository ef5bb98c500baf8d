//! Whether a referrer is a signature. Its manifest decides.
//!
//! The descriptors in lists of referrers are often wrong, and a registry can write anything into them.
//! They decide only the order in which candidates are checked.

use countersign_oci::{Descriptor, Digest, Document, Manifest, ResolvedImage, excerpt};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy, SignatureFormat};

use crate::bundle::BUNDLE_MEDIA_TYPE_PREFIX;
use crate::failure::Failure;
use crate::names::{PREDICATE_TYPE_ANNOTATION, SIMPLE_SIGNING_LAYER};
use crate::simple_signing;

/// The media type of the layers in which cosign stored attestations before bundles.
const OLD_ATTESTATION_LAYER: &str = "application/vnd.dsse.envelope.v1+json";

/// What a signature manifest holds.
#[derive(Debug)]
pub(crate) enum SignatureLayers<'a> {
    /// A bundle.
    Bundle(&'a Descriptor),
    /// Payloads of legacy signatures, one or more.
    SimpleSigning(Vec<&'a Descriptor>),
}

/// The layers with signatures, if `manifest` is a signature manifest that refers to `image`, in a form that
/// `policy` accepts.
///
/// # Errors
/// What the manifest is, if it is not such a manifest.
pub(crate) fn signature_layers<'a>(
    image: &Digest,
    manifest: &'a ResolvedImage,
    policy: &Policy,
) -> Result<SignatureLayers<'a>, Failure> {
    let manifest = match manifest.document() {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => {
            return Err(Failure::OtherArtifact {
                found: "an index".into(),
            });
        }
    };
    if is_legacy_signature(manifest) {
        let layers = legacy_layers(manifest, policy)?;
        require_subject(image, manifest)?;
        return Ok(SignatureLayers::SimpleSigning(layers));
    }
    let Some(layer) = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type.starts_with(BUNDLE_MEDIA_TYPE_PREFIX))
    else {
        require_no_old_attestation(manifest, policy)?;
        return Err(Failure::OtherArtifact {
            found: describe(manifest),
        });
    };
    require_subject(image, manifest)?;
    if manifest.layers.len() != 1 {
        return Err(Failure::LayerCount {
            found: manifest.layers.len(),
        });
    }
    Ok(SignatureLayers::Bundle(layer))
}

/// The payloads of legacy signatures in `manifest`, which was found at the tag for them. The tag, not a
/// subject, says which image it is for; and the payloads name the image.
///
/// # Errors
/// What the manifest is, if it has no such payload, or `policy` does not accept the form.
pub(crate) fn layers_at_legacy_tag<'a>(
    manifest: &'a ResolvedImage,
    policy: &Policy,
) -> Result<Vec<&'a Descriptor>, Failure> {
    match manifest.document() {
        Document::Manifest(manifest) => legacy_layers(manifest, policy),
        Document::Index(_) => Err(Failure::OtherArtifact {
            found: "an index".into(),
        }),
    }
}

/// What is at cosign's tag for old attestations is refused as one, if `policy` asks for an attestation.
///
/// # Errors
/// [`Failure::OldAttestation`].
pub(crate) fn refuse_old_attestation(
    manifest: &ResolvedImage,
    policy: &Policy,
) -> Result<(), Failure> {
    match manifest.document() {
        Document::Manifest(manifest) => require_no_old_attestation(manifest, policy),
        Document::Index(_) => Ok(()),
    }
}

fn require_no_old_attestation(manifest: &Manifest, policy: &Policy) -> Result<(), Failure> {
    let layers = &mut manifest.layers.iter();
    let is_old = layers.any(|layer| layer.media_type == OLD_ATTESTATION_LAYER);
    if is_old && policy.requirements().into_iter().any(asks_for_attestation) {
        Err(Failure::OldAttestation)
    } else {
        Ok(())
    }
}

/// Whether a proof that a policy requires is an attestation, and no signature.
pub(crate) fn asks_for_attestation(requirement: &Policy) -> bool {
    !requirement.is_signature_type(COSIGN_SIGN_PREDICATE)
}

fn legacy_layers<'a>(
    manifest: &'a Manifest,
    policy: &Policy,
) -> Result<Vec<&'a Descriptor>, Failure> {
    if is_legacy_signature(manifest) && !policy.accepts_format(SignatureFormat::SimpleSigning) {
        return Err(Failure::LegacySignature);
    }
    let layers = manifest.layers.iter();
    let layers: Vec<&Descriptor> = layers
        .filter(|layer| layer.media_type == SIMPLE_SIGNING_LAYER)
        .collect();
    if layers.is_empty() {
        return Err(Failure::OtherArtifact {
            found: describe(manifest),
        });
    }
    Ok(layers)
}

fn require_subject(image: &Digest, manifest: &Manifest) -> Result<(), Failure> {
    let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
    if subject != Some(image) {
        return Err(Failure::OtherSubject {
            expected: image.clone(),
            found: subject.cloned(),
        });
    }
    Ok(())
}

/// Whether the manifest is a signature in cosign's format from before bundles.
pub(crate) fn is_legacy_signature(manifest: &Manifest) -> bool {
    manifest.config.media_type == simple_signing::CONFIG
        || manifest
            .layers
            .iter()
            .any(|layer| layer.media_type == SIMPLE_SIGNING_LAYER)
}

/// How likely a referrer is a signature, by its descriptor: the likeliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It names a predicate type that the policy counts.
    Counted,
    /// A bundle, or a descriptor without a type, which is common in fallback lists.
    Perhaps,
    OtherType,
    OtherPredicateType,
}

impl Rank {
    pub(crate) fn of(descriptor: &Descriptor, policy: &Policy) -> Self {
        if let Some(predicate_type) = descriptor.annotations.get(PREDICATE_TYPE_ANNOTATION) {
            return if policy.is_signature_type(predicate_type) {
                Self::Counted
            } else {
                Self::OtherPredicateType
            };
        }
        match descriptor.artifact_type.as_deref() {
            Some(artifact_type) if artifact_type.starts_with(BUNDLE_MEDIA_TYPE_PREFIX) => {
                Self::Perhaps
            }
            None | Some("" | countersign_oci::media_type::EMPTY) => Self::Perhaps,
            Some(_) => Self::OtherType,
        }
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
