//! Values of a policy that several checks read, and the error about one.

use countersign_oci::Digest;
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

/// An entry of `deny_digests`.
pub(super) fn denied(text: &str) -> Result<Digest, Problem> {
    text.parse::<Digest>()
        .map_err(|error| match text.rsplit_once('@') {
            Some((_, digest)) if digest.parse::<Digest>().is_ok() => Problem::Form {
                expected: format!("the digest alone, {digest}"),
                found: Some(format!("`{text}`")),
            },
            _ => Problem::Digest(error),
        })
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
