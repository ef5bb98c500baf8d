//! Whom Fulcio will certify for a token: the one place that knows.
//!
//! The rules are those of the public-good instance (`config/identity/config.yaml` of
//! sigstore/fulcio) for the issuers in it. An issuer that isn't has rules of its own in the instance
//! that trusts it; where its token holds nothing but what every token has, they leave no more than
//! the email address and the subject to choose from. Else nothing is foreseen, and the certificate
//! tells.

use std::collections::BTreeMap;

use countersign_oci::ResolvedImage;
use countersign_policy::{
    COSIGN_SIGN_PREDICATE, CertificateClaims, Claim, Claimed, Policy, Violation,
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
    /// The identity: one of these, the likeliest first. Never empty.
    pub(crate) identities: Vec<String>,
    /// Claims that are known.
    pub(crate) claims: CertificateClaims,
    /// Whether there are no others.
    pub(crate) are_all: bool,
}

impl Foreseen {
    /// Whether `policy` accepts a signature of `image` that is made at `at` with `annotations`. What
    /// is not known is not judged.
    ///
    /// # Errors
    /// The first condition that will not hold, for the likeliest identity.
    pub(crate) fn judge(
        &self,
        policy: &Policy,
        image: &ResolvedImage,
        at: Timestamp,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), Violation> {
        let policy =
            policy.as_far_as_known(|claim| self.are_all || self.claims.value(claim).is_some());
        let name = statement::name(image.requested());
        let judge = |identity: &String| {
            let judged = policy.judge(Claimed {
                digest: image.digest(),
                issuer: &self.issuer,
                identity,
                certificate: &self.claims,
                earliest: at,
                predicate_type: COSIGN_SIGN_PREDICATE,
                annotations,
                subject_name: Some(&name),
                location: image.requested().location(),
                tag: image.requested().tag(),
            });
            judged.map(drop)
        };
        let mut judged = self.identities.iter().map(judge);
        let first = judged.next().unwrap_or(Ok(()));
        match first {
            Err(violation) if judged.all(|other| other.is_err()) => Err(violation),
            _ => Ok(()),
        }
    }
}

