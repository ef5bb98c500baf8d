//! The counts of an audit.
//!
//! They take the same memory for ten images as for a million: signers and groups have a bound, and what is beyond it
//! is counted together. What is told of a group is the same in whatever order verdicts come.

use std::collections::{BTreeMap, BTreeSet};

use countersign_download::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::record::{AuditResult, JsonSigner, JsonState};
use crate::json::installation::JsonRole;

/// The most signers and groups that are counted each on its own. Whoever signs can use as many names as they like.
const GROUPS_MAX: usize = 1_000;
/// The most names of entries that are kept.
const NAMES_MAX: usize = 10_000;
/// The most images that a group names.
const NAMED: usize = 5;

/// Counts by state, signer and group.
#[derive(Debug, Default)]
pub(super) struct Tally {
    total: u64,
    states: BTreeMap<State, u64>,
    signers: Counted<Signer, ()>,
    groups: Counted<GroupKey, Group>,
    /// Entries that an installation would refuse, by name.
    refused: BTreeSet<String>,
    refused_is_cut: bool,
    changes: BTreeMap<(State, State), u64>,
}

/// Who signed what is proven.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signer {
    /// None for a key.
    pub(super) issuer: Option<String>,
    pub(super) identity: String,
}

/// What is told of the images of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The first of them by name: entries, or references.
    pub(super) named: Vec<String>,
    /// The first of them by name, and why it falls short.
    first: Option<(String, Option<String>)>,
    /// The issuer of the signer that was found, if it is known.
    issuer: Option<String>,
    /// The earliest time of a signature.
    signed_at: Option<String>,
}

impl Group {
    /// Why the first of them falls short.
    pub(super) fn reason(&self) -> Option<&String> {
        self.first.as_ref()?.1.as_ref()
    }
}

/// What images have in common that fall short in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub(super) state: State,
    pub(super) gallery: Option<String>,
    /// Host and path of the repository.
    pub(super) repository: String,
    pub(super) platform: Option<String>,
    /// The signer that was found, if it is known.
    pub(super) signer: Option<String>,
}

/// Counts by a key, up to a number of keys.
#[derive(Debug)]
pub(super) struct Counted<K, V> {
    counts: BTreeMap<K, (u64, V)>,
    beyond: u64,
}

impl<K, V> Default for Counted<K, V> {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            beyond: 0,
        }
    }
}

impl<K: Ord, V: Default> Counted<K, V> {
    fn count(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if self.counts.len() >= GROUPS_MAX && !self.counts.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let (count, value) = self.counts.entry(key).or_default();
        *count += 1;
        change(value);
    }

    /// The largest first.
    pub(super) fn largest(&self) -> Vec<(&K, u64, &V)> {
        let mut all: Vec<_> = self.counts.iter().map(|(k, (n, v))| (k, *n, v)).collect();
        all.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        all
    }

    /// How many were counted without a key of their own.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond
    }
}

impl Tally {
    pub(super) fn count(&mut self, result: &AuditResult) {
        let state = State::from(result.state);
        self.total += 1;
        *self.states.entry(state).or_default() += 1;
        if let Some(was) = result.was {
            let change = (was.into(), state);
            *self.changes.entry(change).or_default() += 1;
        }
        let signer = result.signer.as_ref();
        if state.failure().is_none() {
            if let Some(JsonSigner {
                issuer,
                identity: Some(identity),
            }) = signer.cloned()
            {
                self.signers.count(Signer { issuer, identity }, |()| {});
            }
            return;
        }
        let key = GroupKey {
            state,
            gallery: result.gallery.clone(),
            repository: repository(&result.reference).to_owned(),
            platform: result.platform.clone(),
            signer: signer.and_then(|one| one.identity.clone().or_else(|| one.issuer.clone())),
        };
        self.groups.count(key, |group| {
            let name = result.entry.as_ref().unwrap_or(&result.reference);
            if let Err(place) = group.named.binary_search(name) {
                group.named.insert(place, name.clone());
                group.named.truncate(NAMED);
            }
            let first = group.first.take().into_iter();
            let first = first.chain([(name.clone(), result.reason.clone())]);
            group.first = first.min();
            let issuers = signer.and_then(|one| one.issuer.as_ref());
            group.issuer = group.issuer.iter().chain(issuers).min().cloned();
            let times = group.signed_at.iter().chain(&result.signed_at);
            group.signed_at = times.min().cloned();
        });
        // An installation takes the primary source, and asks a mirror where that is missing. What nobody knows, it doesn't
        // know either.
        let decides = result.role.is_none_or(|role| role == JsonRole::Primary);
        if decides
            && state.is_known()
            && state != State::Missing
            && let Some(entry) = &result.entry
        {
            if self.refused.len() < NAMES_MAX || self.refused.contains(entry) {
                self.refused.insert(entry.clone());
            } else {
                self.refused_is_cut = true;
            }
        }
    }

