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
use std::sync::Arc;

use countersign_oci::{Consequence, Digest, Platform};
use serde::Serialize;

use crate::admitted::ImageVerifier;
use crate::error::Error;
use crate::events::Events;
use crate::install::Installer;
use crate::lock::LockedEntry;
use crate::options::{Downgrade, InstallOptions};
use crate::plan::Plan;
use crate::planned::{PlannedSource, Role};
use crate::record::{self, Installed, Recorded};
use crate::source::Source;
use crate::target::Held;
use crate::unpack::{self, blocking};
use attempt::Attempt;

pub use failure::{PlanFailure, SourceFailure};

/// What carrying a plan out came to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The image was installed, in the place of `replaced` where that is given.
    Installed {
        /// What is there now.
        installed: Box<Installed>,
        /// Digest of what was there before, as of [`Recorded::digest`].
        replaced: Option<Digest>,
        /// What a lock keeps of it; `None` for an image by itself, which no gallery names.
        #[serde(skip)]
        locked: Option<Box<LockedEntry>>,
    },
    /// The record says that this very digest is installed, on grounds that are as strong: nothing
    /// was unpacked. The files were not looked at.
    Unchanged {
        /// What the record says.
        recorded: Box<Recorded>,
        /// What a lock keeps of it, by what was verified now, and not by the record.
        #[serde(skip)]
        locked: Option<Box<LockedEntry>>,
    },
}

impl Outcome {
    /// What a lock keeps of what is installed now.
    pub fn locked(&self) -> Option<&LockedEntry> {
        match self {
            Self::Installed { locked, .. } | Self::Unchanged { locked, .. } => locked.as_deref(),
        }
    }
}

impl<V: ImageVerifier> Installer<V> {
    /// Installs what `plan` is for, in `platform`'s build, to `directory`.
    ///
    /// The directory above `directory` must exist; `directory` itself must not, or be empty, or
    /// hold an earlier installation, which is replaced in one step where `options` let it be.
    /// Whether the system will let us is found before any source is asked.
    ///
    /// # Errors
    /// [`PlanFailure`], with the error of every source that was tried; nothing is left of the
    /// attempt then. The same holds when the future is dropped, as soon as the blocking thread that
    /// was at work has noticed.
    pub async fn install(
        &self,
        plan: &Plan,
        platform: &Platform,
        directory: &Path,
        options: InstallOptions,
        events: Events<'_>,
    ) -> Result<Outcome, PlanFailure> {
        let failed = |target, failures| PlanFailure {
            name: plan.name().to_owned(),
            locked: plan.lock().map(LockedEntry::requested).cloned(),
            target,
            failures,
        };
        let (held, there) = occupy(plan, directory, options, events)
            .await
            .map_err(|error| failed(Some(error), Vec::new()))?;
        let led = plan.led_from().map(|led_from| self.led_from(led_from));
        let led = led
            .transpose()
            .map_err(|error| failed(Some(error), Vec::new()))?;
        let installer = led.as_ref().unwrap_or(self);
        let mut failures: Vec<SourceFailure> = Vec::new();
        let mut pin: Option<Pin> = None;
        let mut refused = false;
        let locked = plan.lock().map(LockedEntry::requested);
        for planned in plan.sources() {
            let mut attempt = Attempt {
                plan,
                planned,
                platform,
                held: &held,
                there: there.as_ref(),
                options,
                skipped: failures.iter().map(ToString::to_string).collect(),
                pinned: locked.cloned().or_else(|| pin_of(planned, pin.as_ref())),
                events,
            };
            let same = attempt.pinned.is_some()
                && attempt.pinned.as_ref() == pin.as_ref().map(|pin| &pin.digest);
            if refused && (planned.role == Role::Fallback || !same) {
                break;
            }
            let error = match installer.attempt(&mut attempt).await {
                Ok(outcome) => return Ok(outcome),
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
        Err(failed(None, failures))
    }
}

/// Holds the target, and reads the record of what is installed there. It stays true while the
/// target is held: nobody can put something newer there.
async fn occupy(
    plan: &Plan,
    directory: &Path,
    options: InstallOptions,
    events: Events<'_>,
) -> Result<(Arc<Held>, Option<Recorded>), Error> {
    let held = unpack::hold(directory, options.busy, events).await?;
    let (checked, path) = (Arc::clone(&held), directory.to_owned());
    let (ours, recorded) = blocking(move || {
        checked.check()?;
        Ok((record::is_at(&path), record::read(&path)))
    })
    .await?;
    // Without a record we can't compare ages or grounds. Nothing proves more than a signature, so
    // whoever allows older images and asks for a signature may replace anything.
    let may_replace =
        options.downgrade == Downgrade::Allow && plan.requirement().policy().is_some();
    if recorded.is_none() && ours && !may_replace {
        return Err(Error::UnreadableRecord {
            path: directory.to_owned(),
        });
    }
    Ok((held, recorded))
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

/// The digest to ask a source for, where there is one: a mirror can't choose what is installed.
fn pin_of(planned: &PlannedSource, pin: Option<&Pin>) -> Option<Digest> {
    let own = match &planned.source {
        Source::Image { reference } => reference.digest(),
        Source::Layout { .. } => None,
        Source::Tarball(tarball) => return tarball.digest().cloned(),
        Source::Directory { .. } => return None,
    };
    match pin {
        Some(pin) if pin.group == group(planned) => Some(pin.digest.clone()),
        _ => own.cloned(),
    }
}
