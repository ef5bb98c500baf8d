//! The core: it makes a proof from bytes, without input or output.
//!
//! All checks of a bundle are called here, always in the same order. The first failure is reported. Each
//! check returns a value that a later step needs, so the code does not compile without the check.
//! `sigstore-verify` does the cryptography ([`crate::genuine`]). This crate checks the rest: the statement,
//! bounds, repeated items, the log's own checkpoint, values stated twice, the number of identities, the
//! policy.
//!
//! The caller gives the time. Only `sigstore-verify` reads the clock, because it does not accept a time.

mod found;

use bytes::Bytes;
use jiff::Timestamp;

use countersign_oci::{Descriptor, Digest, Location, Reference, ResolvedImage};
use countersign_policy::{Claimed, ClaimedSigner, OneOrMore, Policy, Violation};
use sigstore_types::DerCertificate;

use crate::bundle::{KeyMaterial, SignedBundle};
use crate::denial::DeniedChildren;
use crate::document_proof::VerifiedDocument;
use crate::evidence::Evidence;
use crate::failure::Failure;
use crate::gathered::Complete;
use crate::genuine::{self, Genuine, SignedByKey};
use crate::log;
use crate::log_and_times::{LogAndTimes, NotRead};
use crate::log_entries::{self, LogEntries};
use crate::predicate::Predicate;
use crate::proof::VerifiedImage;
use crate::proven::{Checks, Proven, VerifiedWith};
use crate::signature::SignatureToCheck;
use crate::simple_signing::SimpleSigning;
use crate::timestamp;
use crate::trust::{RootInUse, TrustedRoot};

pub use found::judge_found;

/// Judges one bundle: is it a signature of `image`, genuine by `trusted_root`, that `policy`
/// accepts?
///
/// There is no input or output. [`Verifier`](crate::Verifier) reads at most 1 MiB of a bundle; callers that
/// read bundles themselves should set a limit too. `now` decides which log keys are in use.
/// `sigstore-verify` does not accept a time: it reads the clock, and refuses entries from the future.
///
/// # Errors
/// The first check that the bundle fails.
pub fn verify_bundle(
    image: &ResolvedImage,
    bundle: &[u8],
    trusted_root: &TrustedRoot,
    policy: &Policy,
    now: Timestamp,
) -> Result<VerifiedDocument, Failure> {
    let judge = Judge::by(trusted_root, policy, now);
    judge.document(image, &SignatureToCheck::Bundle(bundle))
}

/// Judges one legacy signature, as [`verify_bundle`] judges a bundle. `payload` is the content of `layer`: bytes that
/// the layer's descriptor doesn't describe are refused.
///
/// # Errors
/// The first check that the signature fails.
pub fn verify_simple_signing(
    image: &ResolvedImage,
    layer: &Descriptor,
    payload: Bytes,
    trusted_root: &TrustedRoot,
    policy: &Policy,
    now: Timestamp,
) -> Result<VerifiedDocument, Failure> {
    let judge = Judge::by(trusted_root, policy, now);
    let stored = SimpleSigning::new(layer, payload, policy)?;
    judge.document(image, &SignatureToCheck::SimpleSigning(stored))
}

/// Judges one bundle when only the digest of the image is known: is it a signature, genuine by
/// `trusted_root`, that `policy` accepts?
///
/// The checks are those of [`verify_bundle`]. The result is a record, for tests of a policy. It is not a
/// [`VerifiedImage`], because without the bytes there is nothing to install. `requested` is the name by
/// which the image is requested, for a policy with `bind_name`.
///
/// # Errors
/// The first check that the bundle fails.
pub fn judge_digest(
    digest: &Digest,
    requested: &Reference,
    bundle: &[u8],
    trusted_root: &TrustedRoot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Evidence, Failure> {
    let subject = ExpectedImage {
        digest,
        location: requested.location(),
        requested,
    };
    let judge = Judge::by(trusted_root, policy, now);
    let proven = judge.judge(subject, None, &SignatureToCheck::Bundle(bundle))?;
    Ok(proven.into_evidence())
}

/// The image that the signature must be about.
#[derive(Debug, Clone, Copy)]
struct ExpectedImage<'a> {
    digest: &'a Digest,
    /// The repository or layout that has it.
    location: &'a Location,
    /// The name by which it was requested.
    requested: &'a Reference,
}

