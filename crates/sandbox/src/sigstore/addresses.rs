//! Where the services are.

use url::Url;

/// The base URL of each service.
pub(super) struct Addresses {
    pub(super) oidc: Url,
    pub(super) fulcio: Url,
    pub(super) rekor_v1: Url,
    pub(super) rekor_v2: Url,
    pub(super) timestamp_authority: Url,
    pub(super) tuf: Url,
}

/// A URL without the slash at its end: clients append paths, and compare a log's URL with its
/// checkpoints' origin.
pub(super) fn base_url(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The host without its port, which is the checkpoint origin that sigstore-go expects of a log at
/// this URL.
pub(super) fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}
