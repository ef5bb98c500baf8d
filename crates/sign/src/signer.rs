//! Signs images recursively, pushes the signatures, and runs the consumer on them.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;

use countersign_oci::{Patience, PinnedReference, Reference, Registry, Retries};
use countersign_policy::{Policy, SignatureFormat};
use countersign_verify::{TrustedRoot, VerifiedImage, Verifier};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::existing::{Existing, check_annotations, own_policy, unusable_certificate};
use crate::foreseen;
use crate::format::WrittenFormats;
use crate::further_check::{FurtherCheck, FurtherVerdict};
use crate::outcome::{Signed, SigningEvent, Stopped};
use crate::publication::AllSigned;
use crate::renewal::{Renew, Renewing, Tokens};
use crate::run::{Run, Subject, Tools, verified};
use crate::services::{RekorVersion, Services};
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
    check_further: Option<FurtherCheck>,
}

impl Signer {
    /// A signer that pushes through `registry`, reaches all else over the same connection, is certified and
    /// recorded by `services`, and checks its work against `trusted_root`.
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
                formats: WrittenFormats::default(),
            },
            tags: Tags::default(),
            existing: Existing::default(),
            at_once: AT_ONCE,
            renew: None,
            check_further: None,
        })
    }

    /// Also checks every signature against an installer's own policy, so that the producer learns
    /// at once what the installer would refuse. What the identity token and the references tell is
    /// judged before a key is made, and what the certificate tells before anything is recorded or
    /// pushed. The trusted root remains the signer's: a policy
    /// that names another is refused, unless the root is for it ([`TrustedRoot::for_trust`]). A
    /// `min_age` is left out: what is signed now can't have it yet. So is what `require` asks of other
    /// attestations, which are not made here.
    #[must_use]
    pub fn with_consumer_policy(mut self, policy: Policy) -> Self {
        self.tools.consumer = Some(policy.dangerous_for_new_signature());
        self
    }

    /// The client that pushes.
    pub(crate) fn registry(&self) -> &Registry {
        &self.tools.registry
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

    /// Sets the forms in which signatures are written. By default they are bundles.
    #[must_use]
    pub fn with_formats(mut self, formats: WrittenFormats) -> Self {
        self.tools.formats = formats;
        self
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

    /// Calls `check` with all that a run signed, or found signed, when the consumer has accepted it. If
    /// the check fails, the run fails, and no tag is written.
    #[must_use]
    pub fn with_further_check(
        self,
        check: impl Fn(Vec<Signed>) -> FurtherVerdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            check_further: Some(Box::new(check)),
            ..self
        }
    }

    /// Signs what each reference names. Of an index, everything in it is signed too. Each signature is
    /// pushed, and then verified by the consumer.
    ///
    /// - What is signed: each manifest of a repository, once for each tag that the references have.
    /// - What the signature says: the digest, the repository, the tag if there is one, and
    ///   `annotations`. A policy may ask for the repository and the tag (`bind_name`).
    /// - What a reference needs: a digest. If it has a tag too, that tag must name the digest.
    ///   [`Self::with_tags`] changes both rules.
    /// - What is left alone: what the same identity has signed before ([`Self::with_existing`]).
    /// - The order: all references are resolved first. Then the manifests are worked on side by side
    ///   ([`Self::with_concurrency`]). Each bundle is verified before it is pushed. One certificate is
    ///   used for all, and another only if it ends during the run.
    /// - The results: in the order of the references. An index comes first, then its children, nested
    ///   ones depth-first, as with cosign.
    ///
    /// No tag is written. [`Publication`](crate::Publication) writes tags afterwards. To write them by
    /// other means, push by digest, and sign with [`Tags::Later`] and the tags to be
    /// ([`Reference::pinned_to`]). After `Ok`, the tags can be written.
    ///
    /// `Ok` means that this client, with its login, sees the signatures now. It does not mean that
    /// every installer does: one without a login, or one that uses a mirror, may be shown something
    /// else. It does not say who may sign either: the certificate names whom Fulcio says, as
    /// [`Evidence`](countersign_verify::Evidence) shows. Use [`Self::with_consumer_policy`] to require
    /// a signer.
    ///
    /// `events` is told how far the run is.
    ///
    /// # Errors
    /// [`Stopped`], which says what was signed and what was not. Its cause is an [`Error`], such as
    /// [`Error::Refused`] if the consumer refuses a signature. It is safe to sign again.
    pub async fn sign(
        &self,
        references: &[Reference],
        token: &IdentityToken,
        annotations: &BTreeMap<String, String>,
        events: &(dyn Fn(SigningEvent) + Send + Sync),
    ) -> Result<Vec<Signed>, Stopped> {
        // Before any request: to wait for a registry is no use with a token that is none.
        token.check(Timestamp::now()).map_err(Error::from)?;
        // What no policy can ask for doesn't enter a public log.
        check_annotations(annotations).map_err(Error::Annotations)?;
        self.check_formats()?;
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
        let signed = run.sign(self.at_once).await?;
        if let Some(check) = &self.check_further
            && let Err(source) = check(signed.clone()).await
        {
            return Err(Stopped {
                error: Error::FurtherCheck(source),
                signed,
                unsigned: Vec::new(),
            });
        }
        Ok(signed)
    }

    /// Whether the forms can be made, and the installer's policy accepts one of them.
    fn check_formats(&self) -> Result<(), Error> {
        let Tools {
            clients,
            consumer,
            formats,
            ..
        } = &self.tools;
        let simple = formats.contains(SignatureFormat::SimpleSigning);
        if simple && clients.rekor_version() != RekorVersion::V1 {
            return Err(Error::Format {
                expected: "a Rekor v1 log, whose signed entry timestamp is a part of simple signing",
                found: "a Rekor v2 log, which has none",
            });
        }
        let accepts = |policy: &Policy| {
            let mut each = formats.each().iter();
            each.any(|format| policy.accepts_format(*format))
        };
        if consumer.as_ref().is_some_and(|policy| !accepts(policy)) {
            return Err(Error::Format {
                expected: "a form that the policy accepts (`signature_formats`)",
                found: "one that it does not accept",
            });
        }
        Ok(())
    }

    /// Verifies what was signed once more, by a client that has asked for nothing yet: each manifest is
    /// fetched by its digest, and one of its signatures accepted, as an installer does it. Returns the proofs.
    ///
    /// # Errors
    /// [`Error::Refused`]; the others about the registry.
    pub(crate) async fn verify_as_stranger(
        &self,
        stranger: &Registry,
        signed: &AllSigned<'_>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Vec<VerifiedImage>, Error> {
        let Tools {
            trusted_root,
            consumer,
            formats,
            ..
        } = &self.tools;
        let verifier = Verifier::new(stranger.clone(), trusted_root.clone());
        let mut by_manifest: BTreeMap<PinnedReference, Vec<&Signed>> = BTreeMap::new();
        for one in signed.signed() {
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
                let (mut proofs, mut proven) = (Vec::new(), HashSet::new());
                for one in signed {
                    // Whoever signs here has a certificate.
                    let Some(holder) = one.evidence.signer.certificate() else {
                        return Err(Error::NoCertificate { image: manifest });
                    };
                    // Of two forms, the first asks for both.
                    if !proven.insert((&one.reference, &holder.issuer, &holder.identity)) {
                        continue;
                    }
                    let own = formats.each().iter().map(|format| {
                        own_policy(&holder.issuer, &holder.identity, annotations, *format)
                    });
                    let own: Result<Vec<Policy>, _> = own.collect();
                    let own = own.map_err(unusable_certificate)?;
                    let name = one.reference.pinned_to(one.digest.clone());
                    let image = image.clone().requested_as(name);
                    let policies: Vec<&Policy> = own.iter().chain(consumer).collect();
                    proofs.extend(verified(verifier, &image, &policies).await?);
                }
                Ok::<_, Error>(proofs)
            }
        });
        let proofs = try_join_all(checks).await?;
        Ok(proofs.into_iter().flatten().collect())
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
        // A signature for a tag names the repository too. So an image that is signed for a tag needs none without.
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
