//! What a trusted root has, for whoever wants to see it. Nothing is judged by it.

use jiff::Timestamp;
use sigstore_trust_root::{
    CertificateAuthority, CertificateTransparencyLog, PublicKeyDetails, TimeRange,
    TimestampAuthority, TransparencyLog, TrustedRoot,
};
use sigstore_types::LogId;

use super::keys::UnusableKeys;

/// What one trusted root has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDescription {
    /// Who issues certificates (Fulcio).
    pub certificate_authorities: Vec<AuthorityDescription>,
    /// Where certificates are logged. If empty, they need not be.
    pub certificate_logs: Vec<LogDescription>,
    /// Where signatures are logged (Rekor). If empty, a signature needs a timestamp instead.
    pub transparency_logs: Vec<LogDescription>,
    /// Who issues timestamps (RFC 3161).
    pub timestamp_authorities: Vec<AuthorityDescription>,
}

/// An authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityDescription {
    /// Its URL, as the root has it.
    pub url: Option<String>,
    /// Its organisation, as the root has it.
    pub organization: Option<String>,
    /// When it counts: the part of the root's time in which all its certificates are valid.
    pub validity: Validity,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDescription {
    /// Its URL.
    pub url: String,
    /// Its ID, in hex.
    pub id: String,
    /// The kind of its key, as the root names it.
    pub key: String,
    /// Whether a signature by that kind of key can be checked. If not, what needs this log is refused.
    pub supported: bool,
    /// When its key counts.
    pub validity: Validity,
}

/// When something counts, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, if there is such a bound.
    pub from: Option<Timestamp>,
    /// The last moment, if there is such a bound.
    pub until: Option<Timestamp>,
}

/// One metadata file of a TUF repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TufMetadata {
    /// `root`, `timestamp`, `snapshot` or `targets`.
    pub role: &'static str,
    /// Its version.
    pub version: u64,
    /// From when it is no longer valid.
    pub expires: Timestamp,
}

impl RootDescription {
    pub(super) fn of(root: &TrustedRoot, unusable: &UnusableKeys) -> Self {
        let TrustedRoot {
            certificate_authorities,
            ctlogs,
            tlogs,
            timestamp_authorities,
            ..
        } = root;
        let of_ca = |CertificateAuthority {
                         uri,
                         subject,
                         valid_for,
                         ..
                     }: &CertificateAuthority| {
            AuthorityDescription {
                url: Some(uri.clone()).filter(|uri| !uri.is_empty()),
                organization: subject.organization.clone(),
                validity: Validity::of(*valid_for),
            }
        };
        let of_tsa = |TimestampAuthority {
                          uri,
                          subject,
                          valid_for,
                          ..
                      }: &TimestampAuthority| {
            AuthorityDescription {
                url: uri.clone().filter(|uri| !uri.is_empty()),
                organization: subject.organization.clone(),
                validity: Validity::of(*valid_for),
            }
        };
        let of_certificate_log = |log: &CertificateTransparencyLog| {
            let supported = !unusable
                .certificate_logs
                .contains_key(log.log_id.key_id.as_bytes());
            let key = (&log.public_key.key_details, log.public_key.valid_for);
            LogDescription::of(&log.base_url, &log.log_id, key, supported)
        };
        let of_log = |log: &TransparencyLog| {
            let supported = !unusable.logs.contains_key(log.log_id.key_id.as_bytes());
            let key = (&log.public_key.key_details, log.public_key.valid_for);
            LogDescription::of(&log.base_url, &log.log_id, key, supported)
        };
        Self {
            certificate_authorities: certificate_authorities.iter().map(of_ca).collect(),
            certificate_logs: ctlogs.iter().map(of_certificate_log).collect(),
            transparency_logs: tlogs.iter().map(of_log).collect(),
            timestamp_authorities: timestamp_authorities.iter().map(of_tsa).collect(),
        }
    }
}

impl LogDescription {
    fn of(
        url: &str,
        id: &LogId,
        (kind, time): (&PublicKeyDetails, Option<TimeRange>),
        supported: bool,
    ) -> Self {
        Self {
            url: url.to_owned(),
            id: hex::encode(id.key_id.as_bytes()),
            key: kind.to_string(),
            supported,
            validity: Validity::of(time),
        }
    }
}

impl Validity {
    fn of(range: Option<TimeRange>) -> Self {
        // Where an authority has no bound, the first and the last time that can be written stand in its place.
        Self {
            from: range
                .map(|range| range.start)
                .filter(|start| *start > Timestamp::MIN),
            until: range
                .and_then(|range| range.end)
                .filter(|end| *end < Timestamp::MAX),
        }
    }
}
