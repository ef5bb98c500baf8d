//! `trust`, as written.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::present;
use crate::forms;
use crate::instance::SigstoreInstance;

/// The form of `trust`: the name of an instance, or where its trusted root is.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let files = generator.subschema_for::<TrustFilesSpec>();
    let names = SigstoreInstance::ALL.map(SigstoreInstance::name);
    json_schema!({ "oneOf": [{ "enum": names }, files] })
}

/// Where the trusted root comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustSpec {
    /// From an instance that has a name: `public-good` or `github`.
    Instance(SigstoreInstance),
    /// From files, or from a TUF repository with its initial root.
    Files(TrustFilesSpec),
}

/// Where the trusted root comes from: a file, or a TUF repository with its initial root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Trust", transform = forms::one_form_of_trust)]
pub struct TrustFilesSpec {
    /// A `trusted_root.json`. It may have several trusted roots, one a line.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::text")]
    pub trusted_root: Option<String>,
    /// A TUF repository's URL; needs `tuf_root`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::url")]
    pub tuf_url: Option<String>,
    /// The initial `root.json` of that repository.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::text")]
    pub tuf_root: Option<String>,
}

impl Serialize for TrustSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Instance(instance) => serializer.serialize_str(instance.name()),
            Self::Files(files) => files.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TrustSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMapping;

        impl<'de> Visitor<'de> for NameOrMapping {
            type Value = TrustSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "`public-good`, `github`, or a mapping with `trusted_root` or `tuf_url`",
                )
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
                SigstoreInstance::named(name)
                    .map(TrustSpec::Instance)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(name), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                TrustFilesSpec::deserialize(MapAccessDeserializer::new(map)).map(TrustSpec::Files)
            }
        }

        deserializer.deserialize_any(NameOrMapping)
    }
}
