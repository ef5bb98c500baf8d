//! The cryptography of a bundle. `sigstore-verify` does it.
//!
//! It does not accept a time: it reads the clock. It refuses an entry with a time in the future, and a
//! log's key that is not valid yet. So the clock can only cause more refusals than the time that is given to
//! [`verify_bundle`](crate::verify_bundle).

use countersign_oci::{Algorithm, Digest};
use countersign_policy::{KeySigner, PublicKey};
use sigstore_types::{
    Artifact, ArtifactDigest, DerCertificate, DerPublicKey, HashAlgorithm, SignatureContent,
};
use sigstore_verify::crypto::{SigningScheme, VerificationKey};
use sigstore_verify::types::DigestBytes;
use sigstore_verify::{
    CertificateError, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult,
};

use crate::bundle::{KeyMaterial, SignedBundle};
use crate::certificate;
use crate::certificate_content::CertificateContent;
use crate::failure::{Failure, LogKind, MalformedPart};
use crate::log_entries::LogEntries;
use crate::trust::RootInUse;

/// Proof that `sigstore-verify` accepts the signature, the certificate or the key, the log entries and the
/// timestamps of a bundle, by the trusted root. Only [`verify`] and [`verify_with_key`] make one.
#[derive(Debug)]
pub(crate) struct Genuine<'a> {
    result: VerificationResult,
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
    /// [`Failure::Malformed`], [`Failure::Identity`], [`Failure::NoIssuer`] and [`Failure::CertificateLost`].
    pub(crate) fn certificate_content(&self) -> Result<CertificateContent, Failure> {
        match (&self.signed.material, self.result.certificate()) {
            (KeyMaterial::Certificate(certificate), Some(info)) => {
                CertificateContent::of(certificate, info)
            }
            (KeyMaterial::Certificate(_), None) | (KeyMaterial::Key, _) => {
                Err(Failure::CertificateLost)
            }
        }
    }
}

/// Proof that a signature verifies with a key of the policy. Nothing else of the bundle was read. Only
/// [`verify_signature_alone`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedByKey<'a> {
    signed: &'a SignedBundle,
    signer: &'a KeySigner,
    hash: Hash,
}

/// How a signature by a key was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    /// As is usual for the kind of key.
    Usual,
    /// With SHA-256, by a key on P-384. Older versions of cosign did so, and some key services do.
    Sha256OnP384,
}

impl<'a> SignedByKey<'a> {
    /// The key's place in the policy.
    pub(crate) fn signer(&self) -> &'a KeySigner {
        self.signer
    }

    /// The bundle with the signature.
    pub(crate) fn signed(&self) -> &'a SignedBundle {
        self.signed
    }
}

/// Verifies the signature of a bundle with a key of the policy.
///
/// # Errors
/// [`Failure::Signature`].
pub(crate) fn verify_signature_alone<'a>(
    signed: &'a SignedBundle,
    signer: &'a KeySigner,
) -> Result<SignedByKey<'a>, Failure> {
    let invalid = |detail: String| Failure::Signature { detail };
    let (message, signature) = match (&signed.bundle.content, signed.detached_payload()) {
        (SignatureContent::DsseEnvelope(envelope), None) => {
            (envelope.pae(), &envelope.signature.sig)
        }
        (SignatureContent::MessageSignature(message), Some(payload)) => {
            (payload.to_vec(), &message.signature)
        }
        _ => return Err(invalid("the content is not of a known form".to_owned())),
    };
    let der = der(&signer.key);
    let usual = VerificationKey::from_spki(&der).and_then(|key| key.verify(&message, signature));
    let hash = match usual {
        Ok(()) => Hash::Usual,
        // The key's kind is compared with the scheme's, so this is for keys on P-384 alone.
        Err(error) => VerificationKey::from_spki_with_scheme(&der, SigningScheme::EcdsaP384Sha256)
            .and_then(|key| key.verify(&message, signature))
            .map(|()| Hash::Sha256OnP384)
            .map_err(|_| invalid(error.to_string()))?,
    };
    Ok(SignedByKey {
        signed,
        signer,
        hash,
    })
}

