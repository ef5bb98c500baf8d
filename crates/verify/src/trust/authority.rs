//! When the authorities of a trusted root can have certified or stamped anything.
//!
//! `sigstore-verify` takes certificates of an authority's chain for trust anchors: each of a
//! certificate authority's, the last of a timestamp authority's. An anchor's own validity is no part
//! of path validation (RFC 5280, section 6.1.1, d): an authority would go on after its own
//! certificate has ended (CVE-2026-24122). So the window that the trusted root gives it is narrowed
//! to the validity of its whole chain.

use jiff::Timestamp;
use sigstore_trust_root::TimeRange;
use sigstore_types::DerCertificate;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// Narrows the window of each authority, whose chain and window `parts` gives, to the validity of
/// its certificates. One that is never valid as a whole is left out.
///
/// # Errors
/// When a certificate is not one.
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

/// The part of `window` in which every certificate of `chain` is valid. `Ok(None)` when there is no
/// such time: then the authority certifies nothing.
///
/// # Errors
/// When one of them is not a certificate.
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

/// RFC 5280 writes "no end" as the last second of the year 9999, which is past our last.
fn moment(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs());
    let moment = seconds
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.unwrap_or(Timestamp::MAX)
}
