//! Bundles that a hostile registry could serve: each costs a careless reader as much as 1 MiB can.
//!
//! All but one thing in each is genuine, so that a reader comes as far as it can before it refuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Bytes of DER that fill a bundle of 1 MiB, in base64.
const HUGE: usize = 700_000;
/// Bytes of DER just under what readers may allow for a certificate or a timestamp.
const LARGE: usize = 16_000;

/// One hostile bundle.
#[derive(Debug, Clone)]
pub struct HostileBundle {
    /// What is wrong with it, in a few words.
    pub name: &'static str,
    /// Its JSON, of 1 MiB at most.
    pub bundle: String,
}

/// All hostile forms of a good bundle, which has a log entry and a timestamp
/// ([`RekorVersion::V2`](crate::RekorVersion::V2)).
pub fn hostile_bundles(good: &str) -> Vec<HostileBundle> {
    let value: Value = serde_json::from_str(good).unwrap_or_default();
    let shapes = [
        certificates_and_timestamps(),
        log_entries(&value),
        signed_content(&value),
    ];
    let mut bundles: Vec<HostileBundle> = shapes
        .into_iter()
        .flatten()
        .map(|(name, pointer, changed)| {
            let mut bundle = value.clone();
            if let Some(place) = bundle.pointer_mut(pointer) {
                *place = changed;
            }
            HostileBundle {
                name,
                bundle: bundle.to_string(),
            }
        })
        .collect();
    let media_type = "\"mediaType\"";
    for (name, before) in [
        ("depth where nothing is known", deep_field()),
        ("many fields that nobody knows", many_fields()),
        ("white space", " ".repeat(1_000_000)),
    ] {
        bundles.push(HostileBundle {
            name,
            bundle: good.replacen(media_type, &format!("{before}{media_type}"), 1),
        });
    }
    bundles
}

/// A name, a place in the bundle, and what is put there.
type Shape = (&'static str, &'static str, Value);

fn certificates_and_timestamps() -> Vec<Shape> {
    let eight = |token: fn(usize, u32) -> Vec<u8>| {
        let tokens = (0..8).map(|other| token(LARGE, other));
        timestamps(tokens.collect())
    };
    vec![
        (
            "a certificate whose name is one huge set",
            CERTIFICATE,
            der(names(HUGE, usize::MAX)),
        ),
        (
            "a certificate whose name is one large set",
            CERTIFICATE,
            der(names(LARGE, usize::MAX)),
        ),
        (
            "a certificate whose name is of many small sets",
            CERTIFICATE,
            der(names(LARGE, 60)),
        ),
        (
            "a certificate of nothing but depth",
            CERTIFICATE,
            der(nested(LARGE)),
        ),
        ("a certificate of zeros", CERTIFICATE, der(vec![0; HUGE])),
        (
            "a timestamp with one huge set",
            TIMESTAMPS,
            timestamps(vec![algorithms(HUGE, 0)]),
        ),
        (
            "eight timestamps with a large set of algorithms",
            TIMESTAMPS,
            eight(algorithms),
        ),
        (
            "eight timestamps with a large set of certificates",
            TIMESTAMPS,
            eight(certificates),
        ),
        (
            "eight timestamps with a large set of attributes",
            TIMESTAMPS,
            eight(attributes),
        ),
        (
            "eight timestamps with large sets in their content",
            TIMESTAMPS,
            eight(content),
        ),
        (
            "thirty thousand timestamps",
            TIMESTAMPS,
            timestamps(vec![Vec::new(); 30_000]),
        ),
    ]
}

fn log_entries(good: &Value) -> Vec<Shape> {
    let entry = good.pointer(ENTRY).cloned().unwrap_or_default();
    let note = good.pointer(CHECKPOINT).and_then(Value::as_str);
    let note = note.unwrap_or_default();
    let own_line = note.lines().last().unwrap_or_default();
    let signed_too_by = |lines: String| json!(note.replacen("\n\n", &format!("\n\n{lines}"), 1));
    vec![
        (
            "a checkpoint with 9,400 signatures",
            CHECKPOINT,
            signed_too_by(forged_line(own_line).repeat(9_400)),
        ),
        (
            "a checkpoint with 3,000 short signatures",
            CHECKPOINT,
            signed_too_by("— x AAAAAAA=\n".repeat(3_000)),
        ),
        (
            "a checkpoint with 15 forged signatures",
            CHECKPOINT,
            signed_too_by(forged_line(own_line).repeat(15)),
        ),
        (
            "a checkpoint of one huge line",
            CHECKPOINT,
            json!("x".repeat(HUGE)),
        ),
        (
            "a checkpoint of empty lines",
            CHECKPOINT,
            json!("\n".repeat(400_000)),
        ),
        (
            "three hundred log entries",
            ENTRIES,
            Value::Array(vec![entry; 300]),
        ),
        (
            "three hundred thousand hashes in an inclusion proof",
            HASHES,
            json!(vec![""; 300_000]),
        ),
        (
            "a huge hash in an inclusion proof",
            HASHES,
            json!([zeros()]),
        ),
        ("a huge body of a log entry", BODY, zeros()),
        ("a huge log ID", LOG_ID, zeros()),
        ("a huge number", LOG_INDEX, json!("1".repeat(HUGE))),
    ]
}

