//! Talos Linux: an `ImageVerificationConfig`.

use serde::Deserialize;
use serde_json::Value;

use super::{Draft, Identity, ImportError, no_word, same_for_all, with_signers};
use crate::spec::PolicySpec;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    image: String,
    #[serde(default)]
    skip: bool,
    #[serde(default)]
    deny: bool,
    keyless: Option<Keyless>,
    #[serde(rename = "publicKey")]
    public_key: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyless {
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    subject: String,
    #[serde(rename = "subjectRegex", default)]
    subject_regex: String,
}

pub(super) fn draft(document: Document) -> Result<Draft, ImportError> {
    let mut found: Option<Keyless> = None;
    let mut images = Vec::new();
    let mut notes = Vec::new();
    for (index, rule) in document.rules.into_iter().enumerate() {
        let key = format!("rules[{index}]");
        if rule.skip || rule.deny {
            let what = if rule.skip { "skip" } else { "deny" };
            let image = countersign_oci::excerpt(&rule.image);
            notes.push(format!(
                "`{what}` of {image} is not part of a policy; the image verifier's rules have it"
            ));
            continue;
        }
        if rule.public_key.is_some() {
            let reason = "what is asked of the log is not said there; write `key`, and `ignore_tlog` if you mean it";
            return Err(no_word(format!("{key}.publicKey"), reason));
        }
        let Some(keyless) = rule.keyless else {
            return Err(no_word(key, "expected `keyless`, `skip` or `deny`"));
        };
        let reason = "the rules have different signers, and a policy is for one rule; import them one by one";
        same_for_all(&mut found, keyless, key, reason)?;
        images.push(rule.image);
    }
    let Some(keyless) = found else {
        return Err(no_word("rules", "none of them names a signer"));
    };
    let identity = Identity {
        issuer: Some(keyless.issuer),
        issuer_regex: None,
        subject: Some(keyless.subject),
        subject_regex: Some(keyless.subject_regex),
    };
    notes.push(
        "Talos accepts the legacy form and any attestation too; the policy does not".to_owned(),
    );
    Ok(Draft {
        spec: with_signers(PolicySpec::default(), vec![identity.signer("keyless")?]),
        images,
        notes,
    })
}
