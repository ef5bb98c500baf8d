//! Which issuers and identities certificates of the public-good Sigstore can have.
//!
//! Source: Fulcio's configuration of the public instance, and its documentation of identities for each provider
//! (`docs/oidc.md`).

use crate::claims::Claim;
use crate::issuers::{BUILDKITE, GITHUB_ACTIONS, GITHUB_LOGIN, GITLAB, GOOGLE, MICROSOFT};
use crate::matcher::{Matcher, WholeRegex};
use crate::nearest::is_too_long;

/// One issuer of each provider that the public-good Fulcio accepts.
pub(super) const PROVIDERS: [&str; 7] = [
    GITHUB_ACTIONS,
    GITLAB,
    BUILDKITE,
    "https://oidc.circleci.com/org/00000000-0000-0000-0000-000000000000",
    GOOGLE,
    GITHUB_LOGIN,
    MICROSOFT,
];

/// The providers that confirm an address of a person or a service account.
const BY_ADDRESS: [&str; 3] = [GOOGLE, GITHUB_LOGIN, MICROSOFT];

/// What people call a provider, where `https://` before it is not its issuer, and the issuer.
const BY_NAME: [(&[&str], &str); 4] = [
    (
        &["github", "github.com", "github-actions", "actions"],
        GITHUB_ACTIONS,
    ),
    (&["gitlab"], GITLAB),
    (&["google", "google.com"], GOOGLE),
    (&["microsoft", "microsoft.com"], MICROSOFT),
];

/// How a provider writes the identities of its certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    GitHubWorkflow,
    GitLabPipeline,
    Address,
}

impl Form {
    /// What this issuer's identities look like, where that is known.
    pub(super) fn of_issuer(issuer: &str) -> Option<Self> {
        // GitHub gives an enterprise an issuer of its own: the same, and its name.
        let enterprise = issuer.strip_prefix(GITHUB_ACTIONS);
        if enterprise.is_some_and(|rest| rest.is_empty() || rest.len() > 1 && rest.starts_with('/'))
        {
            return Some(Self::GitHubWorkflow);
        }
        if issuer == GITLAB {
            return Some(Self::GitLabPipeline);
        }
        BY_ADDRESS.contains(&issuer).then_some(Self::Address)
    }

    /// Whether an identity of this form can be this text.
    pub(super) fn fits(self, identity: &str) -> bool {
        let at_ref = |file: &str| {
            let named = identity
                .strip_prefix("https://")
                .and_then(|rest| rest.split_once(file));
            named.is_some_and(|(before, after)| {
                before.contains('/') && after.split_once('@').is_some_and(|(_, at)| is_ref(at))
            })
        };
        match self {
            Self::GitHubWorkflow => at_ref("/.github/workflows/"),
            Self::GitLabPipeline => at_ref("//"),
            Self::Address => {
                let address = identity.split_once('@');
                address.is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
                    && !identity.contains('/')
            }
        }
    }

    /// The issuer of a CI whose identities can be this text.
    pub(super) fn issuer_of(identity: &str) -> Option<&'static str> {
        let of_ci = [
            (Self::GitHubWorkflow, GITHUB_ACTIONS),
            (Self::GitLabPipeline, GITLAB),
        ];
        let fits = of_ci.iter().find(|(form, _)| form.fits(identity));
        fits.map(|(_, issuer)| *issuer)
    }

    /// An example of it.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::GitHubWorkflow => {
                "https://github.com/OWNER/REPOSITORY/.github/workflows/FILE.yml@refs/heads/BRANCH"
            }
            Self::GitLabPipeline => {
                "https://gitlab.com/GROUP/PROJECT//.gitlab-ci.yml@refs/heads/BRANCH"
            }
            Self::Address => "name@example.com",
        }
    }
}