/// What a bundle is checked against.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    trusted_root: &'a TrustedRoot,
    policy: &'a Policy,
    now: Timestamp,
}

impl<'a> Judge<'a> {
    pub(crate) fn by(trusted_root: &'a TrustedRoot, policy: &'a Policy, now: Timestamp) -> Self {
        Self {
            trusted_root,
            policy,
            now,
        }
    }

    /// As [`verify_bundle`], for either form.
    fn document(
        self,
        image: &ResolvedImage,
        stored: &SignatureToCheck<'_>,
    ) -> Result<VerifiedDocument, Failure> {
        let complete = Complete::by_one(self.proven(image, None, stored)?);
        let known = DeniedChildren::not_asked();
        let image = known.refuse(self.policy, image.clone());
        let image = image.map_err(|denied| {
            Failure::from(Violation::DeniedDigest {
                digest: denied.image.digest().clone(),
            })
        })?;
        let proof = VerifiedImage::new(image, complete, known);
        Ok(VerifiedDocument::new(proof))
    }

    /// Judges one signature that `signature_manifest` holds, which may be one of several proofs.
    pub(crate) fn proven(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        stored: &SignatureToCheck<'_>,
    ) -> Result<Proven, Failure> {
        let subject = ExpectedImage {
            digest: image.digest(),
            location: image.reference().location(),
            requested: image.requested(),
        };
        self.judge(subject, signature_manifest, stored)
    }

    /// As [`Self::proven`], for a record alone.
    pub(crate) fn record(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        stored: &SignatureToCheck<'_>,
    ) -> Result<Evidence, Failure> {
        let proven = self.proven(image, signature_manifest, stored)?;
        Ok(proven.into_evidence())
    }

    fn judge(
        self,
        subject: ExpectedImage<'_>,
        signature_manifest: Option<&Digest>,
        stored: &SignatureToCheck<'_>,
    ) -> Result<Proven, Failure> {
        let Self {
            trusted_root,
            policy,
            now,
        } = self;
        let ExpectedImage {
            digest,
            location,
            requested,
        } = subject;
        let roots = trusted_root.serving(policy, now);
        let roots = roots.ok_or(Failure::OtherTrust)?;
        let signed = match stored {
            SignatureToCheck::Bundle(bundle) => SignedBundle::about(digest, bundle, policy)?,
            SignatureToCheck::SimpleSigning(stored) => {
                SignedBundle::of_simple_signing(digest, stored)?
            }
        };
        // Each root is judged by alone.
        let judged = roots_for(&signed, roots).first_ok(|root| {
            let under_check = BundleUnderCheck {
                digest,
                location,
                requested,
                signature_manifest,
                signed: &signed,
                policy,
                root: *root,
                now,
            };
            match &signed.material {
                KeyMaterial::Certificate(certificate) => under_check.by_certificate(certificate),
                KeyMaterial::Key => under_check.by_key(),
            }
        });
        judged.map_err(Failure::nearest)
    }
}

/// A bundle that is about the right image, and all that it is judged by.
#[derive(Clone, Copy)]
struct BundleUnderCheck<'a> {
    digest: &'a Digest,
    location: &'a Location,
    requested: &'a Reference,
    signature_manifest: Option<&'a Digest>,
    signed: &'a SignedBundle,
    policy: &'a Policy,
    root: RootInUse<'a>,
    now: Timestamp,
}

