//! The search for a signature that passes: referrers, then the tag for legacy signatures.
//!
//! At most [`Limits::candidates`](super::Limits) are fetched, in all repositories together: referrers and the
//! payloads of legacy signatures alike. A registry's error is remembered: with it, nobody knows whether the
//! image is signed.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use countersign_oci::{
    CosignTag, Descriptor, Digest, Error as RegistryError, Location, ResolvedImage,
};
use countersign_policy::{Policy, SignatureFormat};

use super::Verifier;
use super::fetch::{FetchFailure, Fetched};
use crate::blocking::run_blocking;
use crate::candidate::{self, Rank};
use crate::denial::{DeniedChildren, NotDenied};
use crate::failure::Failure;
use crate::gathered::{Gathered, Judged};
use crate::judge::Judge;
use crate::proof::VerifiedImage;
use crate::proven::Proven;
use crate::refusal::{Candidate, Refusal, RequirementState};
use crate::seen_signatures::FoundSignature;
use crate::signature::{FetchedLayer, SignatureToCheck};
use crate::trust::TrustedRoot;

impl Verifier {
    /// Checks the referrers that `location` lists, then the legacy signatures at the tag for them, until one
    /// passes.
    pub(super) async fn search_location(
        &self,
        location: &Location,
        referrers: Result<Vec<Descriptor>, RegistryError>,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        if let Some(proof) = self.search_referrers(location, referrers, search).await {
            return Some(proof);
        }
        self.search_legacy_tag(location, search).await
    }

    /// Checks the referrers that `location` lists, until one passes.
    async fn search_referrers(
        &self,
        location: &Location,
        referrers: Result<Vec<Descriptor>, RegistryError>,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        let (image, policy) = (search.image, search.policy);
        let referrers = match referrers {
            Ok(referrers) => referrers,
            Err(error) => {
                tracing::debug!(%location, %error, "referrers could not be listed");
                search.unknown.get_or_insert(error);
                return None;
            }
        };
        let all = referrers.len();
        let referrers = shortlist(referrers, search.left, search.policy);
        // The likelier ones are checked before any of the others is fetched.
        let at_once = self.limits.concurrency.max(1);
        let mut fetched = stream::iter(referrers).flat_map(|equally_likely| {
            stream::iter(equally_likely)
                .map(|descriptor| self.fetch(location, image, policy, descriptor))
                .buffered(at_once)
        });
        let mut tried = 0;
        // Legacy signatures, of which a referrer may have many, are candidates too.
        while search.left > 0
            && let Some((descriptor, outcome)) = fetched.next().await
        {
            search.left -= 1;
            tried += 1;
            let manifest = descriptor.digest;
            let failure = match outcome {
                Ok(Fetched::Bundle(stored)) => match self.judge(search, *stored).await {
                    Some(proof) => return Some(proof),
                    None => continue,
                },
                Ok(Fetched::SimpleSigning(holder, layers)) => {
                    let tried = self.try_layers(location, &holder, &layers, search).await;
                    match tried {
                        Some(proof) => return Some(proof),
                        None => continue,
                    }
                }
                Err(FetchFailure::Failure(failure)) => failure,
                Err(FetchFailure::Registry(error)) => {
                    tracing::debug!(%manifest, %error, "candidate could not be fetched");
                    search.unknown.get_or_insert(error);
                    continue;
                }
            };
            search.refuse(manifest, failure);
        }
        search.refusal.untried += all - tried;
        None
    }

