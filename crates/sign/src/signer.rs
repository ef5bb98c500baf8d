//! Signs images recursively, pushes the signatures, and runs the consumer on them.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;

use countersign_oci::{Patience, PinnedReference, Reference, Registry, Retries};
use countersign_policy::Policy;
use countersign_verify::{TrustedRoot, Verifier};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::existing::{Existing, own_policy, unusable};
use crate::foreseen;
use crate::outcome::{Event, Signed, Stopped};
use crate::renewal::{Renew, Renewing, Tokens};
use crate::run::{Run, Subject, Tools};
use crate::services::Services;
use crate::session::Clients;
use crate::sessions::Sessions;
use crate::tags::{self, Tags};
use crate::token::IdentityToken;
use crate::tree;

/// How many manifests are worked on at once: an index of the usual platforms as a whole.
const AT_ONCE: NonZeroUsize = match NonZeroUsize::new(16) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// Signs images in registries.
pub struct Signer {
    tools: Tools,
    tags: Tags,
    existing: Existing,
    at_once: NonZeroUsize,
    renew: Option<Renew>,
}

impl Signer {
    /// A signer that pushes through `registry`, reaches all else over the same connection, is certified and recorded by `services`, and
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
            tools: Tools {
                clients: Clients::new(registry.connection().clone(), services)?,
                registry,
                trusted_root,
                consumer: None,
            },
            tags: Tags::default(),
            existing: Existing::default(),
            at_once: AT_ONCE,
            renew: None,
        })
    }

    /// Also checks every signature against an installer's own policy, so that the producer learns
    /// at once what the installer would refuse. What the identity token and the references tell is
    /// judged before a key is made, and what the certificate tells before anything is recorded or
    /// pushed. The trusted root remains the signer's: a policy
    /// that names another is refused, unless the root is for it ([`TrustedRoot::for_trust`]).
    #[must_use]
    pub fn with_consumer_policy(mut self, policy: Policy) -> Self {
        self.tools.consumer = Some(policy);
        self
    }

    /// Sets how tags are checked.
    #[must_use]
    pub fn with_tags(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    /// Sets what happens to images that are signed already. By default they are skipped.
    #[must_use]
    pub fn with_existing(self, existing: Existing) -> Self {
        Self { existing, ..self }
    }

    /// Works on so many manifests at once. Default 16.
    #[must_use]
    pub fn with_concurrency(self, at_once: NonZeroUsize) -> Self {
        Self { at_once, ..self }
    }

    /// Asks the services as often as `retries` say. The registry client has its own.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.tools.clients = self.tools.clients.with_retries(retries);
        self
    }

    /// Asks the services until `patience` ends. The registry client has its own
    /// ([`Retries::patience`]), which may be the same.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.tools.clients = self.tools.clients.with_patience(patience);
        self
    }

    /// Calls `renew` for a fresh identity token where the one at hand has ended and another
    /// certificate is needed. Without it, that is an error.
    #[must_use]
    pub fn with_renewal(self, renew: impl Fn() -> Renewing + Send + Sync + 'static) -> Self {
        Self {
            renew: Some(Box::new(renew)),
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
    /// pushed. All manifests are worked on side by side ([`Self::with_concurrency`]), with one
    /// certificate, and another only when that one ends. Results are in the order of the references:
    /// an index, then its children, nested ones depth-first, as cosign has it. What the same identity
    /// signed before is recognised and left alone ([`Self::with_existing`]). No tag is written.
    ///
    /// To sign what was pushed by digest alone, in one or more repositories and before any tag names
    /// it, give each [`PinnedReference`](countersign_oci::PinnedReference) as a [`Reference`]
    /// (`Reference::from`), or with the tag that it is going to have ([`Reference::pinned_to`]), to a
    /// signer [`with_tags`](Self::with_tags) of [`Tags::Later`]. Children that are listed beside their
    /// index are signed once. When this returns `Ok`, every one of them is proven, and the tags can be
    /// written.
    ///
    /// Success says what this client sees of these digests with its login, now. An installer that
    /// comes by a mirror, or anonymously, may be shown something else; and a tag may move at any
    /// time. Whom the certificate names is up to Fulcio and stands in each
    /// [`Evidence`](countersign_verify::Evidence); only [`Self::with_consumer_policy`] holds it to what
    /// installers expect.
    ///
    /// # Errors
    /// [`Stopped`], which says what was signed and what wasn't; its cause is an [`Error`], such as
    /// [`Error::Refused`] when the consumer refuses what was signed. Signing again is safe.
    pub async fn sign(
        &self,
        references: &[Reference],
        token: &IdentityToken,
        annotations: &BTreeMap<String, String>,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Signed>, Stopped> {
        // Before any request: to wait for a registry is no use with a token that is none.
        token.check(Timestamp::now()).map_err(Error::from)?;
        let subjects = self.subjects(references).await?;
        let tokens = Tokens::new(token.clone(), self.renew.as_ref());
        let sessions = Sessions::new(&self.tools.clients, tokens);
        let foreseen = foreseen::foresee(token);
        let run = Run::new(
            &self.tools,
            &subjects,
            annotations,
            events,
            sessions,
            foreseen,
            self.existing,
        );
        run.sign(self.at_once).await
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
        let Tools {
            trusted_root,
            consumer,
            ..
        } = &self.tools;
        let verifier = Verifier::new(stranger.clone(), trusted_root.clone());
        let mut by_manifest: BTreeMap<PinnedReference, Vec<&Signed>> = BTreeMap::new();
        for one in signed {
            let manifest = one.reference.location().at(one.digest.clone());
            by_manifest.entry(manifest).or_default().push(one);
        }
        let turns = Semaphore::new(self.at_once.get());
        let checks = by_manifest.into_iter().map(|(manifest, signed)| {
            let (turns, verifier) = (&turns, &verifier);
            async move {
                let _turn = turns.acquire().await;
                // Fetched once, and then judged by each name: a policy may ask for the name.
                let image = stranger.manifest(&manifest).await?;
                for one in signed {
                    let own = own_policy(&one.evidence.issuer, &one.evidence.identity, annotations)
                        .map_err(unusable)?;
                    let name = one.reference.pinned_to(one.digest.clone());
                    let image = image.clone().asked_as(name);
                    for policy in [Some(&own), consumer.as_ref()].into_iter().flatten() {
                        let verified = verifier.verify(&image, policy).await;
                        let _proof = verified.map_err(|source| Error::Refused {
                            image: image.reference().clone(),
                            source: Box::new(source),
                        })?;
                    }
                }
                Ok::<(), Error>(())
            }
        });
        try_join_all(checks).await?;
        Ok(())
    }

    /// Every manifest that the references lead to, once for each of its names.
    async fn subjects<'a>(&self, references: &'a [Reference]) -> Result<Vec<Subject<'a>>, Error> {
        let registry = &self.tools.registry;
        let turns = Semaphore::new(self.at_once.get());
        let images = tags::resolve(registry, references, self.tags, &turns).await?;
        let walks = images.into_iter();
        let walks = walks.map(|image| tree::walk(registry, image, &turns));
        let mut subjects = Vec::new();
        let mut seen = HashSet::new();
        for (reference, leaves) in references.iter().zip(try_join_all(walks).await?) {
            for leaf in leaves {
                let tag = reference.tag().map(ToOwned::to_owned);
                if seen.insert((leaf.image.reference().clone(), tag)) {
                    subjects.push(Subject { reference, leaf });
                }
            }
        }
        // What names the tag names the repository: where there is a tag, none is needed without.
        let tagged = |subject: &Subject<'_>| subject.leaf.image.requested().tag().is_some();
        let named = subjects.iter().filter(|subject| tagged(subject));
        let named: HashSet<_> = named
            .map(|subject| subject.leaf.image.reference().clone())
            .collect();
        subjects
            .retain(|subject| tagged(subject) || !named.contains(subject.leaf.image.reference()));
        Ok(subjects)
    }
}
