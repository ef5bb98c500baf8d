//! Asks one source: admits what it has, as the plan requires. The goal says what becomes of it.

use countersign_oci::{Location, Reference, ResolvedImage};

use super::attempt::Attempt;
use super::goal::Goal;
use super::in_turn::AttemptResult;
use crate::admitted::ImageVerifier;
use crate::error::Error;
use crate::install::Installer;
use crate::source::Source;

impl<V: ImageVerifier> Installer<V> {
    pub(super) async fn attempt<G: Goal<V>>(
        &self,
        attempt: Attempt<'_>,
        goal: &G,
    ) -> AttemptResult<G::Output> {
        match &attempt.planned.source {
            Source::Image { reference } => self.attempt_image(reference, &attempt, goal).await,
            Source::Layout { path } => {
                let reference = Reference::from(path.clone());
                self.attempt_image(&reference, &attempt, goal).await
            }
            Source::Tarball(tarball) => AttemptResult {
                result: goal.tarball(self, tarball, &attempt).await,
                digest: attempt.digest,
            },
            Source::Directory { path } => AttemptResult {
                result: goal.directory(self, path, &attempt).await,
                digest: attempt.digest,
            },
        }
    }

    async fn attempt_image<G: Goal<V>>(
        &self,
        reference: &Reference,
        attempt: &Attempt<'_>,
        goal: &G,
    ) -> AttemptResult<G::Output> {
        let requested = match &attempt.digest {
            Some(digest) => reference.pinned_to(digest.clone()),
            None => reference.clone(),
        };
        match self.resolve(&requested, attempt.events).await {
            Ok(resolved) => AttemptResult {
                digest: Some(resolved.digest().clone()),
                result: self
                    .attempt_resolved(resolved, reference, attempt, goal)
                    .await,
            },
            Err(error) => AttemptResult {
                digest: attempt.digest.clone(),
                result: Err(error),
            },
        }
    }

    async fn attempt_resolved<G: Goal<V>>(
        &self,
        resolved: ResolvedImage,
        reference: &Reference,
        attempt: &Attempt<'_>,
        goal: &G,
    ) -> Result<G::Output, Error> {
        let resolved = resolved.requested_as(attempt.name(reference));
        // Nothing is gained on this machine's own disk, or if there is no proof to wait for.
        let waits = attempt.plan.requirement().policy().is_some()
            && matches!(reference.location(), Location::Registry(_));
        let ahead = waits.then(|| goal.ahead(self, attempt)).flatten();
        // On the heap: each is large, and they come one after the other.
        let (image, ahead) = match ahead {
            None => {
                let admitting = Box::pin(self.admit_as_required(resolved, &|_| {}, attempt));
                (admitting.await?, None)
            }
            Some((selection, mut ahead)) => {
                let selected = |image: &ResolvedImage| selection.made(image);
                let admitting = Box::pin(self.admit_as_required(resolved, &selected, attempt));
                (ahead.until(admitting).await?, Some(ahead))
            }
        };
        Box::pin(goal.image(self, Box::new(image), reference, ahead, attempt)).await
    }
}
