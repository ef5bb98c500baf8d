//! The services themselves, without their servers.

use jiff::Timestamp;

use super::SigstoreError;
use super::fulcio::Fulcio;
use super::oidc::OidcIssuer;
use super::rekor_v1::RekorV1;

/// The hosts (`127.0.0.1:port`) at which services say they are.
pub(super) struct Hosts<'a> {
    pub(super) oidc: &'a str,
    pub(super) rekor_v1: &'a str,
}

/// Every service's state.
pub(super) struct Services {
    pub(super) oidc: OidcIssuer,
    pub(super) fulcio: Fulcio,
    pub(super) rekor_v1: RekorV1,
}

impl Services {
    /// New keys, empty logs.
    pub(super) fn generate(hosts: &Hosts<'_>, now: Timestamp) -> Result<Self, SigstoreError> {
        Ok(Self {
            oidc: OidcIssuer::generate(format!("http://{}", hosts.oidc))?,
            fulcio: Fulcio::generate(now)?,
            rekor_v1: RekorV1::generate(hosts.rekor_v1.to_owned(), now)?,
        })
    }
}
