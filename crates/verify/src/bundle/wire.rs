//! The JSON of a bundle, read strictly: only known fields, each at most once.
//!
//! A repeated or unknown field is an error, and so is an array in the place of an object. So no two readers can read a
//! bundle differently, and no part of it is ignored. All lists are counted and all base64 is measured before anything is
//! decoded.

mod values;

use serde::Deserialize;
use serde::de::IgnoredAny;

use countersign_oci::{excerpt, from_object_alone};

pub(super) use self::values::decode;
use self::values::{Base64, Items, Number};
use super::der::{self, BoundedDer};
use super::{BUNDLE_V03_OLD, at_most_bytes};
use crate::failure::Failure;
use crate::names::BUNDLE;
use crate::simple_signing::ASSEMBLED_BUNDLE;

/// Today's timestamps have up to 6 KiB.
const TIMESTAMP_BYTES: usize = 16 << 10;
/// A log entry has a hash, the signature and the certificate.
const BODY_BYTES: usize = 16 << 10;
/// The largest signatures that we expect (ML-DSA-87) have 4,627 bytes.
const SIGNATURE_BYTES: usize = 8 << 10;
/// Sixteen witnesses with signatures of 2,420 bytes (ML-DSA-44), in base64.
const CHECKPOINT_BYTES: usize = 64 << 10;
/// The log's own signature and those of witnesses.
const CHECKPOINT_SIGNATURES_MAX: usize = 16;
/// Cosign's hint at a key is its hash, in base64.
const HINT_BYTES: usize = 1 << 10;
/// All hashes and log IDs are SHA-256.
const HASH_BYTES: usize = 32;
/// One log and one authority are enough; today's signers use one or two of each. Each one costs a
/// signature check (CVE-2024-45395).
const LOG_ENTRIES_MAX: usize = 8;
const TIMESTAMPS_MAX: usize = 8;
/// The path in a tree of 2^64 leaves.
const PROOF_HASHES_MAX: usize = 64;