/// What the certificate for this token will say, where that can be known.
pub(crate) fn foresee(token: &IdentityToken) -> Option<Foreseen> {
    let one = |identity: String| vec![identity];
    let none = CertificateClaims::default;
    let (identities, claims) = match Kind::of(token.issuer()) {
        Some(Kind::GitHub) => (one(github_uri(token, "job_workflow_ref")?), github(token)),
        Some(Kind::GitLab) => (one(gitlab_uri(token)?), gitlab(token)),
        Some(Kind::Buildkite) => (one(buildkite(token)?), none()),
        Some(Kind::CircleCi) => (one(circleci(token)?), none()),
        Some(Kind::Email) => (one(verified_email(token)?.to_owned()), none()),
        Some(Kind::Dex) => {
            return Some(Foreseen {
                // Who vouches is who Dex was logged in with.
                issuer: token.claim_in("federated_claims", "connector_id")?.into(),
                identities: one(verified_email(token)?.to_owned()),
                claims: none(),
                are_all: false,
            });
        }
        None => (other(token)?, none()),
    };
    Some(Foreseen {
        issuer: token.issuer().to_owned(),
        identities,
        claims,
        are_all: false,
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
        const GITHUB: &str = "https://token.actions.githubusercontent.com";
        const CIRCLECI_ORGANISATIONS: &str = "https://oidc.circleci.com/org/";
        Some(match issuer {
            GITHUB => Self::GitHub,
            // Enterprises that have an issuer of their own.
            _ if issuer
                .strip_prefix(GITHUB)
                .is_some_and(|rest| rest.starts_with('/')) =>
            {
                Self::GitHub
            }
            "https://gitlab.com"
            | "https://dev.gitlab.org"
            | "https://ops.gitlab.net"
            | "https://gitlab.archlinux.org" => Self::GitLab,
            "https://agent.buildkite.com" => Self::Buildkite,
            "https://oidc.circleci.com" => Self::CircleCi,
            _ if issuer.starts_with(CIRCLECI_ORGANISATIONS) => Self::CircleCi,
            "https://oauth2.sigstore.dev/auth" => Self::Dex,
            "https://accounts.google.com"
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
            _ => "tags",
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

/// The identities that any rule could make of a token with nothing but common claims, where the
/// subject is a URI or there is an email address.
fn other(token: &IdentityToken) -> Option<Vec<String>> {
    if token.names().any(|name| !COMMON.contains(&name)) {
        return None;
    }
    let subject = token.subject();
    let mut identities: Vec<String> = token.email().map(str::to_owned).into_iter().collect();
    if subject.contains("://") {
        identities.push(subject.to_owned());
    } else if identities.is_empty() {
        // A user's name, say, to which the instance adds a domain.
        return None;
    }
    Some(identities)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn foreseen(claims: Value) -> Option<Foreseen> {
        let mut all = json!({
            "sub": "me", "aud": "sigstore", "exp": 4_102_444_800_i64, "iat": 1_700_000_000, "jti": "x",
        });
        let object = all.as_object_mut().unwrap();
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        object.extend(claims);
        let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(all.to_string()));
        foresee(&IdentityToken::from_jwt(&text).unwrap())
    }

    fn identity(claims: Value) -> Option<(String, Vec<String>)> {
        foreseen(claims).map(|foreseen| (foreseen.issuer, foreseen.identities))
    }

    fn pair(issuer: &str, identity: &str) -> Option<(String, Vec<String>)> {
        Some((issuer.to_owned(), vec![identity.to_owned()]))
    }

    const GITHUB: &str = "https://token.actions.githubusercontent.com";

    #[test]
    fn github_certifies_the_workflow_that_the_job_is_of() {
        let workflow = "acme/workflows/.github/workflows/sign.yml@refs/tags/v2";
        let uri = format!("https://github.com/{workflow}");
        for issuer in [GITHUB, &format!("{GITHUB}/acme-inc")] {
            let claims = json!({
                "iss": issuer,
                "sub": "repo:acme/app:ref:refs/heads/main",
                "job_workflow_ref": workflow,
                "workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
                "repository": "acme/app",
            });
            assert_eq!(identity(claims), pair(issuer, &uri));
        }
        assert_eq!(identity(json!({"iss": GITHUB})), None);
        // Not GitHub, however it begins.
        let other = json!({"iss": format!("{GITHUB}.evil.example"), "job_workflow_ref": workflow});
        assert_eq!(identity(other), None);
    }

    #[test]
    fn github_certifies_claims_by_these_names() {
        let foreseen = foreseen(json!({
            "iss": GITHUB,
            "job_workflow_ref": "acme/app/.github/workflows/w.yml@refs/heads/main",
            "repository": "acme/app",
            "repository_id": "7",
            "ref": "refs/heads/main",
            "event_name": "push",
            "run_id": "12",
            "run_attempt": "1",
        }));
        let claims = foreseen.unwrap().claims;
        for (claim, value) in [
            (
                Claim::BuildSignerUri,
                Some("https://github.com/acme/app/.github/workflows/w.yml@refs/heads/main"),
            ),
            (
                Claim::SourceRepositoryUri,
                Some("https://github.com/acme/app"),
            ),
            (Claim::SourceRepositoryIdentifier, Some("7")),
            (Claim::SourceRepositoryRef, Some("refs/heads/main")),
            (Claim::BuildTrigger, Some("push")),
            (
                Claim::RunInvocationUri,
                Some("https://github.com/acme/app/actions/runs/12/attempts/1"),
            ),
            // Not in the token, and perhaps in the certificate.
            (Claim::RunnerEnvironment, None),
            (Claim::TokenSubject, None),
        ] {
            assert_eq!(claims.value(claim), value, "{claim}");
        }
    }

    #[test]
    fn gitlab_buildkite_and_circleci_certify_the_pipeline() {
        let gitlab = json!({
            "iss": "https://gitlab.com",
            "sub": "project_path:acme/app:ref_type:tag:ref:v1",
            "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1",
            "user_email": "a@b.c",
            "ref": "v1",
            "ref_type": "tag",
        });
        let claims = foreseen(gitlab.clone()).unwrap().claims;
        assert_eq!(
            claims.value(Claim::SourceRepositoryRef),
            Some("refs/tags/v1")
        );
        let expected = "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1";
        assert_eq!(identity(gitlab), pair("https://gitlab.com", expected));

        let buildkite = "https://agent.buildkite.com";
        let claims = json!({"iss": buildkite, "organization_slug": "acme", "pipeline_slug": "app"});
        let expected = "https://buildkite.com/acme/app";
        assert_eq!(identity(claims), pair(buildkite, expected));

        let circleci = "https://oidc.circleci.com/org/1";
        let claims = json!({
            "iss": circleci,
            "oidc.circleci.com/project-id": "2",
            "oidc.circleci.com/pipeline-definition-id": "3",
        });
        let expected = "https://circleci.com/api/v2/projects/2/pipeline-definitions/3";
        assert_eq!(identity(claims), pair(circleci, expected));
    }

    #[test]
    fn people_are_certified_by_their_address_and_dex_names_who_vouched() {
        let google = "https://accounts.google.com";
        let person = |verified: Value| json!({"iss": google, "email": "a@b.c", "email_verified": verified, "hd": "b.c"});
        assert_eq!(identity(person(json!(true))), pair(google, "a@b.c"));
        assert_eq!(identity(person(json!("true"))), pair(google, "a@b.c"));
        assert_eq!(identity(person(json!(false))), None);
        let dex = json!({
            "iss": "https://oauth2.sigstore.dev/auth",
            "email": "a@b.c",
            "email_verified": true,
            "federated_claims": {"connector_id": "https://github.com/login/oauth", "user_id": "1"},
        });
        let expected = pair("https://github.com/login/oauth", "a@b.c");
        assert_eq!(identity(dex), expected);
    }

    #[test]
    fn of_an_issuer_that_nobody_knows_only_a_plain_token_tells() {
        let issuer = "https://issuer.example";
        let uri = "https://ci.example/job";
        assert_eq!(
            identity(json!({"iss": issuer, "sub": uri})),
            pair(issuer, uri)
        );
        assert_eq!(
            identity(json!({"iss": issuer, "sub": uri, "email": "a@b.c"})),
            Some((issuer.to_owned(), vec!["a@b.c".into(), uri.into()]))
        );
        assert_eq!(identity(json!({"iss": issuer})), None);
        assert_eq!(
            identity(json!({"iss": issuer, "sub": uri, "pipeline": "p"})),
            None
        );
    }
}
