//! Sigstore's policy-controller: a `ClusterImagePolicy`.

use serde_json::{Map, Value, json};

use super::{Export, Missing, identities, images, missing, places, some_images};
use crate::SignatureFormat;
use crate::image_pattern::ImagePattern;
use crate::image_verifier::{Mode, Unmatched};
use crate::instance::{PUBLIC_FULCIO, PUBLIC_REKOR};
use crate::policy::LogUse;

const LABELLED: &str =
    "only namespaces with the label `policy.sigstore.dev/include=true` are looked at";

pub(super) const NOTES: &[&str] = &[
    "every ClusterImagePolicy that matches an image must accept it, not only the first",
    "an image that no ClusterImagePolicy matches is admitted or not by `no-match-policy` in the ConfigMap \
     `config-policy-controller`",
    LABELLED,
];

/// As [`NOTES`], where a whole configuration is exported.
pub(super) const RULES_NOTES: &[&str] = &[
    "the ConfigMap must be in policy-controller's own namespace: replace `cosign-system` if yours has another name",
    LABELLED,
];

pub(super) fn document(export: &Export<'_>) -> Result<Value, Missing> {
    some_images(export)?;
    let authorities = authorities(export)?;
    Ok(policy(
        export.name,
        export.mode,
        export.images,
        &authorities,
    ))
}

/// Images that need no signature.
pub(super) fn exempting(name: &str, patterns: &[ImagePattern]) -> Value {
    let pass = json!({ "name": "exempt", "static": { "action": "pass" } });
    policy(name, Mode::Enforce, patterns, &[pass])
}

/// What becomes of images that no policy matches.
pub(super) fn no_match(default: Unmatched, mode: Mode) -> Value {
    let word = match (default, mode) {
        (Unmatched::Allow, _) => "allow",
        (Unmatched::Deny, Mode::Enforce) => "deny",
        (Unmatched::Deny, Mode::Warn) => "warn",
    };
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "config-policy-controller", "namespace": "cosign-system" },
        "data": { "no-match-policy": word },
    })
}

fn policy(name: &str, mode: Mode, patterns: &[ImagePattern], authorities: &[Value]) -> Value {
    let globs = patterns.iter().flat_map(images::policy_controller);
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": { "name": name },
        "spec": {
            "mode": match mode { Mode::Enforce => "enforce", Mode::Warn => "warn" },
            "images": globs.map(|glob| json!({ "glob": glob })).collect::<Vec<_>>(),
            "authorities": authorities,
        },
    })
}

/// The ways to be accepted. One is enough.
fn authorities(export: &Export<'_>) -> Result<Vec<Value>, Missing> {
    let mut authorities = Vec::new();
    for source in places(export) {
        let mut add = |how: Map<String, Value>| {
            let name = format!("signer-{}", authorities.len() + 1);
            let mut authority = Map::from_iter([("name".to_owned(), name.into())]);
            authority.extend(how);
            if let Some(source) = &source {
                authority.insert("source".to_owned(), json!([{ "oci": source }]));
            }
            authorities.push(Value::Object(authority));
        };
        if let Some(keyless) = keyless(export)? {
            if export.accepts(SignatureFormat::Bundle) {
                for way in export.ways() {
                    let mut authority = Map::new();
                    authority.insert("keyless".to_owned(), keyless.clone());
                    authority.insert("ctlog".to_owned(), json!({ "url": PUBLIC_REKOR }));
                    // Without it, the legacy form is looked for, and nothing else.
                    authority.insert("signatureFormat".to_owned(), "bundle".into());
                    authority.insert("attestations".to_owned(), attestations(&way));
                    add(authority);
                }
            }
            if export.accepts_simple_signing() {
                let mut authority = Map::new();
                authority.insert("keyless".to_owned(), keyless.clone());
                authority.insert("ctlog".to_owned(), json!({ "url": PUBLIC_REKOR }));
                authority.insert("signatureFormat".to_owned(), "legacy".into());
                add(authority);
            }
        }
        for key in export.keys() {
            if !export.accepts_simple_signing() {
                return Err(missing(
                    "key",
                    "of what was signed with a key it reads only the legacy form; with `signature_formats: \
                     [simple_signing]` it can be exported",
                ));
            }
            let mut authority = Map::new();
            authority.insert("key".to_owned(), json!({ "data": key.key.to_pem() }));
            if key.log == LogUse::Demanded {
                authority.insert("ctlog".to_owned(), json!({ "url": PUBLIC_REKOR }));
            }
            authority.insert("signatureFormat".to_owned(), "legacy".into());
            add(authority);
        }
    }
    Ok(authorities)
}

/// A bundle is looked at as an attestation there. So its type has to be named, or every type counts.
fn attestations(types: &[&str]) -> Value {
    let attestation = |(index, one): (usize, &&str)| json!({ "name": format!("statement-{}", index + 1), "predicateType": one });
    types.iter().enumerate().map(attestation).collect()
}

fn keyless(export: &Export<'_>) -> Result<Option<Value>, Missing> {
    let identities = identities(export)?;
    Ok((!identities.is_empty()).then(|| json!({ "url": PUBLIC_FULCIO, "identities": identities })))
}
