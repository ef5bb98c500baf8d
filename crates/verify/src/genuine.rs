//! The cryptography of a bundle. `sigstore-verify` does it.
//!
//! It does not accept a time: it reads the clock. It refuses an entry with a time in the future, and a
//! log's key that is not valid yet. So the clock can only cause more refusals than the time that is given to
//! [`verify_bundle`](crate::verify_bundle).

use countersign_oci::{Algorithm, Digest};
use sigstore_types::{Artifact, ArtifactDigest, DerCertificate, HashAlgorithm};
use sigstore_verify::crypto::CertificateInfo;
use sigstore_verify::types::DigestBytes;
use sigstore_verify::{CertificateError, VerificationPolicy, VerificationResult};

use crate::bundle::SignedBundle;
use crate::certificate;
use crate::certified::Certified;
use crate::failure::Failure;
use crate::trust::RootInUse;

/// Proof that `sigstore-verify` accepts the signature, the certificate, the log entries and the timestamps
/// of a bundle, by the trusted root. Only [`verify`] makes one.
#[derive(Debug)]
pub(crate) struct Genuine<'a> {
    result: VerificationResult,
    info: CertificateInfo,
    signed: &'a SignedBundle,
}

impl<'a> Genuine<'a> {
    /// The bundle that was accepted.
    pub(crate) fn signed(&self) -> &'a SignedBundle {
        self.signed
    }

    /// The times that logs and timestamp authorities prove, in the order of the bundle.
    pub(crate) fn times(&self) -> &[jiff::Timestamp] {
        self.result.verified_timestamps()
    }

    /// The content of the certificate. A trusted authority has issued it.
    ///
    /// # Errors
    /// [`Failure::Malformed`], [`Failure::Identity`] and [`Failure::NoIssuer`].
    pub(crate) fn certified(&self) -> Result<Certified, Failure> {
        Certified::of(&self.signed.certificate, &self.info)
    }
}

/// Verifies a bundle about the image with `digest`.
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
            signed_artifact(digest, signed)?,
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

/// What the signature must be of: the payload of a legacy signature, or the image's digest, which
/// `sigstore-verify` looks for in the statement.
fn signed_artifact<'a>(digest: &Digest, signed: &'a SignedBundle) -> Result<Artifact<'a>, Failure> {
    match signed.detached_payload() {
        Some(payload) => Ok(Artifact::from(payload)),
        None => Ok(Artifact::from(artifact(digest)?)),
    }
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

/// The reason for `failure`, if it is that a certificate log has a kind of key that is not supported.
fn unsupported_certificate_log(
    failure: &Failure,
    certificate: &DerCertificate,
    root: RootInUse<'_>,
) -> Option<Failure> {
    let of_the_log = match failure {
        Failure::Certificate(CertificateError::Sct(_)) => true,
        // This error comes if no certificate log has a key for the kind of signature.
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
