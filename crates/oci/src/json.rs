//! JSON as Go writes it, and as Go reads it: an object is not an array.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads `null` as an empty list or map. Go writes unset ones like this.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads the list of an index and passes its entries on, one by one. Read as a whole, 4 MiB of JSON could need
/// hundreds of MiB of memory. Go writes an empty list as `null`.
///
/// # Errors
/// If there is no list, and at the first entry for which `take` says why it goes no further.
pub(crate) fn each_listed<'de, D: Deserializer<'de>>(
    deserializer: D,
    take: impl FnMut(&RawValue) -> Result<(), &'static str>,
) -> Result<(), D::Error> {
    struct Entries<F>(F);

    impl<'de, F> Visitor<'de> for Entries<F>
    where
        F: FnMut(&RawValue) -> Result<(), &'static str>,
    {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of descriptors")
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
            while let Some(entry) = entries.next_element::<Box<RawValue>>()? {
                (self.0)(&entry).map_err(A::Error::custom)?;
            }
            Ok(())
        }
    }

    deserializer.deserialize_any(Entries(take))
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
