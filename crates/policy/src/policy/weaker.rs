//! Policies made from a policy that accept more than it does, for whoever signs. Nothing may be installed by them, so
//! their names say `dangerous`.

use super::{AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, Policy};
use crate::claims::Claim;

impl Policy {
    /// The same policy without what a signature can't meet right after it is made: its `min_age`, and what `require`
    /// asks of other attestations. It is for a signer, which looks at a signature at once. Never install anything by
    /// it.
    #[must_use]
    pub fn dangerous_for_new_signature(mut self) -> Self {
        // A new field doesn't compile until it is either taken out here or named as one that stays.
        let Self {
            min_age,
            require,
            signers: _,
            not_before: _,
            predicate_types: _,
            predicate: _,
            signature_formats: _,
            annotations: _,
            bind_name: _,
            trust: _,
            signature_sources: _,
            deny_digests: _,
        } = &mut self;
        *min_age = None;
        let mut proofs = std::mem::take(require).into_iter();
        // Of several proofs, a signer makes the signature alone.
        match proofs.find(|one| one.is_signature_type(COSIGN_SIGN_PREDICATE)) {
            Some(signature) => signature.dangerous_for_new_signature(),
            None => self,
        }
    }

    /// The same policy without its rules on claims that are not `known`: what `self` accepts, the
    /// result accepts too, and more. For a signer, to foresee a refusal before there is a
    /// certificate; never to accept anything by.
    #[must_use]
    pub fn dangerous_as_far_as_known(&self, known: impl Fn(Claim) -> bool + Copy) -> Self {
        let signers = self.signers.map(|signer| match signer {
            AcceptedSigner::Certificate(signer) => {
                let rules = signer.claims.iter().filter(|rule| known(rule.claim));
                AcceptedSigner::Certificate(CertificateSigner {
                    claims: rules.cloned().collect(),
                    ..signer.clone()
                })
            }
            AcceptedSigner::Key(signer) => AcceptedSigner::Key(signer.clone()),
        });
        Self {
            signers,
            require: self
                .require
                .iter()
                .map(|one| one.dangerous_as_far_as_known(known))
                .collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://ci.example.org";

    #[test]
    fn a_new_signature_is_asked_for_no_age_and_no_other_attestation() {
        let text = r"
issuer: https://ci.example.org
identity: nightly
min_age: 24h
require: [signature, { predicate_type: a, claims: { build_trigger: push } }]
";
        let policy = Policy::from_yaml(text, "policy.yaml").unwrap();
        let new = policy.dangerous_for_new_signature();
        assert_eq!(new.requirements().only(), Some(&&new));
        assert_eq!((new.predicate_types().len(), new.min_age()), (1, None));
    }

    #[test]
    fn rules_on_claims_that_are_not_known_are_left_out_and_nothing_else_is() {
        let text = r"
issuer: https://ci.example.org
identity: nightly
not_before: '2026-01-01T00:00:00Z'
claims: { build_trigger: push, runner_environment: github-hosted }
bind_name: true
";
        let policy = Policy::from_yaml(text, "policy.yaml").unwrap();
        let known = policy.dangerous_as_far_as_known(|claim| claim == Claim::BuildTrigger);
        let Some(AcceptedSigner::Certificate(signer)) = known.signers().only() else {
            panic!("several signers: {known:?}");
        };
        let claims: Vec<Claim> = signer.claims.iter().map(|rule| rule.claim).collect();
        assert_eq!(claims, [Claim::BuildTrigger]);
        assert_eq!(policy.dangerous_as_far_as_known(|_| true), policy);
        let none = policy.dangerous_as_far_as_known(|_| false);
        assert_eq!(none.only(ISSUER, "nightly").map(|_| ()), Some(()));
        assert_eq!(none.not_before(), policy.not_before());
        assert!(none.bind_name());
    }
}
