//! What refers to an image, for a person to read.
//!
//! Every signature is checked as for a proof, except that anybody may have signed. The result is a record, and
//! nothing makes a proof of it. What is not proven is told apart from what is.

use countersign_oci::{CosignTag, Digest, ResolvedImage};
use countersign_policy::{
    COSIGN_SIGN_PREDICATE, Policy, PolicyError, PolicySpec, PublicKey, SignatureFormat, SignerSpec,
};
use jiff::Timestamp;

use crate::evidence::Evidence;
use crate::failure::Failure;
use crate::judge::Judge;
use crate::signature::FetchedLayer;
use crate::trust::TrustedRoot;

/// What refers to one image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// In the order of the registry's list, then what is at cosign's tags.
    pub attached: Vec<Attached>,
    /// How many referrers, and signatures in those that were read, were not looked at, because the limit on
    /// candidates was reached.
    pub untried: usize,
}

/// A manifest that refers to an image, or is at one of cosign's tags for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attached {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Where it was found.
    pub place: AttachedPlace,
    /// What it holds.
    pub content: AttachedContent,
}

/// Where something attached was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachedPlace {
    /// In the list of referrers.
    Referrer,
    /// At one of cosign's tags.
    Tag(CosignTag),
}

/// What a manifest that refers to an image holds.
#[derive(Debug)]
pub enum AttachedContent {
    /// Signatures or signed attestations: one in a bundle, or several in the legacy form.
    Signatures(Vec<AttachedSignature>),
    /// Anything else: an SBOM, or an attestation in a form that is not checked.
    Artifact(Box<ResolvedImage>),
    /// It can't be read, or is not what it has to be.
    Unreadable(Failure),
}

/// A signature, or a signed attestation.
#[derive(Debug)]
#[non_exhaustive]
pub struct AttachedSignature {
    /// The form in which it is stored.
    pub format: SignatureFormat,
    /// The predicate type that the statement names. It is proven only if [`record`](Self::record) is there.
    pub stated_type: Option<String>,
    /// Who signed, and when: what the signature proves. Or the first check that failed: then nobody knows
    /// who made it.
    pub record: Result<Evidence, Failure>,
    /// Whether it is a proof that the policy asks for. That is not yet a verdict on the image: the policy may ask
    /// for more than one, and may deny the image. `None` if there is no policy.
    pub verdict: Option<Result<(), Failure>>,
}

/// What signatures are checked against.
pub(crate) struct SurveyContext {
    pub(crate) image: ResolvedImage,
    pub(crate) trusted_root: TrustedRoot,
    pub(crate) policy: Option<Policy>,
    /// The keys that the policy names.
    pub(crate) keys: Vec<PublicKey>,
    /// Accepts a signature by anybody: [`anybody`], made once.
    pub(crate) signature_by_anybody: Policy,
    pub(crate) now: Timestamp,
}

impl SurveyContext {
    /// Checks one signature. What the policy accepts is checked once: the proof has the record in it.
    pub(crate) fn survey(&self, stored: &FetchedLayer) -> AttachedSignature {
        let format = stored.format();
        let policy = self.policy.as_ref();
        let judged = policy.map(|policy| self.any_requirement(stored, policy));
        let (stated_type, record, verdict) = match judged {
            Some(Ok(evidence)) => (
                Some(evidence.predicate_type.clone()),
                Ok(evidence),
                Some(Ok(())),
            ),
            refused_or_not_judged => {
                let (stated_type, record) = self.record_by_anybody_known(stored);
                let verdict = refused_or_not_judged.map(|judged| judged.map(drop));
                (stated_type, record, verdict)
            }
        };
        AttachedSignature {
            format,
            stated_type,
            record,
            verdict,
        }
    }

