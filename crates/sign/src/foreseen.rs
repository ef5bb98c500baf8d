//! Whom Fulcio will certify for a token: the one place that knows.
//!
//! For the issuers of the public-good instance, the rules are those of that instance (`config/identity/config.yaml` of
//! sigstore/fulcio). Another issuer has rules of its own, in the instance that trusts it. If its token has only the
//! claims that every token has, the identity can only be the email address or the subject. Otherwise nothing is
//! foreseen: the certificate says it.

use std::collections::BTreeMap;

use countersign_oci::ResolvedImage;
use countersign_policy::{
    COSIGN_SIGN_PREDICATE, CertificateClaims, Claim, Claimed, ClaimedSigner, Policy,
    SignatureFormat, Violation, issuers,
};
use jiff::Timestamp;

use crate::statement;
use crate::token::IdentityToken;

/// Claims that say nothing of a CI job.
const COMMON: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "azp",
    "nonce",
    "at_hash",
    "auth_time",
    "sid",
    "email",
    "email_verified",
];

/// What a certificate will say of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreseen {
    /// The issuer.
    pub(crate) issuer: String,
    /// The identity: the likeliest one.
    pub(crate) identity: String,
    /// What it may be instead, the likeliest first.
    pub(crate) alternatives: Vec<String>,
    /// Claims that are known.
    pub(crate) claims: CertificateClaims,
    /// Whether the certificate may have more claims.
    pub(crate) completeness: Completeness,
}

/// Whether all claims of a certificate are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// The certificate has no other claims.
    Whole,
    /// The certificate may have more claims than are known.
    Partial,
}

impl Foreseen {
    /// Whether `policy` accepts a signature of `image` in this form that is made at `at` with
    /// `annotations`. What is not known is not judged.
    ///
    /// # Errors
    /// The first condition that will not hold, for the likeliest identity.
    pub(crate) fn judge(
        &self,
        policy: &Policy,
        format: SignatureFormat,
        image: &ResolvedImage,
        at: Timestamp,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), Violation> {
        let policy = policy.dangerous_as_far_as_known(|claim| match self.completeness {
            Completeness::Whole => true,
            Completeness::Partial => self.claims.value(claim).is_some(),
        });
        let name = statement::name(image.requested());
        let judge = |identity: &String| {
            let judged = policy.judge(Claimed {
                format,
                digest: image.digest(),
                signer: ClaimedSigner::Certificate {
                    issuer: &self.issuer,
                    identity,
                    claims: &self.claims,
                },
                earliest: Some(at),
                latest: Some(at),
                now: at,
                predicate_type: COSIGN_SIGN_PREDICATE,
                // Ours has no fields.
                predicate: None,
                annotations,
                subject_name: Some(&name),
                location: image.requested().location(),
                tag: image.requested().tag(),
            });
            judged.map(drop)
        };
        let likeliest = judge(&self.identity);
        let accepted = likeliest.is_ok()
            || self
                .alternatives
                .iter()
                .any(|identity| judge(identity).is_ok());
        if accepted { Ok(()) } else { likeliest }
    }

    /// All identities that the certificate may have, the likeliest first.
    pub(crate) fn identities(&self) -> Vec<String> {
        let likeliest = std::iter::once(&self.identity);
        likeliest.chain(&self.alternatives).cloned().collect()
    }
}

/// What the certificate for this token will say, where that can be known.
pub(crate) fn foresee(token: &IdentityToken) -> Option<Foreseen> {
    let none = CertificateClaims::default;
    let mut issuer = token.issuer().to_owned();
    let mut alternatives = Vec::new();
    let (identity, claims) = match Kind::of(token.issuer()) {
        Some(Kind::GitHub) => (github_uri(token, "job_workflow_ref")?, github(token)),
        Some(Kind::GitLab) => (gitlab_uri(token)?, gitlab(token)),
        Some(Kind::Buildkite) => (buildkite(token)?, none()),
        Some(Kind::CircleCi) => (circleci(token)?, none()),
        Some(Kind::Email) => (verified_email(token)?.to_owned(), none()),
        Some(Kind::Dex) => {
            // Who vouches is who Dex was logged in with.
            issuer = token
                .claim_in("federated_claims", "connector_id")?
                .to_owned();
            (verified_email(token)?.to_owned(), none())
        }
        None => {
            let (identity, others) = other(token)?;
            alternatives.extend(others);
            (identity, none())
        }
    };
    Some(Foreseen {
        issuer,
        identity,
        alternatives,
        claims,
        completeness: Completeness::Partial,
    })
}

/// How an issuer's tokens become certificates.
enum Kind {
    GitHub,
    GitLab,
    Buildkite,
    CircleCi,
    Email,
    Dex,
}

impl Kind {
    fn of(issuer: &str) -> Option<Self> {
        Some(match issuer {
            issuers::GITHUB_ACTIONS => Self::GitHub,
            // Enterprises that have an issuer of their own.
            _ if issuer
                .strip_prefix(issuers::GITHUB_ACTIONS)
                .is_some_and(|rest| rest.starts_with('/')) =>
            {
                Self::GitHub
            }
            issuers::GITLAB
            | "https://dev.gitlab.org"
            | "https://ops.gitlab.net"
            | "https://gitlab.archlinux.org" => Self::GitLab,
            issuers::BUILDKITE => Self::Buildkite,
            issuers::CIRCLECI => Self::CircleCi,
            _ if issuer.starts_with(issuers::CIRCLECI_ORGANISATIONS) => Self::CircleCi,
            "https://oauth2.sigstore.dev/auth" => Self::Dex,
            issuers::GOOGLE
            | "https://auth.eclipse.org/auth/realms/foundation-service-accounts"
            | "https://issuer.hello.coop"
            | "https://www.kaggle.com/api/v1/models/signing"
            | "https://sigstore.verify.ibm.com/oauth2" => Self::Email,
            _ => return None,
        })
    }
}

