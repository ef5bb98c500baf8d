//! Bundles that a hostile registry could serve. Each has up to 1 MiB, and is made to cost a
//! careless reader as much time or memory as possible.
//!
//! Everything in a bundle is genuine except one thing, so that a reader gets as far as possible
//! before it refuses.

#![expect(
    clippy::expect_used,
    reason = "test only: a good bundle of another form would make hostile ones that are good"
)]

mod asn1;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::asn1::{algorithms, attributes, certificates, content, names, nested, with_names};

/// How many bytes of DER fill a bundle of 1 MiB in base64.
const HUGE: usize = 700_000;
/// How many bytes of DER are just under the limit of readers for a certificate or a timestamp.
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
    let value: Value = serde_json::from_str(good).expect("a bundle in JSON");
    let shapes = [
        certificates_and_timestamps(),
        genuine_timestamps(&value),
        log_entries(&value),
        signed_content(&value),
    ];
    let mut bundles: Vec<HostileBundle> = shapes
        .into_iter()
        .flatten()
        .map(|(name, pointer, changed)| {
            let mut bundle = value.clone();
            *bundle.pointer_mut(pointer).expect(pointer) = changed;
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

/// A name, a place in the bundle, and the value for that place.
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
            "a certificate whose name is of many sets",
            CERTIFICATE,
            der(names(LARGE, 60)),
        ),
        (
            "a certificate whose name is of many small sets",
            CERTIFICATE,
            der(names(LARGE, 16)),
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

/// Timestamps of a real authority, so that readers decode all of them. Each has one certificate
/// that the authority did not send.
fn genuine_timestamps(good: &Value) -> Vec<Shape> {
    let token = decoded(good, TIMESTAMP);
    let eight = |in_one_set| {
        let tokens = (0..8).map(|other| with_names(&token, in_one_set, other));
        timestamps(tokens.collect())
    };
    vec![
        (
            "eight genuine timestamps with certificates of many sets",
            TIMESTAMPS,
            eight(60),
        ),
        (
            "eight genuine timestamps with certificates of many small sets",
            TIMESTAMPS,
            eight(16),
        ),
    ]
}

fn log_entries(good: &Value) -> Vec<Shape> {
    let entry = good.pointer(ENTRY).expect(ENTRY).clone();
    let note = good.pointer(CHECKPOINT).and_then(Value::as_str);
    let note = note.expect(CHECKPOINT);
    let own_line = note.lines().last().expect("a signature of the log");
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
                let subject = statement.pointer("/subject/0").expect("a subject").clone();
                statement["subject"] = Value::Array(vec![subject; 6_000]);
            }),
        ),
        (
            "a statement with many annotations",
            PAYLOAD,
            statement(good, |statement| {
                let annotations = (0..40_000).map(|n| (n.to_string(), json!("x")));
                statement["subject"][0]["annotations"] = Value::Object(annotations.collect());
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
const TIMESTAMP: &str =
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
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

/// What the good bundle has in base64 at this place.
fn decoded(good: &Value, pointer: &str) -> Vec<u8> {
    let text = good.pointer(pointer).and_then(Value::as_str);
    STANDARD.decode(text.expect(pointer)).expect("base64")
}

/// The good bundle's payload, with a change to its statement.
fn statement(good: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let payload = decoded(good, PAYLOAD);
    let mut statement = serde_json::from_slice(&payload).expect("a statement in JSON");
    change(&mut statement);
    base64(&statement)
}

/// A line with the log's own name and key, and a wrong signature.
fn forged_line(own: &str) -> String {
    let (name, signature) = own.rsplit_once(' ').expect("a line of a signature");
    let mut signature = STANDARD.decode(signature).expect("base64");
    *signature.last_mut().expect("a signature") ^= 1;
    format!("{name} {}\n", STANDARD.encode(signature))
}
