//! Finds an image's signatures in its registry and checks them.
//!
//! Everything that a [`Verifier`] reads has a limit: the number of referrers, how many are fetched at the
//! same time, and the size of each. It never trusts what a registry says about a referrer.

mod cached;
mod fetch;
mod given;
mod search;
mod surveyed;

pub use given::Bundles;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use countersign_oci::{Descriptor, Error as RegistryError, Location, Registry, ResolvedImage};
use countersign_policy::Policy;

use crate::blocking::one_permit_for_each_processor;
use crate::cache::SignatureCache;
use crate::denial::{DenialCache, DeniedChildren};
use crate::document_proof::VerifiedDocument;
use crate::error::Error;
use crate::limits::{Limits, in_time};
use crate::platform::{ImageVerifier, verify_image};
use crate::proof::VerifiedImage;
use crate::seen_signatures::SeenSignatures;
use crate::signature::FetchedLayer;
use crate::trust::{TrustSource, TrustedRoot};
use search::{Criteria, SearchState};

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
    signatures: Signatures,
    /// Where the signatures are kept that are judged.
    seen_signatures: Option<SeenSignatures>,
}

/// Where signatures are from.
#[derive(Clone)]
enum Signatures {
    InRegistries {
        /// Signatures that proved images before.
        cache: Option<SignatureCache>,
    },
    Given(Bundles),
}

/// The list of an image's referrers, or why there is none.
type Referrers = Result<Vec<Descriptor>, RegistryError>;

/// What a search begins with.
struct Asked {
    /// The signatures that proved the image before.
    kept: Vec<FetchedLayer>,
    /// The referrers in the image's own repository, if they were asked for.
    own: Option<Referrers>,
    criteria: Criteria,
}

#[derive(Clone)]
enum Trust {
    Root(TrustedRoot),
    /// Loaded again for each verification. That costs nothing while it is fresh.
    Source(TrustSource),
}

impl ImageVerifier for Verifier {
    async fn verify_document(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedDocument, Error> {
        let judging = self.judge_all(image, policy);
        let proof = self.in_time(image, judging).await?;
        Ok(VerifiedDocument::new(proof))
    }

    fn time_limit(&self) -> Duration {
        self.limits.total
    }
}

impl Verifier {
    /// A verifier that always uses this trusted root.
    ///
    /// It refuses a policy that names its own Sigstore instance ([`Policy::trust`]), unless the root was
    /// loaded for that instance ([`TrustedRoot::for_trust`]).
    pub fn new(registry: Registry, trusted_root: TrustedRoot) -> Self {
        Self::trusting(registry, Trust::Root(trusted_root))
    }

    /// A verifier for processes that run for a long time. It loads the trusted root at each verification,
    /// so the root is refreshed when necessary. See [`TrustedRoot::load`].
    pub fn with_source(registry: Registry, source: TrustSource) -> Self {
        Self::trusting(registry, Trust::Source(source))
    }

    fn trusting(registry: Registry, trust: Trust) -> Self {
        Self {
            registry,
            trust,
            limits: Limits::default(),
            permits: one_permit_for_each_processor(),
            denial_cache: Arc::default(),
            signatures: Signatures::InRegistries { cache: None },
            seen_signatures: None,
        }
    }

    /// The same verifier with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same verifier with a cache. An image that a signature in the cache proves needs no request, except
    /// for what the policy denies: see [`Self::verify`]. It looks for signatures in registries, whatever
    /// [`Self::with_bundles`] said before.
    #[must_use]
    pub fn with_cache(self, cache: SignatureCache) -> Self {
        Self {
            signatures: Signatures::InRegistries { cache: Some(cache) },
            ..self
        }
    }

    /// The same verifier for signatures that the caller has. Those in registries are not looked at, and neither is a
    /// cache. What a policy denies is still asked for.
    #[must_use]
    pub fn with_bundles(self, bundles: Bundles) -> Self {
        Self {
            signatures: Signatures::Given(bundles),
            ..self
        }
    }

    /// The same verifier, which keeps the signatures that it judges or surveys from now on.
    #[must_use]
    pub fn with_seen_signatures(self, seen_signatures: SeenSignatures) -> Self {
        Self {
            seen_signatures: Some(seen_signatures),
            ..self
        }
    }

