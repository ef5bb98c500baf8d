//! The predicate of a statement: its bytes, and its value where all readers read the same one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use countersign_oci::excerpt;

use crate::failure::{Failure, MalformedPart};

/// A predicate. No key is twice in any of its objects: some readers take the first value, others the last.
#[derive(Debug)]
pub(crate) struct Predicate {
    json: Box<RawValue>,
    value: Value,
}

impl Predicate {
    /// Reads a predicate. One that is left out is an empty object (in-toto Statement v1).
    ///
    /// # Errors
    /// [`Failure::Malformed`] if a key is twice in an object, or the predicate is nested too deeply.
    pub(crate) fn new(json: Option<Box<RawValue>>) -> Result<Self, Failure> {
        let malformed = |error: serde_json::Error| Failure::Malformed {
            part: MalformedPart::Predicate,
            detail: excerpt(&error.to_string()),
        };
        let json = match json {
            Some(json) => json,
            None => serde_json::value::to_raw_value(&Map::new()).map_err(malformed)?,
        };
        let Unrepeated(value) = serde_json::from_str(json.get()).map_err(malformed)?;
        Ok(Self { json, value })
    }

    /// The value, for rules on its fields.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The JSON, byte for byte as it was signed.
    pub(crate) fn json(&self) -> &RawValue {
        &self.json
    }
}

/// A value without repeated keys.
struct Unrepeated(Value);

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unrepeating).map(Self)
    }
}

struct Unrepeating;

impl<'de> Visitor<'de> for Unrepeating {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unrepeated(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Unrepeated(value))) = map.next_entry::<String, _>()? {
            if fields.contains_key(&key) {
                let key = excerpt(&key);
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            fields.insert(key, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &str) -> Result<Value, String> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        match Predicate::new(Some(raw)) {
            Ok(predicate) => {
                let value = predicate.value().clone();
                assert_eq!(predicate.json().get(), json);
                Ok(value)
            }
            Err(Failure::Malformed {
                part: MalformedPart::Predicate,
                detail,
            }) => Err(detail),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_predicate_is_read_as_serde_json_reads_it() {
        let all = r#"{"a" : [null, true, -1, 18446744073709551615, 1.5e3, "x\n"], "b": {"a": {}}}"#;
        assert_eq!(read(all), Ok(serde_json::from_str(all).unwrap()));
        assert_eq!(Predicate::new(None).unwrap().value(), &json!({}));
    }

    #[test]
    fn a_key_that_is_twice_in_an_object_is_refused_wherever_it_is() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":[{"c":{"a":1,"b":2,"a":3}}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let detail = read(json).unwrap_err();
            assert!(detail.starts_with("the key `a` is there twice"), "{detail}");
        }
        assert!(read(r#"{"a":{"a":1},"A":2}"#).is_ok());
    }

    #[test]
    fn deep_json_is_refused() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(read(&deep(100)).is_ok());
            for depth in [130, 200_000] {
                let detail = read(&deep(depth)).unwrap_err();
                assert!(detail.starts_with("recursion limit exceeded"), "{detail}");
            }
        }
    }
}
