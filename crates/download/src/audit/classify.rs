//! From the errors of a verification to verdicts.
//!
//! A refusal becomes the verdict of the candidate that passed the most checks: an attacker who adds a referrer can
//! change how an image falls short, never that it does.

use std::error::Error as StdError;

use countersign_oci::{
    Error as RegistryError, ErrorKind, LayoutError, cut, in_one_line, printable,
};
use countersign_policy::{Miss, SignatureFormat, Violation};
use countersign_verify::{Error, Failure, Refusal, RefusalKind};

use super::verdict::{FoundSigner, State, Verdict};

/// The most characters of a reason.
const REASON_MAX: usize = 600;

/// The verdict on an image that could not be found or fetched.
pub(super) fn registry_error(error: &RegistryError) -> Verdict {
    match error {
        // The path that the entry names is there, and is not what it has to be: another try changes nothing. Of a file
        // that can't be read nobody knows that.
        RegistryError::Layout { source, .. }
            if error.kind() == ErrorKind::Usage && !matches!(source, LayoutError::Io { .. }) =>
        {
            Verdict::short(State::Unusable, line(error))
        }
        _ => of_kind(error.kind(), line(error)),
    }
}

/// The verdict on an image that was not proven.
pub(super) fn verify_error(error: &Error) -> Verdict {
    match error {
        Error::Refused(refusal) => refused(&[refusal]),
        Error::BothRefused {
            index, manifest, ..
        } => refused(&[index, manifest]),
        Error::Registry(error) => registry_error(error),
        Error::Denied(denied) => Verdict::short(State::Denied, line(denied)),
        other => of_kind(other.kind(), line(other)),
    }
}

fn of_kind(kind: ErrorKind, reason: String) -> Verdict {
    let state = match kind {
        ErrorKind::NotFound => State::Missing,
        ErrorKind::Unreachable => State::Unreachable,
        ErrorKind::Rejected => State::Rejected,
        ErrorKind::Invalid => State::Invalid,
        ErrorKind::Policy => State::OtherCondition,
        ErrorKind::Unsigned => State::Unsigned,
        ErrorKind::Internal | ErrorKind::Machine | ErrorKind::Usage | ErrorKind::Differs => {
            State::Failed
        }
    };
    Verdict::short(state, reason)
}

/// The verdict of the candidate that came nearest, in any of these refusals.
fn refused(refusals: &[&Refusal]) -> Verdict {
    let candidates = refusals.iter().flat_map(|refusal| &refusal.candidates);
    let verdicts = candidates.map(|candidate| candidate_verdict(&candidate.failure));
    // If several are equally near, the first one counts: `max_by_key` alone would take the last.
    let nearest = verdicts
        .rev()
        .max_by_key(|verdict| nearness(verdict.state()));
    nearest.unwrap_or_else(|| Verdict::short(State::Unsigned, "no signature was found"))
}

fn candidate_verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::Policy(violation) => violated(violation),
        Failure::LegacySignature => Verdict::short(
            State::LegacyOnly,
            "a signature in cosign's legacy form, and the policy accepts bundles only",
        ),
        Failure::Attestation { .. } => Verdict::short(State::AttestationOnly, line(failure)),
        other => {
            let reason = line(other);
            match other.kind() {
                RefusalKind::Unsigned => Verdict::short(State::Unsigned, reason),
                RefusalKind::Invalid => Verdict::short(State::Invalid, reason),
                RefusalKind::OtherSigner => {
                    Verdict::by_other_signer(FoundSigner::default(), reason)
                }
                RefusalKind::Policy => Verdict::short(State::OtherCondition, reason),
            }
        }
    }
}

fn violated(violation: &Violation) -> Verdict {
    let short = |state| Verdict::short(state, line(violation));
    match violation.first() {
        Violation::SignedBefore { not_before, found } => Verdict::stale(*found, *not_before),
        Violation::Signer(mismatch) => match mismatch.nearest() {
            Miss::SignedBefore { not_before, found } => Verdict::stale(*found, *not_before),
            Miss::Issuer(miss) => Verdict::by_other_signer(
                FoundSigner {
                    issuer: Some(miss.found.clone()),
                    identity: None,
                },
                format!(
                    "a genuine signature, confirmed by the issuer {}",
                    shown(&miss.found)
                ),
            ),
            Miss::Identity(miss) => Verdict::by_other_signer(
                FoundSigner {
                    issuer: None,
                    identity: Some(miss.found.clone()),
                },
                format!("a genuine signature by {}", shown(&miss.found)),
            ),
            _ => short(State::OtherCondition),
        },
        Violation::Format {
            found: SignatureFormat::SimpleSigning,
            ..
        } => short(State::LegacyOnly),
        Violation::PredicateType { .. } => short(State::AttestationOnly),
        Violation::DeniedDigest { .. } => short(State::Denied),
        Violation::Format {
            found: SignatureFormat::Bundle,
            ..
        }
        | Violation::NoTime { .. }
        | Violation::TooYoung { .. }
        | Violation::Annotation { .. }
        | Violation::Predicate { .. }
        | Violation::Name { .. }
        | Violation::Several { .. } => short(State::OtherCondition),
    }
}

