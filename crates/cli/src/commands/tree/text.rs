//! The tree for a person, by indentation. What is not proven says so on its own line.

use countersign_oci::{Reference, printable};

use super::super::text::EVERY_TAG;
use super::model::{
    TreeAttached, TreeAttachedKind, TreeImage, TreeImageKind, TreeVerdict, may_be_signed,
};
use crate::failure::Failure;

const NOT_JUDGED: &str = "\
Nothing is judged here: anybody may sign an image. To see what a policy accepts, pass --policy FILE.
";

/// The whole tree.
pub(super) fn tree(
    reference: &Reference,
    image: &TreeImage,
    has_policy: bool,
    rootless: Option<&Failure>,
) -> String {
    let mut text = format!("{reference}\n");
    node(&mut text, image, Above::Nothing);
    if let Some(failure) = rootless.filter(|_| has_policy || any_may_be_signed(image)) {
        let why = failure.line().replace('\n', " ");
        let what = if has_policy {
            "Nothing is judged, and no certificate or log entry could be checked"
        } else {
            "No signature could be checked"
        };
        text.push_str(&format!("{what}, since there is no trusted root: {why}\n"));
    }
    if !has_policy {
        text.push_str(NOT_JUDGED);
    }
    text
}

fn line(text: &mut String, depth: usize, name: &str, said: &str) {
    let indent = "  ".repeat(depth + 1);
    text.push_str(&format!("{indent}{name:<11} {}\n", printable(said)));
}

/// What is known of the index that lists an image.
#[derive(Clone, Copy)]
enum Above {
    /// There is none.
    Nothing,
    Index {
        depth: usize,
        signed: bool,
        /// Whether it has signatures that could not be checked.
        unchecked: bool,
    },
}

impl Above {
    /// How many indexes there are.
    fn depth(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Index { depth, .. } => depth,
        }
    }

    /// Whether an index has signatures that could not be checked.
    fn unchecked(self) -> bool {
        matches!(
            self,
            Self::Index {
                unchecked: true,
                ..
            }
        )
    }

    /// What an index above those that it lists is.
    fn with(self, index: &TreeImage, unchecked: bool) -> Self {
        let signed_above = matches!(self, Self::Index { signed: true, .. });
        Self::Index {
            depth: self.depth() + 1,
            signed: index.signed == Some(true) || signed_above,
            unchecked: unchecked || self.unchecked(),
        }
    }
}

fn node(text: &mut String, image: &TreeImage, above: Above) {
    let depth = above.depth();
    let name = match image.kind {
        TreeImageKind::Index => "index",
        TreeImageKind::Manifest => "image",
        TreeImageKind::AttestationManifest => "attestation",
        TreeImageKind::Missing => "missing",
    };
    let platform = image
        .platform
        .as_ref()
        .filter(|_| matches!(image.kind, TreeImageKind::Manifest | TreeImageKind::Missing));
    let platform = platform.map_or_else(String::new, |platform| format!(" for {platform}"));
    line(text, depth, name, &format!("{}{platform}", image.digest));
    let below = depth + 1;
    for stated in &image.stated_types {
        line(text, below, "type", &format!("{stated}, as it says itself"));
    }
    if let Some(verdict) = verdict(image) {
        line(text, below, "verify", &verdict);
    }
    for attached in &image.attached {
        one(text, attached, below);
    }
    not_read(text, image.not_read, below);
    let unchecked = image.signed.is_none() && image.kind != TreeImageKind::Missing;
    match unsigned(image, above) {
        Some(_) if unchecked || above.unchecked() => {
            let unknown = "whether it is signed: not all that is attached could be checked";
            line(text, below, "not known", unknown);
        }
        Some(unsigned) => line(text, below, "not signed", unsigned),
        None => {}
    }
    for child in &image.children {
        node(text, child, above.with(image, unchecked));
    }
    if image.children_not_read > 0 {
        let left_out = format!("{} more that the index lists", image.children_not_read);
        line(text, below, "not read", &left_out);
    }
}

/// What `verify` says of a digest, if there is a policy.
fn verdict(image: &TreeImage) -> Option<String> {
    match (image.accepted?, image.kind) {
        (_, TreeImageKind::Missing) => None,
        (true, _) => Some("accepts it".to_owned()),
        // Nobody runs it.
        (false, TreeImageKind::AttestationManifest) if !image.denied => None,
        (false, TreeImageKind::Manifest) if image.covered => {
            Some("accepts it for its platform alone, by the index's signature".to_owned())
        }
        (false, _) => {
            let reason = image.reason.as_deref().unwrap_or("nothing proves it");
            Some(format!("refuses it: {reason}"))
        }
    }
}

