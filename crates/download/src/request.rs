//! What is asked of an installer.

use std::fmt;

use countersign_oci::Platform;

use crate::events::Events;
use crate::lock::Lock;
use crate::options::InstallOptions;
use crate::plan::Plan;

/// What [`Installer::install`](crate::Installer::install) is to do, or
/// [`Installer::preview`](crate::Installer::preview) is to find out.
#[derive(Clone, Copy)]
pub struct InstallRequest<'a> {
    /// What is to be installed, from where, and on what proof.
    pub plan: &'a Plan,
    /// Whose build of it.
    pub platform: &'a Platform,
    /// What may be replaced, and whether to wait for it.
    pub options: InstallOptions,
    /// The lock that what is installed is to be put into: what it has is not replaced by what is older.
    pub lock: Option<&'a Lock>,
    /// Is told what happens meanwhile.
    pub events: Events<'a>,
}

impl<'a> InstallRequest<'a> {
    /// To install `plan` in `platform`'s build, with the default options. Nobody is told what happens.
    pub fn new(plan: &'a Plan, platform: &'a Platform) -> Self {
        Self {
            plan,
            platform,
            options: InstallOptions::default(),
            lock: None,
            events: &|_| {},
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(self, options: InstallOptions) -> Self {
        Self { options, ..self }
    }

    /// The same, for a lock that [`Outcome::locked`](crate::Outcome::locked) is to be put into. What
    /// [`Lock::insert`] would refuse is not installed either: [`Error::Lock`](crate::Error::Lock).
    #[must_use]
    pub fn with_lock(self, lock: &'a Lock) -> Self {
        Self {
            lock: Some(lock),
            ..self
        }
    }

    /// The same, with somebody who is told what happens.
    #[must_use]
    pub fn with_events(self, events: Events<'a>) -> Self {
        Self { events, ..self }
    }
}

impl fmt::Debug for InstallRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallRequest")
            .field("plan", self.plan)
            .field("platform", self.platform)
            .field("options", &self.options)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}