    /// Checks the legacy signatures at the tag for them, until one passes. Only if the policy accepts them.
    async fn search_legacy_tag(
        &self,
        location: &Location,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        if !search.policy.accepts_format(SignatureFormat::SimpleSigning) {
            return None;
        }
        let image = location.at(search.image.digest().clone());
        let found = match self.registry.beside(&image, CosignTag::Signatures).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(%location, %error, "the tag for legacy signatures could not be read");
                search.unknown.get_or_insert(error);
                return None;
            }
        };
        let holder = Arc::new(found);
        match candidate::layers_at_legacy_tag(&holder, search.policy) {
            Ok(layers) => {
                let layers: Vec<Descriptor> = layers.into_iter().cloned().collect();
                self.try_layers(location, &holder, &layers, search).await
            }
            Err(failure) => {
                search.refuse(holder.digest().clone(), failure);
                None
            }
        }
    }

    /// Checks the legacy signatures in these layers of one manifest, until one passes: the newest first, since
    /// new ones are appended.
    async fn try_layers(
        &self,
        location: &Location,
        holder: &Arc<ResolvedImage>,
        layers: &[Descriptor],
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        let left = search.left;
        search.refusal.untried += layers.len().saturating_sub(left);
        for layer in layers.iter().rev().take(left) {
            search.left -= 1;
            let payload = self
                .registry
                .blob(location, layer, self.limits.bundle_bytes)
                .await;
            let failure = match payload.map_err(FetchFailure::from) {
                Ok(content) => {
                    let stored = FetchedLayer {
                        holder: Arc::clone(holder),
                        layer: layer.clone(),
                        content,
                    };
                    match self.judge(search, stored).await {
                        Some(proof) => return Some(proof),
                        None => continue,
                    }
                }
                Err(FetchFailure::Failure(failure)) => failure,
                Err(FetchFailure::Registry(error)) => {
                    let manifest = holder.digest();
                    tracing::debug!(%manifest, %error, "the payload of a signature could not be fetched");
                    search.unknown.get_or_insert(error);
                    continue;
                }
            };
            search.refuse(holder.digest().clone(), failure);
        }
        None
    }

    /// Judges one signature for each proof that is still missing. `Some` if none is missing then. What proves
    /// something is remembered, for a cache.
    pub(super) async fn judge(
        &self,
        search: &mut SearchState<'_>,
        stored: FetchedLayer,
    ) -> Option<VerifiedImage> {
        if let Some(seen_signatures) = &self.seen_signatures {
            seen_signatures.keep(search.image.digest(), FoundSignature::of(&stored));
        }
        let criteria = Arc::clone(&search.criteria);
        let manifest = stored.holder().clone();
        let unmet = search.gathered.unmet();
        let judging = run_blocking(&self.permits, move || {
            let judged = unmet.judged_by(|requirement| criteria.judge(&stored, requirement));
            (judged, stored)
        });
        let Ok((judged, stored)) = judging.await else {
            search.refuse(manifest, Failure::Aborted);
            return None;
        };
        if search.take(&manifest, judged) > 0 {
            search.proving.push(stored);
        }
        search.proof()
    }

    /// Looks for legacy signatures if the policy does not accept them, so that the refusal can mention them.
    /// This is done only if nothing like a signature was found. Errors here are ignored.
    pub(super) async fn mention_legacy_signature(&self, refusal: &mut Refusal, policy: &Policy) {
        let silent = refusal.candidates.iter().all(|candidate| {
            candidate.failure.kind() == crate::RefusalKind::Unsigned
                && !matches!(candidate.failure, Failure::LegacySignature)
        });
        if !silent || policy.accepts_format(SignatureFormat::SimpleSigning) {
            return;
        }
        let tag = CosignTag::Signatures;
        match self.registry.beside(&refusal.image, tag).await {
            Ok(None) => {}
            Ok(Some(found)) => {
                let layers = candidate::layers_at_legacy_tag(&found, policy);
                if let Err(failure @ Failure::LegacySignature) = layers {
                    refusal.candidates.push(Candidate {
                        manifest: found.digest().clone(),
                        failure,
                        requirement: None,
                    });
                }
            }
            Err(error) => tracing::debug!(%error, "no legacy signature found"),
        }
    }

    /// Looks for attestations in cosign's old form if an attestation is missing, so that the refusal can mention
    /// them. Errors here are ignored.
    pub(super) async fn mention_old_attestation(&self, refusal: &mut Refusal, policy: &Policy) {
        let missing = |one: &RequirementState| one.attestation && !one.met;
        if !refusal.requirements.iter().any(missing) {
            return;
        }
        let tag = CosignTag::Attestations;
        match self.registry.beside(&refusal.image, tag).await {
            Ok(None) => {}
            Ok(Some(found)) => {
                if let Err(failure) = candidate::refuse_old_attestation(&found, policy) {
                    refusal.candidates.push(Candidate {
                        manifest: found.digest().clone(),
                        failure,
                        requirement: None,
                    });
                }
            }
            Err(error) => tracing::debug!(%error, "no old attestation found"),
        }
    }
}

