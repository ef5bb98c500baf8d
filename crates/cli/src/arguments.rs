//! Flags that several commands share, one file a group. What one command alone takes stands in the
//! command's file.

pub(crate) mod annotations;
pub(crate) mod cache;
pub(crate) mod configuration;
pub(crate) mod dry_run;
pub(crate) mod layers;
pub(crate) mod limits;
pub(crate) mod planning;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod replacing;
pub(crate) mod store;
pub(crate) mod terminal;
pub(crate) mod trust;
pub(crate) mod verification;
