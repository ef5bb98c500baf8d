//! The proofs that a policy requires: one, or several of which all must be there.

use std::collections::BTreeMap;

use countersign_oci::printable;

use super::check::{claim_rules, predicate_rules};
use super::values::{at, non_empty};
use super::{AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, Policy};
use crate::claims::ClaimRule;
use crate::error::{KeyPath, PolicyError, Problem};
use crate::one_or_more::OneOrMore;
use crate::spec::{AttestationSpec, PolicySpec, RequirementSpec};

impl Policy {
    /// The proofs that must be there, all of them. Each is a policy for one statement. A policy without `require`
    /// has one, itself.
    pub fn requirements(&self) -> OneOrMore<&Self> {
        match self.require.as_slice() {
            [] => OneOrMore::one(self),
            [first, rest @ ..] => OneOrMore::new(first, rest.iter().collect()),
        }
    }

    /// What kind of proof this requires, with its article. It is printable.
    pub fn proof_name(&self) -> String {
        match self.predicate_types.as_slice() {
            [only] if only == COSIGN_SIGN_PREDICATE => "a signature".to_owned(),
            types => format!("an attestation of type {}", printable(&types.join(" or "))),
        }
    }

    /// This policy with the proofs in `spec.require`.
    pub(super) fn requiring(self, spec: &PolicySpec, path: &KeyPath) -> Result<Self, PolicyError> {
        if spec.require.is_empty() {
            return Ok(self);
        }
        let path = path.key("require");
        let entries = spec.require.iter().enumerate();
        let require: Result<Vec<Self>, PolicyError> = entries
            .map(|(position, entry)| self.one_of(entry, &path.index(position)))
            .collect();
        let require = require?;
        for (position, proof) in require.iter().enumerate() {
            let earlier = require.iter().take(position);
            // One signature would be enough for both.
            if let Some(first) = earlier.into_iter().position(|other| other == proof) {
                return Err(at(path.index(position), Problem::SameProof { first }));
            }
        }
        let types = require.iter().flat_map(|one| one.predicate_types.clone());
        Ok(Self {
            predicate_types: types.collect(),
            require,
            ..self
        })
    }

    /// This policy, for the one proof that `entry` describes.
    fn one_of(&self, entry: &RequirementSpec, path: &KeyPath) -> Result<Self, PolicyError> {
        let AttestationSpec {
            predicate_type,
            predicate,
            claims,
            annotations,
        } = match entry {
            RequirementSpec::Signature => return Ok(self.clone()),
            RequirementSpec::Attestation(attestation) => attestation,
        };
        let key = "predicate_type";
        let Some(predicate_type) = predicate_type else {
            return Err(at(path.clone(), Problem::MissingKey { key }));
        };
        let expected = "a predicate type such as https://slsa.dev/provenance/v1";
        non_empty(predicate_type, expected, &path.key(key))?;
        let claims = claim_rules(claims, &path.key("claims"))?;
        // A key's signature has no certificate, and so no claims.
        if !claims.is_empty() && self.keys().next().is_some() {
            return Err(at(path.key("claims"), Problem::BesideKey { key: "claims" }));
        }
        let with_claims = |signer: &AcceptedSigner| with_claims(signer, &claims);
        Ok(Self {
            signers: self.signers.map(with_claims),
            predicate_types: vec![predicate_type.clone()],
            predicate: predicate_rules(predicate, &path.key("predicate"))?,
            annotations: self.and_annotations(annotations, &path.key("annotations"))?,
            ..self.clone()
        })
    }

    fn and_annotations(
        &self,
        more: &BTreeMap<String, String>,
        path: &KeyPath,
    ) -> Result<BTreeMap<String, String>, PolicyError> {
        let mut all = self.annotations.clone();
        for (key, value) in more {
            non_empty(key, "an annotation's key", &path.key(key))?;
            non_empty(value, "an annotation's value", &path.key(key))?;
            if all.insert(key.clone(), value.clone()).is_some() {
                return Err(at(
                    path.key(key),
                    Problem::DuplicateKey { key: key.clone() },
                ));
            }
        }
        Ok(all)
    }
}

fn with_claims(signer: &AcceptedSigner, more: &[ClaimRule]) -> AcceptedSigner {
    match signer {
        AcceptedSigner::Certificate(signer) => AcceptedSigner::Certificate(CertificateSigner {
            claims: signer.claims.iter().chain(more).cloned().collect(),
            ..signer.clone()
        }),
        AcceptedSigner::Key(signer) => AcceptedSigner::Key(signer.clone()),
    }
}