/// Verifies the log entries and timestamps of a bundle whose signature is by a key, and that signature again.
///
/// # Errors
/// As of [`verify`], without those about certificates.
pub(crate) fn verify_with_key<'a>(
    digest: &Digest,
    by_key: SignedByKey<'a>,
    log_entries: &LogEntries<'_>,
    root: RootInUse<'_>,
) -> Result<Genuine<'a>, Failure> {
    let SignedByKey {
        signed,
        signer,
        hash,
    } = by_key;
    if hash == Hash::Sha256OnP384 {
        // `sigstore-verify` takes SHA-384 for granted where the key is on P-384.
        return Err(Failure::Signature {
            detail: "the key is on P-384 and has signed with SHA-256; such a signature can't be checked together with \
                     its log entry: sign again with SHA-384, or write `ignore_tlog: true` beside the key"
                .to_owned(),
        });
    }
    let policy = PublicKeyVerificationPolicy::new(der(&signer.key));
    let policy = match log_entries {
        LogEntries::Demanded(_) => policy,
        LogEntries::None(_) => policy.skip_tlog_unsafe(),
    };
    let artifact = signed_artifact(digest, signed)?;
    let result = root.verifier().verify(artifact, &signed.bundle, &policy)?;
    Ok(Genuine { result, signed })
}

fn der(key: &PublicKey) -> DerPublicKey {
    DerPublicKey::new(key.spki().to_vec())
}

/// Verifies a bundle with a certificate about the image with `digest`.
///
/// # Errors
/// [`Failure::Signature`], [`Failure::Certificate`], [`Failure::TransparencyLog`],
/// [`Failure::Timestamp`], [`Failure::UnsupportedLogKey`] or [`Failure::Sigstore`].
pub(crate) fn verify<'a>(
    digest: &Digest,
    signed: &'a SignedBundle,
    certificate: &DerCertificate,
    log_entries: &LogEntries<'_>,
    root: RootInUse<'_>,
) -> Result<Genuine<'a>, Failure> {
    let policy = VerificationPolicy::any_identity();
    let policy = match log_entries {
        LogEntries::Demanded(_) => policy,
        LogEntries::None(_) => policy.skip_tlog_unsafe(),
    };
    let policy = if root.has_certificate_log() {
        policy
    } else {
        policy.skip_sct()
    };
    let result = root
        .verifier()
        .verify(signed_artifact(digest, signed)?, &signed.bundle, &policy)
        .map_err(|error| {
            let unsupported = unsupported_certificate_log(&error, certificate, root);
            unsupported.unwrap_or_else(|| Failure::from(error))
        })?;
    Ok(Genuine { result, signed })
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
        part: MalformedPart::ImageDigest,
        detail,
    };
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => HashAlgorithm::Sha2256,
        Algorithm::Sha512 => HashAlgorithm::Sha2512,
    };
    let bytes =
        DigestBytes::from_hex(digest.hex()).map_err(|error| malformed(error.to_string()))?;
    ArtifactDigest::new(algorithm, bytes).map_err(|error| malformed(error.to_string()))
}

/// The reason for `error`, if it is that a certificate log has a kind of key that is not supported.
fn unsupported_certificate_log(
    error: &sigstore_verify::Error,
    certificate: &DerCertificate,
    root: RootInUse<'_>,
) -> Option<Failure> {
    use sigstore_verify::Error;
    let of_the_log = matches!(
        error,
        Error::Certificate(CertificateError::Sct(_))
            // This error comes if no certificate log has a key for the kind of signature.
            | Error::InvalidTrustRoot(_)
    );
    if !of_the_log {
        return None;
    }
    certificate::certificate_logs(certificate)
        .iter()
        .find_map(|id| {
            let kind = root.unusable_certificate_log_key(id)?;
            Some(Failure::UnsupportedLogKey {
                log: LogKind::Certificates,
                id: hex::encode(id),
                kind: kind.to_owned(),
            })
        })
}
