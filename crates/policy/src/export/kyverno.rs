//! Kyverno: an `ImageValidatingPolicy`.

use serde_json::{Value, json};

use super::{Export, Missing, identities, images, places, some_images};
use crate::SignatureFormat;
use crate::image_pattern::ImagePattern;
use crate::image_verifier::Mode;
use crate::policy::LogUse;

pub(super) const NOTES: &[&str] = &[
    "every ImageValidatingPolicy that matches an image must accept it, not only the first",
    "an image that no policy matches is admitted",
];

pub(super) fn document(export: &Export<'_>) -> Result<Value, Missing> {
    of_rule(export, &[])
}

/// The policy of a rule. Images that `earlier` patterns match belong to other rules.
pub(super) fn of_rule(export: &Export<'_>, earlier: &[&ImagePattern]) -> Result<Value, Missing> {
    some_images(export)?;
    let ways = export.ways();
    let mut types: Vec<&str> = ways.iter().flatten().copied().collect();
    types.sort_unstable();
    types.dedup();
    let attestors = attestors(export)?;
    let names: Vec<&str> = attestors.iter().map(|(name, _)| name.as_str()).collect();
    let references = export.images.iter().map(|pattern| {
        let met = earlier.iter().filter(|other| other.may_meet(pattern));
        let but = met.map(|other| format!("!{}", matches(other)));
        let all: Vec<String> = std::iter::once(matches(pattern)).chain(but).collect();
        all.join(" && ")
    });
    let attestation = |(index, one): (usize, &&str)| json!({ "name": type_name(index), "intoto": { "type": one } });
    Ok(policy(
        export.name,
        export.mode,
        &references.collect::<Vec<_>>(),
        &attestors
            .iter()
            .map(|(name, cosign)| json!({ "name": name, "cosign": cosign }))
            .collect::<Vec<_>>(),
        &types
            .iter()
            .enumerate()
            .map(attestation)
            .collect::<Vec<_>>(),
        &Check {
            accepts: check(export, &ways, &types, &names),
            wrong: format!("is not signed as the policy {} demands", export.name),
        },
    ))
}

/// The policy that refuses all images but those that `matched` patterns match.
pub(super) fn refusing_others(name: &str, mode: Mode, matched: &[&ImagePattern]) -> Value {
    let but: Vec<String> = matched
        .iter()
        .map(|other| format!("!{}", matches(other)))
        .collect();
    let reference = if but.is_empty() {
        "true".to_owned()
    } else {
        but.join(" && ")
    };
    let check = Check {
        accepts: "false".to_owned(),
        wrong: "has no rule, and the default is to refuse it".to_owned(),
    };
    policy(name, mode, &[reference], &[], &[], &check)
}

/// Whether the name `ref` matches, as an expression.
fn matches(pattern: &ImagePattern) -> String {
    // A raw text of CEL: no character of a pattern ends it.
    format!("ref.matches(r'{}')", images::as_written(pattern))
}

/// What is held against each image.
struct Check {
    /// Whether `image` is accepted, as an expression.
    accepts: String,
    /// What is wrong with one that is not.
    wrong: String,
}

fn policy(
    name: &str,
    mode: Mode,
    references: &[String],
    attestors: &[Value],
    attestations: &[Value],
    Check { accepts, wrong }: &Check,
) -> Value {
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    let validations = containers.map(|kind| {
        json!({
            "expression": format!("images.{kind}.map(image, {accepts}).all(accepted, accepted)"),
            "message": format!("an image of {kind} {wrong}"),
        })
    });
    let references = references
        .iter()
        .map(|expression| json!({ "expression": expression }));
    json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ImageValidatingPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail",
            "validationActions": match mode {
                Mode::Enforce => json!(["Deny"]),
                Mode::Warn => json!(["Warn", "Audit"]),
            },
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods", "pods/ephemeralcontainers"],
                }],
            },
            "matchImageReferences": references.collect::<Vec<_>>(),
            "attestors": attestors,
            "attestations": attestations,
            "validations": validations,
        },
    })
}

fn type_name(index: usize) -> String {
    format!("statement{}", index + 1)
}

/// Whether one image is accepted, as an expression.
fn check(export: &Export<'_>, ways: &[Vec<&str>], types: &[&str], attestors: &[&str]) -> String {
    let attestors: Vec<String> = attestors
        .iter()
        .map(|name| format!("attestors.{name}"))
        .collect();
    let attestors = attestors.join(", ");
    let mut accepted = Vec::new();
    if export.accepts(SignatureFormat::Bundle) {
        for way in ways {
            let all = types
                .iter()
                .enumerate()
                .filter(|(_, one)| way.contains(one));
            let all = all.map(|(index, _)| {
                let name = type_name(index);
                format!(
                    "verifyAttestationSignatures(image, attestations.{name}, [{attestors}]) > 0"
                )
            });
            accepted.push(all.collect::<Vec<_>>().join(" && "));
        }
    }
    if export.accepts_simple_signing() {
        accepted.push(format!("verifyImageSignatures(image, [{attestors}]) > 0"));
    }
    match accepted.as_slice() {
        [one] => one.clone(),
        several => {
            let each: Vec<String> = several.iter().map(|one| format!("({one})")).collect();
            each.join(" || ")
        }
    }
}

/// The signers by name, once for each place in which their signatures may be. One is enough.
fn attestors(export: &Export<'_>) -> Result<Vec<(String, Value)>, Missing> {
    let mut kinds = Vec::new();
    let identities = identities(export)?;
    if !identities.is_empty() {
        kinds.push(json!({ "keyless": { "identities": identities } }));
    }
    for key in export.keys() {
        let mut cosign = json!({ "key": { "data": key.key.to_pem() } });
        if let (LogUse::Ignored, Some(cosign)) = (key.log, cosign.as_object_mut()) {
            let ignored = json!({ "insecureIgnoreTlog": true, "insecureIgnoreSCT": true });
            cosign.insert("ctlog".to_owned(), ignored);
        }
        kinds.push(cosign);
    }
    let mut attestors = Vec::new();
    for place in &places(export) {
        for kind in &kinds {
            let mut cosign = kind.clone();
            if let (Some(place), Some(cosign)) = (place, cosign.as_object_mut()) {
                cosign.insert("source".to_owned(), json!({ "repository": place }));
            }
            attestors.push((format!("signer{}", attestors.len() + 1), cosign));
        }
    }
    Ok(attestors)
}
