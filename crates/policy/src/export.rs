//! A policy in the words of other programs that admit images.
//!
//! None of them has a word for everything that a policy can say. What is lost is told field by field
//! ([`Difference`]), and nothing that a field demands is left out in silence. Patterns keep their meaning: ours match
//! the whole value, theirs any part of it, so they are exported with anchors.
//!
//! - `images`: patterns of images
//! - `pattern`: patterns of issuers and identities
//! - `rules`: the configuration of an image verifier, whole
//! - one file for each of the programs
//!
//! What the programs read was looked up in their own sources: policy-controller 0.13.1, Kyverno 1.19.1, Talos 1.13,
//! Flux's source-controller 1.8, containers/image 5.36. `cargo xtask interop enforcers` runs their code.

mod containers;
mod difference;
mod flux;
mod images;
mod kyverno;
mod pattern;
mod policy_controller;
mod rules;
mod talos;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use self::difference::differences;
pub use self::rules::RulesExport;
use crate::image_pattern::ImagePattern;
use crate::image_verifier::Mode;
use crate::policy::{AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, KeySigner, Policy};
use crate::{Matcher, SignatureFormat, WholeRegex};

/// Another program that admits images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcer {
    /// Sigstore's policy-controller: a `ClusterImagePolicy`.
    PolicyController,
    /// Kyverno: an `ImageValidatingPolicy`.
    Kyverno,
    /// Talos Linux: an `ImageVerificationConfig`.
    Talos,
    /// Flux: the `verify` block of an `OCIRepository`.
    Flux,
    /// podman, skopeo, CRI-O and bootc: a `policy.json`.
    Containers,
}

impl Enforcer {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PolicyController,
        Self::Kyverno,
        Self::Talos,
        Self::Flux,
        Self::Containers,
    ];

    /// `policy-controller`, `kyverno`, `talos`, `flux`, `containers`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyController => "policy-controller",
            Self::Kyverno => "kyverno",
            Self::Talos => "talos",
            Self::Flux => "flux",
            Self::Containers => "containers",
        }
    }
}

impl fmt::Display for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// Who must have signed.
    pub policy: &'a Policy,
    /// Which images it is for.
    pub images: &'a [ImagePattern],
    /// Whether a refusal is carried out.
    pub mode: Mode,
    /// The name of the new object, where it has one.
    pub name: &'a str,
}

/// A policy in another program's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedPolicy {
    /// The document: YAML, or JSON for [`Enforcer::Containers`].
    pub text: String,
    /// Fields of the policy that the document doesn't say, or says otherwise.
    pub differences: Vec<Difference>,
    /// What is different there whatever the policy says.
    pub notes: Vec<&'static str>,
}

/// A field of the policy that the other program has no word for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Difference {
    /// The number of the image verifier's rule that it is about, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// The key in the policy file.
    pub field: &'static str,
    /// What the other program does.
    pub effect: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            field,
            effect,
        } = self;
        write!(f, "`{field}`{}: {effect}", of_rule(*rule))
    }
}

fn of_rule(rule: Option<usize>) -> String {
    rule.map_or_else(String::new, |rule| format!(" of rule {rule}"))
}

/// Why a policy can't be exported, whatever may be lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{enforcer} can't express `{field}`{}: {reason}", of_rule(*rule))]
pub struct ExportError {
    /// For which program.
    pub enforcer: Enforcer,
    /// The number of the image verifier's rule that it is about, from 1.
    pub rule: Option<usize>,
    /// The key in the policy file, or a part of the request.
    pub field: &'static str,
    /// What is missing there, and what to do.
    pub reason: String,
}

