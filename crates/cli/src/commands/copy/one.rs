//! Copies one image: verified, copied, and verified again.

use std::sync::Arc;

use countersign_oci::{LayoutDraft, Location, Platform, Reference, Registry};
use countersign_policy::Policy;
use countersign_sign::{CopiedImage, Copy, CopyEvent, Destination, Place};
use countersign_verify::{TrustedRoot, Verifier};

use super::target::Target;
use crate::failure::Failure;
use crate::progress::Progress;

/// What images are copied with.
pub(super) struct Copying<'a> {
    pub(super) registry: Registry,
    pub(super) trusted_root: TrustedRoot,
    pub(super) platforms: &'a [Platform],
    pub(super) progress: Arc<Progress>,
}

impl Copying<'_> {
    /// Copies an image, and ends writing if it goes into a layout.
    pub(super) async fn image(
        &self,
        source: &Reference,
        policy: &Policy,
        destination: &Target,
    ) -> Result<CopiedImage, Failure> {
        self.image_as(source, source, policy, destination).await
    }

    /// As [`Self::image`], of an image that is asked for by `name`.
    pub(super) async fn image_as(
        &self,
        source: &Reference,
        name: &Reference,
        policy: &Policy,
        destination: &Target,
    ) -> Result<CopiedImage, Failure> {
        let plan = self.plan(source, name, policy).await?;
        match destination {
            Target::Repository { repository, tag } => {
                let tag = tag.as_deref();
                let place = Place::Repository { repository, tag };
                self.write(&plan, place, self.registry.anew()?).await
            }
            Target::Layout(path) => {
                let draft = LayoutDraft::begin(path).await?;
                let name = self.name(source).await?;
                let copied = self.add_to_layout(&plan, &draft, name.as_ref()).await?;
                draft.finish().await?;
                Ok(copied)
            }
        }
    }

    /// Verifies an image, and reads what is copied with it.
    pub(super) async fn plan(
        &self,
        source: &Reference,
        name: &Reference,
        policy: &Policy,
    ) -> Result<Copy, Failure> {
        let verifier = Verifier::new(self.registry.clone(), self.trusted_root.clone());
        let image = verifier.resolve(source, policy).await?;
        let image = image.requested_as(name.clone());
        let proof = verifier.verify(&image, policy).await?;
        self.progress
            .say(format!("reading what refers to {source}"));
        Ok(Copy::plan(&self.registry, proof, self.platforms).await?)
    }

    /// Copies an image into a layout that is being written.
    pub(super) async fn add_to_layout(
        &self,
        plan: &Copy,
        draft: &LayoutDraft,
        name: Option<&Reference>,
    ) -> Result<CopiedImage, Failure> {
        let place = Place::Layout { draft, name };
        let stranger = self.registry.seeing(draft.clone())?;
        self.write(plan, place, stranger).await
    }

    /// `stranger` is told what anybody is told, and not what the first client knows already.
    async fn write(
        &self,
        plan: &Copy,
        place: Place<'_>,
        stranger: Registry,
    ) -> Result<CopiedImage, Failure> {
        let verifier = Verifier::new(stranger.clone(), self.trusted_root.clone());
        let to = Destination {
            place,
            stranger: &stranger,
            verifier: &verifier,
        };
        let progress = Arc::clone(&self.progress);
        let events: Arc<dyn Fn(CopyEvent) + Send + Sync> =
            Arc::new(move |event| progress.copying(&event));
        Ok(plan.write(&to, &events).await?)
    }

    /// The name that a layout lists the image by: what the user calls it, or what another layout lists
    /// it by.
    async fn name(&self, source: &Reference) -> Result<Option<Reference>, Failure> {
        match source.location() {
            Location::Registry(_) if source.tag().is_none() => Ok(None),
            Location::Registry(_) => Ok(Some(source.with_tag_of(source))),
            Location::Layout(path) => {
                let image = self.registry.resolve(source).await?;
                let listed = self.registry.layout_images(path).await?.into_iter();
                let mut same = listed.filter(|one| one.descriptor.digest == *image.digest());
                Ok(same.find_map(|one| one.name))
            }
        }
    }
}
