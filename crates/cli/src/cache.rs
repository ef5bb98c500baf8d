//! The cache of signatures, by arguments and environment.

use countersign_verify::{SignatureCache, Verifier};
use jiff::SignedDuration;

use crate::arguments::cache::CacheArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};

/// The verifier with the cache that the flags ask for, if they ask for one.
pub(crate) fn with_cache(
    verifier: Verifier,
    arguments: &CacheArguments,
    environment: &Environment,
) -> Result<Verifier, Failure> {
    let CacheArguments { cache, cache_dir } = arguments;
    let Some(age) = cache else {
        return Ok(verifier);
    };
    let own = || Some(environment.cache_directory()?.join("signatures"));
    let directory = cache_dir.clone().or_else(own).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "there is no directory for the cache of signatures: HOME is not set",
        )
        .hint("pass --cache-dir DIRECTORY, or set COUNTERSIGN_CACHE_DIR")
    })?;
    // An age that no clock can count is no bound.
    let age = SignedDuration::try_from(*age).unwrap_or(SignedDuration::MAX);
    Ok(verifier.with_cache(SignatureCache::new(directory, age)))
}
