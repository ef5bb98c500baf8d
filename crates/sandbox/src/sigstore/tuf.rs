//! A TUF repository that serves the trusted root and the signing config as Sigstore's does.
//!
//! TUF specification 1.0, consistent snapshots, one key for every role.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;

use super::SigstoreError;
use super::keys::{EcdsaKey, digest};

const SPEC_VERSION: &str = "1.0.31";
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The files of a repository.
pub(super) struct TufRepository {
    files: BTreeMap<String, Vec<u8>>,
    root: Vec<u8>,
}

struct Signer {
    key: EcdsaKey,
    key_id: String,
    expires: String,
}

impl TufRepository {
    /// A repository with these targets (name, bytes), its metadata good for a year.
    pub(super) fn generate(
        targets: &[(&str, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Self, SigstoreError> {
        let signer = Signer::generate(now)?;
        let root = signer.root()?;
        let mut files = BTreeMap::from([("1.root.json".to_owned(), root.clone())]);

        let mut listed = serde_json::Map::new();
        for (name, bytes) in targets {
            let hash = hex::encode(digest(bytes));
            let target = json!({"length": bytes.len(), "hashes": {"sha256": hash}});
            listed.insert((*name).to_owned(), target);
            files.insert(format!("targets/{hash}.{name}"), bytes.clone());
        }
        let targets = signer.metadata("targets", json!({"targets": listed}))?;
        let snapshot = signer.metadata("snapshot", meta("targets.json", &targets))?;
        let timestamp = signer.metadata("timestamp", meta("snapshot.json", &snapshot))?;
        files.insert("1.targets.json".into(), targets);
        files.insert("1.snapshot.json".into(), snapshot);
        files.insert("timestamp.json".into(), timestamp);
        Ok(Self { files, root })
    }

    /// The file at a path without a leading slash.
    pub(super) fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The first root, by which clients begin.
    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }
}

impl Signer {
    fn generate(now: Timestamp) -> Result<Self, SigstoreError> {
        let key = EcdsaKey::generate()?;
        let key_id = hex::encode(digest(&to_canonical_bytes(&public_key(&key))?));
        let expires = now
            .saturating_add(LIFETIME)
            .map_err(|_| SigstoreError::Time { found: now })?
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        Ok(Self {
            key,
            key_id,
            expires,
        })
    }

    fn root(&self) -> Result<Vec<u8>, SigstoreError> {
        let role = json!({"keyids": [self.key_id], "threshold": 1});
        self.metadata(
            "root",
            json!({
                "consistent_snapshot": true,
                "keys": {&self.key_id: public_key(&self.key)},
                "roles": {"root": role, "targets": role, "snapshot": role, "timestamp": role},
            }),
        )
    }

    /// Signed metadata of a role: `fields` and those that every role has.
    fn metadata(&self, role: &str, fields: Value) -> Result<Vec<u8>, SigstoreError> {
        let mut signed = fields;
        if let Some(signed) = signed.as_object_mut() {
            signed.insert("_type".into(), role.into());
            signed.insert("spec_version".into(), SPEC_VERSION.into());
            signed.insert("version".into(), 1.into());
            signed.insert("expires".into(), self.expires.clone().into());
        }
        let signature = hex::encode(self.key.sign(&to_canonical_bytes(&signed)?));
        let signatures = json!([{"keyid": self.key_id, "sig": signature}]);
        let metadata = json!({"signed": signed, "signatures": signatures});
        Ok(serde_json::to_vec(&metadata)?)
    }
}

fn public_key(key: &EcdsaKey) -> Value {
    json!({
        "keytype": "ecdsa",
        "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": key.pem()},
    })
}

/// What snapshot and timestamp say of the file below them.
fn meta(name: &str, bytes: &[u8]) -> Value {
    let hash = hex::encode(digest(bytes));
    json!({"meta": {name: {
        "version": 1,
        "length": bytes.len(),
        "hashes": {"sha256": hash},
    }}})
}
