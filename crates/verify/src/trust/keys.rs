//! Log keys of a kind that this program does not support.
//!
//! A trusted root may list a log whose key is of a newer or rarer kind (P-521, Ed448, an RSA key
//! without its SPKI wrapping). Only the signatures that need such a key are refused. The key is left out of the
//! trusted root, with a warning, and the log's ID is remembered so that a refusal can name the reason.

use std::collections::BTreeMap;

use countersign_oci::excerpt;
use sigstore_trust_root::{PublicKeyDetails, TrustedRoot};
use sigstore_types::{DerPublicKey, LogId};
use sigstore_verify::crypto::{SigningScheme, VerificationKey};

/// Logs whose keys are not supported: from the log's ID to the kind of key.
#[derive(Debug, Default)]
pub(super) struct UnusableKeys {
    /// Transparency logs (Rekor).
    pub(super) logs: BTreeMap<Vec<u8>, String>,
    /// Certificate transparency logs.
    pub(super) certificate_logs: BTreeMap<Vec<u8>, String>,
}

impl UnusableKeys {
    /// Removes the logs with unsupported keys from `root`. `name` is its name in warnings.
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
            // Only for these logs `sigstore-verify` also reads an RSA key in PKCS#1.
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

/// Adds a log with an unsupported key to `logs`, and warns.
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
