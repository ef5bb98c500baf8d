//! One key and one certificate, and the signatures made with them.

use std::time::Duration;

use bytes::Bytes;
use countersign_oci::PinnedReference;
use jiff::{SignedDuration, Timestamp};
use sigstore_bundle::BundleV03;
use sigstore_crypto::{CertificateInfo, KeyPair, parse_certificate_info};
use sigstore_fulcio::FulcioClient;
use sigstore_tsa::TimestampClient;
use sigstore_types::{
    DerCertificate, DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes,
    TimestampToken,
};

use crate::error::{Error, Service};
use crate::identity::IdentityToken;
use crate::log::Log;
use crate::retry::{Answer, retrying};
use crate::services::Services;
use crate::statement::PAYLOAD_TYPE;

/// Time that a certificate must have left when a signature is begun: log and timestamp authority
/// have to vouch for a time within its validity.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// The services, as clients.
pub(crate) struct Clients {
    fulcio: FulcioClient,
    log: Log,
    tsa: Option<TimestampClient>,
}

impl Clients {
    pub(crate) fn new(services: &Services) -> Result<Self, Error> {
        services.check()?;
        let client = http_client()?;
        let fulcio = FulcioClient::builder(services.fulcio.as_str())
            .with_http_client(client.clone())
            .build()
            .map_err(fulcio_failed)?;
        let tsa = services
            .tsa
            .as_ref()
            .map(|url| {
                TimestampClient::builder(url.as_str())
                    .with_http_client(client.clone())
                    .build()
            })
            .transpose()
            .map_err(tsa_failed)?;
        Ok(Self {
            fulcio,
            log: Log::new(services, client)?,
            tsa,
        })
    }
}

/// A client for the signing services: with time limits, and deaf to the environment's proxies.
pub(crate) fn http_client() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|source| Error::Services {
            expected: "a working HTTP client".into(),
            found: source.to_string(),
        })
}

/// An ephemeral key, and the certificate that binds it to the token's identity for ten minutes.
pub(crate) struct Session {
    key: KeyPair,
    certificate: DerCertificate,
    info: CertificateInfo,
}

impl Session {
    /// Makes a key, and has Fulcio certify it.
    pub(crate) async fn start(clients: &Clients, token: &IdentityToken) -> Result<Self, Error> {
        token.check_expiry(Timestamp::now())?;
        let key = KeyPair::generate_ecdsa_p256().map_err(|error| Error::Key(Box::new(error)))?;
        let issued = retrying(Service::Fulcio, fulcio_answer, || {
            clients
                .fulcio
                .create_signing_certificate(token.inner(), &key)
        })
        .await
        .map_err(fulcio_failed)?;
        let certificate = issued.leaf_certificate().clone();
        let info = parse_certificate_info(&certificate).map_err(|error| Error::Service {
            service: Service::Fulcio,
            status: None,
            source: Box::new(error),
        })?;
        Ok(Self {
            key,
            certificate,
            info,
        })
    }

    /// Whether another signature can be begun.
    pub(crate) fn is_live(&self) -> bool {
        self.info.not_after.duration_since(Timestamp::now()) > MARGIN
    }

    /// Whom the certificate names, and who vouched for it.
    pub(crate) fn signer(&self) -> Option<(&str, &str)> {
        let identity = self.info.identity.as_ref()?.as_str();
        Some((self.info.issuer.as_deref()?, identity))
    }

    /// Signs `statement`, which is about `image`, records the signature, has it timestamped where
    /// there is an authority for it, and returns the bundle in JSON.
    pub(crate) async fn sign(
        &self,
        clients: &Clients,
        image: &PinnedReference,
        statement: Vec<u8>,
    ) -> Result<Bytes, Error> {
        let encode = |source: Box<dyn std::error::Error + Send + Sync>| Error::Encode {
            image: image.clone(),
            source,
        };
        let signature = self
            .key
            .sign(&sigstore_types::pae(PAYLOAD_TYPE, &statement))
            .map_err(|error| encode(Box::new(error)))?;
        let envelope = DsseEnvelope::new(
            PAYLOAD_TYPE,
            PayloadBytes::new(statement),
            DsseSignature::new(signature.clone(), KeyId::default()),
        );
        let entry = clients.log.record(&envelope, &self.certificate).await?;
        let mut bundle = BundleV03::with_certificate_and_dsse(self.certificate.clone(), envelope)
            .with_tlog_entry(entry);
        if let Some(tsa) = &clients.tsa {
            bundle = bundle.with_rfc3161_timestamp(timestamp(tsa, &signature).await?);
        }
        let json = bundle
            .into_bundle()
            .to_json()
            .map_err(|error| encode(Box::new(error)))?;
        Ok(json.into())
    }
}

async fn timestamp(
    tsa: &TimestampClient,
    signature: &SignatureBytes,
) -> Result<TimestampToken, Error> {
    retrying(Service::TimestampAuthority, tsa_answer, || {
        tsa.timestamp_signature(signature)
    })
    .await
    .map_err(tsa_failed)
}

fn fulcio_answer(error: &sigstore_fulcio::Error) -> Answer {
    match error {
        sigstore_fulcio::Error::Status { status, .. } => Answer::Status(*status),
        sigstore_fulcio::Error::Http(_) => Answer::None,
        _ => Answer::Final,
    }
}

fn fulcio_failed(error: sigstore_fulcio::Error) -> Error {
    Error::Service {
        service: Service::Fulcio,
        status: match &error {
            sigstore_fulcio::Error::Status { status, .. } => Some(*status),
            _ => None,
        },
        source: Box::new(error),
    }
}

/// The client tells a refusal from a failed connection in prose alone, so all of them count as
/// what may pass; a refusal costs a few tries more.
fn tsa_answer(error: &sigstore_tsa::Error) -> Answer {
    match error {
        sigstore_tsa::Error::Http(_) => Answer::None,
        _ => Answer::Final,
    }
}

fn tsa_failed(error: sigstore_tsa::Error) -> Error {
    Error::Service {
        service: Service::TimestampAuthority,
        status: None,
        source: Box::new(error),
    }
}
