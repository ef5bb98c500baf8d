//! Signs images recursively, pushes the signatures, and runs the consumer on them.

use std::collections::{BTreeMap, HashSet};

use backon::Retryable as _;
use countersign_oci::{Digest, PinnedReference, Platform, Reference, Registry, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{Evidence, TrustedRoot, Verifier, verify_bundle};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, Service};
use crate::identity::IdentityToken;
use crate::referrer;
use crate::retry::Retries;
use crate::services::Services;
use crate::session::{Clients, Session};
use crate::statement::Statement;
use crate::tree::{self, Leaf};

/// Signs images in registries.
pub struct Signer {
    registry: Registry,
    clients: Clients,
    trusted_root: TrustedRoot,
    consumer: Option<Policy>,
}

impl Signer {
    /// A signer that pushes through `registry`, is certified and recorded by `services`, and
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
            registry,
            clients: Clients::new(services)?,
            trusted_root,
            consumer: None,
        })
    }

    /// Also checks every signature against an installer's own policy, so that the producer learns
    /// at once what the installer would refuse. The trusted root remains the signer's: a policy
    /// that names another is refused, unless the root is for it ([`TrustedRoot::for_trust`]).
    #[must_use]
    pub fn with_consumer_policy(mut self, policy: Policy) -> Self {
        self.consumer = Some(policy);
        self
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
    /// digest beside it: a policy may ask for that name (`bind_name`). `events` is told how far the
    /// run is.
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
        token.check_expiry(Timestamp::now())?;
        let mut leaves: Vec<(&Reference, Leaf)> = Vec::new();
        let mut seen = HashSet::new();
        for reference in references {
            for leaf in tree::walk(&self.registry, reference).await? {
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
        let mut session = Session::start(&self.clients, token).await?;
        for (reference, Leaf { image, platform }) in leaves {
            if !session.is_live() {
                session = Session::start(&self.clients, token).await?;
            }
            let (signature_manifest, evidence) =
                self.sign_one(&session, &image, annotations, events).await?;
            signed.push(Signed {
                reference: reference.clone(),
                platform,
                digest: image.digest().clone(),
                signature_manifest,
                evidence,
            });
        }
        Ok(signed)
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
        let proof = verify_bundle(image, &bundle, &self.trusted_root, &own).map_err(|source| {
            Error::Bundle {
                image: pinned.clone(),
                source: Box::new(source),
            }
        })?;
        events(Event::Signed {
            image: pinned.clone(),
        });
        let signature =
            referrer::push(&self.registry, image, bundle.clone(), Timestamp::now()).await?;
        events(Event::Pushed {
            image: pinned.clone(),
            signature: signature.digest().clone(),
        });
        self.check(image, &signature, &bundle, &own).await?;
        events(Event::Verified {
            image: pinned.clone(),
        });
        let mut evidence = proof.evidence().clone();
        evidence.signature_manifest = Some(signature.digest().clone());
        Ok((signature.digest().clone(), evidence))
    }

    /// Goes the way of an installer: from the image to the list of its referrers, from there to the
    /// signature, and through every check.
    ///
    /// An installer is content with one signature that passes, so that an older one could stand in
    /// for ours. Ours is therefore looked for in the list, fetched, and judged by each policy, too.
    async fn check(
        &self,
        image: &ResolvedImage,
        signature: &ResolvedImage,
        bundle: &[u8],
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
            if proof.evidence().signature_manifest.as_ref() == Some(signature.digest()) {
                continue;
            }
            referrer::fetch(&self.registry, signature).await?;
            let _proof =
                verify_bundle(image, bundle, &self.trusted_root, policy).map_err(|source| {
                    Error::Unneeded {
                        image: pinned.clone(),
                        source: Box::new(source),
                    }
                })?;
        }
        Ok(())
    }

    /// Waits until the registry lists the signature: some answer from a cache for a while.
    async fn listed(&self, image: &ResolvedImage, signature: &Digest) -> Result<(), Error> {
        let pinned = image.reference();
        let ask = || async {
            let listed = self.registry.referrers(pinned).await?;
            if listed.iter().any(|referrer| referrer.digest == *signature) {
                return Ok(());
            }
            Err(Error::NotListed {
                image: pinned.clone(),
                expected: signature.clone(),
                found: listed.len(),
            })
        };
        ask.retry(self.clients.retries().schedule())
            .when(|error| matches!(error, Error::NotListed { .. }))
            .await
    }
}

/// The policy that accepts exactly what this session signs.
fn own_policy(session: &Session, annotations: &BTreeMap<String, String>) -> Result<Policy, Error> {
    let (issuer, identity) = session.signer()?;
    let spec = PolicySpec {
        issuer: Some(issuer.into()),
        identity: Some(identity.into()),
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
