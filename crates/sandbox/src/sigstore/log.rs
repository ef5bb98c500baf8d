//! What both generations of Rekor share: entries with their proofs, and checkpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_types::Sha256Hash;

use super::merkle::InclusionProof;

/// An entry of a log, with everything that proves it.
#[derive(Debug, Clone)]
pub(super) struct LogEntry {
    /// Kind and version: `dsse` and `0.0.1`, say.
    pub(super) kind: (String, String),
    /// The canonicalised body.
    pub(super) body: Vec<u8>,
    /// The key id of the log.
    pub(super) log_id: [u8; 32],
    /// When it was logged, in seconds since 1970, and the log's promise (signed entry timestamp)
    /// that says so. Rekor v2 has neither.
    pub(super) promise: Option<(i64, Vec<u8>)>,
    /// Its place in the tree.
    pub(super) proof: InclusionProof,
    /// The signed note about that tree.
    pub(super) checkpoint: String,
}

impl LogEntry {
    /// The entry as bundles and Rekor v2 have it: `dev.sigstore.rekor.v1.TransparencyLogEntry` in
    /// protobuf's JSON (64-bit numbers are strings).
    pub(super) fn transparency_log_entry(&self) -> Value {
        let hashes: Vec<String> = self
            .proof
            .path
            .iter()
            .map(|hash| STANDARD.encode(hash.as_bytes()))
            .collect();
        let mut entry = json!({
            "logIndex": self.proof.index.to_string(),
            "logId": {"keyId": STANDARD.encode(self.log_id)},
            "kindVersion": {"kind": self.kind.0, "version": self.kind.1},
            "inclusionProof": {
                "logIndex": self.proof.index.to_string(),
                "rootHash": STANDARD.encode(self.proof.root.as_bytes()),
                "treeSize": self.proof.size.to_string(),
                "hashes": hashes,
                "checkpoint": {"envelope": self.checkpoint},
            },
            "canonicalizedBody": STANDARD.encode(&self.body),
        });
        if let (Some(entry), Some((time, promise))) = (entry.as_object_mut(), &self.promise) {
            entry.insert("integratedTime".into(), time.to_string().into());
            let promise = json!({"signedEntryTimestamp": STANDARD.encode(promise)});
            entry.insert("inclusionPromise".into(), promise);
        }
        entry
    }
}

/// A checkpoint (C2SP tlog-checkpoint) in a signed note: `name` signs, with a key whose id begins
/// with `hint`.
pub(super) fn checkpoint(
    origin: &str,
    (size, root): (u64, Sha256Hash),
    name: &str,
    hint: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()));
    let mut signature: Vec<u8> = hint.iter().take(4).copied().collect();
    signature.extend(sign(text.as_bytes()));
    format!("{text}\n— {name} {}\n", STANDARD.encode(signature))
}
