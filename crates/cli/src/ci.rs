//! The CI that this runs in, and how it hands out identity tokens.
//!
//! Each is told by the variable that it documents for that. Whatever fails says which CI was found,
//! and what to change there.

use std::process::ExitStatus;
use std::time::Duration;

use countersign_oci::http::Connection;
use countersign_oci::{Patience, excerpt};
use countersign_sign::{IdentityEndpoint, IdentityToken};
use tokio::process::Command;
use url::Url;

use crate::environment::{Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::program::{self, NotRun};

/// For one run of a CI's own program.
const RUN_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a CI's own program is run. Those ask a server, which may be away for a moment.
const TRIES: u32 = 3;
/// The longest pause before a CI's own program is run again, in seconds.
const LONGEST_PAUSE: u64 = 30;
/// What to do where an endpoint does not answer, or fails.
const AWAY: &str = "run the job again; if it fails again, check the CI's status, and the network and proxy of the runner";
/// Bytes of a program's output that are kept.
const OUTPUT_MAX: usize = 64 << 10;

/// Variables by which a program can get the identity of the job that it runs in, whichever CI that is. A program that
/// is run by this one and needs no identity gets none of them.
pub(crate) fn identity_secrets() -> impl Iterator<Item = &'static str> {
    let of_providers = Provider::ALL.into_iter().flat_map(Provider::secrets);
    std::iter::once(Variable::IdentityToken.name()).chain(of_providers.copied())
}

/// A CI that hands out identity tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    GitHub,
    GitLab,
    Buildkite,
    CircleCi,
}

impl Provider {
    const ALL: [Self; 4] = [Self::GitHub, Self::GitLab, Self::Buildkite, Self::CircleCi];

    /// The CI that this process is a job of.
    pub(crate) fn detect(environment: &Environment) -> Option<Self> {
        let is = |ci: &Self| environment.variable(ci.variable()) == Some("true");
        Self::ALL.into_iter().find(is)
    }

    /// The variable that is `true` in its jobs.
    fn variable(self) -> Variable {
        match self {
            Self::GitHub => Variable::GitHubActions,
            Self::GitLab => Variable::GitLabCi,
            Self::Buildkite => Variable::Buildkite,
            Self::CircleCi => Variable::CircleCi,
        }
    }

