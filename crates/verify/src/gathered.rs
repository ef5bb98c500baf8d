//! The proofs of one image, until all that the policy requires are there.
//!
//! A [`Complete`] has a proof for each requirement of its policy, and nothing else makes a
//! [`VerifiedImage`](crate::VerifiedImage). So a requirement that nobody has judged can't be left out.

use countersign_policy::Policy;

use crate::candidate;
use crate::failure::Failure;
use crate::proven::Proven;
use crate::refusal::RequirementState;

/// Proofs, each in the place of the requirement that it was made by.
#[derive(Debug)]
pub(crate) struct Gathered {
    policy: Policy,
    places: Vec<Option<Proven>>,
}

impl Gathered {
    /// No proof yet, of those that `policy` requires.
    pub(crate) fn none(policy: &Policy) -> Self {
        Self {
            places: policy.requirements().iter().map(|_| None).collect(),
            policy: policy.clone(),
        }
    }

    /// The requirements without a proof, with their positions.
    pub(crate) fn unmet(&self) -> Unmet {
        let places = self.policy.requirements().into_iter().zip(&self.places);
        let unmet = places.enumerate().filter(|(_, (_, place))| place.is_none());
        let unmet = unmet.map(|(position, (requirement, _))| (position, requirement.clone()));
        Unmet(unmet.collect())
    }

    /// Takes the proofs of what was judged. What is left are the positions of the other requirements, and why the
    /// signature proves none of them.
    pub(crate) fn take(&mut self, judged: Vec<Judged>) -> Vec<(usize, Failure)> {
        let mut failures = Vec::new();
        for Judged { position, verdict } in judged {
            match verdict {
                Ok(proven) => self.add(proven),
                Err(failure) => failures.push((position, failure)),
            }
        }
        failures
    }

    /// What is required, and whether there is a proof of it.
    pub(crate) fn states(&self) -> Vec<RequirementState> {
        let places = self.policy.requirements().into_iter().zip(&self.places);
        let states = places.map(|(requirement, place)| RequirementState {
            name: requirement.proof_name(),
            attestation: candidate::asks_for_attestation(requirement),
            by_key: !requirement.accepts_certificates(),
            met: place.is_some(),
        });
        states.collect()
    }

    /// Puts a proof in the place of the requirement that it was made by. Whoever has a proof by another policy
    /// fills no place with it. Of several for one place, the first stays.
    fn add(&mut self, proven: Proven) {
        let places = self.policy.requirements().into_iter().zip(&mut self.places);
        for (requirement, place) in places {
            if place.is_none() && *requirement == proven.policy {
                *place = Some(proven);
                return;
            }
        }
    }

    /// All proofs, if each requirement has one. Otherwise nothing is taken.
    pub(crate) fn complete(&mut self) -> Option<Complete> {
        if self.places.iter().any(Option::is_none) {
            return None;
        }
        let mut proofs = self.places.drain(..).flatten();
        let first = proofs.next()?;
        Some(Complete {
            first,
            further: proofs.collect(),
            policy: self.policy.clone(),
        })
    }
}

/// The requirements that have no proof yet, with their positions.
#[derive(Debug)]
pub(crate) struct Unmet(Vec<(usize, Policy)>);

impl Unmet {
    /// One signature, judged by each of them: it may be the proof of several.
    pub(crate) fn judged_by(
        self,
        judge: impl Fn(&Policy) -> Result<Proven, Failure>,
    ) -> Vec<Judged> {
        let judged = self.0.into_iter().map(|(position, requirement)| Judged {
            position,
            verdict: judge(&requirement),
        });
        judged.collect()
    }
}

/// What one signature is for one requirement.
#[derive(Debug)]
pub(crate) struct Judged {
    position: usize,
    verdict: Result<Proven, Failure>,
}

/// A proof for each requirement of a policy. Only [`Gathered::complete`] and [`Complete::by_one`] make one.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) first: Proven,
    pub(crate) further: Vec<Proven>,
    pub(crate) policy: Policy,
}

impl Complete {
    /// One statement that the whole of its policy accepts: each requirement, if there are several.
    pub(crate) fn by_one(proven: Proven) -> Self {
        Self {
            policy: proven.policy.clone(),
            first: proven,
            further: Vec::new(),
        }
    }
}
