//! Entries proposed to Rekor v1: `hashedrekord` 0.0.1, `dsse` 0.0.1 and `intoto` 0.0.2.
//!
//! What a client proposes becomes a [`Proposal`] only if its signatures verify. The shapes are those of the schemas
//! in `pkg/types` of sigstore/rekor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::SigstoreError;
use super::error::ErrorAnswer;
use super::keys::digest;
use super::verifier::{Verifier, decode_base64};

/// A proposal: its kind, its version, and the `spec` of its canonical body.
pub(super) struct Proposal {
    kind: &'static str,
    version: &'static str,
    spec: Value,
}

impl Proposal {
    /// Parses and checks the JSON of a proposed entry.
    pub(super) fn parse(proposal: &Value) -> Result<Self, ErrorAnswer> {
        let text = |name: &str| {
            proposal
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let spec = proposal.get("spec").cloned().unwrap_or_default();
        match (text("kind"), text("apiVersion")) {
            ("hashedrekord", "0.0.1") => parse::<HashedRekord>(spec)?.check(),
            ("dsse", "0.0.1") => parse::<Dsse>(spec)?.check(),
            ("intoto", "0.0.2") => parse::<Intoto>(spec)?.check(),
            (kind, version) => Err(ErrorAnswer::bad_request(format!(
                "expected hashedrekord 0.0.1, dsse 0.0.1 or intoto 0.0.2, found {kind} {version}"
            ))),
        }
    }

    /// A `dsse` 0.0.1 entry, unchecked: the envelope's JSON, its payload, and its signatures
    /// (base64) with the PEM of what verifies them.
    pub(super) fn dsse(envelope: &str, payload: &[u8], signatures: &[(String, String)]) -> Self {
        let signatures: Vec<Value> = signatures
            .iter()
            .map(|(signature, pem)| json!({"signature": signature, "verifier": STANDARD.encode(pem)}))
            .collect();
        Self {
            kind: "dsse",
            version: "0.0.1",
            spec: json!({
                "envelopeHash": sha256(envelope.as_bytes()),
                "payloadHash": sha256(payload),
                "signatures": signatures,
            }),
        }
    }

    pub(super) fn kind(&self) -> (String, String) {
        (self.kind.into(), self.version.into())
    }

    /// The body as it is logged (RFC 8785).
    pub(super) fn canonical_body(&self) -> Result<Vec<u8>, SigstoreError> {
        let body = json!({"apiVersion": self.version, "kind": self.kind, "spec": self.spec});
        Ok(serde_json_canonicalizer::to_vec(&body)?)
    }
}

#[derive(Deserialize)]
struct HashedRekord {
    data: HashedRekordData,
    signature: HashedRekordSignature,
}

#[derive(Deserialize)]
struct HashedRekordData {
    hash: Hash,
}

#[derive(Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedRekordSignature {
    content: String,
    public_key: PublicKey,
}

#[derive(Deserialize)]
struct PublicKey {
    content: String,
}

impl HashedRekord {
    fn check(self) -> Result<Proposal, ErrorAnswer> {
        let hash = self.data.hash;
        if hash.algorithm != "sha256" {
            return Err(ErrorAnswer::bad_request("expected a sha256 digest"));
        }
        let digest = hex::decode(&hash.value)
            .map_err(|error| ErrorAnswer::bad_request(format!("digest: {error}")))?;
        let verifier = Verifier::from_pem(&decode_base64(&self.signature.public_key.content)?)?;
        verifier.check_digest(&digest, &decode_base64(&self.signature.content)?)?;
        Ok(Proposal {
            kind: "hashedrekord",
            version: "0.0.1",
            spec: json!({
                "data": {"hash": {"algorithm": "sha256", "value": hash.value}},
                "signature": {
                    "content": self.signature.content,
                    "publicKey": {"content": STANDARD.encode(verifier.canonical_pem())},
                },
            }),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    proposed_content: ProposedContent,
}

#[derive(Deserialize)]
struct ProposedContent {
    /// The envelope's JSON, as text.
    envelope: String,
    /// Base64 of PEM.
    verifiers: Vec<String>,
}

/// A DSSE envelope, its bytes in base64.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

impl Dsse {
    fn check(self) -> Result<Proposal, ErrorAnswer> {
        let content = self.proposed_content;
        let envelope: Envelope = serde_json::from_str(&content.envelope)
            .map_err(|error| ErrorAnswer::bad_request(format!("envelope: {error}")))?;
        let payload = decode_base64(&envelope.payload)?;
        let signed = pre_authentication_encoding(&envelope.payload_type, &payload);
        let verifiers = content
            .verifiers
            .iter()
            .map(|verifier| Verifier::from_pem(&decode_base64(verifier)?))
            .collect::<Result<Vec<_>, ErrorAnswer>>()?;
        let signatures = envelope
            .signatures
            .into_iter()
            .map(|signature| {
                let bytes = decode_base64(&signature.sig)?;
                let verifier = verifiers
                    .iter()
                    .find(|verifier| verifier.check(&signed, &bytes).is_ok())
                    .ok_or_else(|| ErrorAnswer::bad_request("signature: no verifier accepts it"))?;
                Ok((signature.sig, verifier.canonical_pem()))
            })
            .collect::<Result<Vec<_>, ErrorAnswer>>()?;
        Ok(Proposal::dsse(&content.envelope, &payload, &signatures))
    }
}

#[derive(Deserialize)]
struct Intoto {
    content: IntotoContent,
}

#[derive(Deserialize)]
struct IntotoContent {
    envelope: IntotoEnvelope,
    hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoEnvelope {
    /// Base64 of the envelope's base64.
    payload: String,
    payload_type: String,
    signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature {
    public_key: String,
    /// Base64 of the envelope's base64.
    sig: String,
}

impl Intoto {
    fn check(self) -> Result<Proposal, ErrorAnswer> {
        let envelope = self.content.envelope;
        let payload = decode_twice(&envelope.payload)?;
        let signed = pre_authentication_encoding(&envelope.payload_type, &payload);
        let signatures = envelope
            .signatures
            .iter()
            .map(|signature| {
                let verifier = Verifier::from_pem(&decode_base64(&signature.public_key)?)?;
                verifier.check(&signed, &decode_twice(&signature.sig)?)?;
                Ok(json!({
                    "publicKey": STANDARD.encode(verifier.canonical_pem()),
                    "sig": signature.sig,
                }))
            })
            .collect::<Result<Vec<_>, ErrorAnswer>>()?;
        let hash = self.content.hash;
        Ok(Proposal {
            kind: "intoto",
            version: "0.0.2",
            spec: json!({"content": {
                "envelope": {"payloadType": envelope.payload_type, "signatures": signatures},
                "hash": {"algorithm": hash.algorithm, "value": hash.value},
                "payloadHash": sha256(&payload),
            }}),
        })
    }
}

/// What a DSSE signature signs (DSSE protocol 1.0, `PAE`).
pub(super) fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoding = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    encoding.extend(payload);
    encoding
}

fn parse<T: DeserializeOwned>(spec: Value) -> Result<T, ErrorAnswer> {
    serde_json::from_value(spec).map_err(|error| ErrorAnswer::bad_request(format!("spec: {error}")))
}

fn sha256(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": hex::encode(digest(bytes))})
}

fn decode_twice(base64: &str) -> Result<Vec<u8>, ErrorAnswer> {
    let once = decode_base64(base64)?;
    decode_base64(&String::from_utf8_lossy(&once))
}