impl Form {
    /// What the claim looks like in certificates of such a CI, in words, if it can't be this text. `None` if it can, or
    /// nobody knows.
    pub(super) fn expected_claim(self, claim: Claim, text: &str) -> Option<&'static str> {
        let is_url = |text: &str| {
            let rest = text.strip_prefix("https://");
            rest.is_some_and(|rest| rest.split('/').all(|part| !part.is_empty()))
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_commit = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(is_hex);
        let is_word = |text: &str| {
            let of_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            !text.is_empty() && text.bytes().all(of_word)
        };
        let (fits, expected) = match (self, claim) {
            (Self::Address, _) => return None,
            (Self::GitHubWorkflow, Claim::SourceRepositoryUri) => {
                (is_url(text), "a URL: `https://github.com/OWNER/REPOSITORY`")
            }
            (Self::GitLabPipeline, Claim::SourceRepositoryUri) => {
                (is_url(text), "a URL: `https://gitlab.com/GROUP/PROJECT`")
            }
            (Self::GitHubWorkflow, Claim::SourceRepositoryOwnerUri) => {
                (is_url(text), "a URL: `https://github.com/OWNER`")
            }
            (Self::GitLabPipeline, Claim::SourceRepositoryOwnerUri) => {
                (is_url(text), "a URL: `https://gitlab.com/GROUP`")
            }
            (_, Claim::RunInvocationUri) => (is_url(text), "the URL of a run"),
            (_, Claim::BuildSignerUri | Claim::BuildConfigUri) => {
                (self.fits(text), "a file at a ref, as an identity is")
            }
            (_, Claim::SourceRepositoryRef) => (
                text.starts_with("refs/") && is_ref(text),
                "a ref in full: `refs/heads/BRANCH`, `refs/tags/TAG`",
            ),
            (
                _,
                Claim::SourceRepositoryDigest | Claim::BuildSignerDigest | Claim::BuildConfigDigest,
            ) => (is_commit(text), "a commit in full, in 40 or 64 hex digits"),
            (_, Claim::SourceRepositoryIdentifier | Claim::SourceRepositoryOwnerIdentifier) => {
                (is_number(text), "a number")
            }
            (_, Claim::BuildTrigger) => (is_word(text), "a word in small letters: `push`"),
            (_, Claim::SourceRepositoryVisibilityAtSigning) => (
                matches!(text, "public" | "private" | "internal"),
                "`public`, `private` or `internal`",
            ),
            (Self::GitHubWorkflow, Claim::RunnerEnvironment) => (
                matches!(text, "github-hosted" | "self-hosted"),
                "`github-hosted` or `self-hosted`",
            ),
            (Self::GitLabPipeline, Claim::RunnerEnvironment) => (
                matches!(text, "gitlab-hosted" | "self-hosted"),
                "`gitlab-hosted` or `self-hosted`",
            ),
            // Whatever the author of the job or of the token wrote.
            (_, Claim::DeploymentEnvironment | Claim::TokenSubject) => return None,
        };
        (!fits).then_some(expected)
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// Whether a workflow or a pipeline can be at this: a ref in full, or the commit that a reusable workflow is called by.
pub(super) fn is_ref(at: &str) -> bool {
    let is_commit = at.len() == 40 && at.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kinds = ["heads/", "tags/", "pull/", "merge-requests/"];
    let named = at.strip_prefix("refs/");
    is_commit
        || named.is_some_and(|rest| {
            let of_kind = |kind: &&str| {
                rest.strip_prefix(*kind)
                    .is_some_and(|name| !name.is_empty())
            };
            kinds.iter().any(of_kind)
        })
}

/// The providers whose issuer the pattern matches.
pub(super) fn providers_matching(pattern: &WholeRegex) -> Vec<&'static str> {
    let matching = PROVIDERS
        .into_iter()
        .filter(|issuer| pattern.is_match(issuer));
    matching.collect()
}

/// The known issuer that a text with a slip was meant to be: a slash at the end, another case, a letter or two off.
pub(super) fn meant_issuer(issuer: &str) -> Option<&'static str> {
    if Form::of_issuer(issuer).is_some() || is_too_long(issuer) {
        return None;
    }
    let plain = issuer.trim().trim_end_matches('/').to_lowercase();
    PROVIDERS
        .into_iter()
        .find(|known| issuer != *known && strsim::damerau_levenshtein(&plain, known) <= 2)
}

/// What a certificate has in place of this issuer, if it lacks the scheme.
pub(super) fn with_scheme(issuer: &Matcher) -> Option<String> {
    match issuer {
        Matcher::Exact(text) if !text.contains("://") => {
            let named = |(names, _): &&(&[&str], _)| names.contains(&&*text.to_lowercase());
            let known = BY_NAME.iter().find(named).map(|(_, known)| *known);
            Some(known.map_or_else(|| format!("https://{text}"), str::to_owned))
        }
        Matcher::Exact(_) => None,
        Matcher::Regex(pattern) => {
            let without_scheme = |issuer: &str| {
                let rest = issuer.strip_prefix("https://");
                rest.is_some_and(|rest| pattern.is_match(rest))
            };
            let idle = providers_matching(pattern).is_empty();
            (idle && PROVIDERS.into_iter().any(without_scheme)).then(|| {
                let text = pattern.as_str();
                match text.strip_prefix('^') {
                    Some(rest) if !text.contains('|') => format!("^https://{rest}"),
                    _ => format!("https://({text})"),
                }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, PROVIDERS, meant_issuer};

    #[test]
    fn a_slip_finds_the_issuer_and_no_other_text_does() {
        let github = PROVIDERS[0];
        for slip in [
            "https://token.actions.githubusercontent.com/",
            "https://token.action.githubusercontent.com",
            "https://Token.Actions.githubusercontent.com",
            "http://token.actions.githubusercontent.com",
        ] {
            assert_eq!(meant_issuer(slip), Some(github), "{slip}");
        }
        for other in PROVIDERS.into_iter().chain([
            "https://token.actions.githubusercontent.com/acme",
            "https://gitlab.example",
            "https://accounts.example",
        ]) {
            assert_eq!(meant_issuer(other), None, "{other}");
        }
    }

    #[test]
    fn each_example_has_its_form_and_no_other() {
        let forms = [Form::GitHubWorkflow, Form::GitLabPipeline, Form::Address];
        for form in forms {
            for other in forms {
                assert_eq!(
                    other.fits(form.example()),
                    other == form,
                    "{form:?} {other:?}"
                );
            }
        }
        for wrong in [
            "https://github.com/acme/app",
            "https://github.com/acme/app/.github/workflows/release.yml",
            "https://github.com/acme/app/.github/workflows/release.yml@",
            "https://github.com/acme/app/.github/workflows/release.yml@v1",
            "https://github.com/acme/app/.github/workflows/release.yml@refs/tag/v1",
            "github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
            "ci@acme.example",
        ] {
            assert!(!Form::GitHubWorkflow.fits(wrong), "{wrong}");
        }
    }
}
