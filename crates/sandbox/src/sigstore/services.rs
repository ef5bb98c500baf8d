//! The services themselves, without their servers.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::addresses::{Addresses, base_url, host};
use super::fulcio::Fulcio;
use super::oidc::OidcIssuer;
use super::rekor_v1::RekorV1;
use super::rekor_v2::RekorV2;
use super::trust::{signing_config, trusted_root};
use super::tsa::TimestampAuthority;
use super::tuf::TufRepository;
use super::{RekorVersion, SigstoreError};

/// Every service's state.
pub(super) struct Services {
    pub(super) addresses: Addresses,
    pub(super) oidc: OidcIssuer,
    pub(super) fulcio: Fulcio,
    pub(super) rekor_v1: RekorV1,
    pub(super) rekor_v2: RekorV2,
    pub(super) timestamp_authority: TimestampAuthority,
    pub(super) tuf: TufRepository,
    /// The trusted root, protobuf-specs JSON.
    pub(super) trusted_root: String,
    /// Seconds by which the services' clock is ahead of this machine's.
    ahead: AtomicI64,
}

impl Services {
    /// New keys, and logs that hold nothing but their seeds.
    pub(super) fn generate(addresses: Addresses, now: Timestamp) -> Result<Self, SigstoreError> {
        let oidc = OidcIssuer::generate(base_url(&addresses.oidc).to_owned())?;
        let fulcio = Fulcio::generate(now)?;
        let rekor_v1 = RekorV1::generate(host(&addresses.rekor_v1).to_owned(), now)?;
        let rekor_v2 = RekorV2::generate(host(&addresses.rekor_v2).to_owned())?;
        let timestamp_authority = TimestampAuthority::generate(now)?;
        let trusted_root = trusted_root(
            &addresses,
            &fulcio,
            &rekor_v1,
            &rekor_v2,
            &timestamp_authority,
        )?
        .to_string();
        let (since, _) = fulcio.authority().authority().validity();
        // Like the public instance's, the published signing config names Rekor v1.
        let config = signing_config(&addresses, RekorVersion::V1, since).to_string();
        let targets = [
            ("trusted_root.json", trusted_root.clone().into_bytes()),
            ("signing_config.v0.2.json", config.into_bytes()),
        ];
        Ok(Self {
            tuf: TufRepository::generate(&targets, now)?,
            addresses,
            oidc,
            fulcio,
            rekor_v1,
            rekor_v2,
            timestamp_authority,
            trusted_root,
            ahead: AtomicI64::new(0),
        })
    }

    /// The time by the services' clock.
    pub(super) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        Timestamp::now() + ahead
    }

    pub(super) fn set_ahead(&self, ahead: SignedDuration) {
        self.ahead.store(ahead.as_secs(), Ordering::Relaxed);
    }
}
