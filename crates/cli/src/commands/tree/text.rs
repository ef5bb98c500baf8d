//! The tree for a person, by indentation. What is not proven says so on its own line.

use countersign_oci::{Reference, printable};

use super::model::{TreeAttached, TreeAttachedKind, TreeImage, TreeImageKind, TreeVerdict};

const NOT_JUDGED: &str = "\
Nothing is judged here: anybody may sign an image. To see what a policy accepts, pass --policy FILE.
";

/// The whole tree.
pub(super) fn tree(reference: &Reference, image: &TreeImage, judged: bool) -> String {
    let mut text = format!("{reference}\n");
    node(&mut text, image, 0);
    if !judged {
        text.push_str(NOT_JUDGED);
    }
    text
}

fn line(text: &mut String, depth: usize, name: &str, said: &str) {
    let indent = "  ".repeat(depth + 1);
    text.push_str(&format!("{indent}{name:<11} {}\n", printable(said)));
}

fn node(text: &mut String, image: &TreeImage, depth: usize) {
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
    if image.denied {
        line(text, below, "denied", "by the policy");
    }
    for attached in &image.attached {
        one(text, attached, below);
    }
    if image.not_read > 0 {
        line(
            text,
            below,
            "not read",
            &format!("{} more that refer to it", image.not_read),
        );
    }
    if let Some(unsigned) = unsigned(image, depth) {
        line(text, below, "not signed", unsigned);
    }
    for child in &image.children {
        node(text, child, below);
    }
    if image.children_not_read > 0 {
        let left_out = format!("{} more that the index lists", image.children_not_read);
        line(text, below, "not read", &left_out);
    }
}

/// What is said of a digest without a genuine signature.
fn unsigned(image: &TreeImage, depth: usize) -> Option<&'static str> {
    match (image.signed, image.kind) {
        (true, _) | (false, TreeImageKind::Missing) => None,
        (false, _) if depth == 0 => Some("no genuine signature was found"),
        (false, _) => Some("no genuine signature of its own; one of the index covers it"),
    }
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
                "a signature that is not genuine by the trusted root",
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
    if let Some(evidence) = &attached.evidence {
        if let Some(issuer) = evidence.issuer() {
            line(text, below, "issuer", issuer);
        }
        line(text, below, "signed at", &evidence.times());
        if let Some(index) = evidence.log_index() {
            line(text, below, "log entry", &index.to_string());
        }
    }
    line(text, below, "manifest", &attached.manifest);
    match (attached.verdict, &attached.reason) {
        (Some(TreeVerdict::Accepted), _) => line(text, below, "accepted", "by the policy"),
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
}
