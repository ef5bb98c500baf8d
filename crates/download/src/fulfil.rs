//! Carries a plan out: one source after the other, all by the same requirement.
//!
//! The next source is tried where one is *not found* or *unreachable*. Where what a source serves
//! doesn't hold, only other copies of the very digest that it resolved to are tried, and never a
//! fallback tag. The digest that the first source of a tag resolved to is the one that every
//! further source of that tag is asked for: a mirror can't choose what is installed.

use std::fmt;
use std::path::Path;

use countersign_oci::{Digest, Platform, Reference, ResolvedImage};
use serde::Serialize;

use crate::admitted::{AdmittedImage, Grounds, ImageVerifier};
use crate::error::{Consequence, Error};
use crate::install::{Events, Installed, Installer};
use crate::plan::{Plan, PlannedSource, Role};
use crate::record::{self, Provenance, Recorded};
use crate::source::Source;
use crate::unpack::{self, blocking};

/// Whether an image may take the place of one that was signed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Its signature must be as late as that of what is installed, or later.
    NotOlder,
    /// Any image that the policy accepts may.
    AllowOlder,
}

/// What carrying a plan out came to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fulfilled {
    /// The image was installed, in the place of `replaced` where that is given.
    Installed {
        /// What is there now.
        installed: Box<Installed>,
        /// Digest of the platform's manifest that was there before.
        replaced: Option<Digest>,
    },
    /// The digest that was verified is that of what is installed: nothing was fetched.
    Unchanged {
        /// What is there.
        recorded: Box<Recorded>,
    },
}

impl<V: ImageVerifier> Installer<V> {
    /// Installs what `plan` is for, in `platform`'s build, to `directory`, which is as for
    /// [`Self::install`]. An installation there is replaced where `succession` lets it be.
    ///
    /// # Errors
    /// [`PlanFailure`], with the error of every source that was tried.
    pub async fn fulfil(
        &self,
        plan: &Plan,
        platform: &Platform,
        directory: &Path,
        succession: Succession,
        events: Events<'_>,
    ) -> Result<Fulfilled, PlanFailure> {
        let mut failures: Vec<SourceFailure> = Vec::new();
        let mut pin: Option<Pin> = None;
        let mut refused = false;
        for planned in plan.sources() {
            let mut attempt = Attempt {
                plan,
                planned,
                platform,
                directory,
                succession,
                unserved: failures.iter().map(ToString::to_string).collect(),
                pinned: pin_of(planned, pin.as_ref()),
                events,
            };
            if refused && (planned.role == Role::Fallback || attempt.pinned.is_none()) {
                break;
            }
            let error = match self.attempt(&mut attempt).await {
                Ok(fulfilled) => return Ok(fulfilled),
                Err(error) => error,
            };
            if let Some(digest) = attempt.pinned {
                pin = Some(Pin {
                    group: group(planned),
                    digest,
                });
            }
            let consequence = error.consequence();
            failures.push(SourceFailure {
                planned: planned.clone(),
                error,
            });
            match consequence {
                Consequence::TryNext => {}
                Consequence::TrySameDigest => refused = true,
                Consequence::End => break,
            }
        }
        Err(PlanFailure {
            name: plan.name().to_owned(),
            failures,
        })
    }

    async fn attempt(&self, attempt: &mut Attempt<'_>) -> Result<Fulfilled, Error> {
        let requirement = attempt.plan.requirement();
        let source = &attempt.planned.source;
        let Source::Image { reference } = source else {
            return Err(Error::Unverifiable {
                kind: source.kind(),
                required: requirement.to_string(),
            });
        };
        let asked = match &attempt.pinned {
            Some(digest) => Reference::from(reference.repository().at(digest.clone())),
            None => reference.clone(),
        };
        let resolved = self.resolve(&asked, attempt.events).await?;
        attempt.pinned = Some(resolved.digest().clone());
        let image = self.admit_as_required(resolved, attempt).await?;
        let staging = unpack::stage(attempt.directory).await?;
        // Read under the lock: nobody can put something newer there until we are through.
        let directory = attempt.directory.to_owned();
        let (ours, recorded) =
            blocking(move || Ok((record::is_at(&directory), record::read(&directory)))).await?;
        match &recorded {
            Some(recorded) => succeeds(&image, recorded, attempt.succession)?,
            // Without its times there is no telling what would be older than it.
            None if ours && attempt.succession == Succession::NotOlder => {
                return Err(Error::Target {
                    path: attempt.directory.to_owned(),
                    expected: "a record that says when the installation was signed",
                    found: "one that doesn't",
                });
            }
            None => {}
        }
        match recorded {
            // On stronger grounds than before the same content is installed anew: its record tells.
            Some(recorded)
                if recorded.digest == *image.reference().digest()
                    && !recorded.grounds.weaker_than(image.grounds()) =>
            {
                Ok(Fulfilled::Unchanged {
                    recorded: Box::new(recorded),
                })
            }
            recorded => {
                let installed = self
                    .unpack_staged(
                        image,
                        reference,
                        attempt.platform,
                        staging,
                        Some(attempt.provenance()),
                        attempt.events,
                    )
                    .await?;
                Ok(Fulfilled::Installed {
                    installed: Box::new(installed),
                    replaced: recorded.map(|recorded| recorded.digest),
                })
            }
        }
    }

