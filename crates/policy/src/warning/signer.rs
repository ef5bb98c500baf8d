//! The weak points of one signer: its issuer, its identity and the claims of its certificate.

use crate::claims::{Claim, ClaimRule};
use crate::matcher::Matcher;
use crate::policy::{AcceptedSigner, CertificateSigner, KeySigner, LogUse};

use super::Warning;
use super::pattern::{
    fixes_domain, lacks_scheme, leaves_repository_open, meant_pattern, only_match, with_any_text,
    with_escaped_dots, with_single_backslashes,
};
use super::provider::{Form, meant_issuer, providers_matching, with_scheme};

/// Claims about the repository that was built. A reusable workflow does not change them.
const CALLER_CLAIMS: [Claim; 6] = [
    Claim::SourceRepositoryUri,
    Claim::SourceRepositoryIdentifier,
    Claim::SourceRepositoryOwnerUri,
    Claim::SourceRepositoryOwnerIdentifier,
    Claim::BuildConfigUri,
    Claim::TokenSubject,
];

pub(super) fn signer_warnings(position: usize, signer: &AcceptedSigner) -> Vec<Warning> {
    match signer {
        AcceptedSigner::Certificate(signer) => certificate_warnings(position, signer),
        AcceptedSigner::Key(KeySigner {
            key: _,
            log,
            // Checked together with the policy's `not_before`.
            not_before: _,
        }) => vec![match log {
            LogUse::Demanded => Warning::KeyTimes { signer: position },
            LogUse::Ignored => Warning::IgnoredLog { signer: position },
        }],
    }
}

fn certificate_warnings(position: usize, signer: &CertificateSigner) -> Vec<Warning> {
    let CertificateSigner {
        issuer,
        identity,
        claims,
        // Checked together with the policy's `not_before`.
        not_before: _,
    } = signer;
    let mut warnings = issuer_warnings(position, issuer);
    for matcher in [issuer, identity] {
        if let Matcher::Regex(pattern) = matcher {
            warnings.extend(slips(position, pattern.as_str()));
        }
    }
    warnings.extend(rule_warnings(position, issuer, claims));
    warnings.extend(stray_character(position, "identity", identity));
    let impossible = impossible_identity(position, issuer, identity);
    let is_impossible = impossible.is_some();
    match impossible {
        Some(impossible) => warnings.push(impossible),
        None => warnings.extend(pattern_as_text(position, "identity", identity)),
    }
    if let Matcher::Regex(pattern) = identity
        && !is_impossible
        && leaves_repository_open(pattern.as_str())
        && !(may_be_of_addresses(issuer) && fixes_domain(pattern.as_str()))
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

/// The weak points of a signer's claims alone.
pub(super) fn claim_warnings(position: usize, signer: &AcceptedSigner) -> Vec<Warning> {
    match signer {
        AcceptedSigner::Certificate(signer) => {
            rule_warnings(position, &signer.issuer, &signer.claims)
        }
        AcceptedSigner::Key(_) => Vec::new(),
    }
}

fn rule_warnings(position: usize, issuer: &Matcher, claims: &[ClaimRule]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for rule in claims {
        let as_text = pattern_as_text(position, rule.claim.as_str(), &rule.matcher);
        let slips = match &rule.matcher {
            Matcher::Exact(_) => Vec::new(),
            Matcher::Regex(pattern) => slips(position, pattern.as_str()),
        };
        // That is what is told of a slip.
        if as_text.is_none() && slips.is_empty() {
            warnings.extend(impossible_claim(position, issuer, rule));
        }
        warnings.extend(as_text);
        warnings.extend(slips);
    }
    warnings
}

/// A claim in a form that this provider never writes. Patterns are judged only if they have one match.
fn impossible_claim(signer: usize, issuer: &Matcher, rule: &ClaimRule) -> Option<Warning> {
    let one_text = |matcher: &Matcher| match matcher {
        Matcher::Exact(text) => Some(text.clone()),
        Matcher::Regex(pattern) => only_match(pattern.as_str()),
    };
    let issuer = one_text(issuer)?;
    let value = one_text(&rule.matcher)?;
    let expected = Form::of_issuer(&issuer)?.expected_claim(rule.claim, &value)?;
    Some(Warning::ImpossibleClaim {
        signer,
        issuer,
        claim: rule.claim,
        value,
        expected,
    })
}

fn issuer_warnings(position: usize, issuer: &Matcher) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let text = || issuer.as_str().to_owned();
    if let Some(expected) = with_scheme(issuer) {
        warnings.push(Warning::IssuerWithoutScheme {
            signer: position,
            issuer: text(),
            expected,
        });
    }
    warnings.extend(stray_character(position, "issuer", issuer));
    warnings.extend(pattern_as_text(position, "issuer", issuer));
    match issuer {
        Matcher::Exact(exact) => {
            if let Some(meant) = meant_issuer(exact) {
                warnings.push(Warning::AlmostKnownIssuer {
                    signer: position,
                    issuer: text(),
                    meant,
                });
            }
        }
        Matcher::Regex(pattern) => {
            let providers = providers_matching(pattern);
            if providers.len() > 1 {
                warnings.push(Warning::SeveralProviders {
                    signer: position,
                    pattern: text(),
                    providers,
                });
            }
        }
    }
    warnings
}

