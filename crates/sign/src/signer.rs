//! Signs images recursively, pushes the signatures, and runs the consumer on them.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use countersign_oci::{
    Digest, Document, PinnedReference, Platform, Reference, Registry, ResolvedImage,
};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{Evidence, TrustedRoot, Verifier, verify_bundle};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, Service};
use crate::identity::IdentityToken;
use crate::referrer;
use crate::services::Services;
use crate::session::{Clients, Session};
use crate::statement::Statement;

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;
/// How many manifests one index may lead to.
const MAX_MANIFESTS: usize = 256;

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
    /// [`Error::Services`], when the services can't produce a signature that verifies.
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
    /// at once what the installer would refuse.
    #[must_use]
    pub fn with_consumer_policy(mut self, policy: Policy) -> Self {
        self.consumer = Some(policy);
        self
    }

    /// Signs what each reference names and, where that is an index, everything in it. Every digest
    /// is signed once, with `annotations` in its statement, pushed, and verified by the consumer
    /// as a signature by the certificate's own identity. `events` is told how far the run is.
    ///
    /// Everything is resolved before anything is signed. An error ends the run; what was pushed
    /// before it stays pushed, and signing again is safe.
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
        let mut targets = Vec::new();
        let mut seen = HashSet::new();
        for reference in references {
            let root = self.registry.resolve(reference).await?;
            let mut found = Vec::new();
            self.collect(root, None, 0, &mut found).await?;
            for (image, platform) in found {
                if seen.insert(image.reference().clone()) {
                    targets.push((reference, platform, image));
                }
            }
        }
        let mut session = Session::start(&self.clients, token).await?;
        let mut signed = Vec::new();
        for (reference, platform, image) in targets {
            if !session.is_live() {
                session = Session::start(&self.clients, token).await?;
            }
            let pinned = image.reference().clone();
            let bundle = self.bundle(&session, &image, annotations).await?;
            events(Event::Signed {
                image: pinned.clone(),
            });
            let signature =
                referrer::push(&self.registry, &image, bundle.clone(), Timestamp::now()).await?;
            events(Event::Pushed {
                image: pinned.clone(),
                signature: signature.digest().clone(),
            });
            let evidence = self
                .check(&session, &image, &bundle, signature.digest(), annotations)
                .await?;
            events(Event::Verified { image: pinned });
            signed.push(Signed {
                reference: reference.clone(),
                platform,
                digest: image.digest().clone(),
                signature_manifest: signature.digest().clone(),
                evidence,
            });
        }
        Ok(signed)
    }

    /// Puts `image` and, for an index, everything that it lists into `found`, in cosign's order.
    async fn collect(
        &self,
        image: ResolvedImage,
        platform: Option<Platform>,
        depth: usize,
        found: &mut Vec<(ResolvedImage, Option<Platform>)>,
    ) -> Result<(), Error> {
        let limit = |limit, unit| Error::Limit {
            image: image.reference().clone(),
            limit,
            unit,
        };
        if depth > MAX_DEPTH {
            return Err(limit(MAX_DEPTH, "levels of nested indexes"));
        }
        if found.len() >= MAX_MANIFESTS {
            return Err(limit(MAX_MANIFESTS, "manifests"));
        }
        let children = match image.document() {
            Document::Index(index) => index.manifests.clone(),
            Document::Manifest(_) => Vec::new(),
        };
        let repository = image.reference().repository().clone();
        found.push((image, platform));
        for child in children {
            let document = self.registry.child(&repository, &child).await?;
            Box::pin(self.collect(document, child.platform, depth + 1, found)).await?;
        }
        Ok(())
    }

    async fn bundle(
        &self,
        session: &Session,
        image: &ResolvedImage,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Bytes, Error> {
        let statement =
            serde_json::to_vec(&Statement::new(image, annotations)).map_err(|source| {
                Error::Encode {
                    image: image.reference().clone(),
                    source: Box::new(source),
                }
            })?;
        session
            .sign(&self.clients, image.reference(), statement)
            .await
    }

    /// Runs the consumer: on the bundle that was pushed, by itself, and on the image in the
    /// registry, where the consumer has to find it.
    async fn check(
        &self,
        session: &Session,
        image: &ResolvedImage,
        bundle: &[u8],
        signature: &Digest,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Evidence, Error> {
        let pinned = image.reference();
        let own = own_policy(session, annotations)?;
        let proof = verify_bundle(image, bundle, &self.trusted_root, &own).map_err(|source| {
            Error::Bundle {
                image: pinned.clone(),
                source: Box::new(source),
            }
        })?;
        let listed = self.registry.referrers(pinned).await?;
        if !listed.iter().any(|referrer| referrer.digest == *signature) {
            return Err(Error::NotListed {
                image: pinned.clone(),
                expected: signature.clone(),
                found: listed.len(),
            });
        }
        let verifier = Verifier::new(self.registry.clone(), self.trusted_root.clone());
        for policy in [Some(&own), self.consumer.as_ref()].into_iter().flatten() {
            let _proof = verifier
                .verify(image, policy)
                .await
                .map_err(|source| Error::Refused {
                    image: pinned.clone(),
                    source: Box::new(source),
                })?;
        }
        Ok(proof.evidence().clone())
    }
}

/// The policy that accepts exactly what this session signs.
fn own_policy(session: &Session, annotations: &BTreeMap<String, String>) -> Result<Policy, Error> {
    let (issuer, identity) = session.signer().ok_or_else(|| Error::Service {
        service: Service::Fulcio,
        status: None,
        source: "its certificate names no identity or no issuer".into(),
    })?;
    let spec = PolicySpec {
        issuer: Some(issuer.into()),
        identity: Some(identity.into()),
        annotations: annotations.clone(),
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
