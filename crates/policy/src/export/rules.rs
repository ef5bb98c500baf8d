//! The configuration of an image verifier, whole: its rules in their order, `allow`, `default` and `mode`.
//!
//! - policy-controller: a ClusterImagePolicy for each rule. All that match an image must accept it there, so rules that
//!   can match the same image are a difference.
//! - Kyverno: an ImageValidatingPolicy for each rule, which leaves out what earlier rules match.
//! - Talos: one list of rules, of which the first that matches counts.
//! - containers: a scope for each pattern, of which the longest that matches counts. A rule that would count in another
//!   order is a difference.
//! - Flux: nothing. Its objects name their images.

use serde_json::{Map, Value, json};

use super::difference::{differences, trust_words};
use super::{
    Difference, Enforcer, Export, ExportError, ExportedPolicy, Missing, containers, kyverno,
    missing, policy_controller, talos, written,
};
use crate::image_pattern::ImagePattern;
use crate::image_verifier::{Demand, ImageRule, ImageVerifierConfig, Mode, Unmatched};
use crate::instance::SigstoreInstance;
use crate::policy::{Policy, Trust};

const ACCESS: &str =
    "logins, certificate authorities and mirrors are not exported: give them to the other program";

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct RulesExport<'a> {
    /// The configuration.
    pub config: &'a ImageVerifierConfig,
    /// What the names of the new objects begin with, where they have one.
    pub name: &'a str,
}

