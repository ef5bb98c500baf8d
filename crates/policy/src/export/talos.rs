//! Talos Linux: an `ImageVerificationConfig`.

use serde_json::{Map, Value, json};

use super::{Difference, Export, Missing, anchored, images, missing, some_images};
use crate::Matcher;
use crate::SignatureFormat;
use crate::image_pattern::ImagePattern;
use crate::image_verifier::Mode;

const ATTESTATION_COUNTS: &str = "an attestation by the same signer counts as a signature";
const LEGACY_COUNTS: &str = "a signature in the legacy form counts where an image has no bundle";

pub(super) const NOTES: &[&str] = &[
    "the first rule that matches an image counts, and an image that no rule matches is not verified",
    ATTESTATION_COUNTS,
    LEGACY_COUNTS,
];

/// As [`NOTES`], where an order of rules is exported.
pub(super) const RULES_NOTES: &[&str] = &[ATTESTATION_COUNTS, LEGACY_COUNTS];

/// Rules for images that are pulled (`skip`), or not (`deny`), whoever signed them.
pub(super) fn fixed(
    images: &[ImagePattern],
    what: &'static str,
    differences: &mut Vec<Difference>,
) -> Result<Vec<Value>, Missing> {
    let globs = globs(
        images,
        "a `*` there stands for slashes too, so more images are pulled without a signature",
        differences,
    )?;
    let rule = |glob: String| json!({ "image": glob, what: true });
    Ok(globs.into_iter().map(rule).collect())
}

/// One document with these rules.
pub(super) fn with_rules(rules: &[Value]) -> Value {
    json!({ "apiVersion": "v1alpha1", "kind": "ImageVerificationConfig", "rules": rules })
}

pub(super) fn document(
    export: &Export<'_>,
    differences: &mut Vec<Difference>,
) -> Result<Value, Missing> {
    Ok(with_rules(&rules(export, differences)?))
}

/// The rules of one policy.
pub(super) fn rules(
    export: &Export<'_>,
    differences: &mut Vec<Difference>,
) -> Result<Vec<Value>, Missing> {
    some_images(export)?;
    if export.mode == Mode::Warn {
        return Err(missing(
            "mode",
            "it has no warnings; the mode has to be `enforce`",
        ));
    }
    if !export.accepts(SignatureFormat::Bundle) {
        return Err(missing(
            "signature_formats",
            "it reads bundles first, and the legacy form only where there is none",
        ));
    }
    if export.keys().next().is_some() {
        return Err(missing(
            "key",
            "it does not say what it asks of the log for a key",
        ));
    }
    let signers: Vec<_> = export.certificates().collect();
    let [signer] = signers.as_slice() else {
        return Err(missing(
            "identities",
            "a rule there has one signer, and only the first rule that matches counts; join them in one `identity_regex`",
        ));
    };
    let Matcher::Exact(issuer) = &signer.issuer else {
        return Err(missing(
            "issuer_regex",
            "it compares issuers as they are; name one `issuer`",
        ));
    };
    let mut keyless = Map::new();
    keyless.insert("issuer".to_owned(), issuer.as_str().into());
    match &signer.identity {
        Matcher::Exact(identity) => keyless.insert("subject".to_owned(), identity.as_str().into()),
        Matcher::Regex(whole) => keyless.insert(
            "subjectRegex".to_owned(),
            anchored(whole, "identity_regex")?.into(),
        ),
    };
    let globs = globs(
        export.images,
        "a `*` there stands for slashes too, so more images are held to this policy",
        differences,
    )?;
    let rule = |glob: String| json!({ "image": glob, "keyless": keyless });
    Ok(globs.into_iter().map(rule).collect())
}

/// Patterns of images. `wider` says what happens if a `*` stands for more there.
fn globs(
    patterns: &[ImagePattern],
    wider: &str,
    differences: &mut Vec<Difference>,
) -> Result<Vec<String>, Missing> {
    let mut globs = Vec::new();
    for pattern in patterns {
        let Some(glob) = images::talos(pattern) else {
            let reason =
                format!("it compares names without tag and digest, and `{pattern}` has one");
            return Err(missing("images", reason));
        };
        if glob.wider && !differences.iter().any(|known| known.field == "images") {
            differences.push(Difference {
                rule: None,
                field: "images",
                effect: wider.to_owned(),
            });
        }
        globs.push(glob.text);
    }
    Ok(globs)
}
