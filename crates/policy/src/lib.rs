//! Who must have signed. No I/O.
#![allow(clippy::todo, missing_docs)]
use std::collections::BTreeMap;

/// A text that a claim must equal, or an anchored regex it must match as a whole.
#[derive(Debug, Clone)]
pub enum Matcher {
    Exact(String),
    Regex(WholeRegex),
}
impl Matcher {
    pub fn matches(&self, value: &str) -> bool {
        let _ = value;
        todo!()
    }
}
/// A regex that matches whole values only, compiled with size limits.
#[derive(Debug, Clone)]
pub struct WholeRegex(());
/// One acceptable signer.
#[derive(Debug, Clone)]
pub struct Signer {
    pub issuer: Matcher,
    pub identity: Matcher,
    pub claims: Vec<()>,
}
/// What `verification` says, checked: at least one signer; everything here can refuse on its own.
#[derive(Debug, Clone)]
pub struct Policy(());
impl Policy {
    pub fn signers(&self) -> &[Signer] {
        todo!()
    }
    pub fn not_before(&self) -> Option<jiff::Timestamp> {
        todo!()
    }
    /// Pairs that the signed statement's subject annotations must hold.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        todo!()
    }
    /// Never empty; default is [`COSIGN_SIGN_PREDICATE`].
    pub fn predicate_types(&self) -> &[String] {
        todo!()
    }
    pub fn bind_name(&self) -> bool {
        todo!()
    }
    pub fn denies(&self, digest: &countersign_oci::Digest) -> bool {
        let _ = digest;
        todo!()
    }
    /// From a policy file's text (YAML or JSON): a `verification:` block, or the block's keys at top level, or a gallery file in which exactly one distinct block stands.
    pub fn from_yaml(text: &str, file_name: &str) -> Result<Self, PolicyError> {
        let _ = (text, file_name);
        todo!()
    }
}
/// Builds a policy from its parts, as flags give them (serde struct of the `verification` block: issuer, issuer_regex, identity, identity_regex, not_before, annotations, ...).
#[derive(Debug, Clone, Default)]
pub struct PolicySpec {
    pub issuer: Option<String>,
    pub issuer_regex: Option<String>,
    pub identity: Option<String>,
    pub identity_regex: Option<String>,
    pub not_before: Option<String>,
    pub annotations: BTreeMap<String, String>,
}
impl TryFrom<PolicySpec> for Policy {
    type Error = PolicyError;
    fn try_from(spec: PolicySpec) -> Result<Self, PolicyError> {
        let _ = spec;
        todo!()
    }
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    #[error("")]
    Placeholder,
}
/// The predicate type of a cosign signature.
pub const COSIGN_SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
