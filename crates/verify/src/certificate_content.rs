//! What a certificate says of its holder.

use countersign_policy::CertificateClaims;
use jiff::Timestamp;
use sigstore_types::DerCertificate;
use sigstore_verify::crypto::{CertificateInfo, parse_certificate_info};

use crate::bundle;
use crate::certificate;
use crate::failure::{Failure, MalformedPart};

/// What a signing certificate says of its holder, read as [`verify_bundle`](crate::verify_bundle)
/// reads it.
///
/// It is for a signer that has just received the certificate. Nothing is verified here, so it proves
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateContent {
    /// The OIDC issuer's URL.
    pub issuer: String,
    /// The one email address, URI or user name.
    pub identity: String,
    /// The other claims.
    pub claims: CertificateClaims,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

impl CertificateContent {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// [`Failure::TooLarge`], [`Failure::TooMany`], [`Failure::Malformed`], [`Failure::Identity`] and
    /// [`Failure::NoIssuer`]: then no signature with this certificate would be accepted.
    pub fn read(der: &[u8]) -> Result<Self, Failure> {
        let bounded = bundle::check_certificate(der)?;
        let certificate = DerCertificate::new(bounded.bytes().to_vec());
        let info = parse_certificate_info(&certificate).map_err(|error| Failure::Malformed {
            part: MalformedPart::Certificate,
            detail: error.to_string(),
        })?;
        Self::of(&certificate, &info)
    }

    /// Reads `certificate`. `info` is what `sigstore-verify` has read of it.
    ///
    /// # Errors
    /// [`Failure::Malformed`], [`Failure::Identity`] and [`Failure::NoIssuer`].
    pub(crate) fn of(
        certificate: &DerCertificate,
        info: &CertificateInfo,
    ) -> Result<Self, Failure> {
        Ok(Self {
            identity: certificate::identity(certificate)?,
            issuer: info.issuer.clone().ok_or(Failure::NoIssuer)?,
            claims: certificate::claims(info),
            not_before: info.not_before,
            not_after: info.not_after,
        })
    }
}
