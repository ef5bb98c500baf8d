//! Proves the image of a plan where an installation would find it, for who carries it elsewhere.

use countersign_oci::{Digest, Document, Reference, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{VerifiedImage, verify_image};

use super::failure::{PlanFailure, Purpose, SourceFailure};
use super::in_turn::{AttemptResult, InTurn};
use super::locked_signer::by_locked_signer;
use super::next::NextSource;
use crate::admitted::ImageVerifier;
use crate::error::Error;
use crate::limited::registry_within;
use crate::plan::{Locked, Plan};
use crate::planned::{PlannedSource, Role};
use crate::source::Source;

/// An image that a plan's policy accepts.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProvenSource {
    /// The client that has read it, and asks no address that the gallery's index may not name.
    pub registry: Registry,
    /// The proof, of the manifest or index that the plan's source names.
    pub proof: VerifiedImage,
    /// The source that has the image.
    pub planned: PlannedSource,
    /// Why the sources before it did not serve.
    pub skipped: Vec<SourceFailure>,
}

impl Plan {
    /// Finds and proves the image that the plan's name stands for, as a whole: its manifest or index must be signed
    /// itself. The sources are asked in turn, by the rules of an installation: mirrors where the first source is
    /// unreachable or has no image, for the digest that it resolved to where it said that. Fallback tags are not asked.
    /// A locked plan asks for what is locked, and by the locked signer alone.
    ///
    /// # Errors
    /// [`PlanFailure`], with the error of every source that was asked. [`Error::Unverifiable`] where the plan has no
    /// policy, or its source is no image.
    pub async fn prove<V: ImageVerifier>(
        &self,
        registry: &Registry,
        verifier: &V,
    ) -> Result<ProvenSource, PlanFailure> {
        let mut sources = InTurn::of(self, Purpose::Prove);
        let limited = self
            .address_limit()
            .map(|limit| registry_within(registry, limit.clone()));
        let limited = match limited.transpose() {
            Ok(limited) => limited.unwrap_or_else(|| registry.clone()),
            Err(error) => return Err(sources.not_begun(error)),
        };
        while let Some(NextSource { planned, digest }) = sources.to_ask_now() {
            let mut asked = digest.clone();
            let proven = async {
                let (image, policy) = self.resolve(&limited, planned, digest).await?;
                asked = Some(image.digest().clone());
                match self.locked_to() {
                    None => Ok::<_, Error>(verify_image(&limited, verifier, &image, policy).await?),
                    Some(locked) => locked_proof(&limited, verifier, &image, policy, locked).await,
                }
            };
            // On the heap: it holds all of a verification.
            let result = Box::pin(proven).await;
            let attempt = AttemptResult {
                digest: asked,
                result,
            };
            if let Some(proof) = sources.record(planned, attempt) {
                return Ok(ProvenSource {
                    registry: limited,
                    proof,
                    planned: planned.clone(),
                    skipped: sources.into_failures(),
                });
            }
        }
        Err(sources.none_served())
    }

    /// The image that a source has, and the policy that it has to pass.
    async fn resolve(
        &self,
        registry: &Registry,
        planned: &PlannedSource,
        digest: Option<Digest>,
    ) -> Result<(ResolvedImage, &Policy), Error> {
        let unverifiable = || Error::Unverifiable {
            location: planned.source.to_string(),
            required: self.requirement().to_string(),
        };
        let policy = self.requirement().policy().ok_or_else(unverifiable)?;
        let reference = planned.source.to_reference().ok_or_else(unverifiable)?;
        let requested = match digest {
            Some(digest) => reference.pinned_to(digest),
            None => reference.clone(),
        };
        let image = registry.resolve(&requested).await?;
        Ok((image.requested_as(name(self, planned, &reference)), policy))
    }
}

/// Proves an image by the policy for the locked signer alone.
async fn locked_proof<V: ImageVerifier>(
    registry: &Registry,
    verifier: &V,
    image: &ResolvedImage,
    policy: &Policy,
    locked: &Locked,
) -> Result<VerifiedImage, Error> {
    match image.document() {
        Document::Manifest(_) => locked.check_digests(None, image.digest())?,
        Document::Index(_) => {
            let selected = registry.select(image, &locked.entry.platform).await?;
            locked.check_digests(Some(image.digest()), selected.manifest.digest())?;
        }
    }
    let check = |proof: &VerifiedImage| {
        let first = [proof.evidence()].into_iter();
        locked.check_signers(first.chain(proof.further_evidence()))
    };
    let narrowed = locked.policy().unwrap_or(policy);
    let by_locked =
        async { Ok::<_, Error>(verify_image(registry, verifier, image, narrowed).await?) };
    let by_others =
        async { Ok::<_, Error>(verify_image(registry, verifier, image, policy).await?) };
    // On the heap: each holds all of a verification.
    let by_others = locked.policy().map(|_| Box::pin(by_others));
    by_locked_signer(Box::pin(by_locked), by_others, check).await
}

/// What `plan` asks for when it asks for `reference` at the source `planned`: a mirror holds a copy of what the
/// primary's name stands for, and a fallback is another tag of the primary's repository.
pub(super) fn name(plan: &Plan, planned: &PlannedSource, reference: &Reference) -> Reference {
    let primary = plan.sources().first().map(|first| &first.source);
    let Some(primary) = primary.and_then(Source::reference) else {
        return reference.clone();
    };
    match planned.role {
        Role::Primary | Role::Mirror => primary.clone(),
        Role::Fallback => primary.with_tag_of(reference),
    }
}
