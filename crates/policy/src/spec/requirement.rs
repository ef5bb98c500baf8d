//! The entries of `require`, as written.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::{filled, present};
use crate::forms;

/// The form of `require`: the proofs of which all must be there.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let attestation = generator.subschema_for::<AttestationSpec>();
    json_schema!({
        "type": "array",
        "items": { "oneOf": [{ "const": SIGNATURE }, attestation] },
        "minItems": 1,
        "uniqueItems": true,
    })
}

/// The word for a signature in `require`.
const SIGNATURE: &str = "signature";

/// One of the proofs in `require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementSpec {
    /// `signature`: a signature in the sense of cosign.
    Signature,
    /// An attestation.
    Attestation(AttestationSpec),
}

/// An attestation that must be there, and what it must say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Attestation", extend("required" = ["predicate_type"]))]
pub struct AttestationSpec {
    /// The type of the statement.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::text")]
    pub predicate_type: Option<String>,
    /// Rules on fields of the predicate: a field's JSON pointer with its value, or the pointer and `_regex` with
    /// a pattern for the whole value.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::predicate")]
    pub predicate: BTreeMap<String, String>,
    /// Rules on the claims of this attestation's certificate, in addition to those of the signer.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::claims")]
    pub claims: BTreeMap<String, String>,
    /// Annotations that this statement must have, in addition to the `annotations` beside `require`.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::annotations")]
    pub annotations: BTreeMap<String, String>,
}

impl Serialize for RequirementSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Signature => serializer.serialize_str(SIGNATURE),
            Self::Attestation(attestation) => attestation.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RequirementSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMapping;

        impl<'de> Visitor<'de> for WordOrMapping {
            type Value = RequirementSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`signature`, or a mapping with `predicate_type`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
                match word {
                    SIGNATURE => Ok(RequirementSpec::Signature),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                AttestationSpec::deserialize(MapAccessDeserializer::new(map))
                    .map(RequirementSpec::Attestation)
            }
        }

        deserializer.deserialize_any(WordOrMapping)
    }
}
