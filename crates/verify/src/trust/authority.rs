//! When the authorities of a trusted root can have certified anything.
//!
//! `sigstore-verify` takes every certificate of an authority's chain for a trust anchor, and an
//! anchor's own validity is no part of path validation (RFC 5280, section 6.1.1, d): an authority
//! would go on certifying after its own certificate has ended (CVE-2026-24122). So the window that
//! the trusted root gives it is narrowed to the validity of its whole chain.

use jiff::Timestamp;
use sigstore_trust_root::TimeRange;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// The part of `window` in which every certificate of `chain` (DER) is valid. `Ok(None)` when there is no
/// such time: then the authority certifies nothing.
///
/// # Errors
/// When one of them is not a certificate.
pub(super) fn narrowed<'a>(
    window: Option<TimeRange>,
    chain: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<TimeRange>, x509_cert::der::Error> {
    let mut start = window.map_or(Timestamp::MIN, |window| window.start);
    let mut end = window
        .and_then(|window| window.end)
        .unwrap_or(Timestamp::MAX);
    for certificate in chain {
        let certificate = Certificate::from_der(certificate)?;
        let validity = certificate.tbs_certificate.validity;
        start = start.max(moment(validity.not_before));
        end = end.min(moment(validity.not_after));
    }
    Ok((start <= end).then(|| TimeRange::new(start, Some(end))))
}

/// RFC 5280 writes "no end" as the last second of the year 9999, which is past our last.
fn moment(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs());
    let moment = seconds
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.unwrap_or(Timestamp::MAX)
}
