//! An entry of a gallery that is to be installed.

use std::sync::Arc;

use countersign_download::{Galleries, Lock, Plan, PlanError};
use countersign_oci::Platform;

/// An entry to install.
pub(super) struct Wanted {
    /// Its name, or `gallery@name`.
    pub(super) name: String,
    pub(super) platform: Platform,
    /// What its plan is narrowed to.
    pub(super) lock: Option<Arc<Lock>>,
}

impl Wanted {
    /// The gallery, where the name says it.
    pub(super) fn gallery(&self) -> Option<&str> {
        self.name.split_once('@').map(|(gallery, _)| gallery)
    }

    /// The name without the gallery.
    pub(super) fn bare_name(&self) -> &str {
        self.name
            .split_once('@')
            .map_or(self.name.as_str(), |(_, name)| name)
    }

    pub(super) fn plan(&self, galleries: &Galleries) -> Result<Plan, PlanError> {
        let plan = galleries.plan(&self.name)?;
        match &self.lock {
            Some(lock) => Ok(plan.locked(lock, &self.platform)?),
            None => Ok(plan),
        }
    }
}
