//! Audits published images: a [`Verdict`] for each, and nothing is installed.
//!
//! A verdict is found as an installation would find it: the same requests, the same verifier, the same rule for
//! mirrors. It is a record for people. No proof leaves this module, so nothing can be installed by a verdict.
//! One image never changes the verdict of another.

mod classify;
mod subject;
mod verdict;

use std::sync::Arc;

use countersign_oci::{
    AddressLimit, Digest, Platform, PlatformEntry, Reference, Registry, ResolvedImage,
};
use countersign_policy::Policy;
use countersign_verify::{
    Error as VerifyError, ImageVerifier, JudgedIndex, VerifiedPlatform, judge_index, verify_image,
    verify_platform,
};
use futures_util::{StreamExt as _, stream};

use crate::carry_out::next::digest_after;
use crate::error::Error;
use crate::limited::registry_within;
use crate::planned::Role;

use subject::SubjectSource;
pub use subject::{AuditSubject, GallerySubjects, WhichSources};
pub use verdict::{FoundSigner, State, Verdict};

/// How many platforms of one image are judged at the same time.
const PLATFORMS_AT_ONCE: usize = 4;

/// What of an image is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The index or manifest that the reference names.
    Named,
    /// As [`Self::Named`]. Where that is not proven, an index counts as proven if each of its platforms is: an
    /// installation succeeds then, whatever the machine.
    Installable,
    /// The image for one platform: a signature of the index or of its manifest counts, as for an installation.
    Platform(Platform),
    /// As [`Self::Platform`], for each platform that an index lists.
    AllPlatforms,
}

/// The verdict on one source of a subject, or on one platform of it.
#[derive(Debug)]
pub struct Audited {
    /// Why the source was asked; `None` for an image that no gallery lists.
    pub role: Option<Role>,
    /// What was asked, as it was written.
    pub source: String,
    /// The platform that was judged, where platforms are.
    pub platform: Option<Platform>,
    /// The digest that the source resolved to.
    pub digest: Option<Digest>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges images by one policy.
pub struct Auditor<V> {
    registry: Registry,
    required: Option<Required<V>>,
    scope: Scope,
}

/// What an image has to be proven by.
struct Required<V> {
    verifier: Arc<V>,
    policy: Policy,
}

impl<V: ImageVerifier> Auditor<V> {
    /// An auditor that finds images by `registry`, and proves them by `verifier` and `policy`.
    pub fn new(registry: Registry, verifier: Arc<V>, policy: Policy, scope: Scope) -> Self {
        Self {
            registry,
            required: Some(Required { verifier, policy }),
            scope,
        }
    }

    /// An auditor where there is no policy: no image is proven.
    pub fn without_policy(registry: Registry, scope: Scope) -> Self {
        Self {
            registry,
            required: None,
            scope,
        }
    }

    /// The same for sources that an index from a server names: no source may have an address that is further
    /// inside than the limit, also after its name is resolved. It is the rule of installations.
    ///
    /// # Errors
    /// If no registry client can be made.
    pub fn within(self, limit: AddressLimit) -> Result<Self, Error> {
        Ok(Self {
            registry: registry_within(&self.registry, limit)?,
            ..self
        })
    }

    /// The verdicts on a subject, at least one: on each of its sources, and there on each platform that the scope
    /// asks for. Sources are asked for the digest that an installation would ask them for.
    pub async fn judge(&self, subject: &AuditSubject) -> Vec<Audited> {
        let mut audited = Vec::new();
        let mut name: Option<&Reference> = None;
        let mut asked = Vec::new();
        for source in subject.sources() {
            let found = match &source.what {
                subject::What::Settled(verdict) => {
                    vec![source.audited(None, None, verdict.clone())]
                }
                subject::What::Image(reference) => {
                    let name = *name.get_or_insert(reference);
                    let planned = source.planned(reference);
                    let pinned = digest_after(&asked, &planned);
                    let (digest, found) = self.image(source, reference, name, pinned).await;
                    asked.push((planned, digest));
                    found
                }
            };
            audited.extend(found);
        }
        audited
    }

