//! Carries a plan out: one source after the other, all by the same requirement.
//!
//! The next source is tried where one is *not found* or *unreachable*. Where what a source serves
//! doesn't hold, only other copies of the very digest that it resolved to are tried, and never a
//! fallback tag. The digest that the first source of a tag resolved to is the one that every
//! further source of that tag is asked for: a mirror can't choose what is installed.
//!
//! A locked plan has that digest from the start. What is admitted for it has to be what was locked,
//! and by the locked signer, or it is refused like anything else that doesn't hold.

mod attempt;
mod failure;

use std::path::Path;

use countersign_oci::{Digest, Platform};
use serde::Serialize;

use crate::admitted::ImageVerifier;
use crate::error::Consequence;
use crate::install::{Events, Installed, Installer};
use crate::lock::LockedEntry;
use crate::plan::{Plan, PlannedSource, Role};
use crate::record::Recorded;
use crate::source::Source;
use attempt::Attempt;

pub use failure::{PlanFailure, SourceFailure};

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
        /// Digest of what was there before, as of [`Recorded::digest`].
        replaced: Option<Digest>,
        /// What a lock keeps of it.
        #[serde(skip)]
        locked: Box<LockedEntry>,
    },
    /// The digest that was admitted is that of what is installed, on grounds that are as strong:
    /// nothing was unpacked.
    Unchanged {
        /// What is there.
        recorded: Box<Recorded>,
        /// What a lock keeps of it, by what was verified now, and not by the record.
        #[serde(skip)]
        locked: Box<LockedEntry>,
    },
}

impl Fulfilled {
    /// What a lock keeps of what is installed now.
    pub fn locked(&self) -> &LockedEntry {
        match self {
            Self::Installed { locked, .. } | Self::Unchanged { locked, .. } => locked,
        }
    }
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
        let locked = plan.lock().map(LockedEntry::asked);
        for planned in plan.sources() {
            let mut attempt = Attempt {
                plan,
                planned,
                platform,
                directory,
                succession,
                unserved: failures.iter().map(ToString::to_string).collect(),
                pinned: locked.cloned().or_else(|| pin_of(planned, pin.as_ref())),
                events,
            };
            let same = attempt.pinned.is_some()
                && attempt.pinned.as_ref() == pin.as_ref().map(|pin| &pin.digest);
            if refused && (planned.role == Role::Fallback || !same) {
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
            locked: locked.cloned(),
            failures,
        })
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
    match &planned.source {
        Source::Image { reference } => match pin {
            Some(pin) if pin.group == group(planned) => Some(pin.digest.clone()),
            _ => reference.digest().cloned(),
        },
        Source::Tarball(tarball) => tarball.digest().cloned(),
        _ => None,
    }
}
