//! The limits of one verification.

use std::time::Duration;

use countersign_oci::ResolvedImage;
use countersign_policy::SIGNATURE_SOURCES_MAX;

use crate::error::Error;

/// Limits of one verification.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The most candidates fetched for one image, in all repositories together: referrers, and the legacy
    /// signatures that a manifest has many of. Default 64.
    pub candidates: usize,
    /// The most bytes of one bundle. Default 1 MiB.
    pub bundle_bytes: u64,
    /// The most referrers fetched at the same time. Default 6.
    pub concurrency: usize,
    /// The most repositories of [`signature_sources`](countersign_policy::Policy::signature_sources) that are searched,
    /// besides the image's own. Default [`SIGNATURE_SOURCES_MAX`]: a policy has no more.
    pub signature_sources: usize,
    /// The longest time of one verification. Each request has its own time limits, but with many slow
    /// requests a hostile registry could take hours. Default 5 minutes.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            candidates: 64,
            bundle_bytes: 1 << 20,
            concurrency: 6,
            signature_sources: SIGNATURE_SOURCES_MAX,
            total: Duration::from_secs(5 * 60),
        }
    }
}

/// What `verifying` makes of the image, if it ends within `limit`.
///
/// # Errors
/// [`Error::Late`], and those of `verifying`.
pub(crate) async fn in_time<T>(
    limit: Duration,
    image: &ResolvedImage,
    verifying: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // On the heap: whoever waits for it would have all of it on the stack.
    match tokio::time::timeout(limit, Box::pin(verifying)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Late {
            image: image.reference().clone(),
            limit,
        }),
    }
}