    /// Admits an image on what the plan requires, and on nothing less.
    async fn admit_as_required(
        &self,
        resolved: ResolvedImage,
        attempt: &Attempt<'_>,
    ) -> Result<AdmittedImage, Error> {
        let requirement = attempt.plan.requirement();
        let (platform, events) = (attempt.platform, attempt.events);
        if let Some(policy) = requirement.policy() {
            return self
                .admit_resolved(resolved, platform, policy, events)
                .await;
        }
        let Some(permit) = requirement.permit(resolved.digest()) else {
            return Err(Error::Unverifiable {
                kind: attempt.planned.source.kind(),
                required: requirement.to_string(),
            });
        };
        self.admit_unverified(permit, &resolved, platform, events)
            .await
    }
}

/// One source's turn.
struct Attempt<'a> {
    plan: &'a Plan,
    planned: &'a PlannedSource,
    platform: &'a Platform,
    directory: &'a Path,
    succession: Succession,
    unserved: Vec<String>,
    /// What the source is to be asked for and, afterwards, what it resolved to.
    pinned: Option<Digest>,
    events: Events<'a>,
}

impl Attempt<'_> {
    fn provenance(&self) -> Provenance {
        Provenance {
            gallery: self.plan.gallery().to_owned(),
            name: self.plan.name().to_owned(),
            entry: self.plan.entry().name.clone(),
            role: self.planned.role,
            source: self.planned.source.to_string(),
            unserved: self.unserved.clone(),
        }
    }
}

/// The digest that stands for the sources of one group.
struct Pin {
    group: Group,
    digest: Digest,
}

/// Sources that name the same content: the primary and its mirrors, or a fallback tag of them.
#[derive(Debug, PartialEq, Eq)]
enum Group {
    Named,
    Fallback(Option<String>),
}

fn group(planned: &PlannedSource) -> Group {
    match (planned.role, &planned.source) {
        (Role::Fallback, Source::Image { reference }) => {
            Group::Fallback(reference.tag().map(ToOwned::to_owned))
        }
        (Role::Fallback, _) => Group::Fallback(None),
        _ => Group::Named,
    }
}

fn pin_of(planned: &PlannedSource, pin: Option<&Pin>) -> Option<Digest> {
    if let Some(pin) = pin
        && pin.group == group(planned)
    {
        return Some(pin.digest.clone());
    }
    match &planned.source {
        Source::Image { reference } => reference.digest().cloned(),
        _ => None,
    }
}

/// Whether the image may take the place of what is installed: never on weaker grounds, whatever is
/// asked for, and only with `succession`'s leave on an older signature.
///
/// The earliest proven times are compared: a later one can be added to an old signature by
/// anybody, an earlier one can't be taken away without breaking it.
fn succeeds(
    image: &AdmittedImage,
    recorded: &Recorded,
    succession: Succession,
) -> Result<(), Error> {
    if image.grounds().weaker_than(&recorded.grounds) {
        return Err(Error::Weaker {
            image: image.reference().to_string(),
            installed: Box::new(recorded.grounds.clone()),
            found: Box::new(image.grounds().clone()),
        });
    }
    let earliest = |grounds: &Grounds| grounds.evidence()?.signed_at.first().copied();
    let found = earliest(image.grounds());
    let installed = earliest(&recorded.grounds);
    match (succession, installed, found) {
        (Succession::NotOlder, Some(installed), Some(found)) if found < installed => {
            Err(Error::Older {
                image: image.reference().clone(),
                installed,
                found,
            })
        }
        _ => Ok(()),
    }
}

/// Why one source of a plan did not serve.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceFailure {
    /// The source.
    pub planned: PlannedSource,
    /// Why not.
    pub error: Error,
}

/// One line and those of the causes, for a person.
impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlannedSource { role, source } = &self.planned;
        write!(f, "{} {source}: {}", role.as_str(), self.error)?;
        let mut cause = std::error::Error::source(&self.error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Why a plan could not be carried out: the failure of each source that was tried, in order.
#[derive(Debug)]
pub struct PlanFailure {
    name: String,
    failures: Vec<SourceFailure>,
}

impl PlanFailure {
    /// The failure of each source that was tried, in their order; never empty.
    pub fn failures(&self) -> &[SourceFailure] {
        &self.failures
    }

    /// The error that speaks for all: the first that says more than *not found* or *unreachable*,
    /// else the first.
    pub fn decisive(&self) -> Option<&Error> {
        let errors = || self.failures.iter().map(|failure| &failure.error);
        errors()
            .find(|error| error.consequence() != Consequence::TryNext)
            .or_else(|| errors().next())
    }

    /// The same error, by value.
    pub fn into_decisive(mut self) -> Option<Error> {
        let tells = |failure: &SourceFailure| failure.error.consequence() != Consequence::TryNext;
        let at = self.failures.iter().position(tells).unwrap_or(0);
        (at < self.failures.len()).then(|| self.failures.swap_remove(at).error)
    }
}

impl fmt::Display for PlanFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = countersign_oci::excerpt(&self.name);
        write!(f, "`{name}` can't be installed from any source")?;
        for failure in &self.failures {
            let lines = failure.to_string().replace('\n', "\n  ");
            write!(f, "\n  {lines}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanFailure {}