    /// Entries of galleries that an installation with `require_integrity` would refuse, by name.
    pub(super) fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }

    /// Whether there are more of them.
    pub(super) fn refused_is_cut(&self) -> bool {
        self.refused_is_cut
    }

    /// How many verdicts there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// How many there are of this state.
    pub(super) fn of(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// Who signed what is proven.
    pub(super) fn signers(&self) -> &Counted<Signer, ()> {
        &self.signers
    }

    /// What falls short.
    pub(super) fn groups(&self) -> &Counted<GroupKey, Group> {
        &self.groups
    }

    /// How many have changed since an earlier audit: from which state, and to which.
    pub(super) fn changes(&self) -> impl Iterator<Item = (State, State, u64)> {
        let changes = self.changes.iter();
        changes.map(|((was, state), count)| (*was, *state, *count))
    }

    pub(super) fn summary(&self) -> JsonSummary {
        let states = State::ALL
            .iter()
            .copied()
            .filter(|state| self.of(*state) > 0);
        JsonSummary {
            images: self.total,
            states: states
                .map(|state| JsonStateCount {
                    state: state.into(),
                    images: self.of(state),
                })
                .collect(),
            signers: self
                .signers
                .largest()
                .into_iter()
                .map(|(signer, images, ())| JsonSignerCount {
                    issuer: signer.issuer.clone(),
                    identity: signer.identity.clone(),
                    images,
                })
                .collect(),
            groups: self.groups.largest().into_iter().map(group).collect(),
            changes: self
                .changes()
                .map(|(was, state, images)| JsonStateChange {
                    was: was.into(),
                    state: state.into(),
                    images,
                })
                .collect(),
            refused: self.refused.iter().cloned().collect(),
            refused_is_cut: self.refused_is_cut,
            not_grouped: self.groups.beyond() + self.signers.beyond(),
        }
    }
}

fn group((key, images, group): (&GroupKey, u64, &Group)) -> JsonGroup {
    JsonGroup {
        state: key.state.into(),
        gallery: key.gallery.clone(),
        repository: key.repository.clone(),
        platform: key.platform.clone(),
        signer: key.signer.clone(),
        images,
        named: group.named.clone(),
        reason: group.reason().cloned(),
        policy_change: policy_change(key, group),
    }
}

/// The smallest change to the policy that would cover a group, in words. `None` where no policy should. It is never
/// made by itself.
pub(super) fn policy_change(key: &GroupKey, group: &Group) -> Option<String> {
    let change = match key.state {
        State::Stale => format!("not_before: {}", group.signed_at.as_ref()?),
        State::OtherSigner => {
            let identity = key.signer.as_ref()?;
            match &group.issuer {
                Some(issuer) if issuer == identity => {
                    format!("{ONE_MORE}, with issuer: {issuer}")
                }
                Some(issuer) => {
                    format!("{ONE_MORE}, with issuer: {issuer} and identity: {identity}")
                }
                None => format!("{ONE_MORE}, with the same issuer and identity: {identity}"),
            }
        }
        State::LegacyOnly => "signature_formats: [bundle, simple_signing]".to_owned(),
        State::AttestationOnly => "predicate_types, with the type of the attestation".to_owned(),
        // A directory can't be signed.
        State::Uncovered if key.repository.starts_with("file://") => return None,
        State::Uncovered => {
            "a `verification` block in the gallery; for a tarball, its `sha256` in the index"
                .to_owned()
        }
        State::Proven
        | State::Digest
        | State::OtherCondition
        | State::Unsigned
        | State::Invalid
        | State::Denied
        | State::Missing
        | State::Unreachable
        | State::Rejected
        | State::Unusable
        | State::Failed => return None,
    };
    Some(change)
}

/// One signer stands at the top of a policy, several stand below `identities`.
const ONE_MORE: &str = "identities, with who is named already and one more";

/// The repository of a source as it is written: without tag and digest.
fn repository(source: &str) -> &str {
    let source = source.split('@').next().unwrap_or_default();
    match source.rsplit_once(':') {
        // Not a port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => source,
    }
}

/// The counts of an audit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditSummary")]
pub(super) struct JsonSummary {
    /// How many verdicts there are: one for each image, mirror and platform.
    images: u64,
    /// Counts by state. What was not found is left out.
    states: Vec<JsonStateCount>,
    /// Who signed what is proven, the most frequent first.
    signers: Vec<JsonSignerCount>,
    /// What falls short, the largest group first.
    groups: Vec<JsonGroup>,
    /// With `--since`: how many are of another state than before.
    changes: Vec<JsonStateChange>,
    /// Entries of galleries that an installation with `require_integrity` would refuse, by name: 10,000 at most.
    refused: Vec<String>,
    /// Whether there are more of them.
    refused_is_cut: bool,
    /// How many were counted by state only, because there are more than 1,000 signers or groups.
    not_grouped: u64,
}

/// How many images are of one state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditStateCount")]
struct JsonStateCount {
    state: JsonState,
    images: u64,
}

/// How many images have changed in the same way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditChange")]
struct JsonStateChange {
    was: JsonState,
    state: JsonState,
    images: u64,
}

/// How many images one signer has signed as the policy requires.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditSignerCount")]
struct JsonSignerCount {
    /// The OIDC issuer's URL. Left out for a key, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    identity: String,
    images: u64,
}

/// Images that fall short in the same way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditGroup")]
struct JsonGroup {
    state: JsonState,
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
    /// Host and path.
    repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// The signer that was found, if it is known: an identity, else an issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    images: u64,
    /// Some of them, by entry or reference: 5 at most.
    named: Vec<String>,
    /// Why the first of them falls short.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The smallest change to the policy that would cover them, in words. Left out where no policy should.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_change: Option<String>,
}

#[cfg(test)]
mod tests;
