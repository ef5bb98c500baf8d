//! Makes a [`Policy`] from a [`PolicySpec`]: parses every text and refuses contradictions.
//!
//! An error names the keys that lead to the wrong text. The caller adds the position in the file.

use std::collections::{BTreeMap, BTreeSet};

use countersign_oci::Repository;

use super::key::{self, check_time_conditions};
use super::values::{at, denied, instant, non_empty};
use super::{AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, KeyReader, Policy, Trust};
use crate::age;
use crate::claims::{Claim, ClaimRule, REGEX_SUFFIX};
use crate::error::{KeyPath, PolicyError, Problem};
use crate::format::SignatureFormat;
use crate::keys::{IDENTITY, IGNORE_TLOG, ISSUER, KEY, Pair, SIGNATURE_SOURCES_MAX};
use crate::matcher::{Matcher, WholeRegex};
use crate::nearest::nearest;
use crate::one_or_more::OneOrMore;
use crate::predicate::{JsonPointer, PredicateRule};
use crate::spec::{PolicySpec, SignerSpec, TrustFilesSpec, TrustSpec};

impl Policy {
    /// Checks `spec`, which stands at `path` for the purpose of errors. Files of keys are read by `read`.
    pub(crate) fn check(
        spec: &PolicySpec,
        path: &KeyPath,
        read: KeyReader<'_>,
    ) -> Result<Self, PolicyError> {
        let PolicySpec {
            issuer,
            issuer_regex,
            identity,
            identity_regex,
            key,
            ignore_tlog,
            not_before,
            min_age,
            identities,
            claims,
            predicate_types,
            predicate,
            // In `requiring`.
            require: _,
            signature_formats,
            annotations,
            bind_name,
            trust,
            signature_sources,
            deny_digests,
        } = spec;
        refuse_beside_require(spec, path)?;
        let claims = claim_rules(claims, &path.key("claims"))?;
        let one = SignerSpec {
            issuer: issuer.clone(),
            issuer_regex: issuer_regex.clone(),
            identity: identity.clone(),
            identity_regex: identity_regex.clone(),
            key: key.clone(),
            ignore_tlog: *ignore_tlog,
            // A `not_before` at top level belongs to the policy, not to the signer.
            not_before: None,
            claims: BTreeMap::new(),
        };
        // Before a key is read: one that can't be must not hide them.
        check_time_conditions(spec, path)?;
        let signers = signers(&one, identities, path, &Common { claims, read })?;
        let policy = Self {
            signers,
            not_before: instant(not_before.as_deref(), path)?,
            min_age: min_age
                .as_deref()
                .map(|text| age::parse(text).map_err(|problem| at(path.key("min_age"), problem)))
                .transpose()?,
            predicate_types: check_predicate_types(predicate_types, path)?,
            predicate: check_predicate(predicate, predicate_types, path)?,
            signature_formats: check_signature_formats(signature_formats, path)?,
            annotations: check_annotations(annotations, path)?,
            bind_name: *bind_name,
            trust: trust
                .as_ref()
                .map(|trust| check_trust(trust, &path.key("trust")))
                .transpose()?,
            signature_sources: check_sources(signature_sources, &path.key("signature_sources"))?,
            deny_digests: each(deny_digests, &path.key("deny_digests"), denied)?,
            require: Vec::new(),
        };
        policy.requiring(spec, path)
    }
}

/// Refuses what an entry of `require` has, beside `require`.
fn refuse_beside_require(spec: &PolicySpec, path: &KeyPath) -> Result<(), PolicyError> {
    let beside = [
        ("predicate_types", !spec.predicate_types.is_empty()),
        ("predicate", !spec.predicate.is_empty()),
    ];
    match beside.into_iter().find(|(_, there)| *there) {
        Some((key, _)) if !spec.require.is_empty() => {
            Err(at(path.key(key), Problem::BesideRequire { key }))
        }
        _ => Ok(()),
    }
}

/// What all signers of a policy have in common.
struct Common<'a> {
    claims: Vec<ClaimRule>,
    read: KeyReader<'a>,
}

/// The policy's one signer, or its `identities`.
fn signers(
    one: &SignerSpec,
    identities: &[SignerSpec],
    path: &KeyPath,
    common: &Common<'_>,
) -> Result<OneOrMore<AcceptedSigner>, PolicyError> {
    let Some(identities) = OneOrMore::of(identities.iter().enumerate()) else {
        return Ok(OneOrMore::one(signer(one, path, common)?));
    };
    let keys = [
        (ISSUER.exact, &one.issuer),
        (ISSUER.regex, &one.issuer_regex),
        (IDENTITY.exact, &one.identity),
        (IDENTITY.regex, &one.identity_regex),
        (KEY, &one.key),
    ];
    let found = keys.into_iter().find(|(_, value)| value.is_some());
    let found = found.map(|(key, _)| key);
    if let Some(key) = found.or(one.ignore_tlog.then_some(IGNORE_TLOG)) {
        return Err(at(path.key(key), Problem::SignerBesideIdentities { key }));
    }
    let path = path.key("identities");
    identities.try_map(|(position, spec)| signer(spec, &path.index(*position), common))
}

