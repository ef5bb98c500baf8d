//! A TUF repository that serves the trusted root and the signing config as Sigstore's does.
//!
//! TUF specification 1.0, consistent snapshots, one key for every role.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;

use super::SigstoreError;
use super::keys::{EcdsaKey, digest};

const SPEC_VERSION: &str = "1.0.31";
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
const TIMESTAMP: &str = "timestamp.json";

/// The files of a repository.
pub(super) struct TufRepository {
    files: BTreeMap<String, Vec<u8>>,
    root: Vec<u8>,
    signer: Signer,
    snapshot: Vec<u8>,
    /// Seconds that a timestamp is good for from its request on; 0 if there is only the first.
    timestamp_lifetime: AtomicI64,
    timestamp_version: AtomicU64,
}

struct Signer {
    key: EcdsaKey,
    key_id: String,
}

impl TufRepository {
    /// A repository with these targets (name, bytes), its metadata good for a year.
    pub(super) fn generate(
        targets: &[(&str, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Self, SigstoreError> {
        let signer = Signer::generate()?;
        let expires = later(now, LIFETIME)?;
        let root = signer.root(&expires)?;
        let mut files = BTreeMap::from([("1.root.json".to_owned(), root.clone())]);

        let mut listed = serde_json::Map::new();
        for (name, bytes) in targets {
            let hash = hex::encode(digest(bytes));
            let target = json!({"length": bytes.len(), "hashes": {"sha256": hash}});
            listed.insert((*name).to_owned(), target);
            files.insert(format!("targets/{hash}.{name}"), bytes.clone());
        }
        let listed = json!({"targets": listed});
        let targets = signer.metadata("targets", 1, &expires, listed)?;
        let listed = meta("targets.json", &targets);
        let snapshot = signer.metadata("snapshot", 1, &expires, listed)?;
        let listed = meta("snapshot.json", &snapshot);
        let timestamp = signer.metadata("timestamp", 1, &expires, listed)?;
        files.insert("1.targets.json".into(), targets);
        files.insert("1.snapshot.json".into(), snapshot.clone());
        files.insert(TIMESTAMP.into(), timestamp);
        Ok(Self {
            files,
            root,
            signer,
            snapshot,
            timestamp_lifetime: AtomicI64::new(0),
            timestamp_version: AtomicU64::new(1),
        })
    }

    /// From now on, each request for the timestamp gets a new one, which is good for `seconds`.
    pub(super) fn set_timestamp_lifetime(&self, seconds: i64) {
        self.timestamp_lifetime.store(seconds, Ordering::Relaxed);
    }

    /// The file at a path without a leading slash.
    pub(super) fn file(
        &self,
        path: &str,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, SigstoreError> {
        let seconds = self.timestamp_lifetime.load(Ordering::Relaxed);
        if path != TIMESTAMP || seconds == 0 {
            return Ok(self.files.get(path).cloned());
        }
        let version = self.timestamp_version.fetch_add(1, Ordering::Relaxed) + 1;
        let expires = later(now, SignedDuration::from_secs(seconds))?;
        let listed = meta("snapshot.json", &self.snapshot);
        let timestamp = self
            .signer
            .metadata("timestamp", version, &expires, listed)?;
        Ok(Some(timestamp))
    }

    /// The first root, by which clients begin.
    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }
}

impl Signer {
    fn generate() -> Result<Self, SigstoreError> {
        let key = EcdsaKey::generate()?;
        let key_id = hex::encode(digest(&to_canonical_bytes(&public_key(&key))?));
        Ok(Self { key, key_id })
    }

    fn root(&self, expires: &str) -> Result<Vec<u8>, SigstoreError> {
        let role = json!({"keyids": [self.key_id], "threshold": 1});
        self.metadata(
            "root",
            1,
            expires,
            json!({
                "consistent_snapshot": true,
                "keys": {&self.key_id: public_key(&self.key)},
                "roles": {"root": role, "targets": role, "snapshot": role, "timestamp": role},
            }),
        )
    }

    /// Signed metadata of a role: `fields` and those that every role has.
    fn metadata(
        &self,
        role: &str,
        version: u64,
        expires: &str,
        fields: Value,
    ) -> Result<Vec<u8>, SigstoreError> {
        let mut signed = fields;
        if let Some(signed) = signed.as_object_mut() {
            signed.insert("_type".into(), role.into());
            signed.insert("spec_version".into(), SPEC_VERSION.into());
            signed.insert("version".into(), version.into());
            signed.insert("expires".into(), expires.into());
        }
        let signature = hex::encode(self.key.sign(&to_canonical_bytes(&signed)?));
        let signatures = json!([{"keyid": self.key_id, "sig": signature}]);
        let metadata = json!({"signed": signed, "signatures": signatures});
        Ok(serde_json::to_vec(&metadata)?)
    }
}

/// A time after `now`, as metadata writes it.
fn later(now: Timestamp, lifetime: SignedDuration) -> Result<String, SigstoreError> {
    let time = now
        .saturating_add(lifetime)
        .map_err(|_| SigstoreError::Time { found: now })?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
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
