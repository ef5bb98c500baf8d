//! Times and sizes in a configuration, and what counts without them.

use std::time::Duration;

use super::duration;
use crate::age::{self, Age};
use crate::error::Problem;

const DEADLINE: Duration = Duration::from_secs(8);
const CACHE_AGE: &str = "24h";
const NO_CACHE: &str = "none";
const LOG_BYTES: u64 = 10 << 20;
/// Room for a few lines.
pub(super) const LOG_BYTES_MIN: u64 = 64 << 10;

pub(super) fn deadline(text: Option<&str>) -> Result<Duration, Problem> {
    text.map_or(Ok(DEADLINE), duration::parse)
}

/// `None` keeps no signature.
pub(super) fn cache_age(text: Option<&str>) -> Result<Option<Age>, Problem> {
    match text.unwrap_or(CACHE_AGE) {
        NO_CACHE => Ok(None),
        text => age::parse(text).map(Some),
    }
}

pub(super) fn log_bytes(bytes: Option<u64>) -> Result<u64, Problem> {
    let bytes = bytes.unwrap_or(LOG_BYTES);
    if bytes < LOG_BYTES_MIN {
        return Err(Problem::Form {
            expected: format!("at least {LOG_BYTES_MIN}"),
            found: Some(format!("`{bytes}`")),
        });
    }
    Ok(bytes)
}