#[allow(
    clippy::indexing_slicing,
    reason = "assigning by a name puts the field there; the statement is one that the sandbox made"
)]
fn signed_content(good: &Value) -> Vec<Shape> {
    let deep = STANDARD.encode(format!("{{\"x\":{}", "[".repeat(HUGE)));
    vec![
        ("a huge signature", SIGNATURE, zeros()),
        (
            "ninety thousand signatures",
            SIGNATURES,
            json!(vec![json!({"sig": ""}); 90_000]),
        ),
        (
            "a payload that is one huge text",
            PAYLOAD,
            base64(&json!("x".repeat(HUGE))),
        ),
        ("a payload of nothing but depth", PAYLOAD, deep.into()),
        (
            "a statement about many subjects",
            PAYLOAD,
            statement(good, |statement| {
                if let Some(subject) = statement.pointer("/subject/0").cloned() {
                    statement["subject"] = Value::Array(vec![subject; 6_000]);
                }
            }),
        ),
        (
            "a statement with many annotations",
            PAYLOAD,
            statement(good, |statement| {
                let annotations = (0..40_000).map(|n| (n.to_string(), json!("x")));
                if let Some(Value::Object(subject)) = statement.pointer_mut("/subject/0") {
                    let annotations = Value::Object(annotations.collect());
                    subject.insert("annotations".into(), annotations);
                }
            }),
        ),
        (
            "a statement with a huge predicate",
            PAYLOAD,
            statement(good, |statement| {
                statement["predicate"] = json!(vec![0; 300_000]);
            }),
        ),
    ]
}

fn deep_field() -> String {
    format!("\"x\":{}{},", "[".repeat(500_000), "]".repeat(500_000))
}

fn many_fields() -> String {
    (0..60_000).map(|n| format!("\"x{n}\":{n},")).collect()
}

fn timestamps(tokens: Vec<Vec<u8>>) -> Value {
    let token = |der| json!({"signedTimestamp": STANDARD.encode(der)});
    Value::Array(tokens.into_iter().map(token).collect())
}

const CERTIFICATE: &str = "/verificationMaterial/certificate/rawBytes";
const TIMESTAMPS: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";
const ENTRIES: &str = "/verificationMaterial/tlogEntries";
const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
const BODY: &str = "/verificationMaterial/tlogEntries/0/canonicalizedBody";
const LOG_ID: &str = "/verificationMaterial/tlogEntries/0/logId/keyId";
const LOG_INDEX: &str = "/verificationMaterial/tlogEntries/0/logIndex";
const HASHES: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/hashes";
const CHECKPOINT: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
const SIGNATURES: &str = "/dsseEnvelope/signatures";
const SIGNATURE: &str = "/dsseEnvelope/signatures/0/sig";
const PAYLOAD: &str = "/dsseEnvelope/payload";

fn der(bytes: Vec<u8>) -> Value {
    STANDARD.encode(bytes).into()
}

fn base64(value: &Value) -> Value {
    STANDARD.encode(value.to_string()).into()
}

fn zeros() -> Value {
    der(vec![0; HUGE])
}

/// The payload of the good bundle after a change to its statement.
fn statement(good: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let payload = good.pointer(PAYLOAD).and_then(Value::as_str);
    let payload = STANDARD.decode(payload.unwrap_or_default());
    let mut statement = serde_json::from_slice(&payload.unwrap_or_default()).unwrap_or_default();
    change(&mut statement);
    base64(&statement)
}

/// A line of the log's own name and key, with a signature that doesn't hold.
fn forged_line(own: &str) -> String {
    let Some((name, signature)) = own.rsplit_once(' ') else {
        return String::new();
    };
    let mut signature = STANDARD.decode(signature).unwrap_or_default();
    if let Some(last) = signature.last_mut() {
        *last ^= 1;
    }
    format!("{name} {}\n", STANDARD.encode(signature))
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
const SHA256: [u8; 11] = [
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
];
const ECDSA_WITH_SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const SIGNED_DATA: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];
const TST_INFO: [u8; 13] = [
    0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];

