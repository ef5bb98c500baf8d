//! Records signatures in a transparency log.

use sigstore_rekor::{
    DsseEntry, HashedRekordV2, LogEntry, RekorClient, RekorV2Client, RekorV2KeyDetails,
};
use sigstore_types::{DerCertificate, DsseEnvelope, EntryUuid, KindVersion, TransparencyLogEntry};

use crate::error::{Error, Service};
use crate::retry::{Answer, retrying};
use crate::services::{RekorVersion, Services};

/// A client of one log, by the API that it speaks.
pub(crate) enum Log {
    V1(RekorClient),
    V2(RekorV2Client),
}

impl Log {
    pub(crate) fn new(services: &Services, client: reqwest::Client) -> Result<Self, Error> {
        let url = services.rekor.as_str();
        match services.rekor_version {
            RekorVersion::V1 => RekorClient::builder(url)
                .with_http_client(client)
                .build()
                .map(Self::V1),
            RekorVersion::V2 => RekorV2Client::builder(url)
                .with_http_client(client)
                .build()
                .map(Self::V2),
        }
        .map_err(failed)
    }

    /// Records the envelope's signature, and returns the entry with its proof.
    pub(crate) async fn record(
        &self,
        envelope: &DsseEnvelope,
        certificate: &DerCertificate,
    ) -> Result<TransparencyLogEntry, Error> {
        match self {
            Self::V1(client) => record_v1(client, envelope, certificate).await,
            Self::V2(client) => {
                let request = HashedRekordV2::new_with_certificate(
                    &sigstore_crypto::sha256(&envelope.pae()),
                    &envelope.signature.sig,
                    certificate,
                    RekorV2KeyDetails::PkixEcdsaP256Sha256,
                );
                retrying(Service::Rekor, answer, || {
                    client.create_entry(request.clone())
                })
                .await
                .map_err(failed)
            }
        }
    }
}

async fn record_v1(
    client: &RekorClient,
    envelope: &DsseEnvelope,
    certificate: &DerCertificate,
) -> Result<TransparencyLogEntry, Error> {
    let request = DsseEntry::new(envelope, certificate).map_err(failed)?;
    let created = retrying(Service::Rekor, answer, || {
        client.create_dsse_entry(request.clone())
    })
    .await;
    let entry = match created {
        // An earlier request of ours was carried out and its answer lost.
        Err(sigstore_rekor::Error::Status {
            status: 409,
            message,
        }) => existing(client, message).await?,
        other => other.map_err(failed)?,
    };
    entry
        .to_bundle_entry(KindVersion::DsseV001)
        .map_err(|error| failed(sigstore_rekor::Error::InvalidResponse(error.to_string())))
}

/// The entry that a conflict's message names by its UUID.
async fn existing(client: &RekorClient, message: String) -> Result<LogEntry, Error> {
    let Some(uuid) = uuid(&message) else {
        return Err(failed(sigstore_rekor::Error::Status {
            status: 409,
            message,
        }));
    };
    retrying(Service::Rekor, answer, || client.get_entry_by_uuid(&uuid))
        .await
        .map_err(failed)
}

/// Rekor's entry IDs are 64 hex digits, or 80 with the ID of the tree before them; a conflict
/// ends with one ("an equivalent entry already exists in the transparency log with UUID …").
fn uuid(message: &str) -> Option<EntryUuid> {
    message
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| matches!(word.len(), 64 | 80))
        .map(EntryUuid::new)
}

fn answer(error: &sigstore_rekor::Error) -> Answer {
    match error {
        sigstore_rekor::Error::Status { status, .. } => Answer::Status(*status),
        sigstore_rekor::Error::Http(_) => Answer::None,
        _ => Answer::Final,
    }
}

fn failed(error: sigstore_rekor::Error) -> Error {
    Error::Service {
        service: Service::Rekor,
        status: match &error {
            sigstore_rekor::Error::Status { status, .. } => Some(*status),
            _ => None,
        },
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_is_found_in_a_conflicts_message() {
        let id = "24296fb24b8ad77a".to_owned() + &"ab".repeat(32);
        let message = format!(
            r#"failed to create DSSE entry: {{"code":409,"message":"an equivalent entry already exists in the transparency log with UUID {id}"}}"#
        );
        assert_eq!(uuid(&message), Some(EntryUuid::new(id)));
        assert_eq!(uuid("conflict"), None);
    }
}
