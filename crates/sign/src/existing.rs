//! Recognises what an earlier run has signed, so that another run adds nothing.

use std::collections::BTreeMap;

use countersign_oci::{Digest, Document, ErrorKind, Registry, ResolvedImage};
use countersign_policy::{Policy, PolicyError, PolicySpec, SignatureFormat};
use countersign_verify::{
    Evidence, Failure, Limits, TrustedRoot, VerifiedDocument, Verifier, verify_bundle,
    verify_simple_signing,
};
use jiff::Timestamp;

use crate::error::{Error, Service};
use crate::referrer;
use crate::statement;
use countersign_verify::names::SIMPLE_SIGNING_LAYER;

/// What to do about manifests that an earlier run has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Existing {
    /// Leave them as they are, if the signature is by the same identity, of the same name, with the
    /// same annotations, and the consumer accepts it.
    #[default]
    Keep,
    /// Sign them once more.
    SignAgain,
}

/// Who signs: the identity that a certificate has, or one of those that it may get.
pub(crate) struct Who {
    pub(crate) issuer: String,
    pub(crate) identities: Vec<String>,
}

/// The policy that accepts exactly what `identity` signs with these annotations in this form.
pub(crate) fn own_policy(
    issuer: &str,
    identity: &str,
    annotations: &BTreeMap<String, String>,
    format: SignatureFormat,
) -> Result<Policy, PolicyError> {
    Policy::try_from(PolicySpec {
        issuer: Some(issuer.to_owned()),
        identity: Some(identity.to_owned()),
        annotations: annotations.clone(),
        bind_name: true,
        signature_formats: vec![format.as_str().to_owned()],
        ..PolicySpec::default()
    })
}

/// Whether a policy can ask for these annotations, whoever signs.
///
/// # Errors
/// What is wrong with the annotations.
pub(crate) fn check_annotations(annotations: &BTreeMap<String, String>) -> Result<(), PolicyError> {
    let (issuer, identity) = ("https://issuer.example", "anybody");
    own_policy(issuer, identity, annotations, SignatureFormat::Bundle).map(drop)
}

/// A certificate's identity makes no policy: nobody could accept it.
pub(crate) fn unusable_certificate(source: PolicyError) -> Error {
    Error::Service {
        service: Service::Fulcio,
        status: None,
        kind: ErrorKind::Rejected,
        source: Box::new(source),
    }
}

/// Where signatures are looked for, and what they have to pass.
pub(crate) struct Search<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) verifier: &'a Verifier,
    pub(crate) trusted_root: &'a TrustedRoot,
    pub(crate) consumer: Consumer<'a>,
}

/// The installer's policy, where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Consumer<'a>(pub(crate) Option<&'a Policy>);

impl<'a> Consumer<'a> {
    /// If it reads this form: it says nothing of the others.
    pub(crate) fn of(self, format: SignatureFormat) -> Option<&'a Policy> {
        self.0.filter(|policy| policy.accepts_format(format))
    }
}

/// What a signature has to be that stands in the place of a new one.
struct Wanted<'a> {
    own: &'a Policy,
    /// No more and no less than these.
    annotations: &'a BTreeMap<String, String>,
    consumer: Option<&'a Policy>,
}

impl Wanted<'_> {
    /// The record of a signature that `manifest` holds, if our own policy and the consumer's accept it when they
    /// `judge` it.
    fn accepted(
        &self,
        manifest: &Digest,
        judge: impl Fn(&Policy) -> Result<VerifiedDocument, Failure>,
    ) -> Option<Evidence> {
        let Self {
            own,
            annotations,
            consumer,
        } = self;
        let proof = judge(own).ok()?;
        let accepted = proof.evidence().annotations == **annotations
            && consumer.is_none_or(|consumer| judge(consumer).is_ok());
        accepted.then(|| {
            let mut evidence = proof.evidence().clone();
            evidence.signature_manifest = Some(manifest.clone());
            evidence
        })
    }
}

