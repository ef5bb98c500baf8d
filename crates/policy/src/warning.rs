//! Warnings about a policy that is valid but weaker than its author may think.
//!
//! Warnings look only at the text of a pattern. They are hints for a person, and never change what is accepted.
//! A pattern can be weak without a warning.

use crate::claims::Claim;
use crate::format::SignatureFormat;
use crate::matcher::{Matcher, WholeRegex};
use crate::policy::{Policy, Signer};
use countersign_oci::printable;

/// One issuer of each provider that the public-good Fulcio accepts.
const PROVIDERS: [&str; 7] = [
    "https://token.actions.githubusercontent.com",
    "https://gitlab.com",
    "https://agent.buildkite.com",
    "https://oidc.circleci.com/org/00000000-0000-0000-0000-000000000000",
    "https://accounts.google.com",
    "https://github.com/login/oauth",
    "https://login.microsoftonline.com",
];

/// Claims about the repository that was built. A reusable workflow does not change them.
const CALLER_CLAIMS: [Claim; 6] = [
    Claim::SourceRepositoryUri,
    Claim::SourceRepositoryIdentifier,
    Claim::SourceRepositoryOwnerUri,
    Claim::SourceRepositoryOwnerIdentifier,
    Claim::BuildConfigUri,
    Claim::TokenSubject,
];

/// A weak point. Signers are counted from 0, as in [`Policy::signers`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// An issuer pattern that matches several providers. So somebody can get the identity from another
    /// provider.
    #[error(
        "the issuer pattern `{}` matches more than one provider ({}); set `issuer` to the one \
         you mean",
        printable(.pattern), .providers.join(", ")
    )]
    SeveralProviders {
        /// Which signer.
        signer: usize,
        /// Its issuer pattern.
        pattern: String,
        /// The providers' issuers.
        providers: Vec<&'static str>,
    },
    /// An issuer without `https://`, as in some instructions. No certificate has such an issuer, so the
    /// policy accepts nobody.
    #[error(
        "no certificate has the issuer `{}`, because Fulcio records issuers as URLs; write `{}`",
        printable(.issuer), printable(.expected)
    )]
    IssuerWithoutScheme {
        /// Which signer.
        signer: usize,
        /// Its issuer, or pattern.
        issuer: String,
        /// The same with `https://`.
        expected: String,
    },
    /// An identity pattern that matches any repository. Whoever can create a repository there can sign.
    #[error(
        "the identity pattern `{}` does not fix the repository: every workflow in every \
         repository that it matches can sign; write the owner and the repository in full",
        printable(.pattern)
    )]
    OpenRepository {
        /// Which signer.
        signer: usize,
        /// Its identity pattern.
        pattern: String,
    },
    /// A `.` in a host name that matches any character: `githubXcom` matches too.
    #[error(
        "in the pattern `{}`, a `.` in the host name `{}` matches any character; write `\\.`",
        printable(.pattern), printable(.host)
    )]
    UnescapedDot {
        /// Which signer.
        signer: usize,
        /// The pattern.
        pattern: String,
        /// The host name in it.
        host: String,
    },
    /// No `not_before`: signatures of any age are accepted.
    #[error(
        "there is no `not_before`, so signatures of any age are accepted; after an incident, set it \
         to the time from which signatures are good again"
    )]
    NoNotBefore,
    /// Digests are denied. One may be an index, and another index can list the same images.
    #[error(
        "if `deny_digests` lists an index, the images in it are denied only while the repository has \
         that index; list these images too: `countersign policy check --resolve` prints them"
    )]
    DeniedIndexes,
    /// Simple signing is accepted, which proves less than a bundle.
    #[error(
        "`signature_formats` accepts `simple_signing`, cosign's legacy form: it has the log's promise \
         to include the signature, and no proof that the log did; leave it out as soon as all images \
         are signed with bundles"
    )]
    SimpleSigning,
    /// Simple signing is accepted and names are bound.
    #[error(
        "signatures in the form `simple_signing` seldom name a tag: for these, `bind_name` binds the \
         repository only, so a signature of one tag is accepted for every other"
    )]
    SimpleSigningTag,
    /// The signer looks like a reusable workflow, and no claim limits who may call it.
    #[error(
        "the identity `{}` looks like a reusable workflow, which can sign for every repository \
         that calls it; name the repository in `claims`: `source_repository_uri`, or better \
         `source_repository_identifier`",
        printable(.identity)
    )]
    AnyCaller {
        /// Which signer.
        signer: usize,
        /// Its identity, or pattern.
        identity: String,
    },
}

impl Policy {
    /// The weak points of this policy, signer by signer.
    pub fn warnings(&self) -> Vec<Warning> {
        let Self {
            signers,
            not_before,
            deny_digests,
            bind_name,
            // These only make the policy stricter, or say where to look.
            min_age: _,
            predicate_types: _,
            // Asked by `accepts_format` below.
            signature_formats: _,
            annotations: _,
            trust: _,
            signature_sources: _,
        } = self;
        let mut warnings: Vec<Warning> = signers
            .iter()
            .enumerate()
            .flat_map(|(position, signer)| signer_warnings(position, signer))
            .collect();
        let unbounded = |signer: &Signer| signer.not_before.is_none();
        if not_before.is_none() && signers.iter().any(unbounded) {
            warnings.push(Warning::NoNotBefore);
        }
        if self.accepts_format(SignatureFormat::SimpleSigning) {
            warnings.push(Warning::SimpleSigning);
            if *bind_name {
                warnings.push(Warning::SimpleSigningTag);
            }
        }
        if !deny_digests.is_empty() {
            warnings.push(Warning::DeniedIndexes);
        }
        warnings
    }
}