fn signer(
    spec: &SignerSpec,
    path: &KeyPath,
    common: &Common<'_>,
) -> Result<AcceptedSigner, PolicyError> {
    let SignerSpec {
        issuer,
        issuer_regex,
        identity,
        identity_regex,
        key,
        ignore_tlog,
        not_before,
        claims,
    } = spec;
    if let Some(text) = key {
        key::refuse_beside(spec, path, &common.claims)?;
        return Ok(AcceptedSigner::Key(key::signer(
            text,
            spec,
            path,
            common.read,
        )?));
    }
    if *ignore_tlog {
        return Err(at(path.key(IGNORE_TLOG), Problem::IgnoreTlogWithoutKey));
    }
    let own = claim_rules(claims, &path.key("claims"))?;
    Ok(AcceptedSigner::Certificate(CertificateSigner {
        issuer: pair(&ISSUER, issuer.as_deref(), issuer_regex.as_deref(), path)?,
        identity: pair(
            &IDENTITY,
            identity.as_deref(),
            identity_regex.as_deref(),
            path,
        )?,
        claims: common.claims.iter().cloned().chain(own).collect(),
        not_before: instant(not_before.as_deref(), path)?,
    }))
}

fn pair(
    keys: &Pair,
    exact: Option<&str>,
    regex: Option<&str>,
    path: &KeyPath,
) -> Result<Matcher, PolicyError> {
    match (exact, regex) {
        (Some(text), None) => exact_matcher(text, &path.key(keys.exact)),
        (None, Some(pattern)) => regex_matcher(pattern, &path.key(keys.regex)),
        (None, None) => Err(at(
            path.clone(),
            Problem::Neither {
                exact: keys.exact,
                regex: keys.regex,
            },
        )),
        (Some(_), Some(_)) => Err(at(path.key(keys.regex), both(keys.exact, keys.regex))),
    }
}

pub(super) fn claim_rules(
    claims: &BTreeMap<String, String>,
    path: &KeyPath,
) -> Result<Vec<ClaimRule>, PolicyError> {
    let rule = |(key, text): (&String, &String)| {
        let path_here = path.key(key);
        // The name itself first, should a claim's own name ever end like a pattern's key.
        let (name, is_pattern) = match key.strip_suffix(REGEX_SUFFIX) {
            Some(name) if Claim::named(key).is_none() => (name, true),
            _ => (key.as_str(), false),
        };
        let claim = Claim::named(name).ok_or_else(|| at(path_here.clone(), unknown_claim(key)))?;
        if is_pattern && claims.contains_key(name) {
            return Err(at(path_here, both(name, key)));
        }
        let matcher = matcher(is_pattern, text, &path_here)?;
        Ok(ClaimRule { claim, matcher })
    };
    claims.iter().map(rule).collect()
}

fn unknown_claim(key: &str) -> Problem {
    let exact = Claim::ALL.iter().map(|claim| claim.as_str().to_owned());
    let regex = Claim::ALL
        .iter()
        .map(|claim| format!("{claim}{REGEX_SUFFIX}"));
    let all: Vec<String> = exact.clone().chain(regex).collect();
    Problem::UnknownKey {
        found: key.to_owned(),
        nearest: nearest(key, all.iter().map(String::as_str)).or_else(|| by_last_words(key, &all)),
        valid: exact.collect(),
    }
}

/// The one claim whose name ends in these words, as `source_repository_ref` does in `ref`.
fn by_last_words(key: &str, all: &[String]) -> Option<String> {
    let mut ending = all.iter().filter(|name| {
        let before = name.strip_suffix(key);
        before.is_some_and(|before| before.ends_with('_'))
    });
    match (ending.next(), ending.next()) {
        (Some(one), None) => Some(one.clone()),
        _ => None,
    }
}

/// The matcher of a key that ends like a pattern's, or doesn't.
fn matcher(is_pattern: bool, text: &str, path: &KeyPath) -> Result<Matcher, PolicyError> {
    if is_pattern {
        regex_matcher(text, path)
    } else {
        exact_matcher(text, path)
    }
}

fn exact_matcher(text: &str, path: &KeyPath) -> Result<Matcher, PolicyError> {
    non_empty(text, "a text", path)?;
    Ok(Matcher::Exact(text.to_owned()))
}

fn regex_matcher(pattern: &str, path: &KeyPath) -> Result<Matcher, PolicyError> {
    non_empty(pattern, "a regular expression", path)?;
    match WholeRegex::new(pattern) {
        Ok(regex) => Ok(Matcher::Regex(regex)),
        Err(reason) => Err(at(
            path.clone(),
            Problem::Regex {
                found: pattern.to_owned(),
                reason,
            },
        )),
    }
}

fn check_predicate_types(types: &[String], path: &KeyPath) -> Result<Vec<String>, PolicyError> {
    if types.is_empty() {
        return Ok(vec![COSIGN_SIGN_PREDICATE.to_owned()]);
    }
    each(types, &path.key("predicate_types"), |text| {
        match text.trim() {
            "" => Err(Problem::Empty {
                expected: "a predicate type such as https://slsa.dev/provenance/v1",
            }),
            _ => Ok(text.to_owned()),
        }
    })
}

