//! One manifest, signed in the legacy form.

use countersign_policy::SignatureFormat;

use super::{Run, Subject, own};
use crate::error::Error;
use crate::existing::Existing;
use crate::outcome::{Reached, Signed, SigningEvent, SigningOutcome};
use crate::sessions::Halt;
use crate::simple_signing;

impl Run<'_> {
    /// Signs in the legacy form. It is verified when it is in the registry, by the consumer.
    pub(super) async fn simply_signed(
        &self,
        subject: &Subject<'_>,
    ) -> Result<Signed, (Reached, Halt)> {
        let at = |reached| move |error: Error| (reached, Halt::from(error));
        let none = |halt| (Reached::NotSigned, halt);
        let image = &subject.leaf.image;
        let pinned = image.reference();
        let (search, who) = (self.search(), self.who().await.map_err(none)?);
        if self.existing == Existing::Keep
            && let Some(evidence) = search.find_simple(image, &who, self.annotations).await
            && let Some(manifest) = evidence.signature_manifest.clone()
        {
            return Ok(subject.signed(SigningOutcome::AlreadySigned, manifest, evidence));
        }
        let encode = |source: serde_json::Error| Error::Encode {
            image: pinned.clone(),
            source: Box::new(source),
        };
        let payload = simple_signing::payload(image, self.annotations).map_err(encode);
        let payload = payload.map_err(at(Reached::NotSigned))?;
        let session = self.session().await.map_err(none)?;
        let clients = &self.tools.clients;
        let signature = session.sign_payload(clients, pinned, payload).await;
        let signature = signature.map_err(at(Reached::NotSigned))?;
        (self.events)(SigningEvent::Signed {
            image: pinned.clone(),
        });
        let pushed = signature.push(&self.tools.registry, image).await;
        pushed.map_err(at(Reached::NotPushed))?;
        let unverified = at(Reached::NotVerified);
        let own = own(
            session.certified(),
            self.annotations,
            SignatureFormat::SimpleSigning,
        )
        .map_err(unverified)?;
        let refused = |source| {
            at(Reached::NotVerified)(Error::Refused {
                image: pinned.clone(),
                source: Box::new(source),
            })
        };
        let proof = self.verifier.verify(image, &own).await.map_err(refused)?;
        if let Some(consumer) = &self.tools.consumer {
            let _proof = self
                .verifier
                .verify(image, consumer)
                .await
                .map_err(refused)?;
        }
        let evidence = proof.evidence().clone();
        let manifest = evidence.signature_manifest.clone().ok_or_else(|| {
            at(Reached::NotVerified)(Error::NotListed {
                image: pinned.clone(),
                expected: image.digest().clone(),
                found: 0,
            })
        })?;
        Ok(subject.signed(SigningOutcome::Signed, manifest, evidence))
    }
}