impl BundleUnderCheck<'_> {
    fn by_certificate(self, certificate: &DerCertificate) -> Result<Proven, Failure> {
        let Self {
            digest,
            signed,
            policy,
            root,
            ..
        } = self;
        if !policy.accepts_certificates() {
            return Err(Failure::CertificateForKey);
        }
        let log_entries = log_entries::check_provable(signed, root)?;
        let genuine = genuine::verify(digest, signed, certificate, &log_entries, root)?;
        let log_and_times = prove_log_and_times(log_entries, &genuine, root)?;
        let content = genuine.certificate_content()?;
        self.accept(log_and_times, VerifiedWith::Certificate(&content))
    }

    /// Each key with which the signature verifies is tried, until one is accepted. Most policies have one key.
    fn by_key(self) -> Result<Proven, Failure> {
        let mut failures = Vec::new();
        for signer in self.policy.keys() {
            let Ok(by_key) = genuine::verify_signature_alone(self.signed, signer) else {
                continue;
            };
            let log_and_times = log_and_times_by_key(self.digest, by_key, self.root);
            let accept = |log_and_times| self.accept(log_and_times, VerifiedWith::Key(by_key));
            match log_and_times.and_then(accept) {
                Ok(proven) => return Ok(proven),
                Err(failure) => failures.push(failure),
            }
        }
        let failures = OneOrMore::of(failures);
        Err(failures.map_or_else(|| no_key(self.policy), Failure::nearest))
    }

    /// Asks the policy.
    fn accept(self, log_and_times: LogAndTimes, with: VerifiedWith<'_>) -> Result<Proven, Failure> {
        let statement = &self.signed.statement;
        let (signer, start) = match with {
            VerifiedWith::Certificate(content) => {
                let signer = ClaimedSigner::Certificate {
                    issuer: &content.issuer,
                    identity: &content.identity,
                    claims: &content.claims,
                };
                (signer, Some(content.not_before))
            }
            VerifiedWith::Key(by_key) => (ClaimedSigner::Key(&by_key.signer().key), None),
        };
        let accepted = self.policy.judge(Claimed {
            format: self.signed.format(),
            digest: self.digest,
            signer,
            // Promises and timestamps are not part of what is signed, so somebody can replace them with
            // later ones. Nobody can change the start of the certificate.
            earliest: log_and_times.earliest(start),
            // The same replacing makes a signature look younger, and nothing makes it look older.
            latest: log_and_times.latest(),
            now: self.now,
            predicate_type: &statement.predicate_type,
            predicate: statement.predicate.as_ref().map(Predicate::value),
            annotations: &statement.annotations,
            subject_name: statement.subject_name.as_deref(),
            location: self.requested.location(),
            tag: self.requested.tag(),
        })?;
        let checks = Checks {
            accepted,
            log_and_times,
            verified_with: with,
            predicate: statement.predicate.as_ref(),
        };
        Ok(Proven::by(checks, self.location, self.signature_manifest))
    }
}

/// The roots to judge a bundle by: those of the authority that its certificate names, or all if there are none.
fn roots_for<'a>(
    signed: &SignedBundle,
    roots: OneOrMore<RootInUse<'a>>,
) -> OneOrMore<RootInUse<'a>> {
    if let KeyMaterial::Certificate(certificate) = &signed.material
        && roots.only().is_none()
    {
        let named = |root: &&RootInUse<'a>| root.has_issuer_of(certificate);
        if let Some(named) = OneOrMore::of(roots.iter().filter(named).copied()) {
            return named;
        }
    }
    roots
}

/// Proves where and when a genuine signature was seen.
fn prove_log_and_times(
    log_entries: LogEntries<'_>,
    genuine: &Genuine<'_>,
    root: RootInUse<'_>,
) -> Result<LogAndTimes, Failure> {
    Ok(match log_entries {
        LogEntries::Demanded(provable) => LogAndTimes::Seen {
            logged: log::prove(provable, genuine, root)?,
            times: timestamp::prove(genuine, root)?,
        },
        LogEntries::None(unlogged) => {
            LogAndTimes::without_log(unlogged, timestamp::prove(genuine, root)?)
        }
    })
}

/// As [`prove_log_and_times`], for a signature by a key. Nothing is read if the policy says so.
fn log_and_times_by_key(
    digest: &Digest,
    by_key: SignedByKey<'_>,
    root: RootInUse<'_>,
) -> Result<LogAndTimes, Failure> {
    if let Some(not_read) = NotRead::of(by_key) {
        return Ok(LogAndTimes::NotRead(not_read));
    }
    let log_entries = log_entries::check_provable(by_key.signed(), root)?;
    let genuine = genuine::verify_with_key(digest, by_key, &log_entries, root)?;
    prove_log_and_times(log_entries, &genuine, root)
}

/// Why a signature by a key counts for none of the policy's keys.
fn no_key(policy: &Policy) -> Failure {
    let expected: Vec<_> = policy
        .keys()
        .map(|signer| signer.key.fingerprint())
        .collect();
    if expected.is_empty() {
        Failure::KeyForCertificate
    } else {
        Failure::OtherKey { expected }
    }
}