impl Export<'_> {
    /// The policy in the words of `enforcer`.
    ///
    /// # Errors
    /// [`ExportError`] if nothing that makes sense could be written.
    pub fn to(&self, enforcer: Enforcer) -> Result<ExportedPolicy, ExportError> {
        let mut differences = differences(self.policy, enforcer);
        let document = match enforcer {
            Enforcer::PolicyController => policy_controller::document(self),
            Enforcer::Kyverno => kyverno::document(self),
            Enforcer::Talos => talos::document(self, &mut differences),
            Enforcer::Flux => flux::document(self),
            Enforcer::Containers => containers::document(self),
        };
        let document = document.map_err(|missing| missing.of(enforcer, None))?;
        Ok(ExportedPolicy {
            text: written(enforcer, &[document]),
            differences,
            notes: match enforcer {
                Enforcer::PolicyController => policy_controller::NOTES.to_vec(),
                Enforcer::Kyverno => kyverno::NOTES.to_vec(),
                Enforcer::Talos => talos::NOTES.to_vec(),
                Enforcer::Flux => flux::NOTES.to_vec(),
                Enforcer::Containers => {
                    let wider = containers::wider(self.images);
                    containers::NOTES.iter().copied().chain(wider).collect()
                }
            },
        })
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateSigner> {
        self.policy
            .signers()
            .iter()
            .filter_map(|signer| match signer {
                AcceptedSigner::Certificate(signer) => Some(signer),
                AcceptedSigner::Key(_) => None,
            })
    }

    fn keys(&self) -> impl Iterator<Item = &KeySigner> {
        self.policy.keys()
    }

    fn accepts(&self, format: SignatureFormat) -> bool {
        self.policy.accepts_format(format)
    }

    /// The types of statement that count. Each entry is one way to be accepted: statements of all its types.
    fn ways(&self) -> Vec<Vec<&str>> {
        match self.policy.require.as_slice() {
            [] => {
                let types = self.policy.predicate_types().iter();
                types.map(|one| vec![one.as_str()]).collect()
            }
            required => {
                let types = required.iter().flat_map(Policy::predicate_types);
                vec![types.map(String::as_str).collect()]
            }
        }
    }

    /// Whether a signature in the legacy form is enough.
    fn accepts_simple_signing(&self) -> bool {
        let signature = |way: &Vec<&str>| way.as_slice() == [COSIGN_SIGN_PREDICATE];
        self.accepts(SignatureFormat::SimpleSigning) && self.ways().iter().any(signature)
    }
}

/// A part of an export that can't be written.
struct Missing {
    field: &'static str,
    reason: String,
}

impl Missing {
    fn of(self, enforcer: Enforcer, rule: Option<usize>) -> ExportError {
        let Self { field, reason } = self;
        ExportError {
            enforcer,
            rule,
            field,
            reason,
        }
    }
}

fn missing(field: &'static str, reason: impl Into<String>) -> Missing {
    Missing {
        field,
        reason: reason.into(),
    }
}

/// Images have to be named.
fn some_images(export: &Export<'_>) -> Result<(), Missing> {
    match export.images {
        [] => Err(missing(
            "images",
            "it has to know for which images the policy is, and none are named; name them, for example `quay.io/acme/**`",
        )),
        _ => Ok(()),
    }
}

/// The signers by certificate, as Sigstore's programs write them.
fn identities(export: &Export<'_>) -> Result<Vec<Value>, Missing> {
    let identity = |signer: &CertificateSigner| {
        let issuer = ("issuer", "issuerRegExp");
        let subject = ("subject", "subjectRegExp");
        let members = [
            matched(issuer, "issuer_regex", &signer.issuer)?,
            matched(subject, "identity_regex", &signer.identity)?,
        ];
        Ok(Value::Object(members.into_iter().collect()))
    };
    export.certificates().map(identity).collect()
}

/// An identity or an issuer, by the key for a text or the key for a pattern.
fn matched(
    (text, pattern): (&str, &str),
    field: &'static str,
    matcher: &Matcher,
) -> Result<(String, Value), Missing> {
    Ok(match matcher {
        Matcher::Exact(exact) => (text.to_owned(), exact.as_str().into()),
        Matcher::Regex(whole) => (pattern.to_owned(), anchored(whole, field)?.into()),
    })
}

/// Where signatures are: beside the image, and in each of the policy's sources. The programs look in one place
/// for each signer that they are told of.
fn places(export: &Export<'_>) -> Vec<Option<String>> {
    let sources = export.policy.signature_sources().iter();
    let sources = sources.map(|source| Some(source.to_string()));
    std::iter::once(None).chain(sources).collect()
}

/// A pattern for a program that searches, in Go's syntax.
fn anchored(whole: &WholeRegex, field: &'static str) -> Result<String, Missing> {
    pattern::anchored(whole.as_str()).map_err(|reason| Missing { field, reason })
}

/// The documents of one export. Only YAML can have several.
fn written(enforcer: Enforcer, documents: &[Value]) -> String {
    let texts = documents.iter().map(|document| match enforcer {
        Enforcer::Containers => json(document),
        Enforcer::PolicyController | Enforcer::Kyverno | Enforcer::Talos | Enforcer::Flux => {
            yaml(document)
        }
    });
    texts.collect::<Vec<_>>().join("---\n")
}

fn yaml(document: &Value) -> String {
    // A tree of texts, numbers and booleans can be written.
    crate::yaml::write(document).unwrap_or_else(|_| json(document))
}

fn json(document: &Value) -> String {
    let mut text = format!("{document:#}");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
