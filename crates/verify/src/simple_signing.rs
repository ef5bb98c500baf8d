//! Simple signing: the legacy form of cosign's signatures, put together as a bundle.
//!
//! A layer of the signature manifest is the signed payload. The signature, the certificate and the log entry
//! are annotations of the layer's descriptor, which a registry could change. Nothing of them is used before it
//! is checked: the signature holds for the payload and the certificate, the log's promise holds for the
//! signature, the certificate and the time, and a trusted authority issued the certificate. A signature by a key
//! (`cosign sign --key`) has no certificate: the key is the policy's.
//!
//! Two annotations are not read. The certificate's chain is in the trusted root. A timestamp of a timestamp
//! authority (`dev.sigstore.cosign/rfc3161timestamp`) adds nothing to the time in the log's promise, which is
//! required.
//!
//! Source: `pkg/oci` and `pkg/cosign` of sigstore/cosign; the payload is specified by containers/image,
//! `docs/containers-signature.5.md`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use sigstore_types::DerCertificate;

use countersign_oci::{Descriptor, Digest, excerpt, from_object_alone};
use countersign_policy::{COSIGN_SIGN_PREDICATE, LogUse, Policy};

use crate::failure::{Failure, MalformedPart};
use crate::names::{
    CERTIFICATE_ANNOTATION, LOG_BUNDLE_ANNOTATION, SIGNATURE_ANNOTATION, SIMPLE_SIGNING_TYPE,
};
use crate::statement::{Annotations, Statement};

/// The media type of the configuration, if the manifest refers to the image (cosign 2, `oci-1-1` mode).
pub(crate) const CONFIG: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The media type of the bundles that are put together here: the version that needs no inclusion proof.
pub(crate) const ASSEMBLED_BUNDLE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// The kind and version of the only accepted log entry. Cosign has written it since version 1.
const ENTRY_KIND: &str = "hashedrekord";
const ENTRY_VERSION: &str = "0.0.1";

/// The most bytes of an annotation. The largest is the log entry, which has the certificate in it.
const ANNOTATION_BYTES: usize = 64 << 10;
/// A signature as the registry stores it. The payload has the size and the digest in the layer's descriptor. Nothing
/// else of it is checked.
#[derive(Debug)]
pub(crate) struct SimpleSigning {
    payload: Bytes,
    signature: String,
    /// A signature by a key has none.
    certificate: Option<String>,
    /// A signature by a key may have none.
    log_bundle: Option<String>,
}

impl SimpleSigning {
    /// The signature of `payload`, which is the content of `layer`. Only if `policy` accepts a key it may lack the
    /// certificate, and only if it does not demand a log entry of that key, it may lack that too.
    ///
    /// # Errors
    /// [`Failure::Malformed`], if the layer's descriptor is of other bytes; [`Failure::MissingAnnotation`],
    /// [`Failure::KeyForCertificate`], [`Failure::KeyNotLogged`], [`Failure::TooLarge`].
    pub(crate) fn new(
        layer: &Descriptor,
        payload: Bytes,
        policy: &Policy,
    ) -> Result<Self, Failure> {
        if !layer.describes(&payload) {
            let (size, digest) = (layer.size, &layer.digest);
            let found = Digest::of(digest.algorithm(), &payload);
            let found = format!("{} bytes with {found}", payload.len());
            return Err(malformed(
                MalformedPart::SimpleSigningPayload,
                &format!("expected {size} bytes with {digest}, found {found}"),
            ));
        }
        let annotation = |key: &'static str| {
            let value = layer.annotations.get(key).filter(|value| !value.is_empty());
            match value {
                Some(value) if value.len() > ANNOTATION_BYTES => Err(Failure::TooLarge {
                    what: "an annotation of the signature",
                    limit: ANNOTATION_BYTES,
                    found: value.len(),
                }),
                value => Ok(value.cloned()),
            }
        };
        let missing = |key| Failure::MissingAnnotation { key };
        let certificate = annotation(CERTIFICATE_ANNOTATION)?;
        let log_bundle = annotation(LOG_BUNDLE_ANNOTATION)?;
        if certificate.is_none() && policy.keys().next().is_none() {
            return Err(Failure::KeyForCertificate);
        }
        let may_lack_entry = policy.keys().any(|key| key.log == LogUse::Ignored);
        match (&log_bundle, &certificate) {
            (None, Some(_)) => return Err(missing(LOG_BUNDLE_ANNOTATION)),
            (None, None) if !may_lack_entry => return Err(Failure::KeyNotLogged),
            (Some(_), _) | (None, None) => {}
        }
        Ok(Self {
            payload,
            signature: annotation(SIGNATURE_ANNOTATION)?
                .ok_or_else(|| missing(SIGNATURE_ANNOTATION))?,
            certificate,
            log_bundle,
        })
    }

    pub(crate) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The bundle with the same content, as JSON: a message signature, a certificate if there is one, and a log
    /// entry with the log's promise if there is one.
    ///
    /// # Errors
    /// [`Failure::Malformed`] for an annotation that can't be read.
    pub(crate) fn assemble(&self) -> Result<String, Failure> {
        let (kind, key) = match &self.certificate {
            Some(pem) => {
                let bytes = certificate(pem)?.to_base64();
                ("certificate", json!({ "rawBytes": bytes }))
            }
            None => ("publicKey", json!({ "hint": "" })),
        };
        let entry = match &self.log_bundle {
            Some(text) => Some(LogBundle::parse(text)?.entry()?),
            None => None,
        };
        let bundle = json!({
            "mediaType": ASSEMBLED_BUNDLE,
            "verificationMaterial": {
                kind: key,
                "tlogEntries": Vec::from_iter(entry),
            },
            "messageSignature": { "signature": self.signature },
        });
        Ok(bundle.to_string())
    }
}

