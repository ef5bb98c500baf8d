//! Values in a bundle, each of which has one way to be written.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bundle::at_most_bytes;
use crate::failure::{Failure, MalformedPart};

/// Bytes in base64.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Base64(String);

impl Base64 {
    /// Checks the size first, then the form. Protobuf's JSON allows readers to accept other alphabets and
    /// missing padding. Then the same bytes could be written in several ways. No writer does that.
    pub(super) fn check(&self, what: &'static str, limit: usize) -> Result<(), Failure> {
        let text = &self.0;
        let padding = text.len() - text.trim_end_matches('=').len();
        let found = (text.len() / 4 * 3).saturating_sub(padding);
        at_most_bytes(what, limit, found)?;
        self.decode(what).map(drop)
    }

    /// The bytes. [`check`](Self::check) has measured them before.
    pub(super) fn decode(&self, what: &'static str) -> Result<Vec<u8>, Failure> {
        decode(&self.0, what)
    }
}

/// Decodes base64 of the standard alphabet, with padding.
pub(crate) fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, Failure> {
    BASE64.decode(text).map_err(|error| Failure::Malformed {
        part: MalformedPart::Bundle,
        detail: format!("expected {what} in base64 (standard alphabet, padded): {error}"),
    })
}

/// A number that is not negative. Protobuf's JSON writes it as a string of digits. `sigstore-types` reads
/// its value; here only its form is checked, so that there is one way to write it.
pub(super) struct Number;

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number without sign and leading zeros")
            }

            fn visit_u64<E>(self, _: u64) -> Result<Number, E> {
                Ok(Number)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                let canonical = |number: u64| number.to_string() == text;
                match text.parse().ok().filter(|number| canonical(*number)) {
                    Some(_) => Ok(Number),
                    None => Err(E::invalid_value(Unexpected::Other("other text"), &self)),
                }
            }
        }

        deserializer.deserialize_any(Digits)
    }
}

/// A list. All entries are counted, and at most `MAX` of them are kept.
pub(super) struct Items<T, const MAX: usize> {
    kept: Vec<T>,
    count: usize,
}

impl<T, const MAX: usize> Items<T, MAX> {
    /// All entries, if there are not more than `MAX`.
    pub(super) fn at_most(&self, what: &'static str) -> Result<&[T], Failure> {
        if self.count > MAX {
            return Err(Failure::TooMany {
                what,
                limit: MAX,
                found: self.count,
            });
        }
        Ok(&self.kept)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Items<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting<T, const MAX: usize>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Counting<T, MAX> {
            type Value = Items<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Items {
                    kept: Vec::new(),
                    count: 0,
                };
                while items.count < MAX {
                    let Some(item) = seq.next_element()? else {
                        return Ok(items);
                    };
                    items.kept.push(item);
                    items.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    items.count += 1;
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(Counting(std::marker::PhantomData))
    }
}