    /// The type that the statement names, and the record of the signature. A statement of another type is found
    /// before anything is computed.
    fn record(&self, stored: &FetchedLayer) -> (Option<String>, Result<Evidence, Failure>) {
        let as_signature = self.judge(stored, &self.signature_by_anybody);
        let found = match &as_signature {
            Err(Failure::Attestation { found, .. }) => found.clone(),
            Ok(evidence) => return (Some(evidence.predicate_type.clone()), as_signature),
            Err(_) => return (None, as_signature),
        };
        // A type that no policy can name stays the failure that it was found by.
        let record = match anybody(&found) {
            Ok(policy) => self.judge(stored, &policy),
            Err(_) => as_signature,
        };
        (Some(found), record)
    }

    /// As [`Self::record`], also by a key that the policy names: a signature by a key proves something only to
    /// whoever names the key. What the policy asks of it beside the key is not asked here.
    fn record_by_anybody_known(
        &self,
        stored: &FetchedLayer,
    ) -> (Option<String>, Result<Evidence, Failure>) {
        let (stated_type, record) = self.record(stored);
        let Err(Failure::KeyForCertificate) = record else {
            return (stated_type, record);
        };
        let predicate_type = stated_type.as_deref().unwrap_or(COSIGN_SIGN_PREDICATE);
        // With its log entry, if it has one: then the time is known.
        let by_key = [false, true].into_iter().find_map(|ignore_tlog| {
            let policy = by_any_key(&self.keys, predicate_type, ignore_tlog)?;
            self.judge(stored, &policy).ok()
        });
        match by_key {
            Some(evidence) => (Some(evidence.predicate_type.clone()), Ok(evidence)),
            None => (stated_type, record),
        }
    }

    /// Whether the signature is one of the proofs that the policy requires. If not, why it is not the one that it
    /// is nearest to.
    fn any_requirement(&self, stored: &FetchedLayer, policy: &Policy) -> Result<Evidence, Failure> {
        let requirements = policy.requirements();
        let judged = requirements.first_ok(|requirement| self.judge(stored, requirement));
        judged.map_err(Failure::nearest)
    }

    fn judge(&self, stored: &FetchedLayer, policy: &Policy) -> Result<Evidence, Failure> {
        let judge = Judge::by(&self.trusted_root, policy, self.now);
        let signature = stored.signature(policy)?;
        judge.record(&self.image, Some(stored.holder()), &signature)
    }
}

/// The keys that a policy names, each once.
pub(crate) fn keys_of(policy: &Policy) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = Vec::new();
    for signer in policy.requirements().into_iter().flat_map(Policy::keys) {
        if !keys.contains(&signer.key) {
            keys.push(signer.key.clone());
        }
    }
    keys
}

/// A policy that accepts a statement of this type by one of these keys. What it accepts is only recorded. `None` if
/// there is no key.
fn by_any_key(keys: &[PublicKey], predicate_type: &str, ignore_tlog: bool) -> Option<Policy> {
    let signer = |key: &PublicKey| SignerSpec {
        key: Some(key.to_pem()),
        ignore_tlog,
        ..SignerSpec::default()
    };
    let identities: Vec<SignerSpec> = keys.iter().map(signer).collect();
    let spec = PolicySpec {
        identities,
        ..any_form(predicate_type)
    };
    (!keys.is_empty()).then(|| Policy::try_from(spec).ok())?
}

/// A policy that accepts a statement of this type by anybody. What it accepts is only recorded.
pub(crate) fn anybody(predicate_type: &str) -> Result<Policy, PolicyError> {
    let anything = || Some("(?s).*".to_owned());
    let spec = PolicySpec {
        issuer_regex: anything(),
        identity_regex: anything(),
        ..any_form(predicate_type)
    };
    Policy::try_from(spec)
}

fn any_form(predicate_type: &str) -> PolicySpec {
    PolicySpec {
        predicate_types: vec![predicate_type.to_owned()],
        signature_formats: vec!["bundle".to_owned(), "simple_signing".to_owned()],
        ..PolicySpec::default()
    }
}
