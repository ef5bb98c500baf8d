//! Why a header can't be read.

use crate::excerpt::printable;

/// Why a header of a tar archive can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The checksum.
    #[error("a header's checksum is wrong: expected {expected}, found {found}")]
    Checksum {
        /// The sum of the header's bytes.
        expected: i64,
        /// The sum that the header states.
        found: i64,
    },
    /// A field that isn't what it should be.
    #[error("the {field} in a header is malformed: expected {expected}, found `{found}`")]
    Header {
        /// Which field.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A PAX or GNU extension header that doesn't follow its format, or contradicts another header.
    #[error("an extension header is malformed: expected {expected}, found `{found}`")]
    Extension {
        /// What should have been there.
        expected: &'static str,
        /// What was.
        found: String,
    },
}

/// Bytes of an archive for an error message: printable, and the first 200 characters.
pub(crate) fn display(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let first: String = text.chars().take(SHOWN).collect();
    let mut shown = printable(&first);
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
