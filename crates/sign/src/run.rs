//! One run: all manifests side by side, each signed, pushed and checked.

mod in_session;
mod legacy;
mod subject;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use countersign_oci::http::{AttemptError, retrying};
use countersign_oci::{Digest, Registry, Repository, ResolvedImage, Retries};
use countersign_policy::{Policy, SignatureFormat};
use countersign_verify::{
    CertificateContent, Evidence, TrustedRoot, VerifiedImage, Verifier, verify_bundle,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Error;
use crate::existing::{Consumer, Existing, Search, Who, own_policy, unusable_certificate};
use crate::foreseen::{Completeness, Foreseen};
use crate::format::WrittenFormats;
use crate::outcome::{Reached, Signed, SigningEvent, SigningOutcome, Stopped};
use crate::referrer;
use crate::session::{Clients, Session};
use crate::sessions::{Halt, Sessions};
use crate::statement::Statement;

use in_session::StatementJson;
use subject::Ended;
pub(crate) use subject::Subject;

/// What signing takes.
pub(crate) struct Tools {
    pub(crate) registry: Registry,
    pub(crate) clients: Clients,
    pub(crate) trusted_root: TrustedRoot,
    pub(crate) consumer: Option<Policy>,
    pub(crate) formats: WrittenFormats,
}

/// One run, from the manifests to their signatures.
pub(crate) struct Run<'a> {
    tools: &'a Tools,
    subjects: &'a [Subject<'a>],
    annotations: &'a BTreeMap<String, String>,
    events: &'a (dyn Fn(SigningEvent) + Send + Sync),
    sessions: Sessions<'a>,
    foreseen: Option<Foreseen>,
    existing: Existing,
    verifier: Verifier,
    /// The empty config of all signatures, pushed once to each repository.
    empty: HashMap<&'a Repository, OnceCell<()>>,
    failed: AtomicBool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        tools: &'a Tools,
        subjects: &'a [Subject<'a>],
        annotations: &'a BTreeMap<String, String>,
        events: &'a (dyn Fn(SigningEvent) + Send + Sync),
        sessions: Sessions<'a>,
        foreseen: Option<Foreseen>,
        existing: Existing,
    ) -> Self {
        let repositories = subjects
            .iter()
            .filter_map(|subject| subject.leaf.image.reference().location().writable().ok());
        Self {
            tools,
            subjects,
            annotations,
            events,
            sessions,
            foreseen,
            existing,
            verifier: Verifier::new(tools.registry.clone(), tools.trusted_root.clone()),
            empty: repositories
                .map(|repository| (repository, OnceCell::new()))
                .collect(),
            failed: AtomicBool::new(false),
        }
    }

    /// Signs all subjects, as many at once as `at_once` says. After a failure nothing is begun any
    /// more, and what was begun goes on to its end.
    pub(crate) async fn sign(self, at_once: NonZeroUsize) -> Result<Vec<Signed>, Stopped> {
        let forms = self.tools.formats.each();
        let subjects = self.subjects.iter().flat_map(|subject| {
            let forms = forms.iter();
            forms.map(|format| subject.unsigned(*format, Reached::NotSigned))
        });
        let subjects: Vec<_> = subjects.collect();
        (self.events)(SigningEvent::Begun {
            subjects: subjects.clone(),
        });
        if let Some(foreseen) = &self.foreseen
            && let Err(error) = self.judge(foreseen, Timestamp::now())
        {
            return Err(Stopped {
                unsigned: subjects,
                ..error.into()
            });
        }
        let turns = Semaphore::new(at_once.get());
        let ended = join_all(self.subjects.iter().map(|subject| async {
            let _turn = turns.acquire().await;
            let ended = self.one(subject).await;
            if ended.halt.is_some() {
                self.failed.store(true, Ordering::Relaxed);
            }
            ended
        }));
        let (mut signed, mut unsigned, mut first) = (Vec::new(), Vec::new(), None);
        for (subject, ended) in self.subjects.iter().zip(ended.await) {
            signed.extend(ended.signed);
            unsigned.extend(ended.unsigned);
            if let Some(Halt::Failed(error)) = ended.halt {
                let image = subject.leaf.image.reference();
                tracing::debug!(%image, %error, "not signed");
                first.get_or_insert(error);
            }
        }
        match first {
            None => Ok(signed),
            Some(error) => Err(Stopped {
                error,
                signed,
                unsigned,
            }),
        }
    }

    /// Signs one manifest, in one form after the other. After a failure no other form is begun.
    async fn one(&self, subject: &Subject<'_>) -> Ended {
        let mut ended = Ended::default();
        for format in self.tools.formats.each() {
            if ended.halt.is_some() {
                let unsigned = subject.unsigned(*format, Reached::NotSigned);
                ended.unsigned.push(unsigned);
                continue;
            }
            let signed = match format {
                SignatureFormat::Bundle => self.sign_as_bundle(subject).await,
                SignatureFormat::SimpleSigning => self.sign_legacy(subject).await,
            };
            match signed {
                Ok(signed) => ended.signed.push(self.tell(signed)),
                Err((reached, halt)) => {
                    ended.unsigned.push(subject.unsigned(*format, reached));
                    ended.halt = Some(halt);
                }
            }
        }
        ended
    }

    /// Signs as a bundle.
    async fn sign_as_bundle(&self, subject: &Subject<'_>) -> Result<Signed, (Reached, Halt)> {
        let at = |reached| move |error: Error| (reached, Halt::from(error));
        let image = &subject.leaf.image;
        let not_signed = |halt: Halt| (Reached::NotSigned, halt);
        let format = SignatureFormat::Bundle;
        let existing = self.existing(image, format).await.map_err(not_signed)?;
        if let Some((manifest, evidence)) = existing {
            return Ok(subject.signed(SigningOutcome::AlreadySigned, manifest, evidence));
        }
        let (session, bundle) = self.bundle(image).await.map_err(not_signed)?;
        let not_signed = |error: Error| not_signed(error.into());
        let own = own(session.content(), self.annotations, format).map_err(not_signed)?;
        let judge = |policy| {
            verify_bundle(
                image,
                &bundle,
                &self.tools.trusted_root,
                policy,
                Timestamp::now(),
            )
            .map_err(|source| Error::Bundle {
                image: image.reference().clone(),
                source: Box::new(source),
            })
        };
        let proof = judge(&own).map_err(not_signed)?;
        // An installer is content with one signature that passes, and an older one could stand in
        // for ours when the registry is asked: ours has to pass by itself.
        if let Some(policy) = self.consumer().of(format) {
            let _proof = judge(policy).map_err(not_signed)?;
        }
        (self.events)(SigningEvent::Signed {
            image: image.reference().clone(),
            format,
        });
        let signature = self
            .push(image, bundle.clone())
            .await
            .map_err(at(Reached::NotPushed))?;
        (self.events)(SigningEvent::Pushed {
            image: image.reference().clone(),
            format,
            signature: signature.digest().clone(),
        });
        self.check(image, &signature, &own)
            .await
            .map_err(at(Reached::NotVerified))?;
        let manifest = signature.digest().clone();
        let mut evidence = proof.evidence().clone();
        evidence.signature_manifest = Some(manifest.clone());
        Ok(subject.signed(SigningOutcome::Signed, manifest, evidence))
    }

    fn tell(&self, signed: Signed) -> Signed {
        (self.events)(SigningEvent::Verified {
            signed: Box::new(signed.clone()),
        });
        signed
    }

    /// Judges what is about to be signed by the installer's policy, before anything is published.
    fn judge(&self, foreseen: &Foreseen, at: Timestamp) -> Result<(), Error> {
        for format in self.tools.formats.each() {
            let Some(policy) = self.consumer().of(*format) else {
                continue;
            };
            for Subject { leaf, .. } in self.subjects {
                foreseen
                    .judge(policy, *format, &leaf.image, at, self.annotations)
                    .map_err(|violation| Error::Policy {
                        image: leaf.image.reference().clone(),
                        source: Box::new(violation),
                    })?;
            }
        }
        Ok(())
    }

    /// A key and a certificate that the installer's policy accepts, as far as a certificate tells.
    async fn session(&self) -> Result<Arc<Session>, Halt> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(Halt::Elsewhere);
        }
        let judge = |certificate: &CertificateContent| {
            let foreseen = Foreseen {
                issuer: certificate.issuer.clone(),
                identity: certificate.identity.clone(),
                alternatives: Vec::new(),
                claims: certificate.claims.clone(),
                completeness: Completeness::Whole,
            };
            self.judge(&foreseen, certificate.not_before)
        };
        self.sessions.live(judge).await
    }

    /// The signature in this form by the same identity that there is, if there is to be no other, and the manifest
    /// that holds it.
    async fn existing(
        &self,
        image: &ResolvedImage,
        format: SignatureFormat,
    ) -> Result<Option<(Digest, Evidence)>, Halt> {
        match self.existing {
            Existing::SignAgain => return Ok(None),
            Existing::Keep => {}
        }
        if self.failed.load(Ordering::Relaxed) {
            return Err(Halt::Elsewhere);
        }
        let who = self.who().await?;
        let search = self.search();
        let found = match format {
            SignatureFormat::Bundle => search.find(image, &who, self.annotations).await,
            SignatureFormat::SimpleSigning => {
                search.find_simple(image, &who, self.annotations).await
            }
        };
        Ok(found.and_then(|evidence| Some((evidence.signature_manifest.clone()?, evidence))))
    }

    /// Who signs: by the token, if it tells, else by the certificate.
    async fn who(&self) -> Result<Who, Halt> {
        if let Some(foreseen) = &self.foreseen {
            return Ok(Who {
                issuer: foreseen.issuer.clone(),
                identities: foreseen.identities(),
            });
        }
        // The token doesn't tell, so the certificate has to.
        let session = self.session().await?;
        Ok(Who {
            issuer: session.content().issuer.clone(),
            identities: vec![session.content().identity.clone()],
        })
    }

    fn consumer(&self) -> Consumer<'_> {
        Consumer(self.tools.consumer.as_ref())
    }

    fn search(&self) -> Search<'_> {
        Search {
            registry: &self.tools.registry,
            verifier: &self.verifier,
            trusted_root: &self.tools.trusted_root,
            consumer: self.consumer(),
        }
    }

    /// A bundle, and the session that it was made in.
    async fn bundle(&self, image: &ResolvedImage) -> Result<(Arc<Session>, Bytes), Halt> {
        let pinned = image.reference();
        let statement = Statement::new(image, self.annotations);
        let statement = serde_json::to_vec(&statement).map_err(|source| Error::Encode {
            image: pinned.clone(),
            source: Box::new(source),
        })?;
        self.in_session(image, &StatementJson(statement)).await
    }

    /// The proofs of `image` by our own policy for this form, and by the consumer's if it reads the form.
    async fn verified(
        &self,
        image: &ResolvedImage,
        own: &Policy,
        format: SignatureFormat,
    ) -> Result<Vec<VerifiedImage>, Error> {
        let policies = [Some(own), self.consumer().of(format)];
        let policies: Vec<&Policy> = policies.into_iter().flatten().collect();
        verified(&self.verifier, image, &policies).await
    }

    async fn push(&self, image: &ResolvedImage, bundle: Bytes) -> Result<ResolvedImage, Error> {
        let registry = &self.tools.registry;
        let repository = image.reference().location().writable()?;
        let empty = async {
            let pushing = || referrer::push_empty(registry, repository);
            match self.empty.get(repository) {
                Some(once) => {
                    once.get_or_try_init(pushing).await?;
                    Ok(())
                }
                None => pushing().await,
            }
        };
        let bundled = async {
            let pushed = registry.push_blob(repository, bundle.clone()).await;
            pushed.map(|_descriptor| ()).map_err(Error::from)
        };
        tokio::try_join!(empty, bundled)?;
        referrer::push(registry, image, &bundle, Timestamp::now()).await
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
        self.listed(image, signature.digest()).await?;
        for proof in self.verified(image, own, SignatureFormat::Bundle).await? {
            if proof.evidence().signature_manifest.as_ref() != Some(signature.digest()) {
                referrer::fetch(&self.tools.registry, signature.reference()).await?;
            }
        }
        Ok(())
    }

    /// Waits until the registry lists the signature: some answer from a cache for a while. That is no
    /// outage, so no patience is had with it.
    async fn listed(&self, image: &ResolvedImage, signature: &Digest) -> Result<(), Error> {
        let pinned = image.reference();
        let retries = Retries {
            patience: None,
            ..self.tools.clients.retries().clone()
        };
        retrying(&retries, || async {
            let listed = self.tools.registry.referrers(pinned).await;
            let listed = listed.map_err(Error::from)?;
            if listed.iter().any(|referrer| referrer.digest == *signature) {
                return Ok(());
            }
            Err(AttemptError::passing(Error::NotListed {
                image: pinned.clone(),
                expected: signature.clone(),
                found: listed.len(),
            }))
        })
        .await
    }
}

/// The proof of `image` by each of these policies.
///
/// # Errors
/// [`Error::Refused`], if one of them doesn't accept it.
pub(crate) async fn verified(
    verifier: &Verifier,
    image: &ResolvedImage,
    policies: &[&Policy],
) -> Result<Vec<VerifiedImage>, Error> {
    let mut proofs = Vec::new();
    for &policy in policies {
        let proof = verifier.verify(image, policy).await;
        proofs.push(proof.map_err(|source| Error::Refused {
            image: image.reference().clone(),
            source: Box::new(source),
        })?);
    }
    Ok(proofs)
}

/// The policy that accepts exactly what this certificate signs.
fn own(
    certificate: &CertificateContent,
    annotations: &BTreeMap<String, String>,
    format: SignatureFormat,
) -> Result<Policy, Error> {
    own_policy(
        &certificate.issuer,
        &certificate.identity,
        annotations,
        format,
    )
    .map_err(unusable_certificate)
}
