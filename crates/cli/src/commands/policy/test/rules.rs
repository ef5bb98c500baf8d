//! The rules of an image verifier, for images by their names and for cases.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use countersign_oci::{Digest, Reference};
use countersign_policy::{Demand, Policy, Ruling, Unmatched};
use countersign_verify::{RefusalKind, TrustedRoot, TufNetwork};
use schemars::JsonSchema;
use serde::Serialize;

use super::case::{Case, Signatures, Subject, Verdict};
use super::saved::SavedRoot;
use super::{JudgedCase, require_all_usable};
use crate::arguments::trust::TrustArguments;
use crate::commands::image_verifier::configuration::Configuration;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::mode::JsonMode;
use crate::policy::LoadedPolicy;
use crate::trust::{self, Instance};

/// Stands for the digest of an image that is asked for by a tag: no image has it.
const UNKNOWN: &[u8] = b"the digest is not known";

/// The configuration.
pub(super) struct Rules(Configuration);

/// A case whose files have been read.
struct Prepared<'case, 'rules> {
    case: &'case Case,
    /// The number of the rule that is for it.
    rule: Option<usize>,
    step: Step<'case, 'rules>,
}

/// What is left to do for a verdict.
enum Step<'case, 'rules> {
    Settled(Verdict),
    /// Ask the policy about an image, by its name, and these signatures.
    Judge(&'case Reference, Subject, &'rules Policy, Signatures),
}

impl Rules {
    pub(super) fn read(file: &Path, environment: &Environment) -> Result<Self, Failure> {
        Configuration::read(file, environment).map(Self)
    }

    /// Which rule is for the image.
    pub(super) fn ruling(&self, image: &Reference) -> ImageResult {
        let unknown = Digest::sha256(UNKNOWN);
        let digest = image.digest().unwrap_or(&unknown);
        let content = &self.0.content;
        let Ruling { matched, mode } = content.ruling(image, digest);
        let (ruling, explanation) = match matched {
            Some(matched) => match &matched.rule.demand {
                Demand::Signature(policy) => (JsonRuling::SignatureRequired, policy.explain()),
                Demand::Nothing { reason } => (JsonRuling::Allowed, reason.clone()),
            },
            None => match content.default {
                Unmatched::Allow => (JsonRuling::Allowed, content.explain_rest()),
                Unmatched::Deny => (JsonRuling::Refused, content.explain_rest()),
            },
        };
        ImageResult {
            image: image.to_string(),
            rule: matched.map(|matched| matched.number),
            pattern: matched.map(|matched| matched.pattern.to_string()),
            mode: mode.into(),
            ruling,
            explanation,
        }
    }

