//! The cache of signatures, by arguments and environment.

use countersign_verify::SignatureCache;
use jiff::SignedDuration;

use crate::arguments::cache::CacheArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::output::Output;

/// The cache that the flags ask for, if they ask for one.
pub(crate) fn signature_cache(
    arguments: &CacheArguments,
    environment: &Environment,
) -> Result<Option<SignatureCache>, Failure> {
    let CacheArguments { cache, cache_dir } = arguments;
    let Some(age) = cache else {
        return Ok(None);
    };
    let own = || Some(environment.cache_directory()?.join("signatures"));
    let directory = cache_dir.clone().or_else(own).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "there is no directory for the cache of signatures: HOME is not set",
        )
        .hint("pass --cache-dir DIRECTORY, or set COUNTERSIGN_CACHE_DIR")
    })?;
    // An age that is too long for the clock is no limit.
    let age = SignedDuration::try_from(*age).unwrap_or(SignedDuration::MAX);
    Ok(Some(SignatureCache::new(directory, age)))
}

/// Warns once of a cache that can't be written. `what` is kept there.
pub(crate) fn warn(output: &Output, what: &str, trouble: Option<&str>) {
    if let Some(trouble) = trouble {
        output.warning(&format!("{what} are not cached: {trouble}"));
    }
}
