//! Flux: the `verify` block of an `OCIRepository` or a `HelmChart`.

use serde_json::{Value, json};

use super::{Export, Missing, anchored, missing};
use crate::Matcher;
use crate::SignatureFormat;
use crate::image_verifier::Mode;

pub(super) const NOTES: &[&str] = &[
    "the block belongs below `spec` of an OCIRepository, and is for the artifact that is named there",
    "an attestation by the same signer counts as a signature",
    "a signature in the legacy form counts too",
];

pub(super) fn document(export: &Export<'_>) -> Result<Value, Missing> {
    if !export.images.is_empty() {
        return Err(missing(
            "images",
            "the object that gets the block names its image; leave the patterns out",
        ));
    }
    if export.mode == Mode::Warn {
        return Err(missing(
            "mode",
            "it has no warnings; the mode has to be `enforce`",
        ));
    }
    if !export.accepts(SignatureFormat::Bundle) {
        return Err(missing("signature_formats", "it reads bundles too"));
    }
    if export.keys().next().is_some() {
        return Err(missing(
            "key",
            "it reads keys from a Secret; make one, and name it as `secretRef`",
        ));
    }
    let mut identities = Vec::new();
    for signer in export.certificates() {
        identities.push(json!({
            "issuer": as_pattern(&signer.issuer, "issuer_regex")?,
            "subject": as_pattern(&signer.identity, "identity_regex")?,
        }));
    }
    Ok(json!({ "verify": { "provider": "cosign", "matchOIDCIdentity": identities } }))
}

/// It knows patterns only.
fn as_pattern(matcher: &Matcher, field: &'static str) -> Result<String, Missing> {
    match matcher {
        Matcher::Exact(text) => Ok(format!("^{}$", regex::escape(text))),
        Matcher::Regex(whole) => anchored(whole, field),
    }
}
