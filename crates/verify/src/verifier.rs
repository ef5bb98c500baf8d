//! Finds an image's signatures in its registry and checks them.
//!
//! Everything that a [`Verifier`] reads has a limit: the number of referrers, how many are fetched at the
//! same time, and the size of each. It never trusts what a registry says about a referrer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use countersign_oci::{
    Descriptor, Digest, Document, Error as RegistryError, Location, Reference, Registry,
    ResolvedImage,
};
use countersign_policy::Policy;

use crate::blocking::{one_permit_for_each_processor, run_blocking};
use crate::candidate;
use crate::denial::{DenialCache, DeniedChildren};
use crate::error::Error;
use crate::failure::Failure;
use crate::judge::Judge;
use crate::proof::VerifiedImage;
use crate::refusal::{Candidate, Refusal};
use crate::trust::{TrustSource, TrustedRoot};

/// Limits of one verification.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The most referrers fetched for one image, in all repositories together. Default 64.
    pub candidates: usize,
    /// The most bytes of one bundle. Default 1 MiB.
    pub bundle_bytes: u64,
    /// The most referrers fetched at the same time. Default 6.
    pub concurrency: usize,
    /// The most repositories of [`Policy::signature_sources`] that are searched, besides the image's own.
    /// Default 8.
    pub signature_sources: usize,
    /// The longest time of one verification. Each request has its own time limits, but with many slow
    /// requests a hostile registry could take hours. Default 5 minutes.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            candidates: 64,
            bundle_bytes: 1 << 20,
            concurrency: 6,
            signature_sources: 8,
            total: Duration::from_secs(5 * 60),
        }
    }
}

/// Verifies images in registries.
#[derive(Clone)]
pub struct Verifier {
    registry: Registry,
    trust: Trust,
    limits: Limits,
    /// Permits to check a bundle, one for each processor. This verifier shares them with its clones.
    permits: Arc<Semaphore>,
    /// What denied indexes list. This verifier shares it with its clones.
    denial_cache: Arc<DenialCache>,
}

#[derive(Clone)]
enum Trust {
    Root(TrustedRoot),
    /// Loaded again for each verification. That costs nothing while it is fresh.
    Source(TrustSource),
}

impl Verifier {
    /// A verifier that always uses this trusted root.
    ///
    /// It refuses a policy that names its own Sigstore instance ([`Policy::trust`]), unless the root was
    /// loaded for that instance ([`TrustedRoot::for_trust`]).
    pub fn new(registry: Registry, trusted_root: TrustedRoot) -> Self {
        Self {
            registry,
            trust: Trust::Root(trusted_root),
            limits: Limits::default(),
            permits: one_permit_for_each_processor(),
            denial_cache: Arc::default(),
        }
    }

    /// A verifier for processes that run for a long time. It loads the trusted root at each verification,
    /// so the root is refreshed when necessary. See [`TrustedRoot::load`].
    pub fn with_source(registry: Registry, source: TrustSource) -> Self {
        Self {
            registry,
            trust: Trust::Source(source),
            limits: Limits::default(),
            permits: one_permit_for_each_processor(),
            denial_cache: Arc::default(),
        }
    }