/// The rules on the predicate. Cosign's signature has no field to ask for, so other types must be named.
fn check_predicate(
    rules: &BTreeMap<String, String>,
    types: &[String],
    path: &KeyPath,
) -> Result<Vec<PredicateRule>, PolicyError> {
    if !rules.is_empty() && types.is_empty() {
        let key = "predicate_types";
        return Err(at(path.key("predicate"), Problem::MissingKey { key }));
    }
    predicate_rules(rules, &path.key("predicate"))
}

pub(super) fn predicate_rules(
    rules: &BTreeMap<String, String>,
    path: &KeyPath,
) -> Result<Vec<PredicateRule>, PolicyError> {
    let rule = |(key, text): (&String, &String)| {
        let path_here = path.key(key);
        let (name, is_pattern) = match key.strip_suffix(REGEX_SUFFIX) {
            Some(name) => (name, true),
            None => (key.as_str(), false),
        };
        let Some(pointer) = JsonPointer::parse(name) else {
            let problem = Problem::Form {
                expected: "a JSON pointer to a field, such as `/buildDefinition/buildType`".into(),
                found: Some(format!("`{key}`")),
            };
            return Err(at(path_here, problem));
        };
        if is_pattern && rules.contains_key(name) {
            return Err(at(path_here, both(name, key)));
        }
        let matcher = matcher(is_pattern, text, &path_here)?;
        Ok(PredicateRule { pointer, matcher })
    };
    rules.iter().map(rule).collect()
}

fn both(exact: &str, regex: &str) -> Problem {
    Problem::Both {
        exact: exact.to_owned(),
        regex: regex.to_owned(),
    }
}

fn check_signature_formats(
    names: &[String],
    path: &KeyPath,
) -> Result<BTreeSet<SignatureFormat>, PolicyError> {
    if names.is_empty() {
        return Ok(BTreeSet::from([SignatureFormat::default()]));
    }
    each(names, &path.key("signature_formats"), |name| {
        SignatureFormat::named(name).ok_or_else(|| Problem::Form {
            expected: SignatureFormat::ALL
                .map(|format| format!("`{format}`"))
                .join(" or "),
            found: Some(format!("`{name}`")),
        })
    })
}

/// The repositories in which signatures are looked for. Those beyond the limit would never be searched.
fn check_sources(texts: &[String], path: &KeyPath) -> Result<Vec<Repository>, PolicyError> {
    if texts.len() > SIGNATURE_SOURCES_MAX {
        let problem = Problem::Form {
            expected: format!("at most {SIGNATURE_SOURCES_MAX} repositories"),
            found: Some(texts.len().to_string()),
        };
        return Err(at(path.index(SIGNATURE_SOURCES_MAX), problem));
    }
    each(texts, path, |text| {
        text.parse().map_err(|reason| Problem::Repository {
            found: text.to_owned(),
            reason,
        })
    })
}

fn check_annotations(
    pairs: &BTreeMap<String, String>,
    path: &KeyPath,
) -> Result<BTreeMap<String, String>, PolicyError> {
    let path = path.key("annotations");
    for (key, value) in pairs {
        non_empty(key, "an annotation's key", &path.key(key))?;
        non_empty(value, "an annotation's value", &path.key(key))?;
    }
    Ok(pairs.clone())
}

fn check_trust(spec: &TrustSpec, path: &KeyPath) -> Result<Trust, PolicyError> {
    let files = match spec {
        TrustSpec::Instance(instance) => return Ok(Trust::Instance(*instance)),
        TrustSpec::Files(files) => files,
    };
    let TrustFilesSpec {
        trusted_root,
        tuf_url,
        tuf_root,
    } = files;
    let keys = [
        ("trusted_root", trusted_root),
        ("tuf_url", tuf_url),
        ("tuf_root", tuf_root),
    ];
    for (key, value) in keys {
        if let Some(text) = value {
            non_empty(text, "a path or a URL", &path.key(key))?;
        }
    }
    match (trusted_root, tuf_url, tuf_root) {
        (Some(file), None, None) => Ok(Trust::TrustedRoot { file: file.clone() }),
        (None, Some(url), Some(root_file)) => Ok(Trust::Tuf {
            url: Trust::tuf_url(url).map_err(|problem| at(path.key("tuf_url"), problem))?,
            root_file: root_file.clone(),
        }),
        _ => {
            let there: Vec<String> = keys
                .iter()
                .filter(|(_, value)| value.is_some())
                .map(|(key, _)| format!("`{key}`"))
                .collect();
            let found = match there.as_slice() {
                [] => "neither".to_owned(),
                keys => keys.join(" and "),
            };
            Err(at(path.clone(), Problem::Trust { found }))
        }
    }
}

/// Parses every entry of a list, naming the one that is wrong.
fn each<T, C: FromIterator<T>>(
    texts: &[String],
    path: &KeyPath,
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Result<C, PolicyError> {
    texts
        .iter()
        .enumerate()
        .map(|(position, text)| parse(text).map_err(|problem| at(path.index(position), problem)))
        .collect()
}
