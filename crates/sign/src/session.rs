//! One key and one certificate, and the signatures made with them.

use bytes::Bytes;
use countersign_oci::http::Connection;
use countersign_oci::{PinnedReference, Retries};
use countersign_verify::Certified;
use jiff::{SignedDuration, Timestamp};
use sigstore_bundle::BundleV03;
use sigstore_crypto::KeyPair;
use sigstore_types::{
    DerCertificate, DsseEnvelope, DsseSignature, KeyId, PayloadBytes, TransparencyLogEntry,
};

use crate::clock::{self, Skew};
use crate::error::{Error, Service};
use crate::fulcio;
use crate::log::{self, Recorded};
use crate::services::Services;
use crate::statement::PAYLOAD_TYPE;
use crate::timestamp::timestamp;
use crate::token::IdentityToken;
use crate::transport::{NoAnswer, Transport};

/// Time that a certificate must have left when a signature is begun: log and timestamp authority
/// have to vouch for a time within its validity, and may have to be asked more than once.
const MARGIN: SignedDuration = SignedDuration::from_secs(90);

/// Services that were found fit to sign with, and the way to them.
pub(crate) struct Clients {
    services: Services,
    transport: Transport,
}

impl Clients {
    /// The only way to the services, so that none that [`Services::check`] refuses is ever asked.
    pub(crate) fn new(connection: Connection, services: &Services) -> Result<Self, Error> {
        services.check()?;
        Ok(Self {
            services: services.clone(),
            transport: Transport::new(connection),
        })
    }

    pub(crate) fn with_retries(self, retries: Retries) -> Self {
        Self {
            transport: self.transport.with_retries(retries),
            ..self
        }
    }

    pub(crate) fn retries(&self) -> &Retries {
        self.transport.retries()
    }
}

/// An ephemeral key, and the certificate that binds it to the token's identity for ten minutes.
pub(crate) struct Session {
    key: KeyPair,
    certificate: DerCertificate,
    certified: Certified,
    /// When it was issued: by this machine's clock, and by the authority's.
    issued: Skew,
}

impl Session {
    /// Makes a key, and has Fulcio certify it.
    ///
    /// # Errors
    /// [`Error::Clock`], where this machine's clock is so far behind that its own verifier would
    /// refuse what is signed now.
    pub(crate) async fn start(clients: &Clients, token: &IdentityToken) -> Result<Self, Error> {
        token.check(Timestamp::now())?;
        let key = KeyPair::generate_ecdsa_p256().map_err(|error| Error::Key(Box::new(error)))?;
        let Clients {
            services,
            transport,
        } = clients;
        let failed = |failure: NoAnswer| failure.of(Service::Fulcio);
        let certificate = fulcio::certify(transport, &services.fulcio, token, &key)
            .await
            .map_err(failed)?;
        let certified = Certified::read(certificate.as_bytes()).map_err(|error| {
            let expected = "a certificate with an identity and its issuer";
            failed(NoAnswer::answer(expected, error))
        })?;
        let issued = Skew {
            here: clock::second(Timestamp::now()),
            there: certified.not_before,
        };
        issued.bearable().map_err(|skew| Error::Clock {
            service: Service::Fulcio,
            skew,
        })?;
        Ok(Self {
            key,
            certificate,
            certified,
            issued,
        })
    }

    /// Whether another signature can be begun.
    pub(crate) fn is_live(&self) -> bool {
        // By the authority's clock, however wrong this machine's is.
        let since = Timestamp::now().duration_since(self.issued.here);
        let now = self.issued.there.saturating_add(since);
        now.is_ok_and(|now| has_time_left(self.certified.not_after, now))
    }

    /// What the certificate says.
    pub(crate) fn certified(&self) -> &Certified {
        &self.certified
    }

    /// Signs `statement`, which is about `image`, records the signature, has it timestamped where
    /// there is an authority for it, and returns the bundle in JSON.
    pub(crate) async fn sign(
        &self,
        clients: &Clients,
        image: &PinnedReference,
        statement: &[u8],
    ) -> Result<Bytes, Error> {
        let (envelope, entry) = self.recorded(clients, image, statement).await?;
        // A verifier on this machine takes nothing that was recorded later than now.
        if let Some(recorded) = entry.integrated_time {
            let late = clock::wait_for(recorded).await;
            late.map_err(|skew| Error::Clock {
                service: Service::Rekor,
                skew,
            })?;
        }
        let signature = envelope.signature.sig.clone();
        let mut bundle = BundleV03::with_certificate_and_dsse(self.certificate.clone(), envelope)
            .with_tlog_entry(entry);
        if let Some(authority) = &clients.services.tsa {
            let token = timestamp(&clients.transport, authority, &signature)
                .await
                .map_err(|failure| failure.of(Service::TimestampAuthority))?;
            bundle = bundle.with_rfc3161_timestamp(token);
        }
        let json = bundle
            .into_bundle()
            .to_json()
            .map_err(|error| encode(image, error))?;
        Ok(json.into())
    }

    /// The signed statement and its entry in the log. Where the entry is lost, it is signed once
    /// more: a new signature gets an entry of its own, and the lost one's harms nobody.
    async fn recorded(
        &self,
        clients: &Clients,
        image: &PinnedReference,
        statement: &[u8],
    ) -> Result<(DsseEnvelope, TransparencyLogEntry), Error> {
        let Clients {
            services,
            transport,
        } = clients;
        let failed = |failure: NoAnswer| failure.of(Service::Rekor);
        let log = (&services.rekor, services.rekor_version);
        let mut again = true;
        loop {
            let envelope = self.envelope(image, statement)?;
            let recorded = log::record(transport, log, &envelope, &self.certificate).await;
            match recorded.map_err(failed)? {
                Recorded::Entry(entry) => return Ok((envelope, *entry)),
                Recorded::Lost(failure) if !again => return Err(failed(failure)),
                Recorded::Lost(_) => again = false,
            }
        }
    }

    fn envelope(&self, image: &PinnedReference, statement: &[u8]) -> Result<DsseEnvelope, Error> {
        let signature = self
            .key
            .sign(&sigstore_types::pae(PAYLOAD_TYPE, statement))
            .map_err(|error| encode(image, error))?;
        Ok(DsseEnvelope::new(
            PAYLOAD_TYPE,
            PayloadBytes::new(statement.to_vec()),
            DsseSignature::new(signature, KeyId::default()),
        ))
    }
}

fn encode(
    image: &PinnedReference,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Encode {
        image: image.clone(),
        source: Box::new(source),
    }
}

/// Whether a certificate valid until `not_after` outlasts a signature begun at `now`.
fn has_time_left(not_after: Timestamp, now: Timestamp) -> bool {
    not_after.duration_since(now) > MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_about_to_end_begins_no_signature() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(has_time_left(at(1000), at(400)));
        assert!(!has_time_left(at(1000), at(910)));
        assert!(!has_time_left(at(1000), at(1001)));
    }
}
