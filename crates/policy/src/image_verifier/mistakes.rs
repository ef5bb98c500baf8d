//! Everything that is wrong with such a file.

use super::ImageVerifierConfig;
use crate::error::PolicyError;
use crate::mistakes::mistakes;
use crate::policy::KeyReader;

impl ImageVerifierConfig {
    /// Everything that is wrong with a text, in the order of the file: at most 50 mistakes, and none if
    /// [`parse_with_keys`](Self::parse_with_keys) reads it.
    pub fn mistakes(text: &str, file_name: &str, read_key: KeyReader<'_>) -> Vec<PolicyError> {
        mistakes(text, file_name, |text| {
            Self::parse_with_keys(text, file_name, read_key).map(drop)
        })
    }
}
