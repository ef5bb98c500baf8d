//! Rekor v1, a transparency log that promises inclusion and says when.
//!
//! It takes the kinds of entries that Sigstore's clients write and checks their signatures; bodies
//! are canonicalised as Rekor does (RFC 8785), so that independent verifiers find in them what
//! they compare.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sigstore_merkle::hash_leaf;
use sigstore_types::Sha256Hash;

use super::SigstoreError;
use super::error::ErrorAnswer;
use super::keys::EcdsaKey;
use super::log::{LogEntry, checkpoint};
use super::merkle::{InclusionProof, MerkleTree};
use super::proposal::Proposal;

/// The tree id, as it begins every entry's UUID.
const TREE_ID: u64 = 1_234_567_890;

/// A Rekor v1 instance.
pub(super) struct RekorV1 {
    key: EcdsaKey,
    host: String,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    tree: MerkleTree,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    kind: (String, String),
    body: Vec<u8>,
    integrated_time: i64,
}

impl RekorV1 {
    /// A log served at `host`, with two entries in it: Go leaves zeros out of JSON,
    /// so that a log's very first entry has neither index nor proof and no verifier takes it.
    pub(super) fn generate(host: String, now: Timestamp) -> Result<Self, SigstoreError> {
        let rekor = Self {
            key: EcdsaKey::generate()?,
            host,
            log: Mutex::default(),
        };
        for seed in 0..2_u8 {
            let body = json!({"apiVersion": "0.0.1", "kind": "seed", "spec": seed});
            let kind = ("seed".into(), "0.0.1".into());
            rekor.append(kind, serde_json_canonicalizer::to_vec(&body)?, now)?;
        }
        Ok(rekor)
    }

    pub(super) fn key(&self) -> &EcdsaKey {
        &self.key
    }

    /// Checks and logs a proposed entry; a second time it is refused as a duplicate.
    pub(super) fn add(&self, proposal: &Value, now: Timestamp) -> Result<LogEntry, ErrorAnswer> {
        let proposal = Proposal::parse(proposal)?;
        let body = proposal.canonical_body()?;
        let uuid = self.uuid(&body);
        // One lock for the look and the entry: of two requests at once, one is the duplicate.
        let mut log = self.lock();
        if log.tree.leaves().contains(&hash_leaf(&body)) {
            return Err(ErrorAnswer::duplicate(&uuid));
        }
        let (entry, proof) = log.push(proposal.kind(), body, now);
        drop(log);
        Ok(self.logged(entry, proof)?)
    }

    /// Logs a body without a look at it.
    pub(super) fn append(
        &self,
        kind: (String, String),
        body: Vec<u8>,
        at: Timestamp,
    ) -> Result<LogEntry, SigstoreError> {
        let (entry, proof) = self.lock().push(kind, body, at);
        self.logged(entry, proof)
    }

    /// The entry at `index`, proven against the tree as it stands.
    pub(super) fn entry(&self, index: usize) -> Result<Option<LogEntry>, SigstoreError> {
        let log = self.lock();
        let Some(entry) = log.entries.get(index).cloned() else {
            return Ok(None);
        };
        let proof = log.tree.prove(index);
        drop(log);
        self.logged(entry, proof).map(Some)
    }

    fn logged(&self, entry: Entry, proof: InclusionProof) -> Result<LogEntry, SigstoreError> {
        let promise = self.promise(&entry.body, entry.integrated_time, proof.index)?;
        Ok(LogEntry {
            kind: entry.kind,
            body: entry.body,
            log_id: self.key.id(),
            promise: Some((entry.integrated_time, promise)),
            checkpoint: self.checkpoint((proof.size, proof.root)),
            proof,
        })
    }

    /// The index of the entry with this UUID, with or without the tree id before the leaf hash.
    pub(super) fn index_of(&self, uuid: &str) -> Option<usize> {
        let leaf = uuid.get(uuid.len().checked_sub(64)?..)?;
        let log = self.lock();
        let mut leaves = log.tree.leaves().iter();
        leaves.position(|hash| hash.to_hex() == leaf)
    }

    /// The entry's UUID: the tree id and the leaf hash.
    pub(super) fn uuid(&self, body: &[u8]) -> String {
        format!("{TREE_ID:016x}{}", hash_leaf(body).to_hex())
    }

    /// The entry as Rekor's API answers it: a map from UUID to entry.
    pub(super) fn answer(&self, entry: &LogEntry) -> Value {
        let uuid = self.uuid(&entry.body);
        let (time, promise) = entry.promise.clone().unwrap_or_default();
        let hashes: Vec<String> = entry.proof.path.iter().map(Sha256Hash::to_hex).collect();
        let answer = json!({
            "body": STANDARD.encode(&entry.body),
            "integratedTime": time,
            "logID": hex::encode(entry.log_id),
            "logIndex": entry.proof.index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": entry.checkpoint,
                    "hashes": hashes,
                    "logIndex": entry.proof.index,
                    "rootHash": entry.proof.root.to_hex(),
                    "treeSize": entry.proof.size,
                },
                "signedEntryTimestamp": STANDARD.encode(promise),
            },
        });
        json!({ uuid: answer })
    }

    /// `GET /api/v1/log`.
    pub(super) fn head(&self) -> Value {
        let (size, root) = self.lock().tree.head();
        json!({
            "inactiveShards": [],
            "rootHash": root.to_hex(),
            "signedTreeHead": self.checkpoint((size, root)),
            "treeID": TREE_ID.to_string(),
            "treeSize": size,
        })
    }

    /// The signed entry timestamp: a signature over the canonical JSON of what it promises.
    pub(super) fn promise(
        &self,
        body: &[u8],
        integrated_time: i64,
        index: u64,
    ) -> Result<Vec<u8>, SigstoreError> {
        let promise = json!({
            "body": STANDARD.encode(body),
            "integratedTime": integrated_time,
            "logID": hex::encode(self.key.id()),
            "logIndex": index,
        });
        Ok(self.key.sign(&serde_json_canonicalizer::to_vec(&promise)?))
    }

    /// The signed note about a tree with this size and root.
    pub(super) fn checkpoint(&self, head: (u64, Sha256Hash)) -> String {
        let origin = format!("{} - {TREE_ID}", self.host);
        checkpoint(&origin, head, &self.host, &self.key.id(), |text| {
            self.key.sign(text)
        })
    }

    /// A panic of another test thread leaves nothing half-written here.
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn push(
        &mut self,
        kind: (String, String),
        body: Vec<u8>,
        at: Timestamp,
    ) -> (Entry, InclusionProof) {
        let proof = self.tree.append(&body);
        let entry = Entry {
            kind,
            body,
            integrated_time: at.as_second(),
        };
        self.entries.push(entry.clone());
        (entry, proof)
    }
}
