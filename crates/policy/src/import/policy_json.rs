//! podman, skopeo, CRI-O and bootc: a `policy.json` of containers/image.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{Draft, ImportError, no_word, same_for_all, with_signers};
use crate::spec::{PolicySpec, SignerSpec};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "default")]
    _default: Value,
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "keyData")]
    key: Option<String>,
    #[serde(rename = "keyDatas", default)]
    keys: Vec<String>,
    #[serde(rename = "signedIdentity", default)]
    identity: Option<SignedIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedIdentity {
    #[serde(rename = "type")]
    kind: String,
}

pub(super) fn draft(document: Document) -> Result<Draft, ImportError> {
    let mut found: Option<Requirement> = None;
    let mut images = Vec::new();
    for (transport, scopes) in document.transports {
        for (scope, requirements) in scopes {
            let key = format!(
                "transports.{transport}.{}",
                countersign_oci::excerpt(&scope)
            );
            let [requirement] = requirements.as_slice() else {
                return Err(no_word(
                    key,
                    "expected one requirement; import them one by one",
                ));
            };
            if requirement.kind != "sigstoreSigned" {
                let kind = countersign_oci::excerpt(&requirement.kind);
                return Err(no_word(
                    key,
                    format!("expected `sigstoreSigned`, found `{kind}`"),
                ));
            }
            let reason = "the scopes have different requirements; import them one by one";
            same_for_all(&mut found, requirement.clone(), key, reason)?;
            images.push(scope);
        }
    }
    let Some(requirement) = found else {
        return Err(no_word("transports", "no scope demands a signature"));
    };
    let keys = requirement.key.into_iter().chain(requirement.keys);
    let signers = keys.map(signer).collect::<Result<Vec<_>, _>>()?;
    if signers.is_empty() {
        let reason = "expected `keyData` or `keyDatas`; a key in a file can be written as `key` in the new policy";
        return Err(no_word("sigstoreSigned", reason));
    }
    let mut notes = Vec::new();
    match requirement.identity.as_ref().map(|identity| identity.kind.as_str()) {
        None | Some("matchRepoDigestOrExact") => {}
        Some("matchRepository") => notes.push(
            "`matchRepository` compares the repository alone; the policy compares the tag too, if the image is asked \
             for by one and the signature names one"
                .to_owned(),
        ),
        Some(other) => {
            let other = countersign_oci::excerpt(other);
            let reason =
                format!("expected `matchRepoDigestOrExact` or `matchRepository`, found `{other}`");
            return Err(no_word("signedIdentity", reason));
        }
    }
    let spec = PolicySpec {
        bind_name: true,
        signature_formats: vec!["simple_signing".to_owned()],
        ..PolicySpec::default()
    };
    Ok(Draft {
        spec: with_signers(spec, signers),
        images,
        notes,
    })
}

fn signer(data: String) -> Result<SignerSpec, ImportError> {
    let bytes = BASE64_STANDARD.decode(data).ok();
    let Some(pem) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Err(no_word("keyData", "expected base64 of a key in PEM"));
    };
    Ok(SignerSpec {
        key: Some(pem),
        // The log is asked only where a key of it is named.
        ignore_tlog: true,
        ..SignerSpec::default()
    })
}
