//! Signatures in cosign's legacy form ("simple signing"), as `cosign sign` of version 2 writes them.
//!
//! One layer is one signature: its blob is the signed payload, its annotations are the rest. The manifest is at
//! the tag `sha256-HEX.sig`, or refers to the image (`--registry-referrers-mode=oci-1-1`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_oci::{Descriptor, Digest, media_type};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::bundle::{BundleSpec, Flaw};
use super::entry_verifier::EntryVerifier;
use super::issue::Issuance;
use super::keys::digest;
use super::services::Services;
use super::{Sigstore, SigstoreError};
use crate::registry::RegistryServer;

const LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The configuration of a manifest at the tag.
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The configuration of a manifest that refers to the image.
const ARTIFACT_CONFIG: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The annotation with the signature, in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The annotation with the certificate, in PEM.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// The annotation with the chain of the certificate's authority, in PEM.
pub const CHAIN_ANNOTATION: &str = "dev.sigstore.cosign/chain";
/// The annotation with the log entry and the log's promise, in JSON.
pub const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";

/// A payload: that the image with this digest is at `reference`. `optional` holds the annotations.
pub fn simple_signing_payload(image: &Digest, reference: &str, optional: &Value) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": reference },
            "image": { "docker-manifest-digest": image.to_string() },
            "type": "cosign container image signature",
        },
        "optional": optional,
    });
    payload.to_string().into_bytes()
}

/// A signature: what a layer holds, and its annotations. Tests change both.
#[derive(Debug, Clone)]
pub struct SimpleSignature {
    /// The layer's bytes.
    pub payload: Vec<u8>,
    /// The layer's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Where a manifest with legacy signatures is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimpleSigningPlace {
    /// At the tag `sha256-HEX.sig`.
    Tag,
    /// Among the referrers of the image.
    Referrer,
}

impl Sigstore {
    /// Signs the payload of `spec` and logs it to Rekor v1. Of the flaws, it can have those of certificates.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_simple_signing(
        &self,
        spec: &BundleSpec,
    ) -> Result<SimpleSignature, SigstoreError> {
        issue(&self.services, spec)
    }
}

fn issue(services: &Services, spec: &BundleSpec) -> Result<SimpleSignature, SigstoreError> {
    match spec.flaw {
        None
        | Some(
            Flaw::UnknownCertificateAuthority
            | Flaw::ExpiredCertificate
            | Flaw::NoCertificateTimestamp
            | Flaw::CertificateTimestampOfUnknownLog
            | Flaw::CertificateTimestampOfAnotherCertificate,
        ) => {}
        Some(flaw) => return Err(SigstoreError::Flaw(format!("{flaw:?}"))),
    }
    let issuance = Issuance::new(services, spec)?;
    let by = issuance.verifier()?;
    let signature = issuance.sign_message(&spec.payload)?;
    let body = serde_json_canonicalizer::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hex::encode(digest(&spec.payload)) } },
            "signature": {
                "content": STANDARD.encode(&signature),
                "publicKey": { "content": STANDARD.encode(by.pem()) },
            },
        },
    }))?;
    let kind = ("hashedrekord".to_owned(), "0.0.1".to_owned());
    let at: Timestamp = spec.logged_at.unwrap_or_else(|| issuance.seen_at());
    let entry = services.rekor_v1.append(kind, body, at)?;
    let (time, promise) = entry.promise.clone().unwrap_or_default();
    let log = json!({
        "SignedEntryTimestamp": STANDARD.encode(promise),
        "Payload": {
            "body": STANDARD.encode(&entry.body),
            "integratedTime": time,
            "logIndex": entry.proof.index,
            "logID": hex::encode(entry.log_id),
        },
    });
    let mut annotations = vec![
        (SIGNATURE_ANNOTATION, STANDARD.encode(&signature)),
        (LOG_ANNOTATION, log.to_string()),
    ];
    if let EntryVerifier::Certificate(_) = by {
        annotations.push((CERTIFICATE_ANNOTATION, by.pem()));
        annotations.push((CHAIN_ANNOTATION, by.pem()));
    }
    let annotations = annotations.into_iter();
    Ok(SimpleSignature {
        payload: spec.payload.clone(),
        annotations: annotations
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    })
}

/// Stores one manifest with these signatures of `image` in the repository `path`. Returns its digest.
pub fn push_simple_signing(
    registry: &RegistryServer,
    path: &str,
    image: &Descriptor,
    place: SimpleSigningPlace,
    signatures: &[SimpleSignature],
) -> Digest {
    let layers: Vec<Value> = signatures
        .iter()
        .map(|signature| {
            registry.put_blob(path, signature.payload.clone());
            json!(Descriptor {
                annotations: signature.annotations.clone(),
                ..Descriptor::of(LAYER, &signature.payload)
            })
        })
        .collect();
    let (config_type, config) = match place {
        SimpleSigningPlace::Tag => (IMAGE_CONFIG, r#"{"architecture":"","os":""}"#),
        SimpleSigningPlace::Referrer => (ARTIFACT_CONFIG, "{}"),
    };
    registry.put_blob(path, config);
    let (tag, subject) = match place {
        SimpleSigningPlace::Tag => (Some(format!("sha256-{}.sig", image.digest.hex())), None),
        SimpleSigningPlace::Referrer => (None, Some(image)),
    };
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of(config_type, config.as_bytes()),
        "layers": layers,
    });
    if let (Some(subject), Some(manifest)) = (subject, manifest.as_object_mut()) {
        manifest.insert("subject".into(), json!(subject));
    }
    let bytes = manifest.to_string();
    registry.put_manifest(path, media_type::OCI_MANIFEST, bytes, tag.as_deref())
}