/// Whether of the image, or of one that it lists, nobody knows whether it is signed.
fn any_may_be_signed(image: &TreeImage) -> bool {
    image.signed.is_none()
        || image.children_not_read > 0
        || image.children.iter().any(any_may_be_signed)
}

/// What is said of a digest without a genuine signature.
fn unsigned(image: &TreeImage, above: Above) -> Option<&'static str> {
    if image.signed == Some(true) || image.kind == TreeImageKind::Missing {
        return None;
    }
    Some(match above {
        // Nothing is attached that could be one.
        Above::Nothing if !may_be_signed(&image.attached, image.not_read) => {
            "no signature was found"
        }
        Above::Nothing => "no genuine signature was found",
        Above::Index { signed: false, .. } => {
            "no genuine signature of its own, and none of the index"
        }
        Above::Index { signed: true, .. } if image.accepted.is_some() && !image.covered => {
            "no genuine signature of its own; the index has one, which does not help it"
        }
        Above::Index { signed: true, .. } => {
            "no genuine signature of its own; one of the index covers it"
        }
    })
}

fn one(text: &mut String, attached: &TreeAttached, depth: usize) {
    let type_name = attached.type_name.as_deref().unwrap_or("of no stated type");
    let below = depth + 1;
    match (attached.kind, &attached.evidence) {
        (TreeAttachedKind::Signature, Some(evidence)) => {
            line(text, depth, "signature", &evidence.signer());
        }
        (TreeAttachedKind::Attestation, Some(evidence)) => {
            line(text, depth, "attestation", type_name);
            line(text, below, "signer", &evidence.signer());
        }
        (TreeAttachedKind::Signature | TreeAttachedKind::Attestation, None)
        | (TreeAttachedKind::Unproven, _) => {
            line(
                text,
                depth,
                "unproven",
                "a signature that is not proven to be genuine: nobody knows who made it",
            );
        }
        (TreeAttachedKind::Sbom, _) => {
            line(
                text,
                depth,
                "SBOM",
                &format!("{type_name}; nothing here says who wrote it"),
            );
        }
        (TreeAttachedKind::OldAttestation, _) => {
            line(
                text,
                depth,
                "attestation",
                "in cosign's old form, which is not checked",
            );
        }
        (TreeAttachedKind::Artifact, _) => line(text, depth, "artifact", type_name),
        (TreeAttachedKind::Unreadable, _) => line(text, depth, "unreadable", "what refers to it"),
    }
    proof(text, attached, below);
    line(text, below, "manifest", &attached.manifest);
    match (attached.verdict, &attached.reason) {
        (Some(TreeVerdict::Accepted), _) => line(text, below, "accepted", "by the policy"),
        (Some(TreeVerdict::NotEnough), _) => {
            let counts = "as a proof that the policy asks for, but the image is refused";
            line(text, below, "counts", counts);
        }
        (Some(TreeVerdict::Refused), reason) => {
            line(
                text,
                below,
                "refused",
                reason.as_deref().unwrap_or("by the policy"),
            );
        }
        (None, Some(reason)) => line(text, below, "because", reason),
        (None, None) => {}
    }
    for attached in &attached.attached {
        one(text, attached, below);
    }
    not_read(text, attached.not_read, below);
    if attached.below_not_read {
        line(text, below, "not read", "what refers to it");
    }
}

/// How many of what refers to something were left out.
fn not_read(text: &mut String, count: usize, depth: usize) {
    if count > 0 {
        let left_out = format!("{count} more that refer to it or sign it");
        line(text, depth, "not read", &left_out);
    }
}

/// What is proven of a signature, beside its signer.
fn proof(text: &mut String, attached: &TreeAttached, depth: usize) {
    let Some(evidence) = &attached.evidence else {
        return;
    };
    if let Some(issuer) = evidence.issuer() {
        line(text, depth, "issuer", issuer);
    }
    line(text, depth, "signed at", &evidence.times());
    if let Some(index) = evidence.log_index() {
        line(text, depth, "log entry", &index.to_string());
    }
    if evidence.is_legacy() {
        let form = "simple signing, the legacy form of cosign";
        line(text, depth, "form", form);
    }
    if let Some(name) = evidence.subject_name() {
        line(text, depth, "name", name);
    }
    if evidence.counts_for_every_tag() {
        line(text, depth, "name", EVERY_TAG);
    }
    for (key, value) in evidence.annotations() {
        line(text, depth, "annotation", &format!("{key}={value}"));
    }
}
