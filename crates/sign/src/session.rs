//! One key and one certificate, and the signatures made with them.

use std::time::Duration;

use bytes::Bytes;
use countersign_oci::http::Connection;
use countersign_oci::{Patience, PinnedReference, Retries};
use countersign_verify::CertificateContent;
use countersign_verify::names::IN_TOTO;
use jiff::{SignedDuration, Timestamp};
use sigstore_bundle::BundleV03;
use sigstore_crypto::KeyPair;
use sigstore_types::{
    DerCertificate, DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes,
    TimestampToken,
};
use tokio::time::Instant;
use url::Url;

use crate::clock::{self, Skew};
use crate::error::{Error, Service};
use crate::fulcio::{self, IssuedCertificate};
use crate::log::{self, Recorded};
use crate::renewal::Tokens;
use crate::services::{RekorVersion, Services};
use crate::simple_signing::SimpleSignature;
use crate::timestamp::timestamp;
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

    pub(crate) fn with_patience(self, patience: Patience) -> Self {
        Self {
            transport: self.transport.with_patience(patience),
            ..self
        }
    }

    /// Whether there is patience left.
    pub(crate) fn are_patient(&self) -> bool {
        let patience = self.transport.patience();
        patience.is_some_and(|patience| !patience.is_over())
    }

    pub(crate) fn retries(&self) -> &Retries {
        self.transport.retries()
    }

    /// The API of the log.
    pub(crate) fn rekor_version(&self) -> RekorVersion {
        self.services.rekor_version
    }
}

/// An ephemeral key, and the certificate that binds it to the token's identity for ten minutes.
pub(crate) struct Session {
    key: KeyPair,
    certificate: DerCertificate,
    /// The certificates above it, in PEM.
    chain: Vec<String>,
    /// What the certificate says.
    content: CertificateContent,
    /// When it was issued: by this machine's clock, and by the authority's.
    issued: Skew,
}

impl Session {
    /// Makes a key, and has Fulcio certify it.
    ///
    /// # Errors
    /// [`Error::Clock`], where this machine's clock is so far behind that its own verifier would
    /// refuse what is signed now.
    pub(crate) async fn start(clients: &Clients, tokens: &Tokens<'_>) -> Result<Self, Error> {
        let key = KeyPair::generate_ecdsa_p256().map_err(|error| Error::Key(Box::new(error)))?;
        let Clients {
            services,
            transport,
        } = clients;
        let IssuedCertificate { certificate, chain } =
            fulcio::certify(transport, &services.fulcio, tokens, &key).await?;
        let content = CertificateContent::read(certificate.as_bytes()).map_err(|error| {
            let expected = "a certificate with an identity and its issuer";
            NoAnswer::answer(expected, error).of(Service::Fulcio)
        })?;
        let issued = Skew {
            here: clock::second(Timestamp::now()),
            there: content.not_before,
        };
        issued.bearable().map_err(|skew| Error::Clock {
            service: Service::Fulcio,
            skew,
        })?;
        Ok(Self {
            key,
            certificate,
            chain,
            content,
            issued,
        })
    }

    /// Whether another signature can be begun.
    pub(crate) fn is_live(&self) -> bool {
        let now = self.authoritys_now();
        now.is_some_and(|now| has_time_left(self.content.not_after, now))
    }

    /// How long the certificate is still valid.
    fn left(&self) -> Duration {
        let now = self.authoritys_now();
        let left = now.map(|now| self.content.not_after.duration_since(now));
        left.and_then(|left| Duration::try_from(left).ok())
            .unwrap_or_default()
    }

    /// The time by the authority's clock, however wrong this machine's is.
    fn authoritys_now(&self) -> Option<Timestamp> {
        let since = Timestamp::now().duration_since(self.issued.here);
        self.issued.there.saturating_add(since).ok()
    }

    /// What the certificate says.
    pub(crate) fn content(&self) -> &CertificateContent {
        &self.content
    }