fn signer_warnings(position: usize, signer: &Signer) -> Vec<Warning> {
    let Signer {
        issuer,
        identity,
        claims,
        // Checked together with the policy's `not_before`.
        not_before: _,
    } = signer;
    let mut warnings = Vec::new();
    if let Some(expected) = with_scheme(issuer) {
        warnings.push(Warning::IssuerWithoutScheme {
            signer: position,
            issuer: issuer.as_str().to_owned(),
            expected,
        });
    }
    if let Matcher::Regex(pattern) = issuer {
        let providers = providers_matching(pattern);
        if providers.len() > 1 {
            warnings.push(Warning::SeveralProviders {
                signer: position,
                pattern: pattern.to_string(),
                providers,
            });
        }
    }
    let matchers = claims.iter().map(|rule| &rule.matcher);
    for matcher in [issuer, identity].into_iter().chain(matchers) {
        if let Matcher::Regex(pattern) = matcher
            && let Some(host) = host_with_unescaped_dot(pattern.as_str())
        {
            warnings.push(Warning::UnescapedDot {
                signer: position,
                pattern: pattern.to_string(),
                host: host.to_owned(),
            });
        }
    }
    if let Matcher::Regex(pattern) = identity
        && leaves_repository_open(pattern.as_str())
    {
        warnings.push(Warning::OpenRepository {
            signer: position,
            pattern: pattern.to_string(),
        });
    }
    let identity = identity.as_str();
    let names_caller = |claim| claims.iter().any(|rule| rule.claim == claim);
    if looks_reusable(identity) && !CALLER_CLAIMS.into_iter().any(names_caller) {
        warnings.push(Warning::AnyCaller {
            signer: position,
            identity: identity.to_owned(),
        });
    }
    warnings
}

fn providers_matching(pattern: &WholeRegex) -> Vec<&'static str> {
    let matching = PROVIDERS
        .into_iter()
        .filter(|issuer| pattern.is_match(issuer));
    matching.collect()
}

/// A URL's or an e-mail address's host name, when one of its dots is not escaped.
fn host_with_unescaped_dot(pattern: &str) -> Option<&str> {
    let mark = if pattern.contains("://") { "://" } else { "@" };
    let hosts = pattern.split(mark).skip(1);
    hosts
        .filter_map(|rest| rest.split('/').next())
        .find(|host| has_unescaped_dot(host))
}

/// A dot with a repetition after it is no slip, and other warnings speak of it.
fn has_unescaped_dot(host: &str) -> bool {
    let mut escaped = false;
    let mut characters = host.chars().peekable();
    while let Some(c) = characters.next() {
        let repeated = matches!(characters.peek(), Some('*' | '+' | '?' | '{'));
        if c == '.' && !escaped && !repeated && characters.peek().is_some() {
            return true;
        }
        escaped = c == '\\' && !escaped;
    }
    false
}

/// Slashes before the part after the repository: `https:`, the empty one, host, owner, repository.
const REPOSITORY_SLASHES: usize = 5;

/// Whether a repetition stands where host, owner and repository have to be named, as far as a
/// pattern's text shows it: in any of its alternatives, behind the fewest slashes that lead there.
fn leaves_repository_open(pattern: &str) -> bool {
    let mut group = Group::default();
    let mut around = Vec::new();
    let mut slashes = 0;
    let mut in_brackets = false;
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if escaped => {}
            // A slash in a bracket expression parts nothing.
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ if in_brackets => {}
            '/' => slashes += 1,
            '*' | '+' | '{' if slashes < REPOSITORY_SLASHES => return true,
            '(' => {
                around.push(std::mem::replace(&mut group, Group::beginning(slashes)));
            }
            '|' => {
                group.fewest = group.fewest.min(slashes);
                slashes = group.before;
            }
            ')' => {
                slashes = group.fewest.min(slashes);
                group = around.pop().unwrap_or_default();
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    false
}

/// A group of a pattern, or the pattern as a whole.
struct Group {
    /// Slashes before it.
    before: usize,
    /// The fewest after any of its alternatives so far.
    fewest: usize,
}

impl Group {
    fn beginning(before: usize) -> Self {
        Self {
            before,
            fewest: usize::MAX,
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::beginning(0)
    }
}

/// What a certificate has in place of this issuer, if it lacks the scheme.
fn with_scheme(issuer: &Matcher) -> Option<String> {
    match issuer {
        Matcher::Exact(text) if !text.contains("://") => Some(format!("https://{text}")),
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

/// Whether a workflow's URL looks like one made to be called: kept in a repository for workflows,
/// or named so. The URL itself doesn't say.
fn looks_reusable(identity: &str) -> bool {
    let plain = identity.replace('\\', "").to_lowercase();
    let Some((repository, workflow)) = plain.split_once("/.github/workflows/") else {
        return false;
    };
    let repository = repository.rsplit('/').next().unwrap_or_default();
    repository == ".github"
        || ["workflow", "actions", "generator"]
            .iter()
            .any(|word| repository.contains(word))
        || ["reusable", "shared", "generator", "workflow_call"]
            .iter()
            .any(|word| workflow.contains(word))
}