fn verified_email(token: &IdentityToken) -> Option<&str> {
    token.email().filter(|_| !token.email_is_unverified())
}

/// `https://github.com/` and what the claim `name` says.
fn github_uri(token: &IdentityToken, name: &str) -> Option<String> {
    let url = token.claim("url").unwrap_or("https://github.com");
    Some(format!("{url}/{}", token.claim(name)?))
}

fn github(token: &IdentityToken) -> CertificateClaims {
    let text = |name: &str| token.claim(name).map(str::to_owned);
    let run = || {
        let repository = github_uri(token, "repository")?;
        let (run, attempt) = (token.claim("run_id")?, token.claim("run_attempt")?);
        Some(format!(
            "{repository}/actions/runs/{run}/attempts/{attempt}"
        ))
    };
    CertificateClaims::from_iter([
        (Claim::BuildSignerUri, github_uri(token, "job_workflow_ref")),
        (Claim::BuildSignerDigest, text("job_workflow_sha")),
        (Claim::RunnerEnvironment, text("runner_environment")),
        (Claim::SourceRepositoryUri, github_uri(token, "repository")),
        (Claim::SourceRepositoryDigest, text("sha")),
        (Claim::SourceRepositoryRef, text("ref")),
        (Claim::SourceRepositoryIdentifier, text("repository_id")),
        (
            Claim::SourceRepositoryOwnerUri,
            github_uri(token, "repository_owner"),
        ),
        (
            Claim::SourceRepositoryOwnerIdentifier,
            text("repository_owner_id"),
        ),
        (Claim::BuildConfigUri, github_uri(token, "workflow_ref")),
        (Claim::BuildConfigDigest, text("workflow_sha")),
        (Claim::BuildTrigger, text("event_name")),
        (Claim::RunInvocationUri, run()),
        (
            Claim::SourceRepositoryVisibilityAtSigning,
            text("repository_visibility"),
        ),
        (Claim::DeploymentEnvironment, text("environment")),
    ])
}

fn gitlab_uri(token: &IdentityToken) -> Option<String> {
    Some(format!("https://{}", token.claim("ci_config_ref_uri")?))
}

fn gitlab(token: &IdentityToken) -> CertificateClaims {
    let text = |name: &str| token.claim(name).map(str::to_owned);
    let below = |name: &str| {
        let url = token.claim("url").unwrap_or("https://gitlab.com");
        Some(format!("{url}/{}", token.claim(name)?))
    };
    let git_ref = || {
        let kind = match token.claim("ref_type")? {
            "branch" => "heads",
            "tag" => "tags",
            // A kind that is new: nothing is known of its refs.
            _ => return None,
        };
        Some(format!("refs/{kind}/{}", token.claim("ref")?))
    };
    let job = || {
        Some(format!(
            "{}/-/jobs/{}",
            below("project_path")?,
            token.claim("job_id")?
        ))
    };
    CertificateClaims::from_iter([
        (Claim::BuildSignerUri, gitlab_uri(token)),
        (Claim::BuildSignerDigest, text("ci_config_sha")),
        (Claim::RunnerEnvironment, text("runner_environment")),
        (Claim::SourceRepositoryUri, below("project_path")),
        (Claim::SourceRepositoryDigest, text("sha")),
        (Claim::SourceRepositoryRef, git_ref()),
        (Claim::SourceRepositoryIdentifier, text("project_id")),
        (Claim::SourceRepositoryOwnerUri, below("namespace_path")),
        (Claim::SourceRepositoryOwnerIdentifier, text("namespace_id")),
        (Claim::BuildConfigUri, gitlab_uri(token)),
        (Claim::BuildConfigDigest, text("ci_config_sha")),
        (Claim::BuildTrigger, text("pipeline_source")),
        (Claim::RunInvocationUri, job()),
        (
            Claim::SourceRepositoryVisibilityAtSigning,
            text("project_visibility"),
        ),
        (Claim::DeploymentEnvironment, text("environment")),
    ])
}

fn buildkite(token: &IdentityToken) -> Option<String> {
    let url = token.claim("url").unwrap_or("https://buildkite.com");
    let (organisation, pipeline) = (
        token.claim("organization_slug")?,
        token.claim("pipeline_slug")?,
    );
    Some(format!("{url}/{organisation}/{pipeline}"))
}

fn circleci(token: &IdentityToken) -> Option<String> {
    let url = token
        .claim("api_url")
        .unwrap_or("https://circleci.com/api/v2");
    let project = token.claim("oidc.circleci.com/project-id")?;
    let definition = token.claim("oidc.circleci.com/pipeline-definition-id")?;
    Some(format!(
        "{url}/projects/{project}/pipeline-definitions/{definition}"
    ))
}

/// The identity that any rule could make of a token with nothing but common claims, where the subject is
/// a URI or there is an email address; and the other one, where there are both.
fn other(token: &IdentityToken) -> Option<(String, Option<String>)> {
    if token.names().any(|name| !COMMON.contains(&name)) {
        return None;
    }
    let email = token.email().map(str::to_owned);
    let subject = token.subject();
    let uri = subject.contains("://").then(|| subject.to_owned());
    match (email, uri) {
        (Some(email), uri) => Some((email, uri)),
        (None, Some(uri)) => Some((uri, None)),
        // A user's name, say, to which the instance adds a domain.
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
