//! Admits an image on what a plan requires, and on nothing less.

use countersign_oci::ResolvedImage;
use countersign_policy::Policy;

use super::attempt::Attempt;
use super::locked_signer::by_locked_signer;
use crate::admitted::{AdmittedImage, ImageVerifier};
use crate::content::Content;
use crate::error::Error;
use crate::install::{Installer, Selected};
use crate::plan::Locked;

impl<V: ImageVerifier> Installer<V> {
    /// Admits an image on what the plan requires, and on nothing less. `selected` is told which manifest that
    /// will be, before anything proves it.
    pub(super) async fn admit_as_required(
        &self,
        resolved: ResolvedImage,
        selected: Selected<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<AdmittedImage, Error> {
        let requirement = attempt.plan.requirement();
        let (platform, events) = (attempt.platform, attempt.events);
        if let Some(policy) = requirement.policy() {
            return match attempt.plan.locked_to() {
                None => {
                    self.admit_resolved(resolved, platform, policy, selected, events)
                        .await
                }
                Some(locked) => {
                    self.admit_locked(resolved, locked, policy, selected, attempt)
                        .await
                }
            };
        }
        let Some(permit) = requirement.permit(resolved.digest()) else {
            return Err(Error::Unverifiable {
                location: resolved.reference().to_string(),
                required: requirement.to_string(),
            });
        };
        self.admit_unverified(permit, &resolved, platform).await
    }

    /// Admits an image by the gallery's policy for the locked signer alone.
    async fn admit_locked(
        &self,
        resolved: ResolvedImage,
        locked: &Locked,
        policy: &Policy,
        selected: Selected<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<AdmittedImage, Error> {
        let (platform, events) = (attempt.platform, attempt.events);
        let narrowed = locked.policy().unwrap_or(policy);
        let by_locked = self.admit_resolved(resolved.clone(), platform, narrowed, selected, events);
        let by_others = self.admit_resolved(resolved, platform, policy, &|_| {}, &|_| {});
        // On the heap: each holds all of a verification.
        let by_others = locked.policy().map(|_| Box::pin(by_others));
        let check = |image: &AdmittedImage| attempt.check_locked(Content::of(image));
        by_locked_signer(Box::pin(by_locked), by_others, check).await
    }
}
