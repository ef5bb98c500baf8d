//! Policies made from a policy for one of its signers. They accept nothing that the policy doesn't.

use super::{AcceptedSigner, CertificateSigner, KeySigner, Policy};
use crate::matcher::Matcher;
use crate::one_or_more::OneOrMore;
use crate::public_key::KeyFingerprint;

/// A signer, for [`Policy::only_each`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneSigner<'a> {
    /// By a certificate.
    Certificate {
        /// The OIDC issuer.
        issuer: &'a str,
        /// The subject alternative name.
        identity: &'a str,
    },
    /// By a key.
    Key(&'a KeyFingerprint),
}

impl Policy {
    /// The same policy for a single signer: what the result accepts, `self` accepts too. All else
    /// that it asks for stays as it is, the claims beside that signer included.
    ///
    /// `None` where no signer of the policy may be of this issuer and identity: there is no policy
    /// that accepts nobody either.
    ///
    /// If the policy requires several proofs, each of them must be by this signer. [`Self::only_each`] takes a
    /// signer for each.
    #[must_use]
    pub fn only(&self, issuer: &str, identity: &str) -> Option<Self> {
        let narrowed = |signer: &AcceptedSigner| match signer {
            AcceptedSigner::Certificate(signer) => {
                let accepts = signer.issuer.matches(issuer) && signer.identity.matches(identity);
                accepts.then(|| {
                    AcceptedSigner::Certificate(CertificateSigner {
                        issuer: Matcher::Exact(issuer.to_owned()),
                        identity: Matcher::Exact(identity.to_owned()),
                        ..signer.clone()
                    })
                })
            }
            AcceptedSigner::Key(_) => None,
        };
        self.narrowed(&narrowed)
    }

    /// As [`Self::only`], for the signers that are this key.
    #[must_use]
    pub fn only_key(&self, key: &KeyFingerprint) -> Option<Self> {
        self.narrowed(&|signer| {
            let same = |one: &&KeySigner| one.key.fingerprint() == *key;
            signer.key().filter(same).cloned().map(AcceptedSigner::Key)
        })
    }

    fn narrowed(&self, narrow: &dyn Fn(&AcceptedSigner) -> Option<AcceptedSigner>) -> Option<Self> {
        let signers = OneOrMore::of(self.signers.iter().filter_map(narrow))?;
        let require = self.require.iter().map(|one| one.narrowed(narrow));
        let require = require.collect::<Option<Vec<Self>>>()?;
        Some(Self {
            signers,
            require,
            ..self.clone()
        })
    }

    fn only_by(&self, signer: OneSigner<'_>) -> Option<Self> {
        match signer {
            OneSigner::Certificate { issuer, identity } => self.only(issuer, identity),
            OneSigner::Key(key) => self.only_key(key),
        }
    }

    /// As [`Self::only`], with a signer for each of the [`requirements`](Self::requirements), in their order.
    ///
    /// `None` also where there are more or fewer signers than requirements.
    #[must_use]
    pub fn only_each(&self, signers: &[OneSigner<'_>]) -> Option<Self> {
        if signers.len() != self.requirements().count() {
            return None;
        }
        if let ([], [signer]) = (self.require.as_slice(), signers) {
            return self.only_by(*signer);
        }
        let each = self.require.iter().zip(signers);
        let require = each.map(|(one, signer)| one.only_by(*signer));
        Some(Self {
            require: require.collect::<Option<Vec<Self>>>()?,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://ci.example.org";

    fn policy() -> Policy {
        let text = r"
identities:
  - { issuer: 'https://ci.example.org', identity_regex: 'release-\d+' }
  - { issuer: 'https://ci.example.org', identity: nightly, not_before: '2026-01-01T00:00:00Z' }
deny_digests: ['sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a']
bind_name: true
";
        Policy::from_yaml(text, "policy.yaml").unwrap()
    }

    #[test]
    fn one_signer_remains_with_its_conditions_and_the_policy_s() {
        let narrowed = policy().only(ISSUER, "nightly").unwrap();
        let Some(AcceptedSigner::Certificate(signer)) = narrowed.signers().only() else {
            panic!("several signers: {narrowed:?}");
        };
        assert_eq!(signer.identity, Matcher::Exact("nightly".into()));
        assert!(signer.not_before.is_some());
        assert!(narrowed.bind_name());
        assert!(narrowed.deny_digests().eq(policy().deny_digests()));
    }

    #[test]
    fn a_pattern_becomes_the_text_that_it_matched() {
        let narrowed = policy().only(ISSUER, "release-7").unwrap();
        let Some(AcceptedSigner::Certificate(signer)) = narrowed.signers().only() else {
            panic!("several signers: {narrowed:?}");
        };
        assert_eq!(signer.identity, Matcher::Exact("release-7".into()));
    }

    fn certified(signer: &AcceptedSigner) -> &CertificateSigner {
        match signer {
            AcceptedSigner::Certificate(signer) => signer,
            AcceptedSigner::Key(signer) => panic!("a key: {signer:?}"),
        }
    }

    #[test]
    fn each_proof_is_narrowed_to_its_own_signer() {
        let text = r"
issuer: https://ci.example.org
identity_regex: '.+'
min_age: 24h
require: [signature, { predicate_type: a, claims: { build_trigger: push } }]
";
        let policy = Policy::from_yaml(text, "policy.yaml").unwrap();
        let by = |issuer, identity| OneSigner::Certificate { issuer, identity };
        let narrowed = policy
            .only_each(&[by(ISSUER, "one"), by(ISSUER, "two")])
            .unwrap();
        let identities = narrowed.requirements().into_iter().map(|one| &one.signers);
        let identities: Vec<&str> = identities
            .flatten()
            .map(|one| certified(one).identity.as_str())
            .collect();
        assert_eq!(identities, ["one", "two"]);
        assert_eq!(
            certified(narrowed.require[1].signers.first()).claims.len(),
            1
        );
        for others in [&[by(ISSUER, "one")][..], &[by(ISSUER, "one"); 3], &[]] {
            assert_eq!(policy.only_each(others), None);
        }
        assert_eq!(
            policy.only_each(&[by(ISSUER, "one"), by("https://ci.example.net", "two")]),
            None
        );
    }

    #[test]
    fn who_is_not_accepted_is_not_accepted_alone_either() {
        assert_eq!(policy().only(ISSUER, "release-7x"), None);
        assert_eq!(policy().only("https://ci.example.net", "nightly"), None);
        assert_eq!(policy().only(ISSUER, ""), None);
    }
}
