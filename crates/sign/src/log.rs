//! Records signatures in a transparency log.
//!
//! What a log answers is put into the bundle as it is; whether it proves anything is for the
//! verifier to say.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sigstore_rekor::{DsseEntry, HashedRekord, HashedRekordV2, LogEntry, RekorV2KeyDetails};
use sigstore_types::{
    DerCertificate, DsseEnvelope, KindVersion, SignatureBytes, TransparencyLogEntry,
};
use url::Url;

use crate::error::Service;
use crate::services::RekorVersion;
use crate::transport::{Call, NoAnswer, Transport, below};

/// The result of recording a signature.
pub(crate) enum Recorded {
    /// The log has the signature.
    Entry(Box<TransparencyLogEntry>),
    /// The log has had it already: an earlier answer was lost. This log can't be asked for the entry.
    Lost(NoAnswer),
}

/// Records the envelope's signature in the log at `rekor`.
pub(crate) async fn record(
    transport: &Transport,
    (rekor, version): (&Url, RekorVersion),
    envelope: &DsseEnvelope,
    certificate: &DerCertificate,
) -> Result<Recorded, NoAnswer> {
    match version {
        RekorVersion::V1 => record_v1(transport, rekor, envelope, certificate).await,
        RekorVersion::V2 => record_v2(transport, rekor, envelope, certificate).await,
    }
}

/// Records a detached signature in the Rekor v1 log at `rekor` (`hashedrekord` 0.0.1). The entry has the
/// log's signed promise to include it.
pub(crate) async fn record_message(
    transport: &Transport,
    rekor: &Url,
    message: &[u8],
    signature: &SignatureBytes,
    certificate: &DerCertificate,
) -> Result<PromisedEntry, NoAnswer> {
    let hash = sigstore_crypto::sha256(message);
    let request = HashedRekord::new(&hash, signature, certificate);
    submit_v1(transport, rekor, &request).await
}

/// An entry of a Rekor v1 log, in the log's own words.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromisedEntry {
    /// Base64.
    pub(crate) body: String,
    /// Seconds since 1970.
    pub(crate) integrated_time: i64,
    /// Hex.
    #[serde(rename = "logID")]
    pub(crate) log_id: String,
    pub(crate) log_index: u64,
    pub(crate) verification: Promise,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promise {
    /// Base64.
    pub(crate) signed_entry_timestamp: String,
}

async fn record_v1(
    transport: &Transport,
    rekor: &Url,
    envelope: &DsseEnvelope,
    certificate: &DerCertificate,
) -> Result<Recorded, NoAnswer> {
    let request = DsseEntry::new(envelope, certificate)
        .map_err(|error| NoAnswer::Request(Box::new(error)))?;
    let entry: LogEntry = submit_v1(transport, rekor, &request).await?;
    entry
        .to_bundle_entry(KindVersion::DsseV001)
        .map(|entry| Recorded::Entry(Box::new(entry)))
        .map_err(|error| NoAnswer::answer(ONE_ENTRY, error))
}

const ONE_ENTRY: &str = "one log entry";

/// `POST /api/v1/log/entries`. A log that has the entry already names it, and is asked for it: an
/// earlier request of ours was carried out and its answer lost.
async fn submit_v1<Entry: DeserializeOwned>(
    transport: &Transport,
    rekor: &Url,
    request: &impl Serialize,
) -> Result<Entry, NoAnswer> {
    let url = below(rekor, "/api/v1/log/entries");
    let answer = match post(transport, url, request).await {
        Err(failure) => match existing(&failure) {
            Some(uuid) => {
                let url = below(rekor, &format!("/api/v1/log/entries/{uuid}"));
                transport.ask(&Call::get(Service::Rekor, url)).await?
            }
            None => return Err(failure),
        },
        Ok(answer) => answer,
    };
    // A map from the entry's UUID.
    let entries: HashMap<String, Entry> =
        serde_json::from_slice(&answer).map_err(|error| NoAnswer::answer(ONE_ENTRY, error))?;
    let found = entries.len();
    let mut entries = entries.into_values();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(NoAnswer::answer(ONE_ENTRY, format_args!("{found} of them"))),
    }
}

/// `POST /api/v2/log/entries`. A log of tiles that has the entry already says where, but not when
/// it came there: the log does not give the proof of the lost answer a second time.
async fn record_v2(
    transport: &Transport,
    rekor: &Url,
    envelope: &DsseEnvelope,
    certificate: &DerCertificate,
) -> Result<Recorded, NoAnswer> {
    let request = HashedRekordV2::new_with_certificate(
        &sigstore_crypto::sha256(&envelope.pae()),
        &envelope.signature.sig,
        certificate,
        RekorV2KeyDetails::PkixEcdsaP256Sha256,
    );
    let url = below(rekor, "/api/v2/log/entries");
    match post(transport, url, &request).await {
        Err(failure @ NoAnswer::Status { status: 409, .. }) => Ok(Recorded::Lost(failure)),
        answer => serde_json::from_slice(&answer?)
            .map(|entry| Recorded::Entry(Box::new(entry)))
            .map_err(|error| NoAnswer::answer("a log entry", error)),
    }
}

async fn post(
    transport: &Transport,
    url: Url,
    request: &impl Serialize,
) -> Result<bytes::Bytes, NoAnswer> {
    let request =
        serde_json::to_vec(request).map_err(|error| NoAnswer::Request(Box::new(error)))?;
    let call = Call::post(Service::Rekor, url, "application/json", request);
    transport.ask(&call).await
}

/// The UUID of the entry that a conflict names: in its `Location`, and in its message ("an
/// equivalent entry already exists in the transparency log with UUID …").
fn existing(failure: &NoAnswer) -> Option<&str> {
    match failure.refused()? {
        (409, said, location) => location.and_then(uuid).or_else(|| uuid(said)),
        _ => None,
    }
}

/// 64 hex digits, or 80 with the ID of the tree before them.
fn uuid(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| matches!(word.len(), 64 | 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(said: &str, location: Option<&str>) -> NoAnswer {
        NoAnswer::Status {
            status: 409,
            said: said.into(),
            location: location.map(str::to_owned),
        }
    }

    #[test]
    fn a_conflict_names_the_entry_in_its_message_or_its_location() {
        let id = "24296fb24b8ad77a".to_owned() + &"ab".repeat(32);
        let message = format!(
            r#"{{"code":409,"message":"an equivalent entry already exists in the transparency log with UUID {id}"}}"#
        );
        assert_eq!(existing(&conflict(&message, None)), Some(id.as_str()));
        let location = format!("/api/v1/log/entries/{id}");
        assert_eq!(
            existing(&conflict("conflict", Some(&location))),
            Some(id.as_str())
        );
        assert_eq!(existing(&conflict("conflict", None)), None);
    }
}
