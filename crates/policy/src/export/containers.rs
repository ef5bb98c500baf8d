//! podman, skopeo, CRI-O and bootc: a `policy.json` of containers/image.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::images::Beyond;
use super::{Difference, Export, Missing, images, missing, some_images};
use crate::image_pattern::ImagePattern;
use crate::image_verifier::Mode;

const ATTACHMENTS: &str = "signatures are looked for only where a file in registries.d says `use-sigstore-attachments: true`";
const NO_MIRRORS: &str =
    "the repository that the signature names must be the image's: a copy in a mirror is refused";

pub(super) const NOTES: &[&str] = &[
    "`default` refuses all other images; put the scopes below `transports` into the policy.json that you have",
    ATTACHMENTS,
    NO_MIRRORS,
];

/// As [`NOTES`], where a whole configuration is exported.
pub(super) const RULES_NOTES: &[&str] = &[ATTACHMENTS, NO_MIRRORS];

/// A note, where a scope takes more images than its pattern.
const WIDER: &str = "a scope there is a repository with everything below it, or all below a path with the repository of that name: \
                     images that no pattern here matches are held to the policy, too";

/// [`WIDER`], if it is so of one of these patterns of a rule.
pub(super) fn wider(patterns: &[ImagePattern]) -> Option<&'static str> {
    let mut each = patterns.iter();
    each.any(|pattern| beyond(pattern, patterns).is_some())
        .then_some(WIDER)
}

/// What the scope of `pattern` takes there that no pattern of its rule does.
fn beyond(pattern: &ImagePattern, all: &[ImagePattern]) -> Option<Beyond> {
    let beyond = images::beyond_scope(pattern)?;
    let scope = images::scope(pattern)?;
    // `a` and `a/**` together are the scope.
    let completes = |other: &ImagePattern| {
        other != pattern && images::scope(other).is_some_and(|other| other == scope)
    };
    (!all.iter().any(completes)).then_some(beyond)
}

pub(super) fn document(export: &Export<'_>) -> Result<Value, Missing> {
    let requirement = requirement(export)?;
    let scopes = scopes(export.images)?.into_iter();
    let scopes = scopes.map(|scope| (scope, json!([requirement])));
    Ok(with_scopes(&refusal(), &scopes.collect()))
}

/// What a policy demands.
pub(super) fn requirement(export: &Export<'_>) -> Result<Value, Missing> {
    some_images(export)?;
    if export.mode == Mode::Warn {
        return Err(missing(
            "mode",
            "it has no warnings; the mode has to be `enforce`",
        ));
    }
    if export.certificates().next().is_some() {
        return Err(missing(
            "identity",
            "it knows e-mail addresses only, and no bundles; pull what `countersign verify --print-digest` prints, or \
             use a `key`",
        ));
    }
    if !export.accepts_simple_signing() {
        return Err(missing(
            "signature_formats",
            "it reads the legacy form only; add `simple_signing` if the images are signed so",
        ));
    }
    let keys = export
        .keys()
        .map(|key| BASE64_STANDARD.encode(key.key.to_pem()));
    let keys: Vec<String> = keys.collect();
    let identity = if export.policy.bind_name() {
        "matchRepoDigestOrExact"
    } else {
        "matchRepository"
    };
    let mut requirement = json!({
        "type": "sigstoreSigned",
        "signedIdentity": { "type": identity },
    });
    if let Some(requirement) = requirement.as_object_mut() {
        match keys.as_slice() {
            [one] => requirement.insert("keyData".to_owned(), one.as_str().into()),
            several => requirement.insert("keyDatas".to_owned(), json!(several)),
        };
    }
    Ok(requirement)
}

/// What is demanded of no image.
pub(super) fn nothing() -> Value {
    json!({ "type": "insecureAcceptAnything" })
}

/// The document, with the requirement of each scope, and of all other images.
pub(super) fn with_scopes(default: &Value, scopes: &Map<String, Value>) -> Value {
    json!({ "default": [default], "transports": { "docker": scopes } })
}

pub(super) fn refusal() -> Value {
    json!({ "type": "reject" })
}

/// The scopes of the patterns.
pub(super) fn scopes(patterns: &[ImagePattern]) -> Result<Vec<String>, Missing> {
    let scope = |pattern: &ImagePattern| {
        images::scope(pattern).ok_or_else(|| {
            missing(
                "images",
                format!(
                    "`{pattern}` has a `*` where it has no word for one; a scope there is a host, a part of a path up \
                     to a slash, or one image"
                ),
            )
        })
    };
    patterns.iter().map(scope).collect()
}

/// What the scope of `pattern` lets through there that no pattern of its rule does, if the rule demands nothing.
pub(super) fn allowed_beyond(
    pattern: &ImagePattern,
    scope: &str,
    all: &[ImagePattern],
) -> Option<Difference> {
    let more = match beyond(pattern, all)? {
        Beyond::Repository => format!("the repository `{scope}` itself"),
        Beyond::Below => format!("everything below `{scope}`"),
    };
    Some(Difference {
        rule: None,
        field: "images",
        effect: format!("{more} is pulled without a signature there too"),
    })
}
