//! A time in whole seconds: `8s`.

use std::time::Duration;

use crate::age::in_units;
use crate::error::Problem;

/// The form, for the schema: what [`parse`] reads, and nothing else.
pub(super) const PATTERN: &str = "^[1-9][0-9]{0,2}s$";

const MAX_DIGITS: usize = 3;

/// The time that `text` says.
///
/// # Errors
///
/// [`Problem::Form`] for any other text.
pub(super) fn parse(text: &str) -> Result<Duration, Problem> {
    let seconds = in_units(text, &[("s", 1)], MAX_DIGITS);
    match seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(Problem::Form {
            expected: "a time in seconds such as 8s".into(),
            found: Some(format!("`{text}`")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_seconds_are_read() {
        assert_eq!(parse("8s").unwrap(), Duration::from_secs(8));
        assert_eq!(parse("999s").unwrap(), Duration::from_secs(999));
        for text in [
            "", "s", "8", "0s", "08s", "+8s", "8 s", "1m", "8.5s", "1000s", "٣s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
