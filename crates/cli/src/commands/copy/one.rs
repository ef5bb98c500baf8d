//! Copies one image: verified, copied, and verified again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use countersign_oci::{
    Error as RegistryError, LayoutDraft, LayoutError, LayoutPath, Location, Platform, Reference,
    Registry, Repository, when_free,
};
use countersign_policy::Policy;
use countersign_sign::{BlobTurns, CopiedImage, CopyEvent, CopyPlace, CopyPlan, Destination};
use countersign_verify::{TrustedRoot, VerifiedImage, Verifier};

use super::target::Target;
use crate::failure::Failure;
use crate::progress::Progress;

/// How many blobs are copied at the same time, of all images together.
const BLOBS_AT_ONCE: NonZeroUsize = match NonZeroUsize::new(8) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// What to do about a registry that refuses an index of which it has some platforms alone.
const NO_SPARSE_INDEX: &str = "this registry takes no index without all the images that it lists: leave --platform out, and copy from where all of them are; or copy into a layout (`ocifile://DIR`)";

/// Whether a registry refused a manifest for what it names and the registry does not have.
fn is_for_what_is_listed(error: &countersign_sign::Error) -> bool {
    let countersign_sign::Error::Registry(RegistryError::Status {
        detail: Some(detail),
        ..
    }) = error
    else {
        return false;
    };
    // The codes of the distribution specification, "Error Codes".
    ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN"]
        .iter()
        .any(|code| detail.contains(code))
}

/// Begins to write to a layout. While another run writes to it, this waits, as an installation does. `say` is called
/// once with what it waits for.
pub(super) async fn begin_layout(
    path: &LayoutPath,
    say: impl FnOnce(&str),
) -> Result<LayoutDraft, Failure> {
    let begin = || async {
        match LayoutDraft::begin(path).await {
            Err(RegistryError::Layout {
                layout,
                source: LayoutError::Busy,
            }) => Ok(Err(layout)),
            begun => begun.map(Ok),
        }
    };
    let waiting = |layout: LayoutPath| {
        tracing::debug!(%layout, "another run writes to the layout");
        say(&format!("waiting: another run writes to {layout}"));
    };
    Ok(when_free(begin, waiting).await?)
}

/// Turns for the blobs of one run.
pub(super) fn blob_turns() -> BlobTurns {
    BlobTurns::new(BLOBS_AT_ONCE)
}

/// What images are copied with.
pub(super) struct Copying<'a> {
    pub(super) registry: Registry,
    pub(super) trusted_root: TrustedRoot,
    pub(super) platforms: &'a [Platform],
    pub(super) turns: BlobTurns,
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
        let proof = self.prove(source, source, policy).await?;
        let plan = self.plan(&self.registry, proof).await?;
        match destination {
            Target::Repository { repository, tag } => {
                self.add_to_repository(&plan, repository, tag.as_deref())
                    .await
            }
            Target::Layout(path) => {
                let mut waited = false;
                let say = |line: &str| {
                    waited = true;
                    self.progress.tell(line);
                };
                let draft = begin_layout(path, say).await?;
                // The source may have another image by now.
                let plan = if waited {
                    let proof = Box::pin(self.prove(source, source, policy)).await?;
                    Box::pin(self.plan(&self.registry, proof)).await?
                } else {
                    plan
                };
                let name = self.name(source).await?;
                let copied = self.add_to_layout(&plan, &draft, name.as_ref()).await?;
                draft.finish().await?;
                Ok(copied)
            }
        }
    }

    /// Verifies an image that is asked for by `name`.
    pub(super) async fn prove(
        &self,
        source: &Reference,
        name: &Reference,
        policy: &Policy,
    ) -> Result<VerifiedImage, Failure> {
        let verifier = self.verifier();
        let image = verifier.resolve(source, policy).await?;
        let image = image.requested_as(name.clone());
        Ok(verifier.verify(&image, policy).await?)
    }

    /// A verifier of what is copied.
    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(self.registry.clone(), self.trusted_root.clone())
    }

    /// Reads what is copied with an image. `reader` reads all that is copied.
    pub(super) async fn plan(
        &self,
        reader: &Registry,
        proof: VerifiedImage,
    ) -> Result<CopyPlan, Failure> {
        let source = proof.reference().clone();
        self.progress
            .say(format!("reading what refers to {source}"));
        Ok(CopyPlan::read(reader, proof, self.platforms).await?)
    }

    /// Copies an image into a repository.
    pub(super) async fn add_to_repository(
        &self,
        plan: &CopyPlan,
        repository: &Repository,
        tag: Option<&str>,
    ) -> Result<CopiedImage, Failure> {
        let place = CopyPlace::Repository { repository, tag };
        self.write(plan, place, self.registry.anew()?).await
    }

    /// Copies an image into a layout that is being written.
    pub(super) async fn add_to_layout(
        &self,
        plan: &CopyPlan,
        draft: &LayoutDraft,
        name: Option<&Reference>,
    ) -> Result<CopiedImage, Failure> {
        let place = CopyPlace::Layout { draft, name };
        let stranger = self.registry.seeing(draft.clone())?;
        self.write(plan, place, stranger).await
    }

    /// `stranger` is told what anybody is told, and not what the first client knows already.
    async fn write(
        &self,
        plan: &CopyPlan,
        place: CopyPlace<'_>,
        stranger: Registry,
    ) -> Result<CopiedImage, Failure> {
        let verifier = Verifier::new(stranger.clone(), self.trusted_root.clone());
        let to = Destination {
            place,
            registry: &self.registry,
            stranger: &stranger,
            verifier: &verifier,
            turns: &self.turns,
        };
        let progress = Arc::clone(&self.progress);
        let events: Arc<dyn Fn(CopyEvent) + Send + Sync> =
            Arc::new(move |event| progress.copying(&event));
        plan.write(&to, &events).await.map_err(|error| {
            let is_sparse = !self.platforms.is_empty() && is_for_what_is_listed(&error);
            let failure = Failure::from(error);
            if is_sparse {
                failure.without_hints().hint(NO_SPARSE_INDEX)
            } else {
                failure
            }
        })
    }

    /// The name that a layout lists the image by: what the user calls it, or what another layout lists
    /// it by.
    async fn name(&self, source: &Reference) -> Result<Option<Reference>, Failure> {
        match source.location() {
            Location::Registry(_) if source.tag().is_none() => Ok(None),
            Location::Registry(_) => Ok(Some(source.without_digest())),
            Location::Layout(path) => {
                let image = self.registry.resolve(source).await?;
                let listed = self.registry.layout_images(path).await?.into_iter();
                let mut same = listed.filter(|one| one.descriptor.digest == *image.digest());
                Ok(same.find_map(|one| one.name))
            }
        }
    }
}
