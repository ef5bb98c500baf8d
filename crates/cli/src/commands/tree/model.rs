//! What `countersign tree` shows, as its JSON has it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::json::error::JsonError;
use crate::json::evidence::JsonEvidence;

/// What `countersign tree` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::commands) struct TreeOutput {
    /// Whether a policy was applied. Without one nothing is judged: anybody may have signed.
    pub(super) judged: bool,
    /// Why there is no trusted root. Then nothing is judged, and every signature is unproven, except by a key that is
    /// named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trusted_root_error: Option<JsonError>,
    /// The one image.
    pub(super) results: Vec<TreeResult>,
}

/// An image and what refers to it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TreeResult {
    /// As it was given.
    pub(super) reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<TreeImage>,
    /// Why it can't be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<JsonError>,
}

/// A manifest or an index.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TreeImage {
    pub(super) digest: String,
    pub(super) kind: TreeImageKind,
    /// By the index that lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    /// The predicate types that an attestation manifest names. Nothing proves them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stated_types: Vec<String>,
    /// Whether a genuine signature of this digest is attached, by anybody. Left out if that is not known: if something
    /// that may be a signature was not read or, without a trusted root, not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signed: Option<bool>,
    /// With a policy: what `verify` says of this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<bool>,
    /// With a policy: whether a signature of an index above covers it, so that `verify --platform` accepts it.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) covered: bool,
    /// Whether the policy denies this digest, or an index that lists it.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) denied: bool,
    /// Why it is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) attached: Vec<TreeAttached>,
    /// How many referrers, and signatures in them, were not read, because there are more than the limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) not_read: usize,
    /// What an index lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) children: Vec<TreeImage>,
    /// How many of what it lists are not shown, because there are more than the limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) children_not_read: usize,
}

/// What a digest in a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TreeImageKind {
    Index,
    Manifest,
    /// An attestation by BuildKit, which an index lists beside its images. It has no signature in it.
    AttestationManifest,
    /// It is listed, and the registry does not have it.
    Missing,
}

/// Something that refers to an image.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TreeAttached {
    pub(super) kind: TreeAttachedKind,
    /// Digest of the manifest that holds it.
    pub(super) manifest: String,
    pub(super) place: TreePlace,
    /// The predicate type of a statement, or the type that an artifact names for itself.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) type_name: Option<String>,
    /// Who signed. Left out unless the signature is genuine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<JsonEvidence>,
    /// With a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<TreeVerdict>,
    /// Why it is refused, unproven or unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// What refers to an artifact: its signatures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) attached: Vec<TreeAttached>,
    /// How many of these were not read, because there are more than the limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) not_read: usize,
    /// Whether nobody looked for what refers to it, because the tree is as deep or as large as the limit allows.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) below_not_read: bool,
}

/// What is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TreeAttachedKind {
    /// A genuine signature.
    Signature,
    /// A genuine signature of a statement of another type.
    Attestation,
    /// A signature or an attestation that is not genuine by the trusted root. Nobody knows who made it.
    Unproven,
    /// A list of what is in the image. Nothing here says who wrote it.
    Sbom,
    /// An attestation in cosign's old form, which is not checked.
    OldAttestation,
    Artifact,
    Unreadable,
}

/// Where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TreePlace {
    /// In the list of referrers.
    Referrers,
    /// At the tag `sha256-….sig`.
    SignatureTag,
    /// At the tag `sha256-….att`.
    AttestationTag,
    /// At the tag `sha256-….sbom`.
    SbomTag,
}

/// What the policy says of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TreeVerdict {
    Accepted,
    /// It is a proof that the policy asks for, but the policy asks for others too, or denies the image.
    NotEnough,
    Refused,
}

/// Whether something is attached that may be a signature, or was not read: so many things, as `not_read` says.
pub(super) fn may_be_signed(attached: &[TreeAttached], not_read: usize) -> bool {
    let unproven = |one: &TreeAttached| {
        matches!(
            one.kind,
            TreeAttachedKind::Unproven | TreeAttachedKind::Unreadable
        )
    };
    not_read > 0 || attached.iter().any(unproven)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}
