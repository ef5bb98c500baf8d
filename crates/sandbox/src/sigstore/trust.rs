//! What a client has to know: the trusted root and the signing config.
//!
//! Both are the JSON of sigstore/protobuf-specs (`sigstore_trustroot.proto`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::addresses::{Addresses, base_url};
use super::fulcio::Fulcio;
use super::rekor_v1::RekorV1;
use super::rekor_v2::RekorV2;
use super::tsa::TimestampAuthority;
use super::x509::Authority;
use super::{RekorVersion, SigstoreError};

/// Where the timestamp authority takes requests.
pub(super) const TIMESTAMP_PATH: &str = "/api/v1/timestamp";

const ECDSA: &str = "PKIX_ECDSA_P256_SHA_256";
const ED25519: &str = "PKIX_ED25519";

/// The trusted root: both logs, the certificate transparency log and both authorities.
pub(super) fn trusted_root(
    addresses: &Addresses,
    fulcio: &Fulcio,
    rekor_v1: &RekorV1,
    rekor_v2: &RekorV2,
    tsa: &TimestampAuthority,
) -> Result<Value, SigstoreError> {
    let ca = fulcio.authority().authority();
    let since = ca.validity().0;
    let (ct, v1) = (fulcio.ct().key(), rekor_v1.key());
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            log(&addresses.rekor_v1, (v1.spki(), ECDSA), &v1.id(), since),
            log(&addresses.rekor_v2, (&rekor_v2.spki()?, ED25519), &rekor_v2.id(), since),
        ],
        "certificateAuthorities": [authority(&addresses.fulcio, ca, None)],
        "ctlogs": [log(&addresses.fulcio, (ct.spki(), ECDSA), &ct.id(), since)],
        "timestampAuthorities": [
            authority(&addresses.timestamp_authority, tsa.authority(), Some(tsa.certificate())),
        ],
    }))
}

/// The same trusted root without its logs, on one line.
#[expect(
    clippy::expect_used,
    reason = "the trusted root was written by the function above"
)]
pub(super) fn without_logs(trusted_root: &str) -> String {
    let mut root: serde_json::Map<String, Value> =
        serde_json::from_str(trusted_root).expect("a trusted root in JSON");
    for logs in ["tlogs", "ctlogs"] {
        root.remove(logs).expect("a trusted root with logs");
    }
    Value::Object(root).to_string()
}

/// A signing config, version 0.2, that names one log.
pub(super) fn signing_config(
    addresses: &Addresses,
    version: RekorVersion,
    since: Timestamp,
) -> Value {
    let (rekor, major) = match version {
        RekorVersion::V1 => (&addresses.rekor_v1, 1),
        RekorVersion::V2 => (&addresses.rekor_v2, 2),
    };
    let service = |url: String, major: u32| {
        json!([{
            "url": url,
            "majorApiVersion": major,
            "validFor": {"start": since.to_string()},
            "operator": "sandbox",
        }])
    };
    let base = |url: &Url| base_url(url).to_owned();
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service(base(&addresses.fulcio), 1),
        "oidcUrls": service(base(&addresses.oidc), 1),
        "rekorTlogUrls": service(base(rekor), major),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": service(format!("{}{TIMESTAMP_PATH}", base_url(&addresses.timestamp_authority)), 1),
        // sigstore-python wants a selector here whether or not it is used.
        "tsaConfig": {"selector": "ANY"},
    })
}

/// A certificate authority, its leaf first if it has but one.
fn authority(url: &Url, authority: &Authority, leaf: Option<&[u8]>) -> Value {
    let chain: Vec<Value> = leaf
        .into_iter()
        .chain(authority.chain().iter().map(Vec::as_slice))
        .map(|der| json!({"rawBytes": STANDARD.encode(der)}))
        .collect();
    json!({
        "subject": {"organization": "countersign sandbox", "commonName": "sandbox"},
        "uri": base_url(url),
        "certChain": {"certificates": chain},
        "validFor": {"start": authority.validity().0.to_string()},
    })
}

/// A log: its public key (DER SubjectPublicKeyInfo) with its kind, and its key id.
fn log(url: &Url, (spki, details): (&[u8], &str), key_id: &[u8], since: Timestamp) -> Value {
    json!({
        "baseUrl": base_url(url),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(spki),
            "keyDetails": details,
            "validFor": {"start": since.to_string()},
        },
        "logId": {"keyId": STANDARD.encode(key_id)},
    })
}
