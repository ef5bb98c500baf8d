//! The core: from bytes to a proof, without input or output.
//!
//! Every check of a bundle is called from here, in one order, and the first that fails is reported.
//! Each hands out a value that a later step uses up: a check that is left out doesn't compile.
//! `sigstore-verify` does the cryptography ([`crate::genuine`]); what it leaves to its caller is done
//! around it (statement, bounds, repetition, the log's own checkpoint, what is stated twice, the number
//! of identities, the policy).
//!
//! The time is the caller's. `sigstore-verify` alone reads the clock: it takes no time.

use jiff::Timestamp;

use countersign_oci::{Digest, Location, Reference, ResolvedImage};
use countersign_policy::{Claimed, Policy};

use crate::bundle::SignedBundle;
use crate::denial::DeniedChildren;
use crate::evidence::Evidence;
use crate::failure::Failure;
use crate::genuine;
use crate::log;
use crate::proof::VerifiedImage;
use crate::proven::{Checks, Proven};
use crate::timestamp;
use crate::trust::TrustedRoot;

/// Judges one bundle: is it a signature of `image`, genuine by `trusted_root`, that `policy`
/// accepts?
///
/// No input or output. A bundle is 1 MiB at most where it comes through
/// [`Verifier`](crate::Verifier); callers that read bundles themselves bound them likewise. `now`
/// decides which log keys are in use; `sigstore-verify`, which does the cryptography, takes no time and
/// reads the clock besides, to refuse what claims to come from the future.
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
    judge.image(image, None, bundle, DeniedChildren::default())
}

/// Judges one bundle by the digest of what it signs, whose bytes nobody has: is it a signature,
/// genuine by `trusted_root`, that `policy` accepts?
///
/// The checks are those of [`verify_bundle`]. What comes of them is a record, for a policy's own
/// tests: without the bytes there is no [`VerifiedImage`], and nothing to install. `requested` is the
/// name that the image is requested by, for a policy that binds names.
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
    Ok(judge.judge(subject, None, bundle)?.into_evidence())
}

/// What a signature has to be of.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    digest: &'a Digest,
    /// Where it was found.
    location: &'a Location,
    /// The name that it was requested by.
    requested: &'a Reference,
}

/// What bundles are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) trusted_root: &'a TrustedRoot,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
}

impl Judge<'_> {
    /// As [`verify_bundle`], for a bundle that `signature_manifest` holds, in whose repository denied
    /// indexes list `denied_children`.
    pub(crate) fn image(
        self,
        image: &ResolvedImage,
        signature_manifest: Option<&Digest>,
        bundle: &[u8],
        denied_children: DeniedChildren,
    ) -> Result<VerifiedImage, Failure> {
        let subject = Subject {
            digest: image.digest(),
            location: image.reference().location(),
            requested: image.asked(),
        };
        let proven = self.judge(subject, signature_manifest, bundle)?;
        Ok(VerifiedImage::new(image.clone(), proven, denied_children))
    }

    fn judge(
        self,
        subject: Subject<'_>,
        signature_manifest: Option<&Digest>,
        bundle: &[u8],
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
        let signed = SignedBundle::about(digest, bundle, policy)?;
        let provable = log::check_provable(&signed, root)?;
        let genuine = genuine::verify(digest, &signed, root)?;
        let logged = log::prove(provable, &genuine, root)?;
        let times = timestamp::prove(&genuine, root)?;
        let certified = genuine.certified()?;
        let accepted = policy.judge(Claimed {
            digest,
            issuer: &certified.issuer,
            identity: &certified.identity,
            certificate: &certified.claims,
            // The signature's key was certified from `not_before` on, and nobody can move that:
            // promises and timestamps lie outside what is signed, so that later ones can take the
            // place of the first.
            earliest: times.earliest(certified.not_before),
            predicate_type: &signed.statement.predicate_type,
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
        };
        Ok(Proven::by(checks, location, signature_manifest))
    }
}
