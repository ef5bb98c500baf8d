//! Sigstore's policy-controller: a `ClusterImagePolicy`.

use serde::Deserialize;
use serde_json::Value;

use super::{Draft, Identity, ImportError, no_word, same_for_all, with_signers};
use crate::instance::{PUBLIC_FULCIO, PUBLIC_REKOR};
use crate::spec::{AttestationSpec, PolicySpec, RequirementSpec, SignerSpec};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata", default)]
    _metadata: Value,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    mode: String,
    images: Vec<Glob>,
    authorities: Vec<Authority>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Glob {
    glob: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    #[serde(rename = "name", default)]
    _name: String,
    keyless: Option<Keyless>,
    key: Option<Key>,
    ctlog: Option<Log>,
    #[serde(default)]
    attestations: Vec<Attestation>,
    #[serde(default)]
    source: Vec<Source>,
    #[serde(rename = "signatureFormat", default)]
    format: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyless {
    url: Option<String>,
    identities: Vec<Identity>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    data: String,
    #[serde(rename = "hashAlgorithm", default)]
    hash: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attestation {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    oci: String,
}

/// What the authorities have in common, since a policy says it once.
#[derive(Debug, PartialEq, Eq)]
struct Common {
    format: &'static str,
    types: Vec<String>,
}

pub(super) fn draft(document: Document) -> Result<Draft, ImportError> {
    let Spec {
        mode,
        images,
        authorities,
    } = document.spec;
    let mut signers = Vec::new();
    let mut common: Option<Common> = None;
    let mut sources: Vec<String> = Vec::new();
    for (index, authority) in authorities.into_iter().enumerate() {
        let key = format!("spec.authorities[{index}]");
        for source in &authority.source {
            if !sources.contains(&source.oci) {
                sources.push(source.oci.clone());
            }
        }
        let this = authority.common(&key)?;
        let reason = "the authorities differ in `signatureFormat` or `attestations`, and a policy says these once for \
                      all signers; import them one by one";
        same_for_all(&mut common, this, key.clone(), reason)?;
        for signer in authority.signers(&key)? {
            if !signers.contains(&signer) {
                signers.push(signer);
            }
        }
    }
    let Some(Common { format, types }) = common else {
        return Err(no_word("spec.authorities", "there are none"));
    };
    let mut spec = PolicySpec {
        signature_formats: match format {
            "bundle" => Vec::new(),
            other => vec![other.to_owned()],
        },
        signature_sources: sources,
        ..PolicySpec::default()
    };
    match types.as_slice() {
        [] => {}
        [_] => spec.predicate_types = types,
        _ => spec.require = types.into_iter().map(requirement).collect(),
    }
    let mut notes = Vec::new();
    if mode == "warn" {
        notes.push(
            "`mode: warn` is not part of a policy; the image verifier's rules have it".to_owned(),
        );
    }
    Ok(Draft {
        spec: with_signers(spec, signers),
        images: images.into_iter().map(|image| image.glob).collect(),
        notes,
    })
}

fn requirement(predicate_type: String) -> RequirementSpec {
    if predicate_type == crate::COSIGN_SIGN_PREDICATE {
        RequirementSpec::Signature
    } else {
        RequirementSpec::Attestation(AttestationSpec {
            predicate_type: Some(predicate_type),
            ..AttestationSpec::default()
        })
    }
}

impl Authority {
    fn common(&self, key: &str) -> Result<Common, ImportError> {
        let types: Vec<String> = self
            .attestations
            .iter()
            .map(|one| one.predicate_type.clone())
            .collect();
        let format = match (self.format.as_str(), types.is_empty()) {
            ("bundle", false) => "bundle",
            ("bundle", true) => {
                let reason = "policy-controller finds no bundle without `attestations`; name the types of \
                              statement, for example https://sigstore.dev/cosign/sign/v1";
                return Err(no_word(key, reason));
            }
            ("" | "legacy", true) => "simple_signing",
            ("" | "legacy", false) => {
                let reason =
                    "attestations in the legacy form are not read here; sign them as bundles";
                return Err(no_word(format!("{key}.attestations"), reason));
            }
            (other, _) => {
                let reason = format!(
                    "expected `bundle` or `legacy`, found `{}`",
                    countersign_oci::excerpt(other)
                );
                return Err(no_word(format!("{key}.signatureFormat"), reason));
            }
        };
        // The name alone is the type of a bundle's signature.
        let types = match types.as_slice() {
            [one] if one == crate::COSIGN_SIGN_PREDICATE => Vec::new(),
            _ => types,
        };
        Ok(Common { format, types })
    }

    fn signers(self, key: &str) -> Result<Vec<SignerSpec>, ImportError> {
        let public = |url: Option<&str>, name: &str, expected: &str| match url {
            None => Ok(()),
            Some(url) if url.trim_end_matches('/') == expected => Ok(()),
            Some(url) => {
                let url = countersign_oci::excerpt(url);
                let reason = format!(
                    "it is another Sigstore instance, {url}; set `trust` in the new policy by hand"
                );
                Err(no_word(format!("{key}.{name}.url"), reason))
            }
        };
        let logged = match &self.ctlog {
            Some(log) => {
                public(log.url.as_deref(), "ctlog", PUBLIC_REKOR)?;
                true
            }
            None => false,
        };
        match (self.keyless, self.key) {
            (Some(keyless), None) => {
                public(keyless.url.as_deref(), "keyless", PUBLIC_FULCIO)?;
                let identities = keyless.identities.into_iter().enumerate();
                identities
                    .map(|(index, identity)| {
                        identity.signer(&format!("{key}.keyless.identities[{index}]"))
                    })
                    .collect()
            }
            (None, Some(found)) => {
                if !matches!(found.hash.as_str(), "" | "sha256") {
                    let reason = "signatures by a key are over SHA-256 here";
                    return Err(no_word(format!("{key}.key.hashAlgorithm"), reason));
                }
                Ok(vec![SignerSpec {
                    key: Some(found.data),
                    // Without one, policy-controller does not ask the log.
                    ignore_tlog: !logged,
                    ..SignerSpec::default()
                }])
            }
            _ => Err(no_word(key, "expected `keyless` or `key`, one of them")),
        }
    }
}