    /// Lists the image's referrers and checks them. The first one that passes is the proof. If the image is an index,
    /// the policy may deny nothing that it lists: nobody says which of its images will be used. For one platform
    /// there is [`verify_platform`](crate::verify_platform).
    ///
    /// This takes one request for the list, and two for each candidate with a bundle. If none of these passes
    /// and the policy accepts legacy signatures, one more request reads the tag for them. If no candidate in
    /// the image's repository passes, the repositories of [`Policy::signature_sources`] are searched: a
    /// signature names the digest, so it may be in any repository.
    ///
    /// With a cache, the signature that proved the image before is judged first, with the policy and the trusted
    /// root of now. If it still proves the image, nothing is asked, except what the digests list that the policy
    /// denies: one request for each, once in this verifier's life.
    ///
    /// # Errors
    /// [`Error::Denied`] if the policy denies the image or anything that it lists, or a denied index in its
    /// repository lists it; [`Error::Refused`], with every candidate, if none passes; [`Error::Registry`] if
    /// none passes and something could not be fetched; [`Error::Late`] after [`Limits::total`].
    pub async fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, Error> {
        verify_image(&self.registry, self, image, policy).await
    }

    /// What `verifying` makes of the image, if it ends within [`Limits::total`].
    async fn in_time<T>(
        &self,
        image: &ResolvedImage,
        verifying: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        in_time(self.limits.total, image, verifying).await
    }

    async fn judge_all(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, Error> {
        let Asked {
            kept,
            own,
            criteria,
        } = self.ask(image, policy).await?;
        let mut search = SearchState::new(image, policy, criteria, self.limits.candidates);
        match self.search(kept, own, &mut search).await {
            Some(proof) => Ok(proof),
            None => Err(self.conclude(search).await),
        }
    }

    /// Asks for everything that a search begins with, at the same time.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Trust`], and [`Error::Registry`] if it isn't known what the policy denies.
    async fn ask(&self, image: &ResolvedImage, policy: &Policy) -> Result<Asked, Error> {
        let now = Timestamp::now();
        let location = image.reference().location();
        // First without any request: the policy itself may list the image.
        DeniedChildren::not_asked().refuse_digest(policy, image.reference())?;
        let kept = self.kept(image, policy, now).await;
        let own = async {
            match &self.signatures {
                Signatures::InRegistries { .. } if kept.is_empty() => {
                    Some(self.registry.referrers(image.reference()).await)
                }
                Signatures::InRegistries { .. } | Signatures::Given(_) => None,
            }
        };
        let (trusted_root, own, denied_children) = tokio::join!(
            self.trusted_root(now),
            own,
            DeniedChildren::known_in(&self.registry, location, policy, &self.denial_cache),
        );
        let denied_children = denied_children.map_err(Error::Registry)?;
        Ok(Asked {
            kept,
            own,
            criteria: Criteria {
                image: denied_children.refuse(policy, image.clone())?,
                trusted_root: trusted_root?,
                denied_children,
                now,
            },
        })
    }

    /// Searches for the missing proofs: in what the caller gave, or in the cache and then in registries.
    async fn search(
        &self,
        kept: Vec<FetchedLayer>,
        own: Option<Referrers>,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        match &self.signatures {
            Signatures::Given(bundles) => return self.search_given(bundles, search).await,
            Signatures::InRegistries { .. } => {}
        }
        if let Some(proof) = self.search_kept(kept, search).await {
            return Some(proof);
        }
        let own = match own {
            Some(own) => own,
            None => self.registry.referrers(search.image.reference()).await,
        };
        let proof = self.search_registries(own, search).await?;
        self.keep(search).await;
        Some(proof)
    }

    /// Why the search has found no proof. Signatures in old forms are mentioned.
    async fn conclude(&self, search: SearchState<'_>) -> Error {
        let policy = search.policy;
        let (mut refusal, unknown) = search.into_refusal();
        if let Some(error) = unknown {
            return Error::Registry(error);
        }
        match &self.signatures {
            Signatures::InRegistries { .. } => {
                self.mention_legacy_signature(&mut refusal, policy).await;
                self.mention_old_attestation(&mut refusal, policy).await;
            }
            Signatures::Given(_) => {}
        }
        Error::Refused(Box::new(refusal))
    }

    /// Searches the image's own repository, then those that the policy names.
    async fn search_registries(
        &self,
        own: Referrers,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        let (image, policy) = (search.image, search.policy);
        let location = image.reference().location();
        if let Some(proof) = self.search_location(location, own, search).await {
            return Some(proof);
        }
        let elsewhere = policy.signature_sources().iter().cloned();
        let elsewhere: Vec<Location> = elsewhere
            .map(Location::from)
            .filter(|source| source != location)
            .collect();
        let limit = self.limits.signature_sources;
        search.refusal.unsearched = elsewhere.len().saturating_sub(limit);
        for source in elsewhere.into_iter().take(limit) {
            let pinned = source.at(image.digest().clone());
            let referrers = self.registry.referrers(&pinned).await;
            if let Some(proof) = self.search_location(&source, referrers, search).await {
                return Some(proof);
            }
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
}