/// DER of one value.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0);
    let length = length.get(significant.unwrap_or(length.len() - 1)..);
    let length = length.unwrap_or_default();
    let mut value = vec![tag];
    if content.len() > 0x7f {
        value.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
    }
    value.extend(length);
    value.extend(content);
    value
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn number(number: u32) -> Vec<u8> {
    tlv(INTEGER, &(number & 0x7fff_ffff | 0x4000_0000).to_be_bytes())
}

/// Elements up to this many bytes, the greatest first, which is the worst order for a sort by
/// insertion.
fn descending(bytes: usize, element: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let size = element(0).len().max(1);
    let count = u32::try_from(bytes / size).unwrap_or(u32::MAX);
    (0..count).rev().map(element).collect()
}

/// A certificate up to its issuer, whose name has sets of so many parts.
fn names(bytes: usize, in_one_set: usize) -> Vec<u8> {
    let parts = descending(bytes, |n| sequence(&[&COMMON_NAME, &number(n)]));
    let sets: Vec<u8> = parts
        .chunks(in_one_set)
        .flat_map(|parts| tlv(SET, &parts.concat()))
        .collect();
    let version = tlv(0xa0, &tlv(INTEGER, &[2]));
    let algorithm = sequence(&[&ECDSA_WITH_SHA256]);
    let tbs = sequence(&[&version, &number(1), &algorithm, &tlv(SEQUENCE, &sets)]);
    sequence(&[&tbs, &algorithm])
}

/// Sequences in sequences.
fn nested(bytes: usize) -> Vec<u8> {
    let mut value = Vec::new();
    while value.len() < bytes {
        value = tlv(SEQUENCE, &value);
    }
    value
}

/// A timestamp response around the parts of signed data that come after the version.
fn response(parts: &[&[u8]]) -> Vec<u8> {
    let signed = sequence(&[&tlv(INTEGER, &[3]), &parts.concat()]);
    let token = sequence(&[&SIGNED_DATA, &tlv(0xa0, &signed)]);
    sequence(&[&sequence(&[&tlv(INTEGER, &[0])]), &token])
}

fn no_content() -> Vec<u8> {
    sequence(&[&TST_INFO, &tlv(0xa0, &tlv(OCTET_STRING, &[]))])
}

/// Each of the following differs with `other`: timestamps must not repeat.
fn algorithms(bytes: usize, other: u32) -> Vec<u8> {
    let algorithms = descending(bytes, |n| sequence(&[&SHA256, &number(n << 3 | other)]));
    response(&[&tlv(SET, &algorithms.concat()), &no_content()])
}

fn certificates(bytes: usize, other: u32) -> Vec<u8> {
    let certificates = descending(bytes, |n| sequence(&[&number(n << 3 | other)]));
    let algorithms = tlv(SET, &sequence(&[&SHA256]));
    response(&[
        &algorithms,
        &no_content(),
        &tlv(0xa0, &certificates.concat()),
    ])
}

fn attributes(bytes: usize, other: u32) -> Vec<u8> {
    let values = descending(bytes, |n| number(n << 3 | other));
    let attribute = sequence(&[&SHA256, &tlv(SET, &values.concat())]);
    let algorithm = sequence(&[&SHA256]);
    let issuer = sequence(&[&tlv(SEQUENCE, &[]), &number(1)]);
    let signer = sequence(&[
        &tlv(INTEGER, &[1]),
        &issuer,
        &algorithm,
        &tlv(0xa0, &attribute),
        &algorithm,
        &tlv(OCTET_STRING, &[]),
    ]);
    response(&[&tlv(SET, &algorithm), &no_content(), &tlv(SET, &signer)])
}

/// The set lies in an octet string, in the name of the authority.
fn content(bytes: usize, other: u32) -> Vec<u8> {
    let parts = descending(bytes, |n| {
        sequence(&[&COMMON_NAME, &number(n << 3 | other)])
    });
    let name = tlv(SEQUENCE, &tlv(SET, &parts.concat()));
    let imprint = sequence(&[&sequence(&[&SHA256]), &tlv(OCTET_STRING, &[0; 32])]);
    let info = sequence(&[
        &tlv(INTEGER, &[1]),
        &COMMON_NAME,
        &imprint,
        &number(1),
        &tlv(0x18, b"20260101000000Z"),
        &tlv(0xa0, &tlv(0xa4, &name)),
    ]);
    let content = sequence(&[&TST_INFO, &tlv(0xa0, &tlv(OCTET_STRING, &info))]);
    response(&[&tlv(SET, &sequence(&[&SHA256])), &content, &tlv(SET, &[])])
}