/// A bundle (`dev.sigstore.bundle.v1.Bundle` in protobuf's JSON).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
pub(super) struct Wire {
    media_type: Option<String>,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    /// Only in a bundle that was put together from a legacy signature.
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Material {
    certificate: Option<Certificate>,
    x509_certificate_chain: Option<IgnoredAny>,
    public_key: Option<PublicKey>,
    tlog_entries: Option<Items<Entry, LOG_ENTRIES_MAX>>,
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Certificate {
    raw_bytes: Base64,
}

/// A key is not in a bundle. The hint is not signed, so it decides nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(remote = "Self")]
struct PublicKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Timestamps {
    rfc3161_timestamps: Option<Items<Timestamp, TIMESTAMPS_MAX>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Timestamp {
    signed_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Entry {
    #[serde(rename = "logIndex")]
    _log_index: Option<Number>,
    log_id: LogId,
    #[serde(rename = "kindVersion")]
    _kind_version: KindVersion,
    #[serde(rename = "integratedTime")]
    _integrated_time: Option<Number>,
    inclusion_promise: Option<InclusionPromise>,
    inclusion_proof: Option<InclusionProof>,
    canonicalized_body: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct LogId {
    key_id: Base64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(remote = "Self")]
struct KindVersion {
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "version")]
    _version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct InclusionPromise {
    signed_entry_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct InclusionProof {
    #[serde(rename = "logIndex")]
    _log_index: Option<Number>,
    root_hash: Base64,
    #[serde(rename = "treeSize")]
    _tree_size: Number,
    hashes: Option<Items<Base64, PROOF_HASHES_MAX>>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(remote = "Self")]
struct Checkpoint {
    #[serde(default)]
    envelope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct Envelope {
    #[serde(rename = "payload")]
    _payload: IgnoredAny,
    #[serde(rename = "payloadType")]
    _payload_type: IgnoredAny,
    signatures: Items<Signature, 1>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(remote = "Self")]
struct Signature {
    sig: Base64,
    /// A hint for readers with several keys. It is not used here.
    #[serde(rename = "keyid")]
    _key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct MessageSignature {
    #[serde(rename = "messageDigest")]
    _message_digest: Option<IgnoredAny>,
    signature: Base64,
}

from_object_alone!(
    Wire,
    Material,
    Certificate,
    PublicKey,
    Timestamps,
    Timestamp,
    Entry,
    LogId,
    KindVersion,
    InclusionPromise,
    InclusionProof,
    Checkpoint,
    Envelope,
    Signature,
    MessageSignature,
);

/// A bundle whose lists and fields are within bounds. Only [`Wire::check_bounds`] makes one.
#[derive(Clone, Copy)]
pub(super) struct Bounded<'a>(&'a Wire);

/// Proof that a bundle is of version 0.3, or was put together from a legacy signature. Only
/// [`Bounded::check_version`] and [`Bounded::check_assembled_version`] make one.
pub(super) struct AcceptedVersion(());

/// The one certificate of a bundle that has no other key, or that it names one key. Only
/// [`Bounded::check_key`] makes one.
pub(super) enum OneKey<'a> {
    Certificate(OneCertificate<'a>),
    /// The key itself is the policy's.
    Named(NamedKey),
}

/// The proof that a bundle names one key, and has no certificate. Only [`Bounded::check_key`] makes one.
pub(super) struct NamedKey(());

/// The one certificate of a bundle. Only [`Bounded::check_key`] makes one.
pub(super) struct OneCertificate<'a>(&'a Certificate);

/// Proof that the certificate and the timestamps of a bundle are small enough to decode. Only
/// [`Bounded::check_der`] makes one.
pub(super) struct Decodable {
    _certificate: Option<BoundedDer>,
    _timestamps: Vec<BoundedDer>,
}

impl Wire {
    /// Checks counts and sizes, and that all base64 is standard and padded.
    ///
    /// # Errors
    /// [`Failure::TooMany`], [`Failure::TooLarge`], [`Failure::Malformed`].
    pub(super) fn check_bounds(&self) -> Result<Bounded<'_>, Failure> {
        let material = &self.verification_material;
        if let Some(certificate) = &material.certificate {
            certificate
                .raw_bytes
                .check(der::CERTIFICATE, der::CERTIFICATE_BYTES)?;
        }
        if let Some(hint) = material
            .public_key
            .as_ref()
            .and_then(|key| key.hint.as_ref())
        {
            at_most_bytes("the hint at the key", HINT_BYTES, hint.len())?;
        }
        if let Some(envelope) = &self.dsse_envelope {
            for signature in envelope.signatures.at_most("signatures in the envelope")? {
                signature.sig.check("the signature", SIGNATURE_BYTES)?;
            }
        }
        if let Some(message) = &self.message_signature {
            message.signature.check("the signature", SIGNATURE_BYTES)?;
        }
        if let Some(entries) = &material.tlog_entries {
            for entry in entries.at_most("log entries")? {
                entry.check_bounds()?;
            }
        }
        let timestamps = material.timestamp_verification_data.as_ref();
        if let Some(timestamps) = timestamps.and_then(|data| data.rfc3161_timestamps.as_ref()) {
            for timestamp in timestamps.at_most("timestamps")? {
                timestamp
                    .signed_timestamp
                    .check("a timestamp", TIMESTAMP_BYTES)?;
            }
        }
        Ok(Bounded(self))
    }
}

impl<'a> Bounded<'a> {
    /// Checks the version that the bundle states.
    ///
    /// # Errors
    /// [`Failure::BundleVersion`].
    pub(super) fn check_version(self) -> Result<AcceptedVersion, Failure> {
        match self.0.media_type.as_deref() {
            Some(BUNDLE | BUNDLE_V03_OLD) => Ok(AcceptedVersion(())),
            other => Err(Failure::BundleVersion {
                expected: BUNDLE,
                found: excerpt(other.unwrap_or("no media type")),
            }),
        }
    }

    /// Checks the version of a bundle that was put together from a legacy signature.
    ///
    /// # Errors
    /// [`Failure::BundleVersion`].
    pub(super) fn check_assembled_version(self) -> Result<AcceptedVersion, Failure> {
        match self.0.media_type.as_deref() {
            Some(ASSEMBLED_BUNDLE) => Ok(AcceptedVersion(())),
            other => Err(Failure::BundleVersion {
                expected: ASSEMBLED_BUNDLE,
                found: excerpt(other.unwrap_or("no media type")),
            }),
        }
    }

    /// Checks that the bundle has one certificate and no other key, or names one key and has no certificate.
    ///
    /// # Errors
    /// [`Failure::NoKeyMaterial`].
    pub(super) fn check_key(self) -> Result<OneKey<'a>, Failure> {
        let material = &self.0.verification_material;
        let found = match (
            &material.certificate,
            &material.x509_certificate_chain,
            &material.public_key,
        ) {
            (Some(certificate), None, None) => {
                return Ok(OneKey::Certificate(OneCertificate(certificate)));
            }
            (None, None, Some(_)) => return Ok(OneKey::Named(NamedKey(()))),
            (None, Some(_), None) => "a certificate chain",
            (None, None, None) => "nothing",
            _ => "several kinds of key material",
        };
        Err(Failure::NoKeyMaterial { found })
    }

    /// Checks how many parts the certificate and the timestamps have, before anything decodes them.
    ///
    /// # Errors
    /// [`Failure::TooMany`].
    pub(super) fn check_der(self, key: &OneKey<'_>) -> Result<Decodable, Failure> {
        let certificate = match key {
            OneKey::Certificate(OneCertificate(certificate)) => {
                let certificate = certificate.raw_bytes.decode(der::CERTIFICATE)?;
                Some(der::check_certificate(&certificate)?.into_der())
            }
            OneKey::Named(_) => None,
        };
        let material = &self.0.verification_material;
        let timestamps = material.timestamp_verification_data.as_ref();
        let timestamps = timestamps.and_then(|data| data.rfc3161_timestamps.as_ref());
        let timestamps = match timestamps {
            Some(timestamps) => timestamps.at_most("timestamps")?,
            None => &[],
        };
        Ok(Decodable {
            _certificate: certificate,
            _timestamps: timestamps
                .iter()
                .map(check_timestamp)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn check_timestamp(timestamp: &Timestamp) -> Result<BoundedDer, Failure> {
    der::check(
        &timestamp.signed_timestamp.decode("a timestamp")?,
        "elements in one part of a timestamp",
        "levels in a timestamp",
    )
}

impl Entry {
    fn check_bounds(&self) -> Result<(), Failure> {
        self.log_id.key_id.check("a log's ID", HASH_BYTES)?;
        self.canonicalized_body
            .check("a log entry's body", BODY_BYTES)?;
        if let Some(promise) = &self.inclusion_promise {
            promise
                .signed_entry_timestamp
                .check("an inclusion promise", SIGNATURE_BYTES)?;
        }
        let Some(proof) = &self.inclusion_proof else {
            return Ok(());
        };
        proof.root_hash.check("a root hash", HASH_BYTES)?;
        if let Some(hashes) = &proof.hashes {
            for hash in hashes.at_most("hashes in an inclusion proof")? {
                hash.check("a hash in an inclusion proof", HASH_BYTES)?;
            }
        }
        match &proof.checkpoint {
            Some(checkpoint) => checkpoint.check_bounds(),
            None => Ok(()),
        }
    }
}

impl Checkpoint {
    fn check_bounds(&self) -> Result<(), Failure> {
        let note = &self.envelope;
        at_most_bytes("a checkpoint", CHECKPOINT_BYTES, note.len())?;
        let signatures = note.split_once("\n\n").map_or("", |(_, lines)| lines);
        let found = signatures.lines().count();
        if found > CHECKPOINT_SIGNATURES_MAX {
            return Err(Failure::TooMany {
                what: "signatures on a checkpoint",
                limit: CHECKPOINT_SIGNATURES_MAX,
                found,
            });
        }
        Ok(())
    }
}
