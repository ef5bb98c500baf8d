//! The time in which each authority of a trusted root can issue certificates or timestamps.
//!
//! `sigstore-verify` uses certificates of an authority's chain as trust anchors: all of a certificate
//! authority's, the last of a timestamp authority's. Path validation does not check the validity of an anchor
//! (RFC 5280, section 6.1.1, d). So an authority could continue after its own certificate has ended
//! (CVE-2026-24122). To prevent that, its time in the trusted root is limited to the validity of its whole
//! chain.

use jiff::Timestamp;
use sigstore_trust_root::TimeRange;
use sigstore_types::DerCertificate;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// Limits the time of each authority to the validity of its certificates. `parts` returns an authority's chain
/// and time. If its certificates are never valid at the same time, the authority is left out.
///
/// # Errors
/// If a certificate can't be read.
pub(super) fn narrow<A>(
    authorities: &mut Vec<A>,
    parts: fn(&mut A) -> (Vec<DerCertificate>, &mut Option<TimeRange>),
) -> Result<(), x509_cert::der::Error> {
    for mut authority in std::mem::take(authorities) {
        let (chain, window) = parts(&mut authority);
        if let Some(narrower) = narrowed(*window, &chain)? {
            *window = Some(narrower);
            authorities.push(authority);
        }
    }
    Ok(())
}

/// The part of `window` in which every certificate of `chain` is valid. `Ok(None)` if there is no such time.
///
/// # Errors
/// If a certificate can't be read.
fn narrowed(
    window: Option<TimeRange>,
    chain: &[DerCertificate],
) -> Result<Option<TimeRange>, x509_cert::der::Error> {
    let mut start = window.map_or(Timestamp::MIN, |window| window.start);
    let mut end = window
        .and_then(|window| window.end)
        .unwrap_or(Timestamp::MAX);
    for certificate in chain {
        let certificate = Certificate::from_der(certificate.as_bytes())?;
        let validity = certificate.tbs_certificate.validity;
        start = start.max(moment(validity.not_before));
        end = end.min(moment(validity.not_after));
    }
    Ok((start <= end).then(|| TimeRange::new(start, Some(end))))
}

/// RFC 5280 writes "no end" as the last second of the year 9999. That is later than [`Timestamp::MAX`].
fn moment(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs());
    let moment = seconds
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.unwrap_or(Timestamp::MAX)
}
