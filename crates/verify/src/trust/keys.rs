//! Log keys of a kind that this program can't use.
//!
//! A trusted root may list a log whose key is of a newer or rarer kind (P-521, Ed448, an RSA key
//! without its SPKI wrapping). Such a key costs the signatures that need it, and no others: it is
//! left out of the trusted root, with a warning, and remembered by the log's ID, so that a refusal
//! can name the reason.

use std::collections::BTreeMap;

use countersign_oci::excerpt;
use sigstore_trust_root::{PublicKeyDetails, TrustedRoot};
use sigstore_types::{DerPublicKey, LogId};
use sigstore_verify::crypto::{SigningScheme, VerificationKey};

/// Logs whose keys can't be used, by ID, with the kind of key that the trusted root states.
#[derive(Debug, Default)]
pub(super) struct UnusableKeys {
    /// Transparency logs (Rekor).
    pub(super) logs: BTreeMap<Vec<u8>, String>,
    /// Certificate transparency logs.
    pub(super) certificate_logs: BTreeMap<Vec<u8>, String>,
}

impl UnusableKeys {
    /// Takes the logs whose keys can't be used out of `root`, which `name` names in warnings.
    pub(super) fn take_from(root: &mut TrustedRoot, name: &str) -> Self {
        let mut unusable = Self::default();
        root.tlogs.retain(|log| {
            let usable = is_usable(&log.public_key.raw_bytes);
            if !usable {
                leave_out(
                    &mut unusable.logs,
                    name,
                    &log.base_url,
                    &log.log_id,
                    &log.public_key.key_details,
                );
            }
            usable
        });
        root.ctlogs.retain(|log| {
            // These logs may have an RSA key in PKCS#1, which `sigstore-verify` reads here only.
            let key = &log.public_key.raw_bytes;
            let usable = is_usable(key)
                || VerificationKey::from_der(key, SigningScheme::RsaPkcs1Sha256).is_ok();
            if !usable {
                leave_out(
                    &mut unusable.certificate_logs,
                    name,
                    &log.base_url,
                    &log.log_id,
                    &log.public_key.key_details,
                );
            }
            usable
        });
        unusable
    }
}

fn is_usable(key: &DerPublicKey) -> bool {
    VerificationKey::from_spki(key).is_ok()
}

/// Remembers among `logs` one whose key can't be used, and warns of it.
fn leave_out(
    logs: &mut BTreeMap<Vec<u8>, String>,
    name: &str,
    url: &str,
    id: &LogId,
    kind: &PublicKeyDetails,
) {
    let kind = excerpt(kind.as_str());
    tracing::warn!(
        trusted_root = name,
        log = %excerpt(url),
        %kind,
        "a log's key is of a kind that isn't supported: signatures that need this log are refused",
    );
    logs.insert(id.key_id.as_bytes().to_vec(), kind);
}