    /// The verdicts on cases.
    ///
    /// # Errors
    /// Each case that can't be used, not only the first.
    pub(super) async fn judge<'a>(
        &self,
        cases: &'a [Case],
        directory: &Path,
        saved: Option<&SavedRoot>,
        trust: &TrustArguments,
        environment: &Environment,
    ) -> Result<Vec<JudgedCase<'a>>, Failure> {
        let (mut prepared, mut wrong) = (Vec::new(), Vec::new());
        for case in cases {
            match self.prepared(case, directory) {
                Ok(one) => prepared.push(one),
                Err(failure) => wrong.push(failure),
            }
        }
        require_all_usable(wrong)?;
        let mut roots = BTreeMap::new();
        let mut results = Vec::new();
        for Prepared { case, rule, step } in prepared {
            let verdict = match step {
                Step::Settled(verdict) => verdict,
                Step::Judge(asked, subject, policy, found) => {
                    let root = match roots.entry(rule) {
                        Entry::Occupied(kept) => kept.into_mut(),
                        Entry::Vacant(place) => place.insert(match saved {
                            Some(saved) => saved.for_policy(policy)?,
                            None => self.trusted_root(policy, trust, environment).await?,
                        }),
                    };
                    case.judged(asked, &subject, &found, root, policy)?
                }
            };
            results.push(JudgedCase {
                case,
                rule,
                verdict,
            });
        }
        Ok(results)
    }

    /// Reads the files of a case, and finds the rule that is for it.
    fn prepared<'case>(
        &self,
        case: &'case Case,
        directory: &Path,
    ) -> Result<Prepared<'case, '_>, Failure> {
        let asked = case.name_for_rules()?;
        let subject = case.subject(directory, asked)?;
        let matched = self.0.content.ruling(asked, &subject.digest).matched;
        let step = match matched.map(|matched| &matched.rule.demand) {
            None => Step::Settled(self.unmatched(asked)),
            Some(Demand::Nothing { .. }) => Step::Settled(Verdict::Accepted),
            Some(Demand::Signature(policy)) => match case.signatures(directory)? {
                None => Step::Settled(refused(RefusalKind::Unsigned, "the case has no `bundle`")),
                Some(found) => Step::Judge(asked, subject, policy, found),
            },
        };
        Ok(Prepared {
            case,
            rule: matched.map(|matched| matched.number),
            step,
        })
    }

    fn unmatched(&self, asked: &Reference) -> Verdict {
        match self.0.content.default {
            Unmatched::Allow => Verdict::Accepted,
            Unmatched::Deny => {
                let reason = format!("no rule matches {asked}, and the default is `deny`");
                refused(RefusalKind::Policy, &reason)
            }
        }
    }

    async fn trusted_root(
        &self,
        policy: &Policy,
        trust: &TrustArguments,
        environment: &Environment,
    ) -> Result<TrustedRoot, Failure> {
        let mut instance = self.instance(policy, trust, environment)?;
        if trust.offline {
            instance.network = TufNetwork::Offline;
        }
        let connection = connection::without_registries(environment)?;
        instance
            .trusted_root_for(policy, environment, &connection)
            .await
    }

    /// The instance that the rule, the configuration or the flags name: one of them.
    fn instance(
        &self,
        policy: &Policy,
        trust: &TrustArguments,
        environment: &Environment,
    ) -> Result<Instance, Failure> {
        if !trust.name_an_instance() {
            return self.0.instance(Some(policy));
        }
        if policy.trust().is_none() && self.0.content.trust.is_some() {
            let message = "the configuration and the flags both name a Sigstore instance";
            return Err(Failure::new(Kind::Usage, message)
                .hint("remove the flags, or the configuration's trusted root"));
        }
        let policy = LoadedPolicy {
            policy: policy.clone(),
            file: Some(self.0.file.clone()),
        };
        trust::instance(trust, Some(&policy), environment)
    }
}

fn refused(kind: RefusalKind, reason: &str) -> Verdict {
    Verdict::Refused {
        kind,
        reason: reason.to_owned(),
    }
}

/// One image.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyTestImage")]
pub(super) struct ImageResult {
    image: String,
    /// The number of the rule that is for it, from 1. Left out if no rule matches, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    /// The pattern that matched, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    mode: JsonMode,
    ruling: JsonRuling,
    /// What is demanded, or why nothing is, in words.
    explanation: String,
}

/// What becomes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VerifierRuling")]
enum JsonRuling {
    /// It needs a signature that the rule's policy accepts.
    SignatureRequired,
    /// It is pulled, whoever signed it.
    Allowed,
    /// It is refused, whoever signed it.
    Refused,
}

impl ImageResult {
    /// A headline, and the explanation below it.
    pub(super) fn text(&self) -> String {
        let by = match (self.rule, &self.pattern) {
            (Some(rule), Some(pattern)) => format!(" by rule {rule} ({pattern})"),
            _ => ", no rule matches".to_owned(),
        };
        let what = match self.ruling {
            JsonRuling::SignatureRequired => "needs a signature",
            JsonRuling::Allowed => "allowed",
            JsonRuling::Refused => "refused",
        };
        let warns = match (self.mode, self.ruling) {
            (JsonMode::Warn, JsonRuling::SignatureRequired | JsonRuling::Refused) => {
                "; a refusal is only told (`mode: warn`)"
            }
            (JsonMode::Warn, JsonRuling::Allowed) | (JsonMode::Enforce, _) => "",
        };
        let explanation = self.explanation.trim_end().replace('\n', "\n  ");
        format!("{}: {what}{by}{warns}\n  {explanation}\n", self.image)
    }
}
