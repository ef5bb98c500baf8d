//! Signs images recursively, pushes the signatures, and runs the consumer on them.

use std::collections::{BTreeMap, HashSet};

use countersign_oci::http::{Failure, retrying};
use countersign_oci::{
    Digest, PinnedReference, Platform, Reference, Registry, ResolvedImage, Retries,
};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{Evidence, TrustedRoot, Verifier, verify_bundle};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, Service};
use crate::foreseen::{self, Foreseen};
use crate::referrer;
use crate::services::Services;
use crate::session::{Clients, Session};
use crate::statement::Statement;
use crate::tags::{self, Tags};
use crate::token::IdentityToken;
use crate::tree::{self, Leaf};

/// Images that are verified at once.
const CHECKS_AT_ONCE: usize = 8;

/// Signs images in registries.
pub struct Signer {
    registry: Registry,
    clients: Clients,
    trusted_root: TrustedRoot,
    consumer: Option<Policy>,
    tags: Tags,
}

impl Signer {
    /// A signer that pushes through `registry`, reaches all else by the same connection, is certified and recorded by `services`, and
    /// checks its work against `trusted_root`.
    ///
    /// # Errors
    /// [`Error::Services`], when the services can't produce a signature that verifies, or would be
    /// sent the token in plain text.
    pub fn new(
        registry: Registry,
        services: &Services,
        trusted_root: TrustedRoot,
    ) -> Result<Self, Error> {
        Ok(Self {
            clients: Clients::new(registry.connection().clone(), services)?,
            registry,
            trusted_root,
            consumer: None,
            tags: Tags::default(),
        })
    }

    /// Also checks every signature against an installer's own policy, so that the producer learns
    /// at once what the installer would refuse. What the identity token and the references tell is
    /// judged before a key is made, and what the certificate tells before anything is recorded or
    /// pushed. The trusted root remains the signer's: a policy
    /// that names another is refused, unless the root is for it ([`TrustedRoot::for_trust`]).
    #[must_use]
    pub fn with_consumer_policy(mut self, policy: Policy) -> Self {
        self.consumer = Some(policy);
        self
    }

