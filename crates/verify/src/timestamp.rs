//! When a signature was made, and the unsigned parts of a timestamp.
//!
//! `sigstore-verify` checks the signature of an RFC 3161 timestamp and the signed part. The format (CMS) also
//! has unsigned parts: it states algorithms a second time, and it can contain certificates, revocation
//! lists and attributes that nobody reads. All of these are checked here against the signed part. So if
//! anything in a timestamp is changed, it is refused.

use cmpv2::status::PkiStatus;
use cms::cert::CertificateChoices;
use cms::content_info::CmsVersion;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use jiff::Timestamp;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Any, Decode as _, Encode as _, Tag, Tagged};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_tsp::TimeStampResp;

use crate::bundle::SignedBundle;
use crate::failure::{Failure, MalformedPart};
use crate::genuine::Genuine;
use crate::trust::RootInUse;

/// The accepted hash algorithms, each with its signature algorithm.
const ALGORITHMS: [(ObjectIdentifier, ObjectIdentifier); 3] = [
    // SHA-256 and ecdsa-with-SHA256, and so on (RFC 5754).
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"),
    ),
];

/// When a signature was made: every time that a log or a timestamp authority proves. Only [`prove`] makes
/// one.
#[derive(Debug)]
pub(crate) struct SigningTimes {
    first: Timestamp,
    /// Those after the first, sorted, each once.
    later: Vec<Timestamp>,
}

impl SigningTimes {
    /// The times of a genuine bundle, whose timestamps were all checked.
    fn of(times: &[Timestamp], _: &AllPlain) -> Result<Self, Failure> {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.dedup();
        let mut times = times.into_iter();
        Ok(Self {
            first: times.next().ok_or(Failure::NoVerifiedTime)?,
            later: times.collect(),
        })
    }

    /// The earliest known time. `certificate_not_before` is the start of the certificate, if there is one: see
    /// [`Evidence::earliest`](crate::Evidence::earliest).
    pub(crate) fn earliest(&self, certificate_not_before: Option<Timestamp>) -> Timestamp {
        certificate_not_before.map_or(self.first, |not_before| self.first.min(not_before))
    }

    /// The latest proven time: by then the signature was there. The start of the certificate proves no such
    /// thing.
    pub(crate) fn latest(&self) -> Timestamp {
        self.later.last().copied().unwrap_or(self.first)
    }

    /// The times, sorted, each once. Never empty.
    pub(crate) fn into_inner(self) -> Vec<Timestamp> {
        let mut times = vec![self.first];
        times.extend(self.later);
        times
    }
}

/// Proof that the unsigned parts of every timestamp of a bundle are as required. One is made for each, by [`check`].
struct AllPlain {
    _checked: Vec<Plain>,
}

/// Proof that the unsigned parts of a timestamp are as required. It is made from its two halves.
struct Plain;

impl Plain {
    fn of(_: PlainEnvelope, _: PlainSigner) -> Self {
        Self
    }
}

/// The same for everything outside the content and the signer. Only [`check_envelope`] makes one.
struct PlainEnvelope;

/// The same for the signer. Only [`check_signer`] makes one.
struct PlainSigner;

/// The proven times of signing.
///
/// # Errors
/// [`Failure::Malformed`] for a timestamp with a wrong unsigned part;
/// [`Failure::NoVerifiedTime`].
pub(crate) fn prove(genuine: &Genuine<'_>, root: RootInUse<'_>) -> Result<SigningTimes, Failure> {
    SigningTimes::of(genuine.times(), &check_all(genuine.signed(), root)?)
}

/// Checks the unsigned parts of all timestamps of a bundle.
fn check_all(signed: &SignedBundle, root: RootInUse<'_>) -> Result<AllPlain, Failure> {
    let timestamps = signed.timestamps().iter();
    let checked = timestamps.map(|stamped| check(stamped.signed_timestamp.as_bytes(), root));
    Ok(AllPlain {
        _checked: checked.collect::<Result<_, _>>()?,
    })
}

