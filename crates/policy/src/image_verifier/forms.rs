//! What the types that read the configuration don't say of its schema.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{Mode, Unmatched, duration};
use crate::forms::{required, texts};
use crate::instance::SigstoreInstance;

/// A trusted root comes from one place, and decisions go to one.
pub(super) fn one_of_each(schema: &mut Schema) {
    let pairs = super::EXCLUSIVE.map(|keys| json!({ "required": keys }));
    schema.insert("not".into(), json!({ "anyOf": pairs }));
}

/// A rule says who must have signed, or that nobody has to.
pub(super) fn one_answer(schema: &mut Schema) {
    let answers = ["verification", "allow"].map(required);
    schema.insert("oneOf".into(), json!(answers));
    let together = json!({ "allow": ["reason"], "reason": ["allow"] });
    schema.insert("dependentRequired".into(), together);
}

pub(super) fn unmatched(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Unmatched::ALL.map(Unmatched::as_str) })
}

pub(super) fn instance(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": SigstoreInstance::ALL.map(SigstoreInstance::name) })
}

pub(super) fn mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Mode::ALL.map(Mode::as_str) })
}

pub(super) fn deadline(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": duration::PATTERN })
}

pub(super) fn cache_age(_: &mut SchemaGenerator) -> Schema {
    let pattern = format!("^none$|{}", crate::age::PATTERN);
    json_schema!({ "type": "string", "pattern": pattern })
}

pub(super) fn log_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": super::values::LOG_BYTES_MIN })
}

pub(super) fn yes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": true })
}

pub(super) fn mirrors(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": texts(generator),
        "minProperties": 1,
    })
}
