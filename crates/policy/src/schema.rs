//! The JSON Schema of policy files, for editors.
//!
//! Derived from the types that read a file ([`crate::spec`], [`crate::file`]): keys, forms and
//! descriptions have no second list. What the types of fields don't say is in [`crate::forms`]; here is
//! how the reader tells the shapes of a file apart.
//!
//! The schema helps a person write a file and never judges one. What it can't say is left to the
//! reader, which refuses it: patterns that don't compile, what is no name of a repository, two
//! galleries of one name, a gallery's misspelt `verification`.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::file::{DocumentSpec, GallerySpec, PolicyFile};
use crate::forms::required;
use crate::keys::DOCUMENT_KEYS;
use crate::spec::PolicySpec;

impl PolicyFile {
    /// The JSON Schema (draft 2020-12) of policy files: every shape that [`Self::parse`] reads, if
    /// there is a policy or a gallery in it.
    pub fn json_schema() -> Value {
        root_schema::<AnyShape>()
    }
}

/// The schema of what `T` reads.
pub(crate) fn root_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(RecursiveTransform(as_editors_show_it));
    let generator = settings.into_generator();
    generator.into_root_schema_for::<T>().into()
}

/// Editors keep the line breaks of a docstring, and would offer `null`, which the reader refuses
/// where a key is left empty.
fn as_editors_show_it(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// A policy file of any shape, told apart by the keys that the reader tells them apart by.
struct AnyShape;

impl JsonSchema for AnyShape {
    fn schema_name() -> Cow<'static, str> {
        "Countersign policy file".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who must have signed: a `verification` block, its keys at top level, \
                            a document with `galleries`, or a bare list of galleries.",
            "type": ["object", "array"],
            "if": { "type": "array" },
            "then": { "items": generator.subschema_for::<GallerySpec>(), "minItems": 1 },
            "else": {
                "if": { "anyOf": DOCUMENT_KEYS.map(required) },
                "then": generator.subschema_for::<DocumentSpec>(),
                "else": generator.subschema_for::<PolicySpec>(),
            },
        })
    }
}
