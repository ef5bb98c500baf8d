//! Carries a plan out: one source after the other, all by the same requirement.
//!
//! `next` decides which source is asked. `replace` decides what may take the place of what is installed.
//! Neither does any I/O, and each is tested as a table. A locked plan has a digest from the start. What is
//! admitted for it has to be what was locked, and by the locked signer, or it is refused like anything else
//! that doesn't hold.

mod admit;
mod ask;
mod attempt;
mod failure;
mod goal;
mod in_turn;
mod locked_signer;
pub(crate) mod next;
mod preview;
mod prove;
mod put_in_place;
mod replace;
mod replacement;

use std::path::Path;
use std::sync::Arc;

use crate::admitted::ImageVerifier;
use crate::blocking::blocking;
use crate::error::Error;
use crate::hold::{hold, settled};
use crate::install::Installer;
use crate::lock::LockedEntry;
use crate::record::{self, FoundRecord, Installed, Recorded};
use crate::request::InstallRequest;
use crate::target::{self, Above, Held};
use attempt::Attempt;
use goal::Goal;
use in_turn::InTurn;
use next::NextSource;
use preview::Look;
use put_in_place::PutInPlace;
use replace::{TargetState, Unreadable};

use failure::Purpose;

pub use failure::{PlanFailure, SourceFailure};
pub use preview::{Available, Preview};
pub use prove::ProvenSource;
pub use replacement::Replacement;

/// The outcome of an installation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The image was installed, in the place of `replaced` where that is given.
    Installed {
        /// What is there now.
        installed: Box<Installed>,
        /// What that did to what was there before.
        replacement: Replacement,
        /// What was there before, by its record.
        replaced: Option<Box<Recorded>>,
        /// What a lock keeps of it; `None` for an image by itself, which no gallery names.
        locked: Option<Box<LockedEntry>>,
    },
    /// The record says that this digest is installed already, on grounds that are as strong. Nothing
    /// was unpacked, and the files were not checked.
    Unchanged {
        /// What the record says.
        recorded: Box<Recorded>,
        /// What a lock keeps of it, by what was verified now, and not by the record.
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
    /// Installs what is requested to `directory`.
    ///
    /// The directory above `directory` must exist; `directory` itself must not, or be empty, or
    /// hold an earlier installation, which is replaced in one step where the options let it be.
    /// Before any source is asked, it is checked that the system allows that.
    ///
    /// # Errors
    /// [`PlanFailure`], with the error of every source that was tried; nothing is left of the
    /// attempt then. The same holds when the future is dropped, as soon as the blocking thread that
    /// was at work has noticed. Whatever it returns, the next installation can have the target at once.
    pub async fn install(
        &self,
        request: InstallRequest<'_>,
        directory: &Path,
    ) -> Result<Outcome, PlanFailure> {
        let (held, target) = occupy(request, directory)
            .await
            .map_err(|error| InTurn::of(request.plan, Purpose::Install).not_begun(error))?;
        let goal = PutInPlace { held };
        settled(&goal.held, self.carry_out(request, &target, &goal)).await
    }

    /// Finds out what [`Self::install`] would do. The sources are asked and their proofs judged by the same rules,
    /// and what is installed is read, but nothing is fetched and nothing is written.
    ///
    /// No lock is taken: another run may install meanwhile.
    ///
    /// # Errors
    /// [`PlanFailure`], as the installation would fail.
    pub async fn preview(
        &self,
        request: InstallRequest<'_>,
        directory: &Path,
    ) -> Result<Preview, PlanFailure> {
        self.preview_at(request, directory, Above::Required).await
    }

    /// The same as [`Self::preview`], also where the directory above the target is still to be made.
    pub(crate) async fn preview_at(
        &self,
        request: InstallRequest<'_>,
        directory: &Path,
        above: Above,
    ) -> Result<Preview, PlanFailure> {
        let path = directory.to_owned();
        let target = blocking(move || {
            target::look(&path, above)?;
            state_of(&path)
        });
        let target = match target.await {
            Ok(state) => replaceable(state, request, directory),
            Err(error) => Err(error),
        };
        let target =
            target.map_err(|error| InTurn::of(request.plan, Purpose::Install).not_begun(error))?;
        self.carry_out(request, &target, &Look).await
    }

    async fn carry_out<G: Goal<V>>(
        &self,
        request: InstallRequest<'_>,
        target: &TargetState,
        goal: &G,
    ) -> Result<G::Output, PlanFailure> {
        let InstallRequest {
            plan,
            platform,
            options,
            lock,
            events,
        } = request;
        let mut sources = InTurn::of(plan, Purpose::Install);
        let limited = plan.address_limit().map(|limit| self.within(limit));
        let limited = match limited.transpose() {
            Ok(limited) => limited,
            Err(error) => return Err(sources.not_begun(error)),
        };
        let installer = limited.as_ref().unwrap_or(self);
        while let Some(NextSource { planned, digest }) = sources.to_ask_now() {
            let attempt = Attempt {
                plan,
                planned,
                digest,
                platform,
                target,
                options,
                lock,
                skipped: sources.failures().iter().map(ToString::to_string).collect(),
                events,
            };
            // On the heap: it holds all of a verification and of an extraction.
            let attempt = Box::pin(installer.attempt(attempt, goal));
            if let Some(output) = sources.record(planned, attempt.await) {
                return Ok(output);
            }
        }
        Err(sources.none_served())
    }
}

/// Holds the target, and reads the record of what is installed there. It stays true while the
/// target is held: nobody can put something newer there.
async fn occupy(
    request: InstallRequest<'_>,
    directory: &Path,
) -> Result<(Arc<Held>, TargetState), Error> {
    let held = hold(directory, request.options.busy, request.events).await?;
    let (checked, path) = (Arc::clone(&held), directory.to_owned());
    let state = blocking(move || {
        checked.check()?;
        state_of(&path)
    });
    let target = replaceable(state.await?, request, directory)?;
    Ok((held, target))
}

/// What is at `directory`, by its record.
fn state_of(directory: &Path) -> Result<TargetState, Error> {
    let found = record::read(directory).map_err(Error::io("read the record in", directory))?;
    Ok(match found {
        FoundRecord::None | FoundRecord::Unrecognised { .. } => TargetState::Empty,
        FoundRecord::Read(recorded) => TargetState::Recorded(recorded),
        FoundRecord::Damaged { why } => TargetState::Unreadable(Unreadable::Damaged { why }),
        FoundRecord::Later { version } => TargetState::Unreadable(Unreadable::Later { version }),
    })
}

/// The same state, unless nothing may be installed in its place by what is required.
fn replaceable(
    target: TargetState,
    request: InstallRequest<'_>,
    directory: &Path,
) -> Result<TargetState, Error> {
    let path = || directory.to_owned();
    let InstallRequest { plan, options, .. } = request;
    match target.not_replaceable(plan.requirement(), options.downgrade) {
        None => Ok(target),
        Some(Unreadable::Damaged { why }) => Err(Error::UnreadableRecord { path: path(), why }),
        Some(Unreadable::Later { version }) => Err(Error::LaterRecord {
            path: path(),
            found: version,
        }),
    }
}