/// How near a candidate's verdict is to a proof.
fn nearness(state: State) -> u8 {
    match state {
        State::Proven | State::Digest => 9,
        // A denial decides, whatever else there is.
        State::Denied => 8,
        State::Stale => 7,
        State::OtherCondition => 6,
        State::OtherSigner => 5,
        State::LegacyOnly => 4,
        State::Invalid => 3,
        State::AttestationOnly => 2,
        State::Unsigned
        | State::Missing
        | State::Unreachable
        | State::Rejected
        | State::Uncovered
        | State::Unusable
        | State::Failed => 1,
    }
}

/// The error and its causes in one line, made printable: others wrote parts of it.
pub(super) fn line(error: &dyn StdError) -> String {
    in_one_line(error, REASON_MAX)
}

fn shown(text: &str) -> String {
    printable(&cut(text, REASON_MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Debug;
    use std::path::Path;

    use countersign_oci::LayoutPath;

    use super::*;

    /// The names of the variants in a value.
    fn label(value: &impl Debug) -> String {
        let text = format!("{value:?}");
        let names = text.split(|c: char| !c.is_ascii_alphanumeric());
        let is_variant = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase());
        let names: Vec<&str> = names.filter(is_variant).take(3).collect();
        names.join("/")
    }

    const PAGE: &str = include_str!("../../../../docs/audit.md");

    #[test]
    fn the_page_on_audits_names_the_keys_that_lead_to_each_state() {
        for violation in countersign_policy::samples::violations() {
            // It is of any condition on time.
            if matches!(violation.first(), Violation::NoTime { .. }) {
                continue;
            }
            let begin = format!("| `{}` |", violated(&violation).state().as_str());
            let row = PAGE.lines().find(|line| line.starts_with(&begin)).unwrap();
            let text = violation.to_string();
            let keys = text.split("the policy's `").skip(1);
            for key in keys.filter_map(|rest| rest.split('`').next()) {
                assert!(row.contains(&format!("`{key}`")), "{key}: {row}");
            }
        }
    }

    #[test]
    fn the_page_on_audits_says_what_state_a_limit_on_requests_leads_to() {
        let state = of_kind(ErrorKind::of_status(429), String::new()).state();
        let says = format!("its images are `{}`.", state.as_str());
        assert!(PAGE.contains(&says), "{says}");
    }

    #[test]
    fn a_layout_that_can_t_be_used_is_no_failure_of_this_machine() {
        let states = |source| {
            let layout = LayoutPath::new(Path::new("/kit")).unwrap();
            let error = RegistryError::Layout { layout, source };
            let of_image = registry_error(&error).state();
            (of_image, verify_error(&Error::Registry(error)).state())
        };
        for (source, expected) in [
            (LayoutError::NoMarker, State::Unusable),
            (
                LayoutError::SeveralImages { found: Vec::new() },
                State::Unusable,
            ),
            (LayoutError::Nothing, State::Missing),
            (LayoutError::NoImage, State::Missing),
        ] {
            assert_eq!(states(source), (expected, expected));
        }
        // A file of settings is this machine's own.
        let credentials = RegistryError::Credentials {
            registry: Some("quay.io".into()),
            from: "config.json".into(),
            source: "not JSON".into(),
        };
        assert_eq!(registry_error(&credentials).state(), State::Failed);
    }

    /// The enums are open, so a new variant would be `other_condition` without a word.
    #[test]
    fn every_violation_and_every_error_has_a_state() {
        let mut states: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for violation in countersign_policy::samples::violations() {
            let label = match &violation {
                Violation::Signer(mismatch) => {
                    format!("Signer/{}", label(mismatch.nearest()))
                }
                other => label(other),
            };
            let state = violated(&violation).state().as_str();
            states.entry(state).or_default().insert(label);
        }
        for error in countersign_verify::samples::errors() {
            let state = verify_error(&error).state().as_str();
            states.entry(state).or_default().insert(label(&error));
        }
        insta::assert_snapshot!(format!("{states:#?}"));
    }
}
