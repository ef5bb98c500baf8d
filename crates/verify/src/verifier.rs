//! Finds an image's signatures in its registry and judges them.
//!
//! All that a [`Verifier`] reads is bounded: the number of referrers it fetches, how many at once,
//! and the size of each. It never takes a registry's word for what a referrer is.

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

use crate::candidate;
use crate::denial::DeniedChildren;
use crate::error::Error;
use crate::failure::Failure;
use crate::judge::Judge;
use crate::proof::VerifiedImage;
use crate::refusal::{Candidate, Refusal};
use crate::trust::{TrustSource, TrustedRoot};
use crate::turns::{aside, turns};

/// Upper bounds on what one verification reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Referrers fetched for one image, of those listed, in all repositories together. Default 64.
    pub candidates: usize,
    /// Bytes of one bundle. Default 1 MiB.
    pub bundle_bytes: u64,
    /// Referrers fetched at once. Default 6.
    pub concurrency: usize,
    /// Repositories besides the image's own that are searched, of those that the policy names.
    /// Default 8.
    pub signature_sources: usize,
    /// From the first request of one verification to its end: each request has time limits of its
    /// own, and a hostile registry can stay within them for hours. Default 5 minutes.
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
    /// Whose turn it is to judge, of all verifications by this verifier and its clones: as many at
    /// once as there are processors.
    turns: Arc<Semaphore>,
}

#[derive(Clone)]
enum Trust {
    Root(TrustedRoot),
    /// Loaded anew for each verification, which costs nothing while it is fresh.
    Source(TrustSource),
}

impl Verifier {
    /// A verifier that goes by one trusted root as long as it lives.
    ///
    /// A policy that names an instance of its own ([`Policy::trust`]) is refused by it, unless the
    /// root was loaded for that very instance ([`TrustedRoot::for_trust`]).
    pub fn new(registry: Registry, trusted_root: TrustedRoot) -> Self {
        Self {
            registry,
            trust: Trust::Root(trusted_root),
            limits: Limits::default(),
            turns: turns(),
        }
    }

    /// A verifier for processes that run for long: it asks for the trusted root at each
    /// verification, so that it is refreshed when it is due. See [`TrustedRoot::load`].
    pub fn with_source(registry: Registry, source: TrustSource) -> Self {
        Self {
            registry,
            trust: Trust::Source(source),
            limits: Limits::default(),
            turns: turns(),
        }
    }

    /// The same verifier within other bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Discovers the image's referrers and judges them: the first passing candidate proves it.
    ///
    /// One request for the list, and two for each candidate that holds a bundle. Where none of the
    /// image's own repository passes, those are searched that [`Policy::signature_sources`] names:
    /// a signature is bound to the digest, wherever it lies.
    ///
    /// # Errors
    /// [`Error::Denied`] when the policy denies the image, or a denied index in its repository lists
    /// it; [`Error::Refused`] with every candidate when none passes; [`Error::Registry`] when none
    /// passes and the registry kept something from us that might have; [`Error::Late`] when
    /// [`Limits::total`] is over before there is an answer.
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
        // Without a single request where the policy itself says it.
        DeniedChildren::default().refuse(policy, image.reference())?;
        let (trusted_root, own, denied_children) = tokio::join!(
            self.trusted_root(now),
            self.registry.referrers(image.reference()),
            DeniedChildren::known_in(&self.registry, location, policy),
        );
        let denied_children = denied_children.map_err(Error::Registry)?;
        denied_children.refuse(policy, image.reference())?;
        let mut search = Search {
            image,
            policy,
            question: Arc::new(Question {
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
        let Search {
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

    /// Judges what `location` lists as referrers, up to the first that passes.
    async fn search(
        &self,
        location: &Location,
        referrers: Result<Vec<Descriptor>, RegistryError>,
        search: &mut Search<'_>,
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
        // The likelier ones are judged before any of the others is asked for.
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
                    let question = Arc::clone(&search.question);
                    let holder = manifest.clone();
                    let judged = aside(&self.turns, move || question.judge(&holder, &bundle));
                    match judged.await.unwrap_or(Err(Failure::Aborted)) {
                        Ok(proof) => return Some(proof),
                        Err(failure) => failure,
                    }
                }
                Err(Obstacle::Failure(failure)) => failure,
                Err(Obstacle::Registry(error)) => {
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

    /// Fetches a referrer's bundle, by way of its manifest.
    async fn fetch(
        &self,
        location: &Location,
        image: &ResolvedImage,
        descriptor: Descriptor,
    ) -> (Descriptor, Result<bytes::Bytes, Obstacle>) {
        let outcome = self.fetch_bundle(location, image, &descriptor).await;
        (descriptor, outcome)
    }

    async fn fetch_bundle(
        &self,
        location: &Location,
        image: &ResolvedImage,
        descriptor: &Descriptor,
    ) -> Result<bytes::Bytes, Obstacle> {
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

    /// Looks where cosign kept signatures before there were referrers, so that the refusal of an
    /// image that was signed the old way can say so. Asked only when nothing like a signature was
    /// found; an error here changes nothing.
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

/// What is asked of every candidate, in a form that threads can share.
struct Question {
    image: ResolvedImage,
    policy: Policy,
    trusted_root: TrustedRoot,
    denied_children: DeniedChildren,
    now: Timestamp,
}

impl Question {
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
struct Search<'a> {
    image: &'a ResolvedImage,
    policy: &'a Policy,
    question: Arc<Question>,
    /// What is told if none passes.
    refusal: Refusal,
    /// Referrers fetched so far, of all repositories together.
    tried: usize,
    /// The first error because of which none passing proves nothing.
    unknown: Option<RegistryError>,
}

/// The referrers to try, the likeliest first, those that are equally likely together; and how many
/// of them are left out because they are more than `left`.
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

/// Why a candidate's bundle is not at hand.
enum Obstacle {
    /// A fault of the candidate's own.
    Failure(Failure),
    /// A fault of the way there: the candidate may be good.
    Registry(RegistryError),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RegistryError> for Obstacle {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Protocol { .. } | RegistryError::Limit { .. } => {
                Self::Failure(Failure::Unreadable(Box::new(error)))
            }
            error if error.is_about_content() => {
                Self::Failure(Failure::Unreadable(Box::new(error)))
            }
            error => Self::Registry(error),
        }
    }
}
