//! Lists what refers to an image.

use std::sync::Arc;

use countersign_oci::{CosignTag, Descriptor, Digest, ResolvedImage};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::Verifier;
use super::fetch::FetchFailure;
use crate::blocking::run_blocking;
use crate::candidate::{self, SignatureLayers};
use crate::error::Error;
use crate::failure::Failure;
use crate::seen_signatures::FoundSignature;
use crate::signature::FetchedLayer;
use crate::survey::{
    Attached, AttachedContent, AttachedPlace, AttachedSignature, Survey, SurveyContext, anybody,
    keys_of,
};

impl Verifier {
    /// Lists everything that refers to `image` in its repository, and what is at cosign's tags for it. Every
    /// signature is checked, whoever made it. With a policy, each says whether it counts. Nothing here is a proof.
    ///
    /// Whether the policy accepts the image is for [`Self::verify`] to say: what the policy denies, and its other
    /// repositories, are not looked at here.
    ///
    /// # Errors
    /// [`Error::Registry`] if something could not be fetched; [`Error::Trust`]; [`Error::Late`] after
    /// [`Limits::total`](super::Limits::total).
    pub async fn survey(
        &self,
        image: &ResolvedImage,
        policy: Option<&Policy>,
    ) -> Result<Survey, Error> {
        self.in_time(image, self.survey_all(image, policy)).await
    }

    async fn survey_all(
        &self,
        image: &ResolvedImage,
        policy: Option<&Policy>,
    ) -> Result<Survey, Error> {
        let now = Timestamp::now();
        let trusted_root = self.trusted_root(now).await?;
        let context = Arc::new(SurveyContext {
            image: image.clone(),
            trusted_root,
            policy: policy.cloned(),
            keys: policy.map(keys_of).unwrap_or_default(),
            signature_by_anybody: anybody(COSIGN_SIGN_PREDICATE).map_err(Error::AnybodyPolicy)?,
            now,
        });
        let referrers = self.registry.referrers(image.reference()).await;
        let mut referrers = referrers.map_err(Error::Registry)?;
        let mut left = self.limits.candidates;
        let mut untried = referrers.len().saturating_sub(left);
        referrers.truncate(left);
        left -= referrers.len();
        let at_once = self.limits.concurrency.max(1);
        let listed = stream::iter(referrers)
            .map(|descriptor| self.referrer(&context, descriptor))
            .buffered(at_once);
        let mut found: Vec<FoundManifest> = listed.try_collect().await?;
        let tags = stream::iter(CosignTag::ALL)
            .map(|tag| self.at_tag(&context, tag))
            .buffered(at_once);
        let tagged: Vec<Option<FoundManifest>> = tags.try_collect().await?;
        found.extend(tagged.into_iter().flatten());
        // All manifests are read before the first signature is fetched, so that the limit is one for all of them.
        for one in &mut found {
            untried += one.limit_signatures(&mut left);
        }
        let attached = stream::iter(found)
            .map(|found| self.attached(&context, found))
            .buffered(at_once);
        let attached = attached.try_collect().await?;
        Ok(Survey { attached, untried })
    }

    /// A manifest in the list of referrers.
    async fn referrer(
        &self,
        context: &Arc<SurveyContext>,
        descriptor: Descriptor,
    ) -> Result<FoundManifest, Error> {
        let location = context.image.reference().location();
        let fetched = self
            .registry
            .manifest(&location.at(descriptor.digest.clone()))
            .await;
        let held = match fetched.map_err(FetchFailure::from) {
            Ok(found) => held_by_referrer(context, Arc::new(found)),
            Err(FetchFailure::Failure(failure)) => Held::Unreadable(failure),
            Err(FetchFailure::Registry(error)) => return Err(Error::Registry(error)),
        };
        Ok(FoundManifest {
            manifest: descriptor.digest,
            place: AttachedPlace::Referrer,
            held,
        })
    }

    /// What is at one of cosign's tags.
    async fn at_tag(
        &self,
        context: &Arc<SurveyContext>,
        tag: CosignTag,
    ) -> Result<Option<FoundManifest>, Error> {
        let image = context.image.reference();
        let found = match self.registry.beside(image, tag).await {
            Ok(Some(found)) => Arc::new(found),
            Ok(None) => return Ok(None),
            Err(error) => return Err(Error::Registry(error)),
        };
        let manifest = found.digest().clone();
        let held = match tag {
            CosignTag::Signatures => {
                let layers = candidate::layers_at_legacy_tag(&found, &context.signature_by_anybody);
                let layers = layers.map(|layers| layers.into_iter().cloned().collect());
                match layers {
                    Ok(layers) => Held::Legacy(found, layers),
                    Err(failure) => Held::Unreadable(failure),
                }
            }
            CosignTag::Attestations | CosignTag::Sbom => Held::Artifact(found),
        };
        Ok(Some(FoundManifest {
            manifest,
            place: AttachedPlace::Tag(tag),
            held,
        }))
    }