impl RulesExport<'_> {
    /// The configuration in the words of `enforcer`.
    ///
    /// # Errors
    /// [`ExportError`] if nothing that makes sense could be written.
    pub fn to(&self, enforcer: Enforcer) -> Result<ExportedPolicy, ExportError> {
        let mut lost = self.lost_trust(enforcer);
        let documents = match enforcer {
            Enforcer::PolicyController => self.for_policy_controller(&mut lost)?,
            Enforcer::Kyverno => self.for_kyverno(&mut lost)?,
            Enforcer::Talos => vec![self.for_talos(&mut lost)?],
            Enforcer::Containers => vec![self.for_containers(&mut lost)?],
            Enforcer::Flux => {
                let reason = "the object that gets the block names its image; put the `verification` of one rule into \
                              a policy file, and export that";
                return Err(missing("rules", reason).of(enforcer, None));
            }
        };
        let mut notes = match enforcer {
            Enforcer::PolicyController => policy_controller::RULES_NOTES.to_vec(),
            Enforcer::Talos => talos::RULES_NOTES.to_vec(),
            Enforcer::Containers => {
                // Of a rule without a demand it is a difference.
                let wider = self.rules().find_map(|(_, rule)| match &rule.demand {
                    Demand::Signature(_) => containers::wider(&rule.images),
                    Demand::Nothing { .. } => None,
                });
                let notes = containers::RULES_NOTES.iter().copied();
                notes.chain(wider).collect()
            }
            Enforcer::Kyverno | Enforcer::Flux => Vec::new(),
        };
        if self.config.needs_access() {
            notes.push(ACCESS);
        }
        Ok(ExportedPolicy {
            text: written(enforcer, &documents),
            differences: lost,
            notes,
        })
    }

    /// The rules with their numbers.
    fn rules(&self) -> impl Iterator<Item = (usize, &ImageRule)> {
        (1..).zip(&self.config.rules)
    }

    fn mode(&self, rule: &ImageRule) -> Mode {
        rule.mode.unwrap_or(self.config.mode)
    }

    /// A trusted root that the file names for all rules.
    fn lost_trust(&self, enforcer: Enforcer) -> Vec<Difference> {
        let public_good = Trust::Instance(SigstoreInstance::PublicGood);
        let named = self.config.trust.as_ref();
        let used = self.config.rules.iter().any(|rule| match &rule.demand {
            Demand::Signature(policy) => policy.trust().is_none() && policy.needs_trusted_root(),
            Demand::Nothing { .. } => false,
        });
        if named.is_some_and(|trust| *trust != public_good) && used {
            vec![Difference {
                rule: None,
                field: "trust",
                effect: trust_words(enforcer).to_owned(),
            }]
        } else {
            Vec::new()
        }
    }

    fn for_policy_controller(&self, lost: &mut Vec<Difference>) -> Result<Vec<Value>, ExportError> {
        let enforcer = Enforcer::PolicyController;
        let mut documents = Vec::new();
        let mut earlier: Vec<(usize, &ImageRule)> = Vec::new();
        for (number, rule) in self.rules() {
            let name = format!("{}-{number}", self.name);
            documents.push(match &rule.demand {
                Demand::Nothing { .. } => policy_controller::exempting(&name, &rule.images),
                Demand::Signature(policy) => {
                    lost.extend(of_rule(number, differences(policy, enforcer)));
                    let export = self.export(policy, rule, &name);
                    let document = policy_controller::document(&export);
                    document.map_err(|missing| missing.of(enforcer, Some(number)))?
                }
            });
            let met = earlier.iter().find(|(_, other)| meet(other, rule));
            if let Some((first, _)) = met {
                lost.push(Difference {
                    rule: Some(number),
                    field: "images",
                    effect: format!(
                        "an image that rule {first} matches too must be accepted by both there, not only by rule \
                         {first}"
                    ),
                });
            }
            earlier.push((number, rule));
        }
        documents.push(policy_controller::no_match(
            self.config.default,
            self.config.mode,
        ));
        Ok(documents)
    }

    fn for_kyverno(&self, lost: &mut Vec<Difference>) -> Result<Vec<Value>, ExportError> {
        let enforcer = Enforcer::Kyverno;
        let mut documents = Vec::new();
        let mut earlier: Vec<&ImagePattern> = Vec::new();
        for (number, rule) in self.rules() {
            let name = format!("{}-{number}", self.name);
            if rule.images.iter().any(ImagePattern::needs_tag) {
                lost.push(Difference {
                    rule: Some(number),
                    field: "images",
                    effect:
                        "an image that is asked for by such a tag and a digest is under this rule there too"
                            .to_owned(),
                });
            }
            match &rule.demand {
                // An image that no policy matches is admitted there.
                Demand::Nothing { .. } => {}
                Demand::Signature(policy) => {
                    lost.extend(of_rule(number, differences(policy, enforcer)));
                    let export = self.export(policy, rule, &name);
                    let document = kyverno::of_rule(&export, &earlier);
                    documents.push(document.map_err(|missing| missing.of(enforcer, Some(number)))?);
                }
            }
            earlier.extend(&rule.images);
        }
        let all = earlier.iter().any(|pattern| pattern.is_every());
        if self.config.default == Unmatched::Deny && !all {
            let name = format!("{}-default", self.name);
            documents.push(kyverno::refusing_others(&name, self.config.mode, &earlier));
        }
        Ok(documents)
    }

    fn for_talos(&self, lost: &mut Vec<Difference>) -> Result<Value, ExportError> {
        let enforcer = Enforcer::Talos;
        let mut rules = Vec::new();
        for (number, rule) in self.rules() {
            let mut of_this = Vec::new();
            let written = match &rule.demand {
                Demand::Nothing { .. } => talos::fixed(&rule.images, "skip", &mut of_this),
                Demand::Signature(policy) => {
                    of_this = differences(policy, enforcer);
                    talos::rules(&self.export(policy, rule, self.name), &mut of_this)
                }
            };
            rules.extend(written.map_err(|missing| missing.of(enforcer, Some(number)))?);
            lost.extend(of_rule(number, of_this));
        }
        if self.config.default == Unmatched::Deny {
            self.only_enforced(enforcer)?;
            rules.push(json!({ "image": "*", "deny": true }));
        }
        Ok(talos::with_rules(&rules))
    }

    fn for_containers(&self, lost: &mut Vec<Difference>) -> Result<Value, ExportError> {
        let enforcer = Enforcer::Containers;
        let mut all = Map::new();
        let mut earlier: Vec<(usize, &ImagePattern, String)> = Vec::new();
        for (number, rule) in self.rules() {
            let failed = |missing: Missing| missing.of(enforcer, Some(number));
            let scopes = containers::scopes(&rule.images).map_err(failed)?;
            let requirement = match &rule.demand {
                Demand::Nothing { .. } => containers::nothing(),
                Demand::Signature(policy) => {
                    lost.extend(of_rule(number, differences(policy, enforcer)));
                    let export = self.export(policy, rule, self.name);
                    containers::requirement(&export).map_err(failed)?
                }
            };
            for (pattern, scope) in rule.images.iter().zip(&scopes) {
                let same = earlier.iter().find(|(_, _, other)| other == scope);
                if let Some((first, other, _)) = same {
                    // The same images never count again, there as here.
                    if *first != number && *other != pattern {
                        lost.push(taken(number, *first, scope));
                    }
                    continue;
                }
                let before = earlier
                    .iter()
                    .find(|(first, _, other)| *first != number && covers(other, scope));
                if let Some((first, _, _)) = before {
                    lost.push(longer(number, *first, scope));
                }
                if matches!(rule.demand, Demand::Nothing { .. }) {
                    let more = containers::allowed_beyond(pattern, scope, &rule.images);
                    lost.extend(of_rule(number, Vec::from_iter(more)));
                }
                all.insert(scope.clone(), json!([requirement]));
                earlier.push((number, pattern, scope.clone()));
            }
        }
        let default = match self.config.default {
            Unmatched::Allow => containers::nothing(),
            Unmatched::Deny => {
                self.only_enforced(enforcer)?;
                containers::refusal()
            }
        };
        Ok(containers::with_scopes(&default, &all))
    }

    /// Where there are no warnings, nothing may only be warned of.
    fn only_enforced(&self, enforcer: Enforcer) -> Result<(), ExportError> {
        match self.config.mode {
            Mode::Enforce => Ok(()),
            Mode::Warn => {
                let reason = "it has no warnings; write `mode: enforce`, or `default: allow`";
                Err(missing("mode", reason).of(enforcer, None))
            }
        }
    }

    fn export<'a>(&self, policy: &'a Policy, rule: &'a ImageRule, name: &'a str) -> Export<'a> {
        Export {
            policy,
            images: &rule.images,
            mode: self.mode(rule),
            name,
        }
    }
}