/// Checks the unsigned parts of a timestamp (DER of a `TimeStampResp`). Its signature is already verified.
///
/// # Errors
/// [`Failure::Malformed`] with the first wrong part.
fn check(token: &[u8], root: RootInUse<'_>) -> Result<Plain, Failure> {
    let undecodable = |error: x509_cert::der::Error| malformed(error.to_string());
    let response = TimeStampResp::from_der(token).map_err(undecodable)?;
    if response.status.status != PkiStatus::Accepted
        || response.status.status_string.is_some()
        || response.status.fail_info.is_some()
    {
        return Err(malformed(
            "expected the status `granted` and no other status information",
        ));
    }
    let content = response
        .time_stamp_token
        .ok_or_else(|| malformed("it has no token"))?
        .content;
    let signed: SignedData = content.decode_as().map_err(undecodable)?;
    let envelope = check_envelope(&signed, root)?;
    match signed.signer_infos.0.as_slice() {
        [signer] => Ok(Plain::of(envelope, check_signer(signer, &signed)?)),
        signers => Err(malformed(format!(
            "expected 1 signer, found {}",
            signers.len()
        ))),
    }
}

/// Checks everything outside the content and the signer.
fn check_envelope(signed: &SignedData, root: RootInUse<'_>) -> Result<PlainEnvelope, Failure> {
    if signed.version != CmsVersion::V3 {
        return Err(malformed("expected signed data of version 3"));
    }
    let content = signed.encap_content_info.econtent.as_ref();
    if content.map(Tagged::tag) != Some(Tag::OctetString) {
        return Err(malformed("expected the content in an octet string"));
    }
    if signed.crls.is_some() {
        return Err(malformed("it must not contain revocation lists"));
    }
    // Verification uses only the certificates of the trusted root. Those in the timestamp may only be
    // copies of them.
    let certificates = signed.certificates.as_ref();
    for certificate in certificates.map_or(&[][..], |certificates| certificates.0.as_slice()) {
        let known = match certificate {
            CertificateChoices::Certificate(certificate) => certificate
                .to_der()
                .is_ok_and(|der| root.has_timestamp_certificate(&der)),
            CertificateChoices::Other(_) => false,
        };
        if !known {
            return Err(malformed(
                "it contains a certificate that is not in the trusted root",
            ));
        }
    }
    Ok(PlainEnvelope)
}

/// Checks the signer's version, attributes and algorithms.
fn check_signer(signer: &SignerInfo, signed: &SignedData) -> Result<PlainSigner, Failure> {
    let version = match signer.sid {
        SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
        SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
    };
    if signer.version != version {
        return Err(malformed(
            "the signer's version does not fit the form of its name",
        ));
    }
    if signer.unsigned_attrs.is_some() {
        return Err(malformed("it must not contain unsigned attributes"));
    }
    let hash = signer.digest_alg.oid;
    let same_hash = match signed.digest_algorithms.as_slice() {
        [algorithm] => algorithm.oid == hash && is_plain(algorithm),
        _ => false,
    };
    let fitting = ALGORITHMS.contains(&(hash, signer.signature_algorithm.oid));
    if !same_hash
        || !fitting
        || !is_plain(&signer.digest_alg)
        || !is_plain(&signer.signature_algorithm)
    {
        return Err(malformed(
            "expected one hash algorithm everywhere, and ECDSA with it",
        ));
    }
    Ok(PlainSigner)
}

/// Whether the algorithm has no parameters. There are two ways to write that (RFC 5754, section 2).
fn is_plain(algorithm: &AlgorithmIdentifierOwned) -> bool {
    algorithm.parameters.as_ref().is_none_or(Any::is_null)
}

fn malformed(detail: impl Into<String>) -> Failure {
    Failure::Malformed {
        part: MalformedPart::Timestamp,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_order_and_there_is_one() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let times = SigningTimes::of(
            &[time(3), time(2), time(3)],
            &AllPlain {
                _checked: Vec::new(),
            },
        )
        .unwrap();
        assert_eq!(times.earliest(Some(time(9))), time(2));
        assert_eq!(times.earliest(Some(time(1))), time(1));
        assert_eq!(times.earliest(None), time(2));
        assert_eq!(times.latest(), time(3));
        assert_eq!(times.into_inner(), [time(2), time(3)]);
        let none = SigningTimes::of(
            &[],
            &AllPlain {
                _checked: Vec::new(),
            },
        );
        assert!(matches!(none, Err(Failure::NoVerifiedTime)));
    }
}