    /// Fetches and checks what was found.
    async fn attached(
        &self,
        context: &Arc<SurveyContext>,
        found: FoundManifest,
    ) -> Result<Attached, Error> {
        let content = match found.held {
            Held::Bundle(holder, layer) => self.signatures(context, &holder, vec![layer]).await?,
            Held::Legacy(holder, layers) => self.signatures(context, &holder, layers).await?,
            Held::Artifact(found) => AttachedContent::Artifact(Box::new(found.as_ref().clone())),
            Held::Unreadable(failure) => AttachedContent::Unreadable(failure),
        };
        Ok(Attached {
            manifest: found.manifest,
            place: found.place,
            content,
        })
    }

    /// Fetches and checks the signatures in these layers.
    async fn signatures(
        &self,
        context: &Arc<SurveyContext>,
        holder: &Arc<ResolvedImage>,
        layers: Vec<Descriptor>,
    ) -> Result<AttachedContent, Error> {
        let location = context.image.reference().location();
        let mut signatures: Vec<AttachedSignature> = Vec::new();
        for layer in layers {
            let limit = self.limits.bundle_bytes;
            let content = self.registry.blob(location, &layer, limit).await;
            let content = match content.map_err(FetchFailure::from) {
                Ok(content) => content,
                Err(failure) => return unreadable(failure),
            };
            let stored = FetchedLayer {
                holder: Arc::clone(holder),
                layer,
                content,
            };
            if let Some(seen_signatures) = &self.seen_signatures {
                seen_signatures.keep_new(context.image.digest(), FoundSignature::of(&stored));
            }
            let context = Arc::clone(context);
            let surveyed = run_blocking(&self.permits, move || context.survey(&stored)).await;
            match surveyed {
                Ok(signature) => signatures.push(signature),
                Err(_) => return Ok(AttachedContent::Unreadable(Failure::Aborted)),
            }
        }
        Ok(AttachedContent::Signatures(signatures))
    }
}

/// A manifest that was found, before its signatures are fetched.
struct FoundManifest {
    manifest: Digest,
    place: AttachedPlace,
    held: Held,
}

/// What it holds.
enum Held {
    /// One bundle, which counts as its manifest does.
    Bundle(Arc<ResolvedImage>, Descriptor),
    /// Legacy signatures. Each of them counts.
    Legacy(Arc<ResolvedImage>, Vec<Descriptor>),
    Artifact(Arc<ResolvedImage>),
    Unreadable(Failure),
}

impl FoundManifest {
    /// Keeps no more legacy signatures than there are candidates left: the newest, since new ones are appended.
    /// Returns how many are left out.
    fn limit_signatures(&mut self, left: &mut usize) -> usize {
        match &mut self.held {
            Held::Legacy(_, layers) => {
                let untried = layers.len().saturating_sub(*left);
                layers.drain(..untried);
                *left -= layers.len();
                untried
            }
            Held::Bundle(..) | Held::Artifact(_) | Held::Unreadable(_) => 0,
        }
    }
}

/// What a manifest in the list of referrers holds, if it refers to the image.
fn held_by_referrer(context: &SurveyContext, found: Arc<ResolvedImage>) -> Held {
    let image = &context.image;
    let policy = &context.signature_by_anybody;
    let layers = candidate::signature_layers(image.digest(), &found, policy);
    match layers {
        Ok(SignatureLayers::Bundle(layer)) => Held::Bundle(Arc::clone(&found), layer.clone()),
        Ok(SignatureLayers::SimpleSigning(layers)) => {
            Held::Legacy(Arc::clone(&found), layers.into_iter().cloned().collect())
        }
        Err(Failure::OtherArtifact { .. }) => {
            let subject = found.document().subject().map(|subject| &subject.digest);
            if subject == Some(image.digest()) {
                Held::Artifact(found)
            } else {
                Held::Unreadable(Failure::OtherSubject {
                    expected: image.digest().clone(),
                    found: subject.cloned(),
                })
            }
        }
        Err(failure) => Held::Unreadable(failure),
    }
}

fn unreadable(failure: FetchFailure) -> Result<AttachedContent, Error> {
    match failure {
        FetchFailure::Failure(failure) => Ok(AttachedContent::Unreadable(failure)),
        FetchFailure::Registry(error) => Err(Error::Registry(error)),
    }
}
