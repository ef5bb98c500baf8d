//! The parts of the schema that can't be derived from the types: texts that may not be empty, pairs of keys of
//! which one must be there, the claims.
//!
//! Attributes of [`crate::spec`] and [`crate::file`] name these functions for `schemars`.

use countersign_oci::Algorithm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::age;
use crate::claims::{Claim, REGEX_SUFFIX};
use crate::format::SignatureFormat;
use crate::keys::{
    IDENTITY, IGNORE_TLOG, ISSUER, KEY, Pair, SIGNATURE_SOURCES_MAX, TIME_CONDITIONS,
};
use crate::predicate::POINTER_PATTERN;

/// A document has a policy or galleries, and not both.
pub(crate) fn verification_or_galleries(schema: &mut Schema) {
    let either = ["verification", "galleries"].map(required);
    schema.insert("oneOf".into(), json!(either));
}

/// A signer has `key`, or else one key of each pair.
pub(crate) fn one_of_each_pair(schema: &mut Schema) {
    let Value::Object(one) = key_or_pairs() else {
        return;
    };
    for (keyword, value) in one {
        schema.insert(keyword, value);
    }
}

/// With `key`, there is nothing that only a certificate has, and no time beside `ignore_tlog`. Without `key`, there
/// is one key of each pair, and no `ignore_tlog`.
fn key_or_pairs() -> Value {
    let says = "Log entries and timestamps are not read.";
    let ignored = json!({ "properties": { (IGNORE_TLOG): { "const": true, "description": says } }, "required": [IGNORE_TLOG] });
    let mut beside = pair_keys();
    beside.insert("claims".into(), json!(false));
    let pairs = [ISSUER, IDENTITY].map(|pair| one_of(&pair));
    json!({
        "if": required(KEY),
        "then": {
            "properties": beside,
            "if": ignored,
            "then": { "properties": none_of(&TIME_CONDITIONS) },
        },
        "else": { "allOf": pairs, "not": ignored },
    })
}

/// The keys of both pairs. None of them may be there.
fn pair_keys() -> Map<String, Value> {
    none_of(
        &[ISSUER, IDENTITY]
            .map(|pair| [pair.exact, pair.regex])
            .concat(),
    )
}

fn none_of(keys: &[&str]) -> Map<String, Value> {
    let none = |key: &&str| ((*key).to_owned(), json!(false));
    keys.iter().map(none).collect()
}

/// A policy has one signer, or `identities`. Beside `identities`, there is no key of one signer.
pub(crate) fn one_signer_or_identities(schema: &mut Schema) {
    let mut beside = pair_keys();
    beside.insert(KEY.into(), json!(false));
    beside.insert(
        IGNORE_TLOG.into(),
        json!({ "const": false, "description": "Belongs to one of the `identities`." }),
    );
    schema.insert("if".into(), required("identities"));
    schema.insert("then".into(), json!({ "properties": beside }));
    schema.insert("else".into(), key_or_pairs());
    let alone = json!({ "predicate_types": false, "predicate": false });
    let beside = json!({ "require": { "properties": alone } });
    schema.insert("dependentSchemas".into(), beside);
}

/// A trusted root is a file, or it comes from a TUF repository. Then the first root of the repository is there too.
pub(crate) fn one_form_of_trust(schema: &mut Schema) {
    let forms = ["trusted_root", "tuf_url"].map(required);
    schema.insert("oneOf".into(), json!(forms));
    let together = json!({ "tuf_url": ["tuf_root"], "tuf_root": ["tuf_url"] });
    schema.insert("dependentRequired".into(), together);
}

fn one_of(pair: &Pair) -> Value {
    json!({ "oneOf": [required(pair.exact), required(pair.regex)] })
}

pub(crate) fn required(key: &str) -> Value {
    json!({ "required": [key] })
}

/// A text that is not empty. A number or a boolean is read as the text that stands there.
pub(crate) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"], "pattern": r"\S" })
}

/// A text that is not empty, and no number.
pub(crate) fn string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"\S" })
}

/// A list of at least one text.
pub(crate) fn texts(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": text(generator), "minItems": 1 })
}

/// A list of at least one repository, and of no more than are searched.
pub(crate) fn signature_sources(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": text(generator),
        "minItems": 1,
        "maxItems": SIGNATURE_SOURCES_MAX,
    })
}

/// An RFC 3339 time.
pub(crate) fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// An age such as `24h`.
pub(crate) fn age(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": age::PATTERN })
}

/// An http or https URL.
pub(crate) fn url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "uri", "pattern": "^https?://" })
}

/// A list of at least one digest.
pub(crate) fn digests(_: &mut SchemaGenerator) -> Schema {
    let algorithms = [Algorithm::Sha256, Algorithm::Sha512];
    let forms =
        algorithms.map(|algorithm| format!("{algorithm}:[0-9a-f]{{{}}}", algorithm.hex_len()));
    let pattern = format!("^({})$", forms.join("|"));
    json_schema!({
        "type": "array",
        "items": { "type": "string", "pattern": pattern },
        "minItems": 1,
    })
}

/// A list of at least one signature format.
pub(crate) fn signature_formats(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "enum": SignatureFormat::ALL },
        "minItems": 1,
    })
}

/// At least one annotation. Neither its key nor its value is empty.
pub(crate) fn annotations(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": r"\S" },
        "additionalProperties": text(generator),
        "minProperties": 1,
    })
}

/// At least one rule on a field of a predicate. Its key is the JSON pointer of the field; `_regex` may follow.
pub(crate) fn predicate(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": POINTER_PATTERN },
        "additionalProperties": text(generator),
        "minProperties": 1,
    })
}

/// At least one rule on a claim. Its key is the claim's name; `_regex` may follow.
pub(crate) fn claims(generator: &mut SchemaGenerator) -> Schema {
    let descriptions = Claim::json_schema(generator);
    let mut properties = Map::new();
    let mut not_beside = Map::new();
    for claim in Claim::ALL {
        let mut exact = text(generator);
        if let Some(description) = description(&descriptions, claim) {
            exact.insert("description".into(), description.clone());
        }
        let mut pattern = text(generator);
        let says = format!("A pattern for the whole `{claim}`.");
        pattern.insert("description".into(), says.into());
        let pattern_key = format!("{claim}{REGEX_SUFFIX}");
        properties.insert(claim.to_string(), exact.into());
        properties.insert(pattern_key.clone(), pattern.into());
        let exact_key = json!({ "properties": { claim.as_str(): false } });
        not_beside.insert(pattern_key, exact_key);
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "dependentSchemas": not_beside,
    })
}

/// The description of `claim`, from the schema that is derived from all claims.
fn description(claims: &Schema, claim: Claim) -> Option<&Value> {
    let claims = claims.get("oneOf")?.as_array()?;
    let named = |schema: &&Value| {
        schema
            .get("const")
            .is_some_and(|name| name == claim.as_str())
    };
    claims.iter().find(named)?.get("description")
}
