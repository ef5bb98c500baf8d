//! Where `--save-predicate` writes.

use std::path::Path;

use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};

use super::{Verified, VerifyArguments};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use countersign_download::whole_file;

const NAME_THE_TYPE: &str = "name the type of the attestation alone in the policy's `predicate_types`, or in an entry of `require`";

fn is_signature(predicate_type: &str) -> bool {
    predicate_type == COSIGN_SIGN_PREDICATE
}

/// What becomes of the proven predicate.
pub(super) enum PredicateTo<'a> {
    /// Nothing.
    Nowhere,
    /// It is written to a file, in one step.
    File(&'a Path),
    /// It is the one thing on standard output.
    StandardOutput,
}

impl<'a> PredicateTo<'a> {
    /// As the arguments say.
    ///
    /// # Errors
    /// If several predicates, or something else beside one, would be written to one place.
    pub(super) fn of(arguments: &'a VerifyArguments, output: &Output) -> Result<Self, Failure> {
        let Some(path) = &arguments.save_predicate else {
            return Ok(Self::Nowhere);
        };
        let usage = |message: String| Err(Failure::new(Kind::Usage, message));
        let references = arguments.references.len();
        if references != 1 {
            return usage(format!(
                "--save-predicate writes one predicate: expected 1 reference, found {references}"
            ));
        }
        if path != Path::new("-") {
            return Ok(Self::File(path));
        }
        if arguments.print_digest || output.is_json() {
            return usage(
                "`--save-predicate -` writes the predicate to standard output: it can't be combined with \
                 --output json or --print-digest"
                    .to_owned(),
            );
        }
        Ok(Self::StandardOutput)
    }

    /// Refuses a policy that accepts nothing with a predicate.
    ///
    /// # Errors
    /// If a signature is all that counts: what it says of the image is nothing but that it is signed.
    pub(super) fn check(&self, policy: &Policy) -> Result<(), Failure> {
        let types = policy
            .requirements()
            .into_iter()
            .flat_map(Policy::predicate_types);
        match self {
            Self::File(_) | Self::StandardOutput if types.clone().all(|one| is_signature(one)) => {
                let message = "--save-predicate needs a policy that accepts an attestation: this one accepts \
                               signatures alone, which have no predicate to save";
                Err(Failure::new(Kind::Usage, message).hint(NAME_THE_TYPE))
            }
            Self::Nowhere | Self::File(_) | Self::StandardOutput => Ok(()),
        }
    }

    /// Saves what was proven of the one image.
    ///
    /// # Errors
    /// If a signature alone proves it, or the file can't be written.
    pub(super) fn save(&self, verified: &Verified, output: &Output) -> Result<(), Failure> {
        if let Self::Nowhere = self {
            return Ok(());
        }
        let attested = [&verified.evidence]
            .into_iter()
            .chain(&verified.further)
            .any(|proof| !is_signature(&proof.predicate_type));
        // The statement of a signature by cosign has an empty predicate, which says nothing.
        let Some(predicate) = verified.predicate.as_ref().filter(|_| attested) else {
            let message =
                "the image is verified, but by a signature, which has no predicate to save";
            return Err(Failure::new(Kind::Policy, message).hint(NAME_THE_TYPE));
        };
        match self {
            Self::File(path) => whole_file::write(path, predicate.as_bytes())
                .map_err(|error| Failure::unwritable(path, "predicate", error))?,
            Self::StandardOutput => output.raw(predicate),
            Self::Nowhere => {}
        }
        Ok(())
    }

    /// Tells of the verification, where that is not in the predicate's way.
    pub(super) fn tell(&self, output: &Output, text: &str) {
        match self {
            Self::Nowhere | Self::File(_) => output.result(text),
            Self::StandardOutput => output.note(text.trim_end()),
        }
    }
}
