//! JSON as Go writes it.

use serde::{Deserialize, Deserializer};

/// Reads `null` as an empty list or map. Go writes unset ones like this.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
