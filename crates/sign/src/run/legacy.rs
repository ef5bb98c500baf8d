//! One manifest, signed in the legacy form.

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::PinnedReference;
use countersign_policy::{Policy, SignatureFormat};
use countersign_verify::Evidence;

use super::in_session::Signable;
use super::{Run, Subject, own};
use crate::error::Error;
use crate::outcome::{Reached, Signed, SigningEvent, SigningOutcome};
use crate::session::{Clients, Session};
use crate::sessions::Halt;
use crate::simple_signing::{self, SimpleSignature};

const FORMAT: SignatureFormat = SignatureFormat::SimpleSigning;

/// A payload of simple signing.
struct Payload(Bytes);

impl Signable for Payload {
    type Signature = SimpleSignature;

    async fn sign_in(
        &self,
        session: &Session,
        clients: &Clients,
        image: &PinnedReference,
    ) -> Result<SimpleSignature, Error> {
        let payload = self.0.clone();
        session.sign_payload(clients, image, payload).await
    }
}

impl Run<'_> {
    /// Signs in the legacy form. The consumer judges the signature before it is pushed, and again when it is
    /// in the registry.
    pub(super) async fn sign_legacy(
        &self,
        subject: &Subject<'_>,
    ) -> Result<Signed, (Reached, Halt)> {
        let at = |reached| move |error: Error| (reached, Halt::from(error));
        let none = |halt| (Reached::NotSigned, halt);
        let image = &subject.leaf.image;
        let existing = self.existing(image, FORMAT).await.map_err(none)?;
        if let Some((manifest, evidence)) = existing {
            return Ok(subject.signed(SigningOutcome::AlreadySigned, manifest, evidence));
        }
        let (session, signature) = self.simple_signature(subject).await.map_err(none)?;
        let own = own(session.content(), self.annotations, FORMAT);
        let own = own.map_err(at(Reached::NotSigned))?;
        let judged = self.judge_alone(subject, &signature, &own);
        let mut evidence = judged.map_err(at(Reached::NotSigned))?;
        (self.events)(SigningEvent::Signed {
            image: image.reference().clone(),
            format: FORMAT,
        });
        let pushed = signature.push(&self.tools.registry, image).await;
        let manifest = pushed.map_err(at(Reached::NotPushed))?;
        (self.events)(SigningEvent::Pushed {
            image: image.reference().clone(),
            format: FORMAT,
            signature: manifest.clone(),
        });
        let _proofs = self
            .verified(image, &own, FORMAT)
            .await
            .map_err(at(Reached::NotVerified))?;
        evidence.signature_manifest = Some(manifest.clone());
        Ok(subject.signed(SigningOutcome::Signed, manifest, evidence))
    }

    /// A signature, and the session that it was made in.
    async fn simple_signature(
        &self,
        subject: &Subject<'_>,
    ) -> Result<(Arc<Session>, SimpleSignature), Halt> {
        let image = &subject.leaf.image;
        let pinned = image.reference();
        let payload = simple_signing::payload(image, self.annotations);
        let payload = payload.map_err(|source| Error::Encode {
            image: pinned.clone(),
            source: Box::new(source),
        })?;
        self.in_session(image, &Payload(payload)).await
    }

    /// Judges a new signature by itself, since an older one could stand in for it when the registry is asked.
    fn judge_alone(
        &self,
        subject: &Subject<'_>,
        signature: &SimpleSignature,
        own: &Policy,
    ) -> Result<Evidence, Error> {
        let image = &subject.leaf.image;
        let judge = |policy| {
            let judged = signature.judge(image, &self.tools.trusted_root, policy);
            judged.map_err(|source| Error::Bundle {
                image: image.reference().clone(),
                source: Box::new(source),
            })
        };
        let proof = judge(own)?;
        if let Some(consumer) = self.consumer().of(FORMAT) {
            let _proof = judge(consumer)?;
        }
        Ok(proof.evidence().clone())
    }
}
