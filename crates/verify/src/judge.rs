//! The core: it makes a proof from bytes, without input or output.
//!
//! All checks of a bundle are called here, always in the same order. The first failure is reported. Each
//! check returns a value that a later step needs, so the code does not compile without the check.
//! `sigstore-verify` does the cryptography ([`crate::genuine`]). This crate checks the rest: the statement,
//! bounds, repeated items, the log's own checkpoint, values stated twice, the number of identities, the
//! policy.
//!
//! The caller gives the time. Only `sigstore-verify` reads the clock, because it does not accept a time.

use bytes::Bytes;
use jiff::Timestamp;

use countersign_oci::{Descriptor, Digest, Location, Reference, ResolvedImage};
use countersign_policy::{Claimed, Policy};

use crate::bundle::SignedBundle;
use crate::denial::DeniedChildren;
use crate::evidence::Evidence;
use crate::failure::Failure;
use crate::gathered::Complete;
use crate::genuine;
use crate::log;
use crate::predicate::Predicate;
use crate::proof::VerifiedImage;
use crate::proven::{Checks, Proven};
use crate::simple_signing::StoredSignature;
use crate::timestamp;
use crate::trust::TrustedRoot;

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
) -> Result<VerifiedImage, Failure> {
    let judge = Judge {
        trusted_root,
        policy,
        now,
    };
    let bundle = StoredForm::Bundle(bundle);
    judge.image(image, None, bundle, DeniedChildren::default())
}

/// Judges one legacy signature, as [`verify_bundle`] judges a bundle. `payload` is the content of `layer`,
/// and its digest must have been checked.
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
) -> Result<VerifiedImage, Failure> {
    let judge = Judge {
        trusted_root,
        policy,
        now,
    };
    let stored = StoredSignature::new(layer, payload)?;
    let stored = StoredForm::SimpleSigning(&stored);
    judge.image(image, None, stored, DeniedChildren::default())
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
    let subject = Subject {
        digest,
        location: requested.location(),
        requested,
    };
    let judge = Judge {
        trusted_root,
        policy,
        now,
    };
    Ok(judge
        .judge(subject, None, StoredForm::Bundle(bundle))?
        .into_evidence())
}

/// The image that the signature must be about.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    digest: &'a Digest,
    /// The repository or layout that has it.
    location: &'a Location,
    /// The name by which it was requested.
    requested: &'a Reference,
}

/// A signature in the form in which it is stored.
#[derive(Clone, Copy)]
pub(crate) enum StoredForm<'a> {
    /// A bundle's JSON.
    Bundle(&'a [u8]),
    /// A legacy signature.
    SimpleSigning(&'a StoredSignature),
}

/// What a bundle is checked against.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) trusted_root: &'a TrustedRoot,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
}

impl Judge<'_> {
    /// As [`verify_bundle`], for a signature that `signature_manifest` holds, in whose repository denied
    /// indexes list `denied_children`.
    pub(crate) fn image(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        stored: StoredForm<'_>,
        denied_children: DeniedChildren,
    ) -> Result<VerifiedImage, Failure> {
        let proven = self.proven(image, signature_manifest, stored)?;
        let complete = Complete::by_one(proven);
        Ok(VerifiedImage::new(image.clone(), complete, denied_children))
    }

    /// As [`Self::image`], for one of several proofs.
    pub(crate) fn proven(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        stored: StoredForm<'_>,
    ) -> Result<Proven, Failure> {
        let subject = Subject {
            digest: image.digest(),
            location: image.reference().location(),
            requested: image.requested(),
        };
        self.judge(subject, signature_manifest, stored)
    }

    /// As [`Self::image`], for a record alone.
    pub(crate) fn record(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        stored: StoredForm<'_>,
    ) -> Result<Evidence, Failure> {
        let proven = self.proven(image, signature_manifest, stored)?;
        Ok(proven.into_evidence())
    }

    fn judge(
        self,
        subject: Subject<'_>,
        signature_manifest: Option<&Digest>,
        stored: StoredForm<'_>,
    ) -> Result<Proven, Failure> {
        let Self {
            trusted_root,
            policy,
            now,
        } = self;
        let Subject {
            digest,
            location,
            requested,
        } = subject;
        let root = trusted_root.serving(policy, now);
        let root = root.ok_or(Failure::OtherTrust)?;
        let signed = match stored {
            StoredForm::Bundle(bundle) => SignedBundle::about(digest, bundle, policy)?,
            StoredForm::SimpleSigning(stored) => SignedBundle::of_simple_signing(digest, stored)?,
        };
        let provable = log::check_provable(&signed, root)?;
        let genuine = genuine::verify(digest, &signed, root)?;
        let logged = log::prove(provable, &genuine, root)?;
        let times = timestamp::prove(&genuine, root)?;
        let certified = genuine.certified()?;
        let accepted = policy.judge(Claimed {
            format: signed.format(),
            digest,
            issuer: &certified.issuer,
            identity: &certified.identity,
            certificate: &certified.claims,
            // Promises and timestamps are not part of what is signed, so somebody can replace them with
            // later ones. Nobody can change the start of the certificate.
            earliest: times.earliest(certified.not_before),
            // The same replacing makes a signature look younger, and nothing makes it look older.
            latest: times.latest(),
            now,
            predicate_type: &signed.statement.predicate_type,
            predicate: signed.statement.predicate.as_ref().map(Predicate::value),
            annotations: &signed.statement.annotations,
            subject_name: signed.statement.subject_name.as_deref(),
            location: requested.location(),
            tag: requested.tag(),
        })?;
        let checks = Checks {
            accepted,
            logged,
            times,
            certified: &certified,
            predicate: signed.statement.predicate.as_ref(),
        };
        Ok(Proven::by(checks, location, signature_manifest))
    }
}
