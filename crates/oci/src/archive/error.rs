//! Why a header can't be read.

use crate::excerpt::printable_start;

/// Why a header of a tar archive can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The checksum is wrong.
    #[error("a header's checksum is wrong: expected {expected}, found {found}")]
    Checksum {
        /// The sum of the header's bytes.
        expected: i64,
        /// The sum in the header.
        found: i64,
    },
    /// A field has the wrong form.
    #[error("the {field} in a header is malformed: expected {expected}, found `{found}`")]
    Header {
        /// Which field.
        field: &'static str,
        /// The form that it should have.
        expected: &'static str,
        /// Its content.
        found: String,
    },
    /// A PAX or GNU extension header is malformed, or contradicts another header.
    #[error("an extension header is malformed: expected {expected}, found `{found}`")]
    Extension {
        /// The form that it should have.
        expected: &'static str,
        /// Its content.
        found: String,
    },
}

/// Bytes of an archive for an error message: at most 200 characters, lossily decoded and escaped as by
/// [`printable`](crate::printable()), then an ellipsis.
#[must_use]
pub fn display(bytes: &[u8]) -> String {
    printable_start(&String::from_utf8_lossy(bytes))
}
