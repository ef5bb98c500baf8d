//! The claims of a Fulcio certificate about a CI job, and rules on them.
//!
//! The names are those of Fulcio's [extension registry][oids] in snake case. If the certificate does not have a
//! claim, every rule on it fails, even a pattern that matches the empty text.
//!
//! [oids]: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;

use crate::matcher::Matcher;

/// The end of a key whose value is a pattern.
pub(crate) const REGEX_SUFFIX: &str = "_regex";

/// A certificate extension under Fulcio's arc `1.3.6.1.4.1.57264.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Claim {
    /// `.9`: the build configuration that signed (a reusable workflow, say), with its ref.
    BuildSignerUri,
    /// `.10`: the commit of that configuration.
    BuildSignerDigest,
    /// `.11`: `github-hosted` or `self-hosted`.
    RunnerEnvironment,
    /// `.12`: the repository that was built, as a URL.
    SourceRepositoryUri,
    /// `.13`: the commit that was built.
    SourceRepositoryDigest,
    /// `.14`: the ref that was built: `refs/heads/main`.
    SourceRepositoryRef,
    /// `.15`: the provider's number of the repository, which survives renaming and is not reused.
    SourceRepositoryIdentifier,
    /// `.16`: the repository's owner, as a URL.
    SourceRepositoryOwnerUri,
    /// `.17`: the provider's number of the owner.
    SourceRepositoryOwnerIdentifier,
    /// `.18`: the top-level workflow that ran (the caller's, where the signer is reusable).
    BuildConfigUri,
    /// `.19`: the commit of that workflow.
    BuildConfigDigest,
    /// `.20`: the event that triggered the build: `push`, `schedule`, `workflow_dispatch`.
    BuildTrigger,
    /// `.21`: the run, as a URL.
    RunInvocationUri,
    /// `.22`: `public` or `private`, at signing.
    SourceRepositoryVisibilityAtSigning,
    /// `.23`: the deployment environment of the job.
    DeploymentEnvironment,
    /// `.24`: the `sub` of the identity token.
    TokenSubject,
}

impl Claim {
    /// Every claim, in order of extension number.
    pub const ALL: [Self; 16] = [
        Self::BuildSignerUri,
        Self::BuildSignerDigest,
        Self::RunnerEnvironment,
        Self::SourceRepositoryUri,
        Self::SourceRepositoryDigest,
        Self::SourceRepositoryRef,
        Self::SourceRepositoryIdentifier,
        Self::SourceRepositoryOwnerUri,
        Self::SourceRepositoryOwnerIdentifier,
        Self::BuildConfigUri,
        Self::BuildConfigDigest,
        Self::BuildTrigger,
        Self::RunInvocationUri,
        Self::SourceRepositoryVisibilityAtSigning,
        Self::DeploymentEnvironment,
        Self::TokenSubject,
    ];

    /// The key under `claims:`; with `_regex` after it, the key of its pattern.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuildSignerUri => "build_signer_uri",
            Self::BuildSignerDigest => "build_signer_digest",
            Self::RunnerEnvironment => "runner_environment",
            Self::SourceRepositoryUri => "source_repository_uri",
            Self::SourceRepositoryDigest => "source_repository_digest",
            Self::SourceRepositoryRef => "source_repository_ref",
            Self::SourceRepositoryIdentifier => "source_repository_identifier",
            Self::SourceRepositoryOwnerUri => "source_repository_owner_uri",
            Self::SourceRepositoryOwnerIdentifier => "source_repository_owner_identifier",
            Self::BuildConfigUri => "build_config_uri",
            Self::BuildConfigDigest => "build_config_digest",
            Self::BuildTrigger => "build_trigger",
            Self::RunInvocationUri => "run_invocation_uri",
            Self::SourceRepositoryVisibilityAtSigning => "source_repository_visibility_at_signing",
            Self::DeploymentEnvironment => "deployment_environment",
            Self::TokenSubject => "token_subject",
        }
    }

    /// The claim of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|claim| claim.as_str() == name)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The claims in one certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateClaims(BTreeMap<Claim, String>);

impl CertificateClaims {
    /// The value of `claim`; `None` if the certificate does not have that extension.
    pub fn value(&self, claim: Claim) -> Option<&str> {
        self.0.get(&claim).map(String::as_str)
    }

    /// The claims in the certificate, in order of extension number.
    pub fn iter(&self) -> impl Iterator<Item = (Claim, &str)> {
        self.0.iter().map(|(claim, value)| (*claim, value.as_str()))
    }
}

/// From pairs: `None` for an extension that the certificate does not have.
impl FromIterator<(Claim, Option<String>)> for CertificateClaims {
    fn from_iter<I: IntoIterator<Item = (Claim, Option<String>)>>(pairs: I) -> Self {
        let present = pairs
            .into_iter()
            .filter_map(|(claim, value)| Some((claim, value?)));
        Self(present.collect())
    }
}

/// What one claim of the certificate must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim.
    pub claim: Claim,
    /// What it must be. A missing claim never matches.
    pub matcher: Matcher,
}

impl ClaimRule {
    /// Whether the certificate's claims satisfy this rule.
    pub fn holds(&self, claims: &CertificateClaims) -> bool {
        claims
            .value(self.claim)
            .is_some_and(|value| self.matcher.matches(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::WholeRegex;

    #[test]
    fn every_claim_is_found_by_its_own_name() {
        for claim in Claim::ALL {
            assert_eq!(Claim::named(claim.as_str()), Some(claim));
        }
    }

    #[test]
    fn a_missing_claim_satisfies_not_even_a_pattern_for_anything() {
        let rule = ClaimRule {
            claim: Claim::BuildTrigger,
            matcher: Matcher::Regex(WholeRegex::new(".*").unwrap()),
        };
        assert!(!rule.holds(&CertificateClaims::default()));
        let claims = CertificateClaims::from_iter([(Claim::BuildTrigger, Some(String::new()))]);
        assert!(rule.holds(&claims));
    }
}
