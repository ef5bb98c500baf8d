//! What verdicts of an audit depend on, besides registries: an audit goes on, and parts are merged, only by the same.

use std::path::Path;

use countersign_download::{GallerySubjects, Scope, WhichSources};

use super::{AuditArguments, Setup, loaded};
use crate::failure::Failure;
use crate::policy::LoadedPolicy;

/// Counts the forms that the rules of an audit had.
const RULES_FORM: u32 = 5;

impl AuditArguments {
    /// What decides what becomes of an image, besides policies and whom they trust.
    pub(super) fn rules(&self) -> String {
        let scope = match self.scope() {
            Scope::Platform(platform) => format!("platform {platform}"),
            Scope::AllPlatforms => "all platforms".to_owned(),
            Scope::Installable => "installable".to_owned(),
            Scope::Named => "named".to_owned(),
        };
        let which = match self.which() {
            WhichSources::Primary => "primary",
            WhichSources::Mirrors => "mirrors",
        };
        let version = env!("CARGO_PKG_VERSION");
        format!("form {RULES_FORM}, version {version}, {scope}, {which}")
    }
}

impl Setup<'_> {
    /// What decides by this policy. Where files are does not.
    pub(super) fn rules(&self, loaded: &LoadedPolicy) -> Result<String, Failure> {
        let trusted = if loaded.policy.needs_trusted_root() {
            self.instance(loaded)?.identity()?
        } else {
            "nobody".to_owned()
        };
        Ok(format!(", {trusted}, {:?}", loaded.policy))
    }

    pub(super) fn rules_of(
        &self,
        file: &Path,
        subjects: &GallerySubjects<'_>,
    ) -> Result<String, Failure> {
        let rules = match loaded(file, subjects) {
            Some(loaded) => self.rules(&loaded)?,
            None => ", no policy".to_owned(),
        };
        Ok(format!(", {:?}{rules}", subjects.gallery().name))
    }
}
