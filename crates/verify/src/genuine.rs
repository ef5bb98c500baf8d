//! The cryptography of a bundle, which `sigstore-verify` does.
//!
//! It takes no time and reads the clock by itself: an entry that claims to be logged in the future is
//! refused, and so is a log's key whose time has not come. Neither makes anything acceptable that the
//! time given to [`verify_bundle`](crate::verify_bundle) would not.

use countersign_oci::{Algorithm, Digest};
use sigstore_types::{ArtifactDigest, DerCertificate, HashAlgorithm};
use sigstore_verify::crypto::CertificateInfo;
use sigstore_verify::types::DigestBytes;
use sigstore_verify::{CertificateError, VerificationPolicy, VerificationResult};

use crate::bundle::SignedBundle;
use crate::certificate;
use crate::certified::Certified;
use crate::failure::Failure;
use crate::trust::RootInUse;

/// That signature, certificate, log entries and timestamps of a bundle hold by the trusted root, as
/// far as `sigstore-verify` checks them. Only [`verify`] makes one.
#[derive(Debug)]
pub(crate) struct Genuine<'a> {
    result: VerificationResult,
    info: CertificateInfo,
    signed: &'a SignedBundle,
}

impl<'a> Genuine<'a> {
    /// The bundle that holds.
    pub(crate) fn signed(&self) -> &'a SignedBundle {
        self.signed
    }

    /// The times that logs and timestamp authorities vouch for, as they came.
    pub(crate) fn times(&self) -> &[jiff::Timestamp] {
        self.result.verified_timestamps()
    }

    /// What the certificate says, which a trusted authority has issued.
    ///
    /// # Errors
    /// [`Failure::Malformed`], [`Failure::Identity`] and [`Failure::NoIssuer`].
    pub(crate) fn certified(&self) -> Result<Certified, Failure> {
        Certified::of(&self.signed.certificate, &self.info)
    }
}

/// Verifies a bundle of what has `digest`.
///
/// # Errors
/// [`Failure::Signature`], [`Failure::Certificate`], [`Failure::TransparencyLog`],
/// [`Failure::Timestamp`], [`Failure::UnsupportedLogKey`] or [`Failure::Sigstore`].
pub(crate) fn verify<'a>(
    digest: &Digest,
    signed: &'a SignedBundle,
    root: RootInUse<'_>,
) -> Result<Genuine<'a>, Failure> {
    let result = root
        .verifier()
        .verify(
            artifact(digest)?,
            &signed.bundle,
            &VerificationPolicy::any_identity(),
        )
        .map_err(|error| {
            let failure = Failure::from(error);
            unsupported_certificate_log(&failure, &signed.certificate, root).unwrap_or(failure)
        })?;
    let info = result.certificate().cloned();
    Ok(Genuine {
        info: info.ok_or(Failure::NoCertificate {
            found: "none that was verified",
        })?,
        result,
        signed,
    })
}

fn artifact(digest: &Digest) -> Result<ArtifactDigest, Failure> {
    let malformed = |detail: String| Failure::Malformed {
        part: "image digest",
        detail,
    };
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => HashAlgorithm::Sha2256,
        Algorithm::Sha512 => HashAlgorithm::Sha2512,
        other => return Err(malformed(format!("Sigstore has no {other}"))),
    };
    let bytes =
        DigestBytes::from_hex(digest.hex()).map_err(|error| malformed(error.to_string()))?;
    ArtifactDigest::new(algorithm, bytes).map_err(|error| malformed(error.to_string()))
}

/// Why the certificate's own timestamp does not hold, where that is for a log's key that can't be
/// used.
fn unsupported_certificate_log(
    failure: &Failure,
    certificate: &DerCertificate,
    root: RootInUse<'_>,
) -> Option<Failure> {
    let of_the_log = match failure {
        Failure::Certificate(CertificateError::Sct(_)) => true,
        // Where no certificate log has a key for the kind of signature.
        Failure::Sigstore(error) => {
            matches!(**error, sigstore_verify::Error::InvalidTrustRoot(_))
        }
        _ => false,
    };
    if !of_the_log {
        return None;
    }
    certificate::certificate_logs(certificate)
        .iter()
        .find_map(|id| {
            let kind = root.unusable_certificate_log_key(id)?;
            Some(Failure::UnsupportedLogKey {
                log: "certificate transparency log",
                id: hex::encode(id),
                kind: kind.to_owned(),
            })
        })
}