/// What every candidate is checked against. Threads share it.
pub(super) struct Criteria {
    pub(super) image: NotDenied,
    pub(super) trusted_root: TrustedRoot,
    pub(super) denied_children: DeniedChildren,
    pub(super) now: Timestamp,
}

impl Criteria {
    fn by<'a>(&'a self, policy: &'a Policy) -> Judge<'a> {
        Judge::by(&self.trusted_root, policy, self.now)
    }

    fn judge(&self, stored: &FetchedLayer, requirement: &Policy) -> Result<Proven, Failure> {
        let signature = stored.signature(requirement)?;
        self.by(requirement)
            .proven(self.image.image(), Some(stored.holder()), &signature)
    }

    /// As [`Self::judge`], for a signature that is in no manifest.
    pub(super) fn judge_given(
        &self,
        given: &SignatureToCheck<'_>,
        requirement: &Policy,
    ) -> Result<Proven, Failure> {
        self.by(requirement).proven(self.image.image(), None, given)
    }
}

/// The state of one verification.
pub(super) struct SearchState<'a> {
    pub(super) image: &'a ResolvedImage,
    pub(super) policy: &'a Policy,
    pub(super) criteria: Arc<Criteria>,
    /// The proofs so far.
    pub(super) gathered: Gathered,
    /// The error if none passes.
    pub(super) refusal: Refusal,
    /// How many candidates may still be fetched, in all repositories together.
    pub(super) left: usize,
    /// The first error of the registry. With it, nobody knows whether the image is signed.
    pub(super) unknown: Option<RegistryError>,
    /// The signatures that proved the image.
    pub(super) proving: Vec<FetchedLayer>,
}

impl<'a> SearchState<'a> {
    /// Nothing is found yet, and at most `left` candidates may be fetched.
    pub(super) fn new(
        image: &'a ResolvedImage,
        policy: &'a Policy,
        criteria: Criteria,
        left: usize,
    ) -> Self {
        Self {
            image,
            policy,
            criteria: Arc::new(criteria),
            gathered: Gathered::none(policy),
            refusal: Refusal {
                image: image.reference().clone(),
                requirements: Vec::new(),
                candidates: Vec::new(),
                untried: 0,
                unsearched: 0,
            },
            left,
            unknown: None,
            proving: Vec::new(),
        }
    }

    /// Remembers why a candidate proves nothing.
    pub(super) fn refuse(&mut self, manifest: Digest, failure: Failure) {
        self.refuse_for(None, manifest, failure);
    }

    /// Takes what a candidate proves, and remembers why it doesn't prove the rest. Returns how many proofs it is.
    pub(super) fn take(&mut self, manifest: &Digest, judged: Vec<Judged>) -> usize {
        let all = judged.len();
        let failures = self.gathered.take(judged);
        let proofs = all.saturating_sub(failures.len());
        for (position, failure) in failures {
            self.refuse_for(Some(position), manifest.clone(), failure);
        }
        proofs
    }

    /// Remembers why a candidate does not prove one of the requirements.
    fn refuse_for(&mut self, requirement: Option<usize>, manifest: Digest, failure: Failure) {
        tracing::debug!(%manifest, %failure, "candidate refused");
        self.refusal.candidates.push(Candidate {
            manifest,
            failure,
            requirement,
        });
    }

    /// The proof, if nothing is missing.
    pub(super) fn proof(&mut self) -> Option<VerifiedImage> {
        let complete = self.gathered.complete()?;
        let denied_children = self.criteria.denied_children.clone();
        Some(VerifiedImage::new(
            self.criteria.image.clone(),
            complete,
            denied_children,
        ))
    }

    /// The refusal, with what was found of that which the policy requires.
    pub(super) fn into_refusal(self) -> (Refusal, Option<RegistryError>) {
        let refusal = Refusal {
            requirements: self.gathered.states(),
            ..self.refusal
        };
        (refusal, self.unknown)
    }
}

/// The referrers to check, in groups: the likeliest group first. At most `left` of them are kept.
fn shortlist(mut referrers: Vec<Descriptor>, left: usize, policy: &Policy) -> Vec<Vec<Descriptor>> {
    let rank = |descriptor: &Descriptor| Rank::of(descriptor, policy);
    referrers.sort_by_key(rank);
    referrers.truncate(left);
    let groups = referrers.chunk_by(|one, other| rank(one) == rank(other));
    groups.map(<[Descriptor]>::to_vec).collect()
}
