//! A TUF repository of one key, signed in the test and served by a mock server.

use std::path::Path;

use serde_json::{Value, json};
use sigstore_crypto::KeyPair;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const FAR: &str = "2099-01-01T00:00:00Z";
pub(crate) const PAST: &str = "2020-01-01T00:00:00Z";
const TARGET: &str = "trusted_root.json";

/// Whoever signs all of a repository's metadata.
pub(crate) struct Owner {
    keys: KeyPair,
    key: Value,
    id: String,
}

/// The metadata and the one target of a repository at one version.
pub(crate) struct Files {
    pub(crate) timestamp: Vec<u8>,
    pub(crate) snapshot: Vec<u8>,
    pub(crate) targets: Vec<u8>,
    pub(crate) target: Vec<u8>,
}

impl Owner {
    pub(crate) fn new() -> Self {
        let keys = KeyPair::generate_ecdsa_p256().unwrap();
        let key = json!({
            "keytype": "ecdsa",
            "scheme": "ecdsa-sha2-nistp256",
            "keyval": { "public": keys.public_key_der().unwrap().to_pem() },
        });
        let id = serde_json::from_value::<sigstore_tuf::Key>(key.clone())
            .unwrap()
            .key_id()
            .unwrap();
        Self { keys, key, id }
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        let role = json!({ "keyids": [self.id], "threshold": 1 });
        self.sign(&json!({
            "_type": "root",
            "spec_version": "1.0.0",
            "version": 1,
            "expires": FAR,
            "consistent_snapshot": false,
            "keys": { self.id.clone(): self.key },
            "roles": { "root": role, "timestamp": role, "snapshot": role, "targets": role },
        }))
    }

    pub(crate) fn files(&self, target: &[u8], version: u64, expires: &str) -> Files {
        self.files_named(TARGET, target, version, expires)
    }

    /// As [`files`](Self::files), with another name for the target in the metadata.
    pub(crate) fn files_named(
        &self,
        name: &str,
        target: &[u8],
        version: u64,
        expires: &str,
    ) -> Files {
        let targets = self.sign(&json!({
            "_type": "targets",
            "spec_version": "1.0.0",
            "version": version,
            "expires": FAR,
            "targets": { name: {
                "length": target.len(),
                "hashes": { "sha256": sigstore_crypto::sha256(target).to_hex() },
            }},
        }));
        let snapshot = self.sign(&json!({
            "_type": "snapshot",
            "spec_version": "1.0.0",
            "version": version,
            "expires": FAR,
            "meta": { "targets.json": meta(&targets, version) },
        }));
        let timestamp = self.sign(&json!({
            "_type": "timestamp",
            "spec_version": "1.0.0",
            "version": version,
            "expires": expires,
            "meta": { "snapshot.json": meta(&snapshot, version) },
        }));
        Files {
            timestamp,
            snapshot,
            targets,
            target: target.to_vec(),
        }
    }

    fn sign(&self, signed: &Value) -> Vec<u8> {
        let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(signed).unwrap();
        let signature = self.keys.sign(&canonical).unwrap();
        let sig = hex::encode(signature.as_bytes());
        serde_json::to_vec(&json!({
            "signed": signed,
            "signatures": [{ "keyid": self.id, "sig": sig }],
        }))
        .unwrap()
    }
}

impl Files {
    /// Serves the repository, instead of whatever the server served before.
    pub(crate) async fn serve(&self, server: &MockServer) {
        server.reset().await;
        for (name, bytes) in [
            ("/timestamp.json", &self.timestamp),
            ("/snapshot.json", &self.snapshot),
            ("/targets.json", &self.targets),
            ("/targets/trusted_root.json", &self.target),
        ] {
            Mock::given(method("GET"))
                .and(path(name))
                .respond_with(ResponseTemplate::new(200).set_body_bytes(bytes.clone()))
                .mount(server)
                .await;
        }
    }

    /// Writes the files where the client keeps those that it has verified.
    pub(crate) fn write(&self, cache: &Path) {
        std::fs::create_dir_all(cache.join("targets")).unwrap();
        for (name, bytes) in [
            ("timestamp.json", &self.timestamp),
            ("snapshot.json", &self.snapshot),
            ("targets.json", &self.targets),
            ("targets/trusted_root.json", &self.target),
        ] {
            std::fs::write(cache.join(name), bytes).unwrap();
        }
    }
}

fn meta(bytes: &[u8], version: u64) -> Value {
    json!({
        "version": version,
        "length": bytes.len(),
        "hashes": { "sha256": sigstore_crypto::sha256(bytes).to_hex() },
    })
}
