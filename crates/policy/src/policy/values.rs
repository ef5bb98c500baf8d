//! Values of a policy that several checks read, and the error about one.

use jiff::Timestamp;

use crate::error::{KeyPath, Place, PolicyError, Problem};
use crate::timestamp;

/// The time in `not_before`, if there is one.
pub(super) fn instant(
    text: Option<&str>,
    path: &KeyPath,
) -> Result<Option<Timestamp>, PolicyError> {
    let path = path.key("not_before");
    text.map(|text| {
        non_empty(text, "an RFC 3339 time", &path)?;
        timestamp::parse(text).map_err(|problem| at(path.clone(), problem))
    })
    .transpose()
}

/// Refuses a text of blanks alone.
pub(super) fn non_empty(
    text: &str,
    expected: &'static str,
    path: &KeyPath,
) -> Result<(), PolicyError> {
    if text.trim().is_empty() {
        return Err(at(path.clone(), Problem::Empty { expected }));
    }
    Ok(())
}

/// A problem at these keys.
pub(super) fn at(path: KeyPath, problem: Problem) -> PolicyError {
    PolicyError::new(
        Place {
            path,
            ..Place::default()
        },
        problem,
    )
}