/// Whether an image can match both.
fn meet(one: &ImageRule, other: &ImageRule) -> bool {
    let mut patterns = one.images.iter();
    patterns.any(|pattern| other.images.iter().any(|other| pattern.may_meet(other)))
}

/// A scope that counts before that of an earlier rule.
fn longer(number: usize, first: usize, scope: &str) -> Difference {
    let effect =
        format!("`{scope}` counts there before rule {first}, because it is the longer name");
    Difference {
        rule: Some(number),
        field: "images",
        effect,
    }
}

/// A scope that an earlier rule has already, for other images.
fn taken(number: usize, first: usize, scope: &str) -> Difference {
    let effect = format!("`{scope}` is under rule {first} there, with everything below it");
    Difference {
        rule: Some(number),
        field: "images",
        effect,
    }
}

/// Whether all that is in `scope` is in `other` too.
fn covers(other: &str, scope: &str) -> bool {
    let rest = match other.strip_prefix('*') {
        Some(domain) => {
            let host = scope.split('/').next().unwrap_or(scope);
            return host.ends_with(domain);
        }
        None => scope.strip_prefix(other),
    };
    let below = |rest: &str| rest.is_empty() || rest.starts_with(['/', ':', '@']);
    other.is_empty() || rest.is_some_and(below)
}

fn of_rule(number: usize, differences: Vec<Difference>) -> impl Iterator<Item = Difference> {
    differences.into_iter().map(move |difference| Difference {
        rule: Some(number),
        ..difference
    })
}

#[cfg(test)]
mod tests;