/// The certificate in a PEM text. A second block would be ignored by some readers, so it is refused.
fn certificate(pem: &str) -> Result<DerCertificate, Failure> {
    let malformed = |detail: String| Failure::Malformed {
        part: MalformedPart::Certificate,
        detail,
    };
    match pem.matches("-----BEGIN ").count() {
        1 => DerCertificate::from_pem(pem).map_err(|error| malformed(excerpt(&error.to_string()))),
        found => Err(malformed(format!(
            "expected 1 certificate in PEM, found {found}"
        ))),
    }
}

/// What the annotation [`LOG_BUNDLE_ANNOTATION`] holds: an entry of Rekor v1, and the log's promise to include it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct LogBundle {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

/// What the promise signs. All of it, so no field can be changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(remote = "Self")]
struct LogPayload {
    /// The entry's body in base64.
    body: String,
    /// Seconds since 1970.
    integrated_time: u64,
    log_index: u64,
    /// The log's ID in hex.
    #[serde(rename = "logID")]
    log_id: String,
}

/// The part of an entry's body that says how to read the rest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
struct EntryKind {
    kind: String,
    api_version: String,
}

impl LogBundle {
    fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json)
            .map_err(|error| malformed(MalformedPart::LogEntry, &error.to_string()))
    }

    /// The entry as a bundle has it.
    fn entry(&self) -> Result<serde_json::Value, Failure> {
        let LogPayload {
            body,
            integrated_time,
            log_index,
            log_id,
        } = &self.payload;
        let id = hex::decode(log_id)
            .map_err(|error| malformed(MalformedPart::LogEntry, &error.to_string()))?;
        let decoded = BASE64.decode(body);
        let decoded =
            decoded.map_err(|error| malformed(MalformedPart::LogEntry, &error.to_string()))?;
        let EntryKind { kind, api_version } = serde_json::from_slice(&decoded)
            .map_err(|error| malformed(MalformedPart::LogEntry, &error.to_string()))?;
        if (kind.as_str(), api_version.as_str()) != (ENTRY_KIND, ENTRY_VERSION) {
            let found =
                format!("expected {ENTRY_KIND} {ENTRY_VERSION}, found {kind} {api_version}");
            return Err(malformed(MalformedPart::LogEntry, &found));
        }
        Ok(json!({
            "logIndex": log_index.to_string(),
            "logId": { "keyId": BASE64.encode(id) },
            "kindVersion": { "kind": kind, "version": api_version },
            "integratedTime": integrated_time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": self.signed_entry_timestamp },
            "canonicalizedBody": body,
        }))
    }
}

/// A payload. The fields are named, so a repeated field is an error.
#[derive(Deserialize)]
#[serde(remote = "Self")]
struct Payload {
    critical: Critical,
    optional: Option<Annotations>,
}

#[derive(Deserialize)]
#[serde(remote = "Self")]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
#[serde(remote = "Self")]
struct Identity {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
#[serde(remote = "Self")]
struct Image {
    docker_manifest_digest: String,
}

from_object_alone!(
    LogBundle, LogPayload, EntryKind, Payload, Critical, Identity, Image,
);

/// What a payload states about the image with `digest`. It counts as cosign's statement.
///
/// # Errors
/// [`Failure::Malformed`], [`Failure::PayloadType`], [`Failure::SubjectDigest`], [`Failure::TooMany`].
pub(crate) fn statement(digest: &Digest, payload: &[u8]) -> Result<Statement, Failure> {
    let Payload { critical, optional } = serde_json::from_slice(payload)
        .map_err(|error| malformed(MalformedPart::SimpleSigningPayload, &error.to_string()))?;
    if critical.kind != SIMPLE_SIGNING_TYPE {
        return Err(Failure::PayloadType {
            expected: SIMPLE_SIGNING_TYPE,
            found: excerpt(&critical.kind),
        });
    }
    // Compared as text, so a digest in capital letters is refused. No tool writes one.
    let found = critical.image.docker_manifest_digest;
    if found != digest.to_string() {
        return Err(Failure::SubjectDigest {
            expected: digest.clone(),
            found: excerpt(&found),
        });
    }
    let name = critical.identity.docker_reference;
    Ok(Statement {
        predicate_type: COSIGN_SIGN_PREDICATE.to_owned(),
        subject_name: Some(name).filter(|name| !name.is_empty()),
        predicate: None,
        annotations: optional.map_or_else(|| Ok(BTreeMap::new()), Annotations::into_texts)?,
    })
}

fn malformed(part: MalformedPart, detail: &str) -> Failure {
    Failure::Malformed {
        part,
        detail: excerpt(detail),
    }
}