    /// Signs `statement`, which is about `image`, records the signature, has it timestamped where
    /// there is an authority for it, and returns the bundle in JSON. Where the log has lost the entry,
    /// it is signed once more: a new signature gets an entry of its own, and the lost one's harms
    /// nobody. No service is waited for when the certificate has ended.
    pub(crate) async fn sign(
        &self,
        clients: &Clients,
        image: &PinnedReference,
        statement: &[u8],
    ) -> Result<Bytes, Error> {
        let services = &clients.services;
        let transport = clients.transport.until(Instant::now() + self.left());
        let log = (&services.rekor, services.rekor_version);
        let failed = |reason: NoAnswer| reason.of(Service::Rekor);
        let mut again = true;
        let (envelope, entry, stamp) = loop {
            let envelope = self.envelope(image, statement)?;
            let (recorded, stamped) = tokio::join!(
                log::record(&transport, log, &envelope, &self.certificate),
                stamped(&transport, services.tsa.as_ref(), &envelope.signature.sig),
            );
            match (recorded.map_err(failed)?, stamped?) {
                (Recorded::Entry(entry), stamp) => break (envelope, *entry, stamp),
                (Recorded::Lost(reason), _) if !again => return Err(failed(reason)),
                (Recorded::Lost(_), _) => again = false,
            }
        };
        if let Some(recorded) = entry.integrated_time {
            wait_for_log(recorded).await?;
        }
        let mut bundle = BundleV03::with_certificate_and_dsse(self.certificate.clone(), envelope)
            .with_tlog_entry(entry);
        if let Some(token) = stamp {
            bundle = bundle.with_rfc3161_timestamp(token);
        }
        let json = bundle
            .into_bundle()
            .to_json()
            .map_err(|error| encode(image, error))?;
        Ok(json.into())
    }

    /// Signs `payload`, which is about `image`, in the legacy form, and records the signature. No service is
    /// waited for when the certificate has ended.
    pub(crate) async fn sign_payload(
        &self,
        clients: &Clients,
        image: &PinnedReference,
        payload: Bytes,
    ) -> Result<SimpleSignature, Error> {
        let rekor = &clients.services.rekor;
        let transport = clients.transport.until(Instant::now() + self.left());
        let signature = self
            .key
            .sign(&payload)
            .map_err(|error| encode(image, error))?;
        let recorded =
            log::record_message(&transport, rekor, &payload, &signature, &self.certificate);
        let entry = recorded.await.map_err(|reason| reason.of(Service::Rekor))?;
        let recorded = Timestamp::from_second(entry.integrated_time);
        let recorded = recorded.map_err(|error| NoAnswer::answer("a time", error));
        wait_for_log(recorded.map_err(|reason| reason.of(Service::Rekor))?).await?;
        Ok(SimpleSignature::new(
            payload,
            &signature,
            &self.certificate,
            &self.chain,
            &entry,
        ))
    }

    fn envelope(&self, image: &PinnedReference, statement: &[u8]) -> Result<DsseEnvelope, Error> {
        let signature = self
            .key
            .sign(&sigstore_types::pae(IN_TOTO, statement))
            .map_err(|error| encode(image, error))?;
        Ok(DsseEnvelope::new(
            IN_TOTO,
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

/// A timestamp of the signature, where there is an authority for it.
async fn stamped(
    transport: &Transport,
    authority: Option<&Url>,
    signature: &SignatureBytes,
) -> Result<Option<TimestampToken>, Error> {
    let Some(authority) = authority else {
        return Ok(None);
    };
    let stamped = timestamp(transport, authority, signature).await;
    let failed = |reason: NoAnswer| reason.of(Service::TimestampAuthority);
    stamped.map(Some).map_err(failed)
}

/// Whether a certificate valid until `not_after` outlasts a signature begun at `now`.
fn has_time_left(not_after: Timestamp, now: Timestamp) -> bool {
    not_after.duration_since(now) > MARGIN
}

/// Waits until this machine's clock shows when the log has recorded something: a verifier on this machine takes
/// nothing that was recorded later than now.
async fn wait_for_log(recorded: Timestamp) -> Result<(), Error> {
    let waited = clock::wait_until(recorded).await;
    waited.map_err(|skew| Error::Clock {
        service: Service::Rekor,
        skew,
    })
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