    /// Goes by `tags` as this says.
    #[must_use]
    pub fn with_tags(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    /// Asks the services as often as `retries` say. The registry client has its own.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self {
            clients: self.clients.with_retries(retries),
            ..self
        }
    }

    /// Signs what each reference names and, where that is an index, everything in it. Every digest
    /// of a repository is signed once for each tag that the references have, with `annotations` in
    /// its statement, pushed, and verified by the consumer as a signature by the certificate's own
    /// identity. The statement names the repository and the tag, also of a reference that has a
    /// digest beside it: a policy may ask for that name (`bind_name`). A reference has a digest, and
    /// its tag names that digest, unless [`Self::with_tags`] says otherwise. `events` is told how far
    /// the run is.
    ///
    /// Everything is resolved before anything is signed, and each bundle is verified before it is
    /// pushed. An error ends the run; what was pushed before it stays pushed, and signing again is
    /// safe.
    ///
    /// Success says what this client sees of these digests with its login, now. An installer that
    /// comes by a mirror, or anonymously, may be shown something else; and a tag may move at any
    /// time. Whom the certificate names is up to Fulcio and stands in each [`Evidence`]; only
    /// [`Self::with_consumer_policy`] holds it to what installers expect.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] when the consumer refuses what was signed.
    pub async fn sign(
        &self,
        references: &[Reference],
        token: &IdentityToken,
        annotations: &BTreeMap<String, String>,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Signed>, Error> {
        // Before any request: to wait for a registry is no use with a token that is none.
        token.check(Timestamp::now())?;
        let mut leaves: Vec<(&Reference, Leaf)> = Vec::new();
        let mut seen = HashSet::new();
        let images = tags::resolve(&self.registry, references, self.tags).await?;
        for (reference, image) in references.iter().zip(images) {
            for leaf in tree::walk(&self.registry, image).await? {
                let tag = reference.tag().map(ToOwned::to_owned);
                if seen.insert((leaf.image.reference().clone(), tag)) {
                    leaves.push((reference, leaf));
                }
            }
        }
        // What names the tag names the repository: where there is a tag, none is needed without.
        let tagged = |leaf: &Leaf| leaf.image.asked().tag().is_some();
        let named = leaves.iter().filter(|(_, leaf)| tagged(leaf));
        let named: HashSet<_> = named
            .map(|(_, leaf)| leaf.image.reference().clone())
            .collect();
        leaves.retain(|(_, leaf)| tagged(leaf) || !named.contains(leaf.image.reference()));
        let mut signed = Vec::new();
        if leaves.is_empty() {
            return Ok(signed);
        }
        if let Some(foreseen) = foreseen::foresee(token) {
            self.judge(&leaves, &foreseen, Timestamp::now(), annotations)?;
        }
        let mut session = self.session(token, &leaves, annotations).await?;
        for (at, (reference, Leaf { image, platform })) in leaves.iter().enumerate() {
            if !session.is_live() {
                let rest = leaves.get(at..).unwrap_or_default();
                session = self.session(token, rest, annotations).await?;
            }
            let (signature_manifest, evidence) =
                self.sign_one(&session, image, annotations, events).await?;
            signed.push(Signed {
                reference: (*reference).clone(),
                platform: platform.clone(),
                digest: image.digest().clone(),
                signature_manifest,
                evidence,
            });
        }
        Ok(signed)
    }

    /// A key and a certificate to sign `leaves` with: one that the installer's policy accepts, as far
    /// as a certificate tells.
    async fn session(
        &self,
        token: &IdentityToken,
        leaves: &[(&Reference, Leaf)],
        annotations: &BTreeMap<String, String>,
    ) -> Result<Session, Error> {
        let session = Session::start(&self.clients, token).await?;
        let certified = session.certified();
        let foreseen = Foreseen {
            issuer: certified.issuer.clone(),
            identities: vec![certified.identity.clone()],
            claims: certified.claims.clone(),
            are_all: true,
        };
        self.judge(leaves, &foreseen, certified.not_before, annotations)?;
        Ok(session)
    }

    /// Judges what is about to be signed by the installer's policy, before anything is published.
    fn judge(
        &self,
        leaves: &[(&Reference, Leaf)],
        foreseen: &Foreseen,
        at: Timestamp,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let Some(policy) = &self.consumer else {
            return Ok(());
        };
        for (_, Leaf { image, .. }) in leaves {
            foreseen
                .judge(policy, image, at, annotations)
                .map_err(|violation| Error::Policy {
                    image: image.reference().clone(),
                    source: Box::new(violation),
                })?;
        }
        Ok(())
    }

    /// Signs one manifest, pushes the signature, and runs the consumer on it. Returns the digest of
    /// the signature's manifest, and what is proven.
    async fn sign_one(
        &self,
        session: &Session,
        image: &ResolvedImage,
        annotations: &BTreeMap<String, String>,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<(Digest, Evidence), Error> {
        let pinned = image.reference();
        let own = own_policy(session, annotations)?;
        let statement = Statement::new(image, annotations);
        let statement = serde_json::to_vec(&statement).map_err(|source| Error::Encode {
            image: pinned.clone(),
            source: Box::new(source),
        })?;
        let bundle = session.sign(&self.clients, pinned, &statement).await?;
        let judge = |policy| {
            verify_bundle(image, &bundle, &self.trusted_root, policy, Timestamp::now()).map_err(
                |source| Error::Bundle {
                    image: pinned.clone(),
                    source: Box::new(source),
                },
            )
        };
        let proof = judge(&own)?;
        // An installer is content with one signature that passes, and an older one could stand in
        // for ours when the registry is asked: ours has to pass by itself.
        if let Some(policy) = &self.consumer {
            let _proof = judge(policy)?;
        }
        events(Event::Signed {
            image: pinned.clone(),
        });
        let signature =
            referrer::push(&self.registry, image, bundle.clone(), Timestamp::now()).await?;
        events(Event::Pushed {
            image: pinned.clone(),
            signature: signature.digest().clone(),
        });
        self.check(image, &signature, &own).await?;
        events(Event::Verified {
            image: pinned.clone(),
        });
        let mut evidence = proof.evidence().clone();
        evidence.signature_manifest = Some(signature.digest().clone());
        Ok((signature.digest().clone(), evidence))
    }

    /// Goes the way of an installer: from the image to the list of its referrers, from there to the
    /// signature, and through every check. Ours is looked for in the list, and fetched, where another
    /// one was found first.
    async fn check(
        &self,
        image: &ResolvedImage,
        signature: &ResolvedImage,
        own: &Policy,
    ) -> Result<(), Error> {
        let pinned = image.reference();
        self.listed(image, signature.digest()).await?;
        let verifier = Verifier::new(self.registry.clone(), self.trusted_root.clone());
        for policy in [Some(own), self.consumer.as_ref()].into_iter().flatten() {
            let proof = verifier
                .verify(image, policy)
                .await
                .map_err(|source| Error::Refused {
                    image: pinned.clone(),
                    source: Box::new(source),
                })?;
            if proof.evidence().signature_manifest.as_ref() != Some(signature.digest()) {
                referrer::fetch(&self.registry, signature).await?;
            }
        }
        Ok(())
    }

    /// Verifies what was signed once more, by a client that has asked for nothing yet: each manifest is
    /// fetched by its digest, and one of its signatures accepted, as an installer does it.
    ///
    /// # Errors
    /// [`Error::Refused`]; the others about the registry.
    pub(crate) async fn verify_as_stranger(
        &self,
        stranger: &Registry,
        signed: &[Signed],
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let verifier = Verifier::new(stranger.clone(), self.trusted_root.clone());
        let checks = signed.iter().map(|one| async {
            let own = policy_of(&one.evidence.issuer, &one.evidence.identity, annotations)?;
            let name = one.reference.pinned_to(one.digest.clone());
            let image = stranger.resolve(&name).await?;
            for policy in [Some(&own), self.consumer.as_ref()].into_iter().flatten() {
                let verified = verifier.verify(&image, policy).await;
                let _proof = verified.map_err(|source| Error::Refused {
                    image: image.reference().clone(),
                    source: Box::new(source),
                })?;
            }
            Ok::<(), Error>(())
        });
        stream::iter(checks)
            .buffer_unordered(CHECKS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Waits until the registry lists the signature: some answer from a cache for a while.
    async fn listed(&self, image: &ResolvedImage, signature: &Digest) -> Result<(), Error> {
        let pinned = image.reference();
        retrying(self.clients.retries(), || async {
            let listed = self.registry.referrers(pinned).await.map_err(Error::from)?;
            if listed.iter().any(|referrer| referrer.digest == *signature) {
                return Ok(());
            }
            Err(Failure::passing(Error::NotListed {
                image: pinned.clone(),
                expected: signature.clone(),
                found: listed.len(),
            }))
        })
        .await
    }
}

/// The policy that accepts exactly what this session signs.
fn own_policy(session: &Session, annotations: &BTreeMap<String, String>) -> Result<Policy, Error> {
    let certified = session.certified();
    policy_of(&certified.issuer, &certified.identity, annotations)
}

/// The policy that accepts one signer's signatures with these annotations.
fn policy_of(
    issuer: &str,
    identity: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<Policy, Error> {
    let spec = PolicySpec {
        issuer: Some(issuer.to_owned()),
        identity: Some(identity.to_owned()),
        annotations: annotations.clone(),
        bind_name: true,
        ..PolicySpec::default()
    };
    Policy::try_from(spec).map_err(|source| Error::Service {
        service: Service::Fulcio,
        status: None,
        source: Box::new(source),
    })
}

/// How far a run is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A manifest was signed and the signature recorded.
    Signed {
        /// The manifest.
        image: PinnedReference,
    },
    /// The signature was pushed.
    Pushed {
        /// The manifest that was signed.
        image: PinnedReference,
        /// Digest of the signature's manifest.
        signature: Digest,
    },
    /// The consumer accepts the signature.
    Verified {
        /// The manifest that was signed.
        image: PinnedReference,
    },
}

/// A manifest that was signed, and what the consumer says of the signature.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Signed {
    /// The reference that led to it.
    pub reference: Reference,
    /// Its platform, where an index says so.
    pub platform: Option<Platform>,
    /// Its digest.
    pub digest: Digest,
    /// Digest of the manifest that holds the signature.
    pub signature_manifest: Digest,
    /// What the consumer found proven.
    pub evidence: Evidence,
}
