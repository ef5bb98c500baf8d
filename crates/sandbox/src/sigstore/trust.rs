//! What a client has to know: the trusted root and the signing config.
//!
//! Both are the JSON of sigstore/protobuf-specs (`sigstore_trustroot.proto`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::RekorVersion;
use super::x509::Authority;

/// A certificate authority as a trusted root lists it.
pub(super) fn certificate_authority(
    authority: &Authority,
    url: &Url,
    leaf: Option<&[u8]>,
) -> Value {
    let chain: Vec<Value> = leaf
        .into_iter()
        .chain(authority.chain().iter().map(Vec::as_slice))
        .map(|der| json!({"rawBytes": STANDARD.encode(der)}))
        .collect();
    json!({
        "subject": {"organization": "countersign sandbox", "commonName": "sandbox"},
        "uri": base_url(url),
        "certChain": {"certificates": chain},
        "validFor": {"start": authority.since().to_string()},
    })
}

/// A log as a trusted root lists it: a Rekor or a certificate transparency log.
pub(super) fn log(
    url: &Url,
    spki: &[u8],
    key_details: &str,
    key_id: &[u8],
    since: Timestamp,
) -> Value {
    json!({
        "baseUrl": base_url(url),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(spki),
            "keyDetails": key_details,
            "validFor": {"start": since.to_string()},
        },
        "logId": {"keyId": STANDARD.encode(key_id)},
    })
}

/// Where a signing config sends clients.
pub(super) struct Endpoints<'a> {
    pub(super) fulcio: &'a Url,
    pub(super) oidc: &'a Url,
    pub(super) rekor: &'a Url,
    pub(super) timestamp_authority: &'a Url,
}

/// A signing config, version 0.2, for one generation of Rekor.
pub(super) fn signing_config(
    endpoints: &Endpoints<'_>,
    version: RekorVersion,
    since: Timestamp,
) -> Value {
    let major = match version {
        RekorVersion::V1 => 1,
        RekorVersion::V2 => 2,
    };
    let service = |url: &Url, major: u32, path: &str| {
        json!([{
            "url": format!("{}{path}", base_url(url)),
            "majorApiVersion": major,
            "validFor": {"start": since.to_string()},
            "operator": "sandbox",
        }])
    };
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service(endpoints.fulcio, 1, ""),
        "oidcUrls": service(endpoints.oidc, 1, ""),
        "rekorTlogUrls": service(endpoints.rekor, major, ""),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": service(endpoints.timestamp_authority, 1, "/api/v1/timestamp"),
        "tsaConfig": {"selector": "ANY"},
    })
}

/// A URL without the slash at its end: clients append paths, and compare a log's with its
/// checkpoints' origin.
pub(super) fn base_url(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
