//! Policies of other programs that admit images, as ours.
//!
//! A key that is not understood is an error: a policy that leaves out a condition would accept more than the one that
//! it was made from. Patterns keep their meaning: theirs match any part of a value, ours the whole.
//!
//! - `pattern`: patterns of issuers and identities
//! - one file for each kind of document

mod cluster_image_policy;
mod image_verification_config;
mod oci_repository;
mod pattern;
mod policy_json;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::PolicyError;
use crate::policy::Policy;
use crate::spec::{PolicySpec, SignerSpec};
use crate::yaml::{self, Bounds};

/// A policy that was made from another program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedPolicy {
    /// The policy, checked.
    pub policy: Policy,
    /// The policy file, YAML.
    pub text: String,
    /// For which images the document is, in its own words.
    pub images: Vec<String>,
    /// What the document says of other things than signatures, and what is different here.
    pub notes: Vec<String>,
}

/// Why a document can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not YAML or JSON.
    #[error(transparent)]
    Syntax(PolicyError),
    /// Not of the form that its kind has.
    #[error("{reason}")]
    Form {
        /// What is wrong.
        reason: String,
    },
    /// What it demands is no policy here.
    #[error(transparent)]
    Policy(PolicyError),
    /// The new policy can't be written as YAML.
    #[error("the new policy can't be written: {reason}")]
    Written {
        /// Why not.
        reason: String,
    },
    /// A kind of document that is not known.
    #[error(
        "expected a ClusterImagePolicy, an ImageVerificationConfig, an OCIRepository, or a policy.json of \
         containers/image, found {found}"
    )]
    Kind {
        /// What was found.
        found: String,
    },
    /// Something that a policy of ours has no word for.
    #[error("`{key}` can't be imported: {reason}")]
    NoWord {
        /// Where it stands.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// What a kind of document becomes.
struct Draft {
    spec: PolicySpec,
    images: Vec<String>,
    notes: Vec<String>,
}

/// Makes a policy from another program's document, YAML or JSON. `file_name` is for errors.
///
/// # Errors
/// [`ImportError`].
pub fn import(text: &str, file_name: &str) -> Result<ImportedPolicy, ImportError> {
    let document: Value =
        yaml::parse(text, file_name, &Bounds::POLICY).map_err(ImportError::Syntax)?;
    let kind = document.get("kind").and_then(Value::as_str);
    let draft = match (kind, document.get("transports"), document.get("verify")) {
        (Some("ClusterImagePolicy"), _, _) => cluster_image_policy::draft(of(document)?)?,
        (Some("ImageVerificationConfig"), _, _) => image_verification_config::draft(of(document)?)?,
        (Some("OCIRepository"), _, _) => oci_repository::draft(of(document)?)?,
        (Some("ImageValidatingPolicy" | "NamespacedImageValidatingPolicy"), _, _) => {
            return Err(no_word(
                "validations",
                "Kyverno decides by expressions, which can be any program; write the policy by hand",
            ));
        }
        (None, Some(_), _) => policy_json::draft(of(document)?)?,
        (None, None, Some(_)) => oci_repository::block(of(document)?)?,
        (Some(kind), _, _) => {
            let found = format!("the kind `{}`", countersign_oci::excerpt(kind));
            return Err(ImportError::Kind { found });
        }
        (None, None, None) => {
            let found = "no `kind` and no `transports`".to_owned();
            return Err(ImportError::Kind { found });
        }
    };
    let policy = Policy::try_from(draft.spec.clone()).map_err(ImportError::Policy)?;
    Ok(ImportedPolicy {
        policy,
        text: written(&draft.spec)?,
        images: draft.images,
        notes: draft.notes,
    })
}

/// The document as one kind. Keys that the kind does not list are errors.
fn of<T: DeserializeOwned>(document: Value) -> Result<T, ImportError> {
    serde_json::from_value(document).map_err(|error| ImportError::Form {
        reason: error.to_string(),
    })
}

fn no_word(key: impl Into<String>, reason: impl Into<String>) -> ImportError {
    ImportError::NoWord {
        key: key.into(),
        reason: reason.into(),
    }
}

/// Takes the value that all entries have to have.
///
/// # Errors
/// [`ImportError::NoWord`] for an entry, at `key`, with another value than those before it.
fn same_for_all<T: PartialEq>(
    found: &mut Option<T>,
    this: T,
    key: String,
    reason: &str,
) -> Result<(), ImportError> {
    match found {
        Some(before) if *before != this => Err(no_word(key, reason)),
        Some(_) | None => {
            *found = Some(this);
            Ok(())
        }
    }
}

fn written(spec: &PolicySpec) -> Result<String, ImportError> {
    #[derive(serde::Serialize)]
    struct File<'s> {
        verification: &'s PolicySpec,
    }
    yaml::write(&File { verification: spec }).map_err(|error| ImportError::Written {
        reason: error.to_string(),
    })
}

/// An identity as Sigstore's programs write it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Identity {
    issuer: Option<String>,
    #[serde(rename = "issuerRegExp")]
    issuer_regex: Option<String>,
    subject: Option<String>,
    #[serde(rename = "subjectRegExp")]
    subject_regex: Option<String>,
}

impl Identity {
    fn signer(self, key: &str) -> Result<SignerSpec, ImportError> {
        let pattern = |name: &str, pattern: Option<String>| {
            let whole = |pattern: String| {
                pattern::whole(&pattern).map_err(|reason| no_word(format!("{key}.{name}"), reason))
            };
            pattern.map(whole).transpose()
        };
        let named = |value: Option<String>| value.filter(|value| !value.is_empty());
        let spec = SignerSpec {
            issuer: named(self.issuer),
            issuer_regex: pattern("issuerRegExp", named(self.issuer_regex))?,
            identity: named(self.subject),
            identity_regex: pattern("subjectRegExp", named(self.subject_regex))?,
            ..SignerSpec::default()
        };
        if spec.issuer.is_none() && spec.issuer_regex.is_none() {
            let reason = "it accepts every issuer, and a policy has to name one";
            return Err(no_word(key, reason));
        }
        if spec.identity.is_none() && spec.identity_regex.is_none() {
            let reason = "it accepts every identity of the issuer, and a policy has to name one";
            return Err(no_word(key, reason));
        }
        Ok(spec)
    }
}

/// The signers of a policy: one at its top, several below `identities`.
fn with_signers(mut spec: PolicySpec, signers: Vec<SignerSpec>) -> PolicySpec {
    match <[SignerSpec; 1]>::try_from(signers) {
        Ok([only]) => {
            spec.issuer = only.issuer;
            spec.issuer_regex = only.issuer_regex;
            spec.identity = only.identity;
            spec.identity_regex = only.identity_regex;
            spec.key = only.key;
            spec.ignore_tlog = only.ignore_tlog;
        }
        Err(several) => spec.identities = several,
    }
    spec
}

#[cfg(test)]
mod tests;