impl<'s> Search<'s> {
    /// A signature in this form by `own`, with these annotations.
    fn wanted<'a>(
        &self,
        own: &'a Policy,
        annotations: &'a BTreeMap<String, String>,
        format: SignatureFormat,
    ) -> Wanted<'a>
    where
        's: 'a,
    {
        Wanted {
            own,
            annotations,
            consumer: self.consumer.of(format),
        }
    }

    /// The signature of `image` by `who` that the consumer accepts. Where it can't be found out, there
    /// is none: a second signature harms nobody.
    pub(crate) async fn find(
        &self,
        image: &ResolvedImage,
        who: &Who,
        annotations: &BTreeMap<String, String>,
    ) -> Option<Evidence> {
        if let Some(consumer) = self.consumer.of(SignatureFormat::Bundle)
            && let Ok(proof) = self.verifier.verify(image, consumer).await
            && proof.evidence().format == SignatureFormat::Bundle
            && is_by(proof.evidence(), image, who, annotations)
        {
            return Some(proof.evidence().clone());
        }
        for identity in &who.identities {
            let format = SignatureFormat::Bundle;
            let Ok(own) = own_policy(&who.issuer, identity, annotations, format) else {
                continue;
            };
            // The one that is found first may have further annotations, or be refused by the consumer.
            let wanted = self.wanted(&own, annotations, format);
            if self.verifier.verify(image, &own).await.is_ok()
                && let Some(evidence) = self.stored_bundle(image, &wanted).await
            {
                return Some(evidence);
            }
        }
        None
    }

    /// Of the bundles that the registry lists, one that is `wanted`. Beyond the limit
    /// none is looked for: a verifier would not look there either.
    async fn stored_bundle(&self, image: &ResolvedImage, wanted: &Wanted<'_>) -> Option<Evidence> {
        let listed = self.registry.referrers(image.reference()).await.ok()?;
        for referrer in listed.into_iter().take(Limits::default().candidates) {
            let signature = image.reference().sibling(referrer.digest);
            let Ok(Some(bundle)) = referrer::fetch(self.registry, &signature).await else {
                continue;
            };
            let found = wanted.accepted(signature.digest(), |policy| {
                verify_bundle(image, &bundle, self.trusted_root, policy, Timestamp::now())
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The legacy signature of `image` by `who` that the consumer accepts. Where it can't be found out, there
    /// is none.
    pub(crate) async fn find_simple(
        &self,
        image: &ResolvedImage,
        who: &Who,
        annotations: &BTreeMap<String, String>,
    ) -> Option<Evidence> {
        let format = SignatureFormat::SimpleSigning;
        for identity in &who.identities {
            let Ok(own) = own_policy(&who.issuer, identity, annotations, format) else {
                continue;
            };
            let Ok(proof) = self.verifier.verify(image, &own).await else {
                continue;
            };
            let Some(manifest) = proof.evidence().signature_manifest.clone() else {
                continue;
            };
            let wanted = self.wanted(&own, annotations, format);
            let found = self.stored_simple(image, manifest, &wanted).await;
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Of the legacy signatures in the manifest `digest`, one that is `wanted`.
    async fn stored_simple(
        &self,
        image: &ResolvedImage,
        digest: Digest,
        wanted: &Wanted<'_>,
    ) -> Option<Evidence> {
        let signature = image.reference().sibling(digest);
        let manifest = self.registry.manifest(&signature).await.ok()?;
        let Document::Manifest(manifest) = manifest.document() else {
            return None;
        };
        let Limits {
            candidates,
            bundle_bytes,
            ..
        } = Limits::default();
        let layers = manifest.layers.iter().rev();
        let layers = layers.filter(|layer| layer.media_type == SIMPLE_SIGNING_LAYER);
        for layer in layers.take(candidates) {
            let location = signature.location();
            let Ok(payload) = self.registry.blob(location, layer, bundle_bytes).await else {
                continue;
            };
            let found = wanted.accepted(signature.digest(), |policy| {
                let (root, now) = (self.trusted_root, Timestamp::now());
                verify_simple_signing(image, layer, payload.clone(), root, policy, now)
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// Whether a signature is what `who` would make now.
fn is_by(
    evidence: &Evidence,
    image: &ResolvedImage,
    who: &Who,
    annotations: &BTreeMap<String, String>,
) -> bool {
    let name = statement::name(image.requested());
    let by_who = evidence.signer.certificate().is_some_and(|holder| {
        holder.issuer == who.issuer && who.identities.contains(&holder.identity)
    });
    by_who && evidence.subject_name.as_ref() == Some(&name) && evidence.annotations == *annotations
}
