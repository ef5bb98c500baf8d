//! An entry of a gallery that is to be installed.

use std::sync::Arc;

use countersign_download::{EntryName, Galleries, Lock, Plan, PlanError};
use countersign_oci::Platform;

/// An entry to install.
pub(super) struct RequestedEntry {
    pub(super) name: EntryName,
    pub(super) platform: Platform,
    /// What its plan is narrowed to.
    pub(super) lock: Option<Arc<Lock>>,
}

impl RequestedEntry {
    pub(super) fn plan(&self, galleries: &Galleries) -> Result<Plan, PlanError> {
        let plan = galleries.plan(&self.name)?;
        match &self.lock {
            Some(lock) => Ok(plan.locked(lock, &self.platform)?),
            None => Ok(plan),
        }
    }
}
