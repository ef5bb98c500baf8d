//! The core: from bytes to a proof, without input or output.
//!
//! Every check of a bundle is made here or called from here, in one order, and the first that
//! fails is reported. `sigstore-verify` does the cryptography; what it leaves to its caller is
//! done around it (statement, bounds, repetition, the log's own checkpoint, what is stated twice, the
//! number of identities, the policy). It reads the clock by itself, and only to refuse what claims to come
//! from the future.

use sigstore_types::{ArtifactDigest, DerCertificate, HashAlgorithm};
use sigstore_verify::types::DigestBytes;
use sigstore_verify::{CertificateError, VerificationPolicy};

use countersign_oci::{Algorithm, Digest, Location, Reference, ResolvedImage};
use countersign_policy::{Claimed, Policy};

use crate::bundle::SignedBundle;
use crate::certificate;
use crate::denial::Denials;
use crate::failure::Failure;
use crate::log;
use crate::proof::{Evidence, VerifiedImage};
use crate::timestamp;
use crate::trust::TrustedRoot;

/// Judges one bundle: is it a signature of `image`, genuine by `trusted_root`, that `policy`
/// accepts?
///
/// No input or output. A bundle is 1 MiB at most where it comes through
/// [`Verifier`](crate::Verifier); callers that read bundles themselves bound them likewise.
///
/// # Errors
/// The first check that the bundle fails.
pub fn verify_bundle(
    image: &ResolvedImage,
    bundle: &[u8],
    trusted_root: &TrustedRoot,
    policy: &Policy,
) -> Result<VerifiedImage, Failure> {
    let evidence = judge(Subject::of(image), None, bundle, trusted_root, policy)?;
    let denials = Denials::of(policy);
    Ok(VerifiedImage::new(image.clone(), evidence, denials))
}

/// Judges one bundle by the digest of what it signs, whose bytes nobody has: is it a signature,
/// genuine by `trusted_root`, that `policy` accepts?
///
/// The checks are those of [`verify_bundle`]. What comes of them is a record, for a policy's own
/// tests: without the bytes there is no [`VerifiedImage`], and nothing to install. `asked` is the
/// name that the image is asked for by, for a policy that binds names.
///
/// # Errors
/// The first check that the bundle fails.
pub fn judge_digest(
    digest: &Digest,
    asked: &Reference,
    bundle: &[u8],
    trusted_root: &TrustedRoot,
    policy: &Policy,
) -> Result<Evidence, Failure> {
    let subject = Subject {
        digest,
        location: asked.location(),
        asked,
    };
    judge(subject, None, bundle, trusted_root, policy)
}

/// What a signature has to be of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    digest: &'a Digest,
    /// Where it was found.
    location: &'a Location,
    /// The name that it was asked for by.
    asked: &'a Reference,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(image: &'a ResolvedImage) -> Self {
        Self {
            digest: image.digest(),
            location: image.reference().location(),
            asked: image.asked(),
        }
    }
}

/// As [`judge_digest`], for a bundle that `signature_manifest` holds.
pub(crate) fn judge(
    subject: Subject<'_>,
    signature_manifest: Option<&Digest>,
    bundle: &[u8],
    trusted_root: &TrustedRoot,
    policy: &Policy,
) -> Result<Evidence, Failure> {
    let digest = subject.digest;
    if !trusted_root.serves(policy) {
        return Err(Failure::OtherTrust);
    }
    let signed = SignedBundle::about(digest, bundle, policy.predicate_types())?;
    let entries = &signed.bundle.verification_material.tlog_entries;
    log::check_provable(entries, trusted_root)?;
    let genuine = trusted_root
        .verifier()
        .verify(
            artifact(digest)?,
            &signed.bundle,
            &VerificationPolicy::any_identity(),
        )
        .map_err(|error| {
            let failure = Failure::from(error);
            unsupported_certificate_log(&failure, &signed.certificate, trusted_root)
                .unwrap_or(failure)
        })?;
    let logged = log::prove(entries, trusted_root)?;
    for stamped in signed.timestamps() {
        timestamp::check(stamped.signed_timestamp.as_bytes(), trusted_root)?;
    }
    let mut signed_at = genuine.verified_timestamps().to_vec();
    signed_at.sort_unstable();
    signed_at.dedup();
    if signed_at.is_empty() {
        return Err(Failure::NoVerifiedTime);
    }
    let identity = certificate::identity(&signed.certificate)?;
    let issuer = genuine.issuer().ok_or(Failure::NoIssuer)?.to_owned();
    let info = genuine.certificate().ok_or(Failure::NoCertificate {
        found: "none that was verified",
    })?;
    let claims = certificate::claims(info);
    // The signature's key was certified from here on, and nobody can move that: promises and
    // timestamps lie outside what is signed, so that later ones can take the place of the first.
    let mut times = signed_at.clone();
    times.push(info.not_before);
    let statement = signed.statement;
    policy.judge(&Claimed {
        digest,
        issuer: &issuer,
        identity: &identity,
        certificate: &claims,
        verified_times: &times,
        predicate_type: &statement.predicate_type,
        annotations: &statement.annotations,
        subject_name: statement.subject_name.as_deref(),
        location: subject.asked.location(),
        tag: subject.asked.tag(),
    })?;
    Ok(Evidence {
        digest: digest.clone(),
        repository: subject.location.clone(),
        identity,
        issuer,
        signed_at,
        log_index: Some(logged.index),
        log_id: Some(logged.id),
        predicate_type: statement.predicate_type,
        subject_name: statement.subject_name,
        signature_manifest: signature_manifest.cloned(),
        annotations: statement.annotations,
        claims: claims
            .iter()
            .map(|(claim, value)| (claim.to_string(), value.to_owned()))
            .collect(),
        certificate_not_before: info.not_before,
        certificate_not_after: info.not_after,
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
    trusted_root: &TrustedRoot,
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
            let kind = trusted_root.unusable_certificate_log_key(id)?;
            Some(Failure::UnsupportedLogKey {
                log: "certificate transparency log",
                id: hex::encode(id),
                kind: kind.to_owned(),
            })
        })
}