    /// The same verifier with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Lists the image's referrers and checks them. The first one that passes is the proof.
    ///
    /// This takes one request for the list, and two for each candidate with a bundle. If no candidate in
    /// the image's repository passes, the repositories of [`Policy::signature_sources`] are searched: a
    /// signature names the digest, so it may be in any repository.
    ///
    /// # Errors
    /// [`Error::Denied`] if the policy denies the image, or a denied index in its repository lists it;
    /// [`Error::Refused`], with every candidate, if none passes; [`Error::Registry`] if none passes and
    /// something could not be fetched; [`Error::Late`] after [`Limits::total`].
    pub async fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, Error> {
        let limit = self.limits.total;
        match tokio::time::timeout(limit, self.judge_all(image, policy)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Late {
                image: image.reference().clone(),
                limit,
            }),
        }
    }

    async fn judge_all(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, Error> {
        let now = Timestamp::now();
        let location = image.reference().location();
        // First without any request: the policy itself may list the image.
        DeniedChildren::default().refuse(policy, image.reference())?;
        let (trusted_root, own, denied_children) = tokio::join!(
            self.trusted_root(now),
            self.registry.referrers(image.reference()),
            DeniedChildren::known_in(&self.registry, location, policy, &self.denial_cache),
        );
        let denied_children = denied_children.map_err(Error::Registry)?;
        denied_children.refuse(policy, image.reference())?;
        let mut search = SearchState {
            image,
            policy,
            criteria: Arc::new(Criteria {
                image: image.clone(),
                policy: policy.clone(),
                trusted_root: trusted_root?,
                denied_children,
                now,
            }),
            refusal: Refusal {
                image: image.reference().clone(),
                candidates: Vec::new(),
                untried: 0,
            },
            tried: 0,
            unknown: None,
        };
        if let Some(proof) = self.search(location, own, &mut search).await {
            return Ok(proof);
        }
        let elsewhere = policy.signature_sources().iter().cloned();
        let elsewhere = elsewhere
            .map(Location::from)
            .filter(|source| source != location);
        for source in elsewhere.take(self.limits.signature_sources) {
            let there = source.at(image.digest().clone());
            let referrers = self.registry.referrers(&there).await;
            if let Some(proof) = self.search(&source, referrers, &mut search).await {
                return Ok(proof);
            }
        }
        let SearchState {
            mut refusal,
            unknown,
            ..
        } = search;
        if let Some(error) = unknown {
            return Err(Error::Registry(error));
        }
        self.add_legacy_signature(&mut refusal).await;
        Err(Error::Refused(Box::new(refusal)))
    }

    /// Checks the referrers that `location` lists, until one passes.
    async fn search(
        &self,
        location: &Location,
        referrers: Result<Vec<Descriptor>, RegistryError>,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        let image = search.image;
        let referrers = match referrers {
            Ok(referrers) => referrers,
            Err(error) => {
                tracing::debug!(%location, %error, "referrers could not be listed");
                search.unknown.get_or_insert(error);
                return None;
            }
        };
        let left = self.limits.candidates.saturating_sub(search.tried);
        let (referrers, untried) = shortlist(referrers, left, search.policy);
        search.refusal.untried += untried;
        // The likelier ones are checked before any of the others is fetched.
        let at_once = self.limits.concurrency.max(1);
        let mut fetched = stream::iter(referrers).flat_map(|equally_likely| {
            stream::iter(equally_likely)
                .map(|descriptor| self.fetch(location, image, descriptor))
                .buffered(at_once)
        });
        while let Some((descriptor, outcome)) = fetched.next().await {
            search.tried += 1;
            let manifest = descriptor.digest;
            let failure = match outcome {
                Ok(bundle) => {
                    let criteria = Arc::clone(&search.criteria);
                    let holder = manifest.clone();
                    let judged =
                        run_blocking(&self.permits, move || criteria.judge(&holder, &bundle));
                    match judged.await.unwrap_or(Err(Failure::Aborted)) {
                        Ok(proof) => return Some(proof),
                        Err(failure) => failure,
                    }
                }
                Err(FetchFailure::Failure(failure)) => failure,
                Err(FetchFailure::Registry(error)) => {
                    tracing::debug!(%manifest, %error, "candidate could not be fetched");
                    search.unknown.get_or_insert(error);
                    continue;
                }
            };
            tracing::debug!(%manifest, %failure, "candidate refused");
            search
                .refusal
                .candidates
                .push(Candidate { manifest, failure });
        }
        None
    }

    async fn trusted_root(&self, now: Timestamp) -> Result<TrustedRoot, Error> {
        match &self.trust {
            Trust::Root(root) => Ok(root.clone()),
            Trust::Source(source) => {
                Ok(TrustedRoot::load_at(source, self.registry.connection(), now).await?)
            }
        }
    }

    /// Fetches a referrer's manifest, then its bundle.
    async fn fetch(
        &self,
        location: &Location,
        image: &ResolvedImage,
        descriptor: Descriptor,
    ) -> (Descriptor, Result<bytes::Bytes, FetchFailure>) {
        let outcome = self.fetch_bundle(location, image, &descriptor).await;
        (descriptor, outcome)
    }

    async fn fetch_bundle(
        &self,
        location: &Location,
        image: &ResolvedImage,
        descriptor: &Descriptor,
    ) -> Result<bytes::Bytes, FetchFailure> {
        let manifest = self
            .registry
            .manifest(&location.at(descriptor.digest.clone()))
            .await?;
        let layer = candidate::bundle_layer(image.digest(), &manifest)?;
        let bundle = self
            .registry
            .blob(location, layer, self.limits.bundle_bytes)
            .await?;
        Ok(bundle)
    }

    /// Looks for a signature at the tag that older versions of cosign used, so that the refusal can mention
    /// it. This is done only if nothing like a signature was found. Errors here are ignored.
    async fn add_legacy_signature(&self, refusal: &mut Refusal) {
        let silent = refusal.candidates.iter().all(|candidate| {
            candidate.failure.kind() == crate::RefusalKind::Unsigned
                && !matches!(candidate.failure, Failure::LegacySignature)
        });
        if !silent {
            return;
        }
        let digest = refusal.image.digest();
        let tag = format!("{}-{}.sig", digest.algorithm(), digest.hex());
        let Ok(reference) = Reference::from(refusal.image.clone()).with_tag(&tag) else {
            return;
        };
        match self.registry.resolve(&reference).await {
            Ok(found) => {
                let legacy = match found.document() {
                    Document::Manifest(manifest) => candidate::is_legacy_signature(manifest),
                    Document::Index(_) => false,
                };
                if legacy {
                    refusal.candidates.push(Candidate {
                        manifest: found.digest().clone(),
                        failure: Failure::LegacySignature,
                    });
                }
            }
            Err(error) => tracing::debug!(%error, "no legacy signature found"),
        }
    }
}