/// What is wrong in the text of a pattern, each with the pattern that was meant.
fn slips(signer: usize, text: &str) -> Vec<Warning> {
    let pattern = || text.to_owned();
    let undoubled = with_single_backslashes(text);
    let single = undoubled.as_deref().unwrap_or(text);
    let globbed = with_any_text(single);
    let repaired = globbed.as_ref().map_or(single, |(repaired, _)| repaired);
    let escaped = with_escaped_dots(repaired);
    let corrected = || escaped.clone().unwrap_or_else(|| repaired.to_owned());
    let mut warnings = Vec::new();
    if undoubled.is_some() {
        warnings.push(Warning::DoubledBackslash {
            signer,
            pattern: pattern(),
            corrected: corrected(),
        });
    }
    if let Some((_, repeated)) = globbed {
        warnings.push(Warning::GlobPattern {
            signer,
            pattern: pattern(),
            repeated,
            corrected: corrected(),
        });
    }
    if escaped.is_some() {
        warnings.push(Warning::UnescapedDot {
            signer,
            pattern: pattern(),
            corrected: corrected(),
        });
    }
    warnings
}

/// A value that is compared as a whole, and looks like a pattern.
fn pattern_as_text(signer: usize, key: &'static str, matcher: &Matcher) -> Option<Warning> {
    let Matcher::Exact(value) = matcher else {
        return None;
    };
    Some(Warning::PatternAsText {
        signer,
        key,
        value: value.clone(),
        corrected: meant_pattern(value)?,
    })
}

/// A quote or a blank. Issuers are URLs; identities are URLs or addresses.
fn stray_character(signer: usize, key: &'static str, matcher: &Matcher) -> Option<Warning> {
    let Matcher::Exact(value) = matcher else {
        return None;
    };
    let stray = |c: &char| {
        c.is_whitespace() || c.is_control() || "\"'`‘’‚“”„«»‹›\u{200b}\u{feff}".contains(*c)
    };
    let character = value.chars().find(stray)?;
    Some(Warning::StrayCharacter {
        signer,
        key,
        value: value.clone(),
        character,
    })
}

/// Whether it is one issuer whose identities are addresses, as far as is known of it.
fn may_be_of_addresses(issuer: &Matcher) -> bool {
    let issuer = match issuer {
        Matcher::Exact(issuer) => Some(issuer.clone()),
        Matcher::Regex(pattern) => only_match(pattern.as_str()),
    };
    issuer.is_some_and(|issuer| matches!(Form::of_issuer(&issuer), None | Some(Form::Address)))
}

/// An identity in a form that this provider never writes. Patterns are judged only if they have one match.
fn impossible_identity(signer: usize, issuer: &Matcher, identity: &Matcher) -> Option<Warning> {
    let issuer = match issuer {
        Matcher::Exact(issuer) => issuer.clone(),
        Matcher::Regex(pattern) => only_match(pattern.as_str())?,
    };
    let (text, pattern) = match identity {
        Matcher::Exact(text) => (text.clone(), false),
        // With a slip in the pattern, that is what is told.
        Matcher::Regex(pattern) if with_single_backslashes(pattern.as_str()).is_some() => {
            return None;
        }
        Matcher::Regex(pattern) => match only_match(pattern.as_str()) {
            Some(text) => (text, true),
            None if lacks_scheme(pattern.as_str()) => (pattern.to_string(), true),
            None => return None,
        },
    };
    let form = Form::of_issuer(&issuer)?;
    if pattern && form == Form::Address && only_match(identity.as_str()).is_none() {
        return None;
    }
    // With backslashes it is a pattern under the wrong key, and that is told.
    let fits = form.fits(&text) || form.fits(&text.replace(['\\', '^'], ""));
    (!fits).then(|| Warning::ImpossibleIdentity {
        signer,
        issuer,
        identity: identity.as_str().to_owned(),
        pattern,
        expected: form.example(),
        fits: Form::issuer_of(&text),
    })
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
