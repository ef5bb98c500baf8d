//! JSON as Go writes it, and as Go reads it: an object is not an array.

use serde::{Deserialize, Deserializer};

/// Reads `null` as an empty list or map. Go writes unset ones like this.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads these types from a JSON object alone.
///
/// What serde derives also takes an array of the values, in the order of the fields in our source. Go's readers and
/// protobuf's refuse that, and what others refuse is refused here. Each type has `#[serde(remote = "Self")]`, by which
/// the derived function becomes one of its own, and no `Deserialize`.
#[doc(hidden)]
#[macro_export]
macro_rules! from_object_alone {
    ($($type:ident),+ $(,)?) => {$(
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                struct Object;

                impl<'de> ::serde::de::Visitor<'de> for Object {
                    type Value = $type;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> ::std::result::Result<$type, A::Error> {
                        // The type's own function, which comes before the trait's.
                        $type::deserialize(::serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(Object)
            }
        }
    )+};
}

/// Writes these types as serde derives it. With `#[serde(remote = "Self")]`, that is a function of the type's own too.
macro_rules! written_as_derived {
    ($($type:ident),+ $(,)?) => {$(
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        }
    )+};
}

pub(crate) use written_as_derived;