    /// What `reference` was asked for or resolved to, and the verdicts on it. `name` is what the user asks for.
    async fn image(
        &self,
        source: &SubjectSource,
        reference: &Reference,
        name: &Reference,
        pinned: Option<Digest>,
    ) -> (Option<Digest>, Vec<Audited>) {
        let Some(required) = &self.required else {
            let reason = "there is no policy to judge it by";
            let verdict = Verdict::short(State::Uncovered, reason);
            return (None, vec![source.audited(None, None, verdict)]);
        };
        let asked = match &pinned {
            Some(digest) => reference.pinned_to(digest.clone()),
            None => reference.clone(),
        };
        let image = match self.registry.resolve(&asked).await {
            Ok(image) => image.requested_as(name.clone()),
            Err(error) => {
                let verdict = classify::registry_error(&error);
                return (pinned, vec![source.audited(None, None, verdict)]);
            }
        };
        let digest = Some(image.digest().clone());
        let judge = Judge {
            registry: &self.registry,
            required,
            source,
            image: &image,
        };
        let found = match &self.scope {
            Scope::Named => vec![judge.named().await],
            Scope::Installable => vec![judge.installable().await],
            Scope::Platform(platform) => vec![judge.platform(platform.clone()).await],
            Scope::AllPlatforms => judge.platforms().await,
        };
        (digest, found)
    }
}

/// One image, and what it is judged by.
struct Judge<'a, V> {
    registry: &'a Registry,
    required: &'a Required<V>,
    source: &'a SubjectSource,
    image: &'a ResolvedImage,
}

impl<V: ImageVerifier> Judge<'_, V> {
    fn audited(&self, platform: Option<Platform>, verdict: Verdict) -> Audited {
        let digest = Some(self.image.digest());
        self.source.audited(platform, digest, verdict)
    }

    async fn named(&self) -> Audited {
        let Required { verifier, policy } = self.required;
        let verifying = verify_image(self.registry, verifier.as_ref(), self.image, policy);
        let verdict = match verifying.await {
            Ok(proof) => Verdict::proven(proof.evidence()),
            Err(error) => classify::verify_error(&error),
        };
        self.audited(None, verdict)
    }

    async fn installable(&self) -> Audited {
        let named = self.named().await;
        if named.verdict.state() == State::Proven || named.verdict.state() == State::Denied {
            return named;
        }
        let entries = match self.registry.platform_entries(self.image).await {
            Ok(entries) if !entries.is_empty() => self.entries(entries).await,
            // What is wrong with it is known already.
            Ok(_) | Err(_) => return named,
        };
        let is_proven = |one: &&Audited| one.verdict.state() == State::Proven;
        let proven: Vec<&Audited> = entries.iter().filter(is_proven).collect();
        match proven.first() {
            None => named,
            Some(first) if proven.len() == entries.len() => {
                self.audited(None, first.verdict.clone())
            }
            Some(_) => {
                let platforms = proven.iter().filter_map(|one| one.platform.as_ref());
                let platforms: Vec<String> = platforms.map(ToString::to_string).collect();
                let count = entries.len();
                let only = format!(
                    "; proven for {} alone, of {count} platforms",
                    platforms.join(", ")
                );
                self.audited(None, named.verdict.with_more(&only))
            }
        }
    }

    async fn platforms(&self) -> Vec<Audited> {
        match self.registry.platform_entries(self.image).await {
            Ok(entries) if entries.is_empty() => vec![self.named().await],
            Ok(entries) => self.entries(entries).await,
            Err(error) => vec![self.audited(None, classify::registry_error(&error))],
        }
    }

    /// All entries of the index. Its own signatures are judged once for all of them.
    async fn entries(&self, entries: Vec<PlatformEntry>) -> Vec<Audited> {
        let Required { verifier, policy } = self.required;
        let index = match judge_index(verifier.as_ref(), self.image, policy).await {
            Ok(index) => index,
            Err(error) => {
                let failed = |entry: PlatformEntry| {
                    self.audited(Some(entry.platform), classify::verify_error(&error))
                };
                return entries.into_iter().map(failed).collect();
            }
        };
        stream::iter(entries)
            .map(|entry| self.entry(&index, entry))
            .buffered(PLATFORMS_AT_ONCE)
            .collect()
            .await
    }

    /// An entry of the index: also one of several for one platform, of which an installation takes the first.
    async fn entry(&self, index: &JudgedIndex<'_>, entry: PlatformEntry) -> Audited {
        let verifier = self.required.verifier.as_ref();
        let verified = index.entry(self.registry, verifier, &entry).await;
        self.found(entry.platform, verified)
    }

    async fn platform(&self, platform: Platform) -> Audited {
        let Required { verifier, policy } = self.required;
        let (registry, verifier) = (self.registry, verifier.as_ref());
        let verified = verify_platform(registry, verifier, self.image, &platform, policy).await;
        self.found(platform, verified)
    }

    fn found(
        &self,
        platform: Platform,
        verified: Result<VerifiedPlatform, VerifyError>,
    ) -> Audited {
        let verdict = match verified {
            Ok(verified) => Verdict::proven(verified.proof().evidence()),
            Err(error) => classify::verify_error(&error),
        };
        self.audited(Some(platform), verdict)
    }
}
