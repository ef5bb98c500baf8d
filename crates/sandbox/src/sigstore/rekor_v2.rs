//! Rekor v2, a transparency log of tiles that says nothing about time.
//!
//! It takes `hashedrekord` alone, as current servers do, and answers with the entry's inclusion
//! proof. Its notes are signed by Ed25519, as those of the public instance are.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_types::Sha256Hash;

use super::SigstoreError;
use super::entry_verifier::EntryVerifier;
use super::error::ErrorAnswer;
use super::keys::{Ed25519Key, digest};
use super::log::{LogEntry, checkpoint};
use super::merkle::MerkleTree;
use super::verifier::{Verifier, decode_base64};

const KEY_DETAILS: &str = "PKIX_ECDSA_P256_SHA_256";

/// A Rekor v2 instance.
pub(super) struct RekorV2 {
    key: Ed25519Key,
    /// The checkpoints' origin, and the name that signs them.
    origin: String,
    tree: Mutex<MerkleTree>,
}

/// `POST /api/v2/log/entries`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryRequest {
    hashed_rekord_request_v002: Option<HashedRekordRequest>,
}

#[derive(Deserialize)]
struct HashedRekordRequest {
    /// Base64.
    digest: String,
    signature: Signature,
}

#[derive(Deserialize)]
struct Signature {
    /// Base64.
    content: String,
    verifier: RequestVerifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestVerifier {
    key_details: String,
    x509_certificate: Option<RawBytes>,
    public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    /// Base64 of DER.
    raw_bytes: String,
}

impl RekorV2 {
    /// A log served at `host`, with two entries in it, as [`super::rekor_v1`] has.
    pub(super) fn generate(host: String) -> Result<Self, SigstoreError> {
        let rekor = Self {
            key: Ed25519Key::generate()?,
            origin: host,
            tree: Mutex::default(),
        };
        for seed in 0..2_u8 {
            rekor.append(vec![seed]);
        }
        Ok(rekor)
    }

    /// The public key: a DER SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> Result<Vec<u8>, SigstoreError> {
        self.key.spki()
    }

    /// The log's key id: that of its notes (C2SP signed-note, "Signature types", Ed25519).
    pub(super) fn id(&self) -> [u8; 32] {
        const ED25519: u8 = 1;
        let mut named = format!("{}\n", self.origin).into_bytes();
        named.push(ED25519);
        named.extend(self.key.public());
        digest(&named)
    }

    /// Checks and logs a requested entry.
    pub(super) fn add(&self, request: &EntryRequest) -> Result<LogEntry, ErrorAnswer> {
        let Some(request) = &request.hashed_rekord_request_v002 else {
            return Err(ErrorAnswer::bad_request(
                "invalid type, must be hashedrekord (hashedRekordRequestV002)",
            ));
        };
        let verifier = &request.signature.verifier;
        if verifier.key_details != KEY_DETAILS {
            return Err(ErrorAnswer::bad_request(format!(
                "expected key details {KEY_DETAILS}, found {}",
                verifier.key_details
            )));
        }
        let (name, der) = match (&verifier.x509_certificate, &verifier.public_key) {
            (Some(certificate), None) => {
                ("x509Certificate", decode_base64(&certificate.raw_bytes)?)
            }
            (None, Some(key)) => ("publicKey", decode_base64(&key.raw_bytes)?),
            _ => return Err(ErrorAnswer::bad_request("expected one verifier")),
        };
        let checked = match verifier.x509_certificate {
            Some(_) => Verifier::from_certificate(der.clone())?,
            None => Verifier::from_spki(der.clone()),
        };
        checked.check_digest(
            &decode_base64(&request.digest)?,
            &decode_base64(&request.signature.content)?,
        )?;
        let verifier = json!({
            "keyDetails": KEY_DETAILS,
            name: {"rawBytes": STANDARD.encode(der)},
        });
        let body = body(&request.digest, &request.signature.content, &verifier)?;
        Ok(self.append(body))
    }

    /// Logs the signature of the bytes whose SHA-256 is `hash`, without a look at it.
    pub(super) fn record(
        &self,
        hash: &[u8],
        signature: &[u8],
        by: &EntryVerifier,
    ) -> Result<LogEntry, SigstoreError> {
        let (name, der) = match by {
            EntryVerifier::Certificate(der) => ("x509Certificate", der),
            EntryVerifier::Key(der) => ("publicKey", der),
        };
        let verifier = json!({
            "keyDetails": KEY_DETAILS,
            name: {"rawBytes": STANDARD.encode(der)},
        });
        let body = body(
            &STANDARD.encode(hash),
            &STANDARD.encode(signature),
            &verifier,
        )?;
        Ok(self.append(body))
    }

    /// `GET /api/v2/checkpoint`.
    pub(super) fn head(&self) -> String {
        let head = self.tree().head();
        self.checkpoint(head)
    }

    fn append(&self, body: Vec<u8>) -> LogEntry {
        let proof = self.tree().append(&body);
        LogEntry {
            kind: ("hashedrekord".into(), "0.0.2".into()),
            body,
            log_id: self.id(),
            promise: None,
            checkpoint: self.checkpoint((proof.size, proof.root)),
            proof,
        }
    }

    /// The signed note about a tree with this size and root.
    pub(super) fn checkpoint(&self, head: (u64, Sha256Hash)) -> String {
        checkpoint(&self.origin, head, &self.origin, &self.id(), |text| {
            self.key.sign(text)
        })
    }

    /// A panic of another test thread leaves nothing half-written here.
    fn tree(&self) -> std::sync::MutexGuard<'_, MerkleTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The canonical body of a `hashedrekord` 0.0.2 (`rekor/v2/hashedrekord.proto`, RFC 8785).
fn body(digest: &str, signature: &str, verifier: &Value) -> Result<Vec<u8>, SigstoreError> {
    let body = json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": digest},
            "signature": {"content": signature, "verifier": verifier},
        }},
    });
    Ok(serde_json_canonicalizer::to_vec(&body)?)
}
