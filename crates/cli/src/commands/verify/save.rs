//! `--save`: what a verdict stands on, in a new directory.

use std::path::Path;

use countersign_oci::ResolvedImage;
use countersign_verify::{AttachedContent, SeenSignatures, Verifier};
use jiff::Timestamp;

use super::{Judged, Verified, VerifyArguments};
use crate::commands::policy::test::case::{Expectation, FILE};
use crate::commands::policy::test::saved::{Inputs, Saved, require_new};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::printable;
use crate::verification::Verification;

/// What is saved, and where, if anything is.
pub(super) struct Saving<'a> {
    place: Option<(&'a Path, SeenSignatures)>,
    at: Timestamp,
    /// The policy file of the command line.
    policy: Option<&'a Path>,
    /// Whether the signatures are those of a file, so that there are no others.
    is_given: bool,
}

impl<'a> Saving<'a> {
    /// As the arguments say.
    ///
    /// # Errors
    /// If there are several references, or the directory is there: before anything is asked.
    pub(super) fn of(arguments: &'a VerifyArguments) -> Result<Self, Failure> {
        let place = match &arguments.save {
            None => None,
            Some(directory) => {
                let references = arguments.references.len();
                if references != 1 {
                    let message = format!(
                        "--save writes the inputs of one verdict: expected 1 reference, found {references}"
                    );
                    return Err(Failure::new(Kind::Usage, message)
                        .hint("name one reference in each run, and another directory for each"));
                }
                require_new(directory)?;
                Some((directory.as_path(), SeenSignatures::default()))
            }
        };
        Ok(Self {
            place,
            at: Timestamp::now(),
            policy: arguments.verification.policy.policy.as_deref(),
            is_given: arguments.bundle.is_some(),
        })
    }

    /// The verifier, whose signatures are kept.
    pub(super) fn shown(&self, verifier: Verifier) -> Verifier {
        match &self.place {
            None => verifier,
            Some((_, seen)) => verifier.with_seen_signatures(seen.clone()),
        }
    }

    /// Also keeps the signatures that an accepted image did not need: another policy may.
    ///
    /// # Errors
    /// If they can't all be read.
    pub(super) async fn keep_all(
        &self,
        verifier: &Verifier,
        judged: &[Judged],
    ) -> Result<(), Failure> {
        if self.place.is_none() || self.is_given {
            return Ok(());
        }
        for judged in judged {
            if let (Some(image), Ok(_)) = (&judged.image, &judged.outcome) {
                let survey = verifier.survey(image, None).await?;
                let of_survey = survey.attached.iter();
                let unreadable = of_survey.filter(|one| match one.content {
                    AttachedContent::Unreadable(_) => true,
                    AttachedContent::Signatures(_) | AttachedContent::Artifact(_) => false,
                });
                let missing = survey.untried.saturating_add(unreadable.count());
                if missing > 0 {
                    let message = format!("{missing} of what is attached could not be read");
                    return Err(Failure::new(Kind::Invalid, message));
                }
            }
        }
        Ok(())
    }

    /// Saves what the outcome stands on, where it is a verdict. What can't be saved is never told as saved: of an accepted
    /// image, the second result has that failure, and the run fails.
    pub(super) fn save(
        &self,
        image: Option<&ResolvedImage>,
        outcome: Result<Verified, Failure>,
        verification: &Verification,
        output: &Output,
    ) -> (Result<Verified, Failure>, Result<(), Failure>) {
        let Some((directory, seen)) = &self.place else {
            return (outcome, Ok(()));
        };
        let shown = printable::path(directory);
        let verdict = match &outcome {
            Ok(_) => Some(Expectation::Accepted),
            Err(failure) => match failure.kind {
                Kind::Unsigned => Some(Expectation::RefusedUnsigned),
                Kind::Policy => Some(Expectation::RefusedPolicy),
                Kind::Invalid => Some(Expectation::RefusedInvalid),
                // There is no verdict.
                Kind::Internal
                | Kind::Machine
                | Kind::Usage
                | Kind::NotFound
                | Kind::Unreachable
                | Kind::Rejected
                | Kind::Differs => None,
            },
        };
        let (Some(image), Some(verdict)) = (image, verdict) else {
            let outcome = outcome.map_err(|failure| {
                failure.also(format!("nothing is saved in {shown}: there is no verdict"))
            });
            return (outcome, Ok(()));
        };
        let inputs = Inputs {
            image,
            signatures: seen.of(image.digest()),
            trusted_root: &verification.trusted_root,
            policy: &verification.policy,
            at: self.at,
            verdict,
        };
        let has_signatures = !inputs.signatures.is_empty();
        match (inputs.write(directory), outcome) {
            (Ok(saved), outcome) => {
                let policy = self.policy.map_or("POLICY".to_owned(), printable::word);
                let word = printable::word(directory);
                output.note(&format!(
                    "saved in {shown}: `countersign policy test {policy} --case {word}` judges it again, without the registry"
                ));
                // No policy accepts a case without signatures.
                let is_refused = matches!(
                    verdict,
                    Expectation::RefusedPolicy | Expectation::RefusedInvalid
                );
                if is_refused && has_signatures {
                    output.note(&format!(
                        "it expects the refusal; to work on the policy until the image is accepted, write `expect: accepted` in {}",
                        printable::path(&directory.join(FILE))
                    ));
                }
                if let Saved::OtherReason(again) = saved {
                    let again = again.as_str();
                    let why = if has_signatures {
                        "Only signatures can be saved, and something else was wrong too"
                    } else {
                        "It was refused before a signature was read, so the case has none, and no policy accepts it"
                    };
                    output.note(&format!(
                        "`policy test` refuses it for another reason: {again}. {why}"
                    ));
                }
                (outcome, Ok(()))
            }
            (Err(unsaved), Ok(verified)) => (Ok(verified), Err(unsaved)),
            (Err(unsaved), Err(failure)) => {
                let nothing = format!("nothing is saved in {shown}: {}", unsaved.line());
                (Err(failure.also(nothing)), Ok(()))
            }
        }
    }
}