    /// Variables of a job by which a program can get its identity.
    fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => {
                const {
                    &[
                        Variable::GitHubRequestToken.name(),
                        Variable::GitHubRequestUrl.name(),
                    ]
                }
            }
            // The job's tokens have the names that its configuration gives them. Ours is in all CIs.
            Self::GitLab => &[],
            Self::Buildkite => &["BUILDKITE_AGENT_ACCESS_TOKEN"],
            Self::CircleCi => &["CIRCLE_OIDC_TOKEN", "CIRCLE_OIDC_TOKEN_V2"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::GitLab => "GitLab CI",
            Self::Buildkite => "Buildkite",
            Self::CircleCi => "CircleCI",
        }
    }

    /// What to change where there is no token.
    fn hint(self) -> &'static str {
        match self {
            Self::GitHub => {
                "give the job `permissions: { id-token: write }`; a pull request from a fork never gets a token: sign in a job of your own repository"
            }
            Self::GitLab => {
                "give the job an identity token: `id_tokens: { SIGSTORE_ID_TOKEN: { aud: sigstore } }`"
            }
            Self::Buildkite => {
                "`buildkite-agent oidc request-token --audience sigstore` must print a token: in a container too, buildkite-agent must be in PATH, and BUILDKITE_AGENT_ACCESS_TOKEN must be set"
            }
            Self::CircleCi => {
                "`circleci run oidc get --root-issuer --claims '{\"aud\":\"sigstore\"}'` must print a token: in a container too, circleci must be in PATH"
            }
        }
    }

    /// The job's token for Sigstore.
    pub(crate) async fn token(
        self,
        environment: &Environment,
        connection: &Connection,
        patience: Option<&Patience>,
    ) -> Result<IdentityToken, Failure> {
        match self {
            Self::GitHub => self.of_endpoint(environment, connection, patience).await,
            Self::GitLab => Err(self.refused("the job has no variable SIGSTORE_ID_TOKEN")),
            Self::Buildkite => {
                let arguments = ["oidc", "request-token", "--audience", "sigstore"];
                self.printed("buildkite-agent", &arguments, patience).await
            }
            Self::CircleCi => {
                let claims = r#"{"aud":"sigstore"}"#;
                let arguments = ["run", "oidc", "get", "--root-issuer", "--claims", claims];
                self.printed("circleci", &arguments, patience).await
            }
        }
    }

    /// The job gets no token as it is set up.
    fn refused(self, why: impl std::fmt::Display) -> Failure {
        self.no_token(Kind::Rejected, why).hint(self.hint())
    }

    fn no_token(self, kind: Kind, why: impl std::fmt::Display) -> Failure {
        let message = format!("{} gave this job no identity token: {why}", self.name());
        Failure::new(kind, message)
    }

    async fn of_endpoint(
        self,
        environment: &Environment,
        connection: &Connection,
        patience: Option<&Patience>,
    ) -> Result<IdentityToken, Failure> {
        let value = |variable| {
            let value = environment.variable(variable);
            value.ok_or_else(|| self.refused(format_args!("the job has no variable {variable}")))
        };
        let url = value(Variable::GitHubRequestUrl)?;
        let bearer = value(Variable::GitHubRequestToken)?;
        let url: Url = url.parse().map_err(|error| {
            self.refused(format_args!(
                "ACTIONS_ID_TOKEN_REQUEST_URL is no URL: {error}"
            ))
        })?;
        let mut endpoint = IdentityEndpoint::new(connection, url, bearer);
        if let Some(patience) = patience {
            endpoint = endpoint.with_patience(patience.clone());
        }
        endpoint.token().await.map_err(|error| match error {
            countersign_sign::Error::Service { .. } => match error.kind() {
                Kind::Rejected => self.refused(Failure::from(error).line()),
                Kind::Unreachable => {
                    let line = Failure::from(error).line();
                    self.no_token(Kind::Unreachable, line).hint(AWAY)
                }
                Kind::Internal
                | Kind::Machine
                | Kind::Usage
                | Kind::Unsigned
                | Kind::Policy
                | Kind::Invalid
                | Kind::NotFound
                | Kind::Differs => error.into(),
            },
            other => other.into(),
        })
    }

    /// What the CI's own program prints.
    async fn printed(
        self,
        program: &str,
        arguments: &[&str],
        patience: Option<&Patience>,
    ) -> Result<IdentityToken, Failure> {
        let mut tries = 0;
        let token = loop {
            tries += 1;
            match run(program, arguments).await {
                Ok(token) => break token,
                Err(why) => {
                    let pause = Duration::from_secs(u64::from(tries).min(LONGEST_PAUSE));
                    let failed = format!("`{program}` {why}");
                    let again = why.may_pass()
                        && match patience {
                            Some(patience) => patience.allows(&failed, pause),
                            None => tries < TRIES,
                        };
                    if !again {
                        let failure = self.no_token(why.kind(), failed).hint(self.hint());
                        return Err(if why.may_pass() {
                            failure.hint(AWAY)
                        } else {
                            failure
                        });
                    }
                    tracing::warn!(program, %why, "asking again");
                    tokio::time::sleep(pause).await;
                }
            }
        };
        Ok(IdentityToken::just_issued(&token)?)
    }
}

/// Why a CI's program printed no token. What it printed on standard output is not told: it may be
/// the token.
#[derive(Debug, thiserror::Error)]
enum NoToken {
    #[error(transparent)]
    NotRun(#[from] NotRun),
    #[error("has printed more than {OUTPUT_MAX} bytes in place of a token")]
    TooLong,
    #[error("failed ({status}){}", if .said.is_empty() { String::new() } else { format!(": {}", excerpt(.said)) })]
    Failed { status: ExitStatus, said: String },
}

impl NoToken {
    fn kind(&self) -> Kind {
        if self.may_pass() {
            Kind::Unreachable
        } else {
            Kind::Rejected
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::NotRun(NotRun::Failed(_)) | Self::TooLong => false,
            // Why a program failed is not known: its server may be away.
            Self::NotRun(NotRun::Late(_)) | Self::Failed { .. } => true,
        }
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<String, NoToken> {
    let mut command = Command::new(program);
    command.args(arguments);
    let ran = program::run(command, RUN_TIME_MAX, OUTPUT_MAX).await?;
    if ran.status.success() {
        ran.stdout.whole().ok_or(NoToken::TooLong)
    } else {
        Err(NoToken::Failed {
            status: ran.status,
            said: ran.stderr.text(),
        })
    }
}
