//! Lists what refers to an image.

use std::sync::Arc;

use countersign_oci::{Descriptor, ResolvedImage};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::Verifier;
use super::fetch::FetchFailure;
use crate::blocking::run_blocking;
use crate::candidate::{self, SignatureLayers};
use crate::error::Error;
use crate::failure::Failure;
use crate::stored::StoredLayer;
use crate::survey::{
    Attached, AttachedContent, AttachedPlace, AttachedSignature, Survey, Surveyor, anybody, keys_of,
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
        let surveyor = Arc::new(Surveyor {
            image: image.clone(),
            trusted_root,
            policy: policy.cloned(),
            keys: policy.map(keys_of).unwrap_or_default(),
            signature_by_anybody: anybody(COSIGN_SIGN_PREDICATE),
            now,
        });
        let referrers = self.registry.referrers(image.reference()).await;
        let mut referrers = referrers.map_err(Error::Registry)?;
        let mut untried = referrers.len().saturating_sub(self.limits.candidates);
        referrers.truncate(self.limits.candidates);
        let at_once = self.limits.concurrency.max(1);
        let listed = stream::iter(referrers)
            .map(|descriptor| self.referrer(&surveyor, descriptor))
            .buffered(at_once);
        let mut found: Vec<(Attached, usize)> = listed.try_collect().await?;
        let tags = stream::iter(AttachedPlace::TAGS)
            .map(|place| self.at_tag(&surveyor, place))
            .buffered(at_once);
        let tagged: Vec<Option<(Attached, usize)>> = tags.try_collect().await?;
        found.extend(tagged.into_iter().flatten());
        let mut attached = Vec::with_capacity(found.len());
        for (one, not_tried) in found {
            attached.push(one);
            untried += not_tried;
        }
        Ok(Survey { attached, untried })
    }

    /// A manifest in the list of referrers, and how many of its signatures are beyond the limit.
    async fn referrer(
        &self,
        surveyor: &Arc<Surveyor>,
        descriptor: Descriptor,
    ) -> Result<(Attached, usize), Error> {
        let place = AttachedPlace::Referrer;
        let location = surveyor.image.reference().location();
        let fetched = self
            .registry
            .manifest(&location.at(descriptor.digest.clone()))
            .await;
        let mut untried = 0;
        let content = match fetched.map_err(FetchFailure::from) {
            Ok(found) => {
                let found = Arc::new(found);
                match referrer_layers(surveyor, &found) {
                    Ok(Some(mut layers)) => {
                        untried = self.limit_signatures(&mut layers);
                        self.signatures(surveyor, &found, layers).await?
                    }
                    Ok(None) => AttachedContent::Artifact(Box::new(found.as_ref().clone())),
                    Err(failure) => AttachedContent::Unreadable(failure),
                }
            }
            Err(failure) => unreadable(failure)?,
        };
        let attached = Attached {
            manifest: descriptor.digest,
            place,
            content,
        };
        Ok((attached, untried))
    }

    /// What is at one of cosign's tags, and how many of its signatures are beyond the limit.
    async fn at_tag(
        &self,
        surveyor: &Arc<Surveyor>,
        place: AttachedPlace,
    ) -> Result<Option<(Attached, usize)>, Error> {
        let Some(suffix) = place.suffix() else {
            return Ok(None);
        };
        let image = surveyor.image.reference();
        let found = match self.registry.beside(image, suffix).await {
            Ok(Some(found)) => Arc::new(found),
            Ok(None) => return Ok(None),
            Err(error) => return Err(Error::Registry(error)),
        };
        let layers = match (place, &surveyor.signature_by_anybody) {
            (AttachedPlace::SignatureTag, Some(policy)) => {
                let layers = candidate::layers_at_legacy_tag(&found, policy);
                layers.map(|layers| Some(layers.into_iter().cloned().collect()))
            }
            _ => Ok(None),
        };
        let mut untried = 0;
        let content = match layers {
            Ok(Some(mut layers)) => {
                untried = self.limit_signatures(&mut layers);
                self.signatures(surveyor, &found, layers).await?
            }
            Ok(None) => AttachedContent::Artifact(Box::new(found.as_ref().clone())),
            Err(failure) => AttachedContent::Unreadable(failure),
        };
        let attached = Attached {
            manifest: found.digest().clone(),
            place,
            content,
        };
        Ok(Some((attached, untried)))
    }

    /// Leaves as many layers as one manifest may have candidates: the newest, since new ones are appended.
    /// Returns how many are left out.
    fn limit_signatures(&self, layers: &mut Vec<Descriptor>) -> usize {
        let untried = layers.len().saturating_sub(self.limits.candidates);
        layers.drain(..untried);
        untried
    }

    /// Fetches and checks the signatures in these layers.
    async fn signatures(
        &self,
        surveyor: &Arc<Surveyor>,
        holder: &Arc<ResolvedImage>,
        layers: Vec<Descriptor>,
    ) -> Result<AttachedContent, Error> {
        let location = surveyor.image.reference().location();
        let mut signatures: Vec<AttachedSignature> = Vec::new();
        for layer in layers {
            let limit = self.limits.bundle_bytes;
            let content = self.registry.blob(location, &layer, limit).await;
            let content = match content.map_err(FetchFailure::from) {
                Ok(content) => content,
                Err(failure) => return unreadable(failure),
            };
            let stored = StoredLayer {
                holder: Arc::clone(holder),
                layer,
                content,
            };
            let surveyor = Arc::clone(surveyor);
            let surveyed = run_blocking(&self.permits, move || surveyor.survey(&stored)).await;
            match surveyed {
                Ok(signature) => signatures.push(signature),
                Err(_) => return Ok(AttachedContent::Unreadable(Failure::Aborted)),
            }
        }
        Ok(AttachedContent::Signatures(signatures))
    }
}

/// The layers with signatures; `None` if the manifest refers to the image and holds something else.
fn referrer_layers(
    surveyor: &Surveyor,
    found: &ResolvedImage,
) -> Result<Option<Vec<Descriptor>>, Failure> {
    let image = &surveyor.image;
    let policy = surveyor.signature_by_anybody.as_ref();
    let policy = policy.ok_or(Failure::Aborted)?;
    match candidate::signature_layers(image.digest(), found, policy) {
        Ok(SignatureLayers::Bundle(layer)) => Ok(Some(vec![layer.clone()])),
        Ok(SignatureLayers::SimpleSigning(layers)) => {
            Ok(Some(layers.into_iter().cloned().collect()))
        }
        Err(Failure::OtherArtifact { .. }) => {
            let subject = found.document().subject().map(|subject| &subject.digest);
            match subject == Some(image.digest()) {
                true => Ok(None),
                false => Err(Failure::OtherSubject {
                    expected: image.digest().clone(),
                    found: subject.cloned(),
                }),
            }
        }
        Err(failure) => Err(failure),
    }
}

fn unreadable(failure: FetchFailure) -> Result<AttachedContent, Error> {
    match failure {
        FetchFailure::Failure(failure) => Ok(AttachedContent::Unreadable(failure)),
        FetchFailure::Registry(error) => Err(Error::Registry(error)),
    }
}