/// What every candidate is checked against. Threads share it.
struct Criteria {
    image: ResolvedImage,
    policy: Policy,
    trusted_root: TrustedRoot,
    denied_children: DeniedChildren,
    now: Timestamp,
}

impl Criteria {
    fn judge(&self, holder: &Digest, bundle: &[u8]) -> Result<VerifiedImage, Failure> {
        let Self {
            image,
            policy,
            trusted_root,
            denied_children,
            now,
        } = self;
        let judge = Judge {
            trusted_root,
            policy,
            now: *now,
        };
        judge.image(image, Some(holder), bundle, denied_children.clone())
    }
}

/// The state of one verification.
struct SearchState<'a> {
    image: &'a ResolvedImage,
    policy: &'a Policy,
    criteria: Arc<Criteria>,
    /// The error if none passes.
    refusal: Refusal,
    /// How many referrers were fetched so far, in all repositories together.
    tried: usize,
    /// The first error of the registry. With it, nobody knows whether the image is signed.
    unknown: Option<RegistryError>,
}

/// The referrers to check, in groups: the likeliest group first. At most `left` of them are kept. The number
/// is how many are left out.
fn shortlist(
    mut referrers: Vec<Descriptor>,
    left: usize,
    policy: &Policy,
) -> (Vec<Vec<Descriptor>>, usize) {
    let rank = |descriptor: &Descriptor| candidate::rank(descriptor, policy);
    referrers.sort_by_key(rank);
    let untried = referrers.len().saturating_sub(left);
    referrers.truncate(left);
    let groups = referrers.chunk_by(|one, other| rank(one) == rank(other));
    (groups.map(<[Descriptor]>::to_vec).collect(), untried)
}

/// Why a candidate's bundle could not be fetched.
enum FetchFailure {
    /// The candidate is at fault.
    Failure(Failure),
    /// The registry or the network is at fault: the candidate may be good.
    Registry(RegistryError),
}

impl From<Failure> for FetchFailure {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RegistryError> for FetchFailure {
    fn from(error: RegistryError) -> Self {
        match error.spoils_one_candidate() {
            true => Self::Failure(Failure::Unreadable(Box::new(error))),
            false => Self::Registry(error),
        }
    }
}
