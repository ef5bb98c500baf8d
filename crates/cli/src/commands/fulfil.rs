//! What `install` by name and `upgrade` have in common: all that is installed by them is installed
//! here, so that neither can ask for less than the other.

use std::path::Path;
use std::process::ExitCode;

use countersign_download::{
    Fulfilled, Grounds, Installed, Installer, Plan, Provenance, Store, Succession,
};
use countersign_oci::{Digest, Options, Platform, Reference, Registry};
use countersign_policy::Gallery;
use countersign_verify::Verifier;
use serde_json::json;

use super::gallery::Galleries;
use crate::arguments::TrustArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::lock::LockFile;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::services::LoadedPolicy;
use crate::trust;

/// Galleries to install from, and a store to install to.
pub(super) struct Fulfilment {
    pub(super) galleries: Galleries,
    pub(super) store: Store,
    pub(super) succession: Succession,
    pub(super) trust: TrustArguments,
    pub(super) registry: Registry,
    /// Where what was installed is pinned.
    pub(super) lock_file: Option<LockFile>,
    /// The way to tarballs.
    pub(super) connection: Options,
}

/// An entry to install.
pub(super) struct Wanted {
    /// Its name, or `gallery@name`.
    pub(super) name: String,
    pub(super) platform: Platform,
}

impl Fulfilment {
    /// Installs one after the other. A failure of one does not keep the others from it; the exit
    /// code is that of the first that failed.
    pub(super) async fn run(
        &self,
        wanted: Vec<Wanted>,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        // One that can't be read is better known of before anything is installed.
        if let Some(file) = &self.lock_file {
            file.read_if_there()?;
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let mut code = None;
        let mut fail = |name: &str, failure: &Failure| {
            code.get_or_insert(failure.kind);
            output.failure(failure);
            failed.push(json!({ "name": name, "error": failure.to_json() }));
        };
        for one in wanted {
            match self.install(&one, environment, output).await {
                Ok((plan, fulfilled)) => {
                    let directory = self.store.directory(&plan.name().parse()?);
                    output.result(&text(&plan, &fulfilled, &directory));
                    done.push(json!({
                        "name": plan.name(),
                        "directory": directory,
                        "result": fulfilled,
                    }));
                    if let Err(failure) = self.lock(&fulfilled, output) {
                        fail(&one.name, &failure);
                    }
                }
                Err(failure) => fail(&one.name, &failure),
            }
        }
        output.document(&json!({ "done": done, "failed": failed }));
        Ok(code.map_or(ExitCode::SUCCESS, |kind| kind.exit_code().into()))
    }

    async fn install(
        &self,
        wanted: &Wanted,
        environment: &Environment,
        output: &Output,
    ) -> Result<(Plan, Fulfilled), Failure> {
        let (gallery, plan) = self.galleries.plan(&wanted.name, &wanted.platform)?;
        let plan = plan?;
        let verifier = self.verifier(gallery, environment).await?;
        let installer = Installer::new(self.registry.clone(), verifier)
            .with_connection(self.connection.clone());
        let progress = Progress::new(output, format!("resolving {}", plan.name()));
        let events = |event| progress.installing(&event);
        let fulfilled = self
            .store
            .install(
                &installer,
                &plan,
                &wanted.platform,
                self.succession,
                &events,
            )
            .await;
        drop(progress);
        Ok((plan, fulfilled?))
    }

    /// Pins what was installed, where that is asked for.
    fn lock(&self, fulfilled: &Fulfilled, output: &Output) -> Result<(), Failure> {
        let Some(file) = &self.lock_file else {
            return Ok(());
        };
        file.record(fulfilled.locked().clone())?;
        output.result(&format!("  locked in  {}\n", file.path().display()));
        Ok(())
    }

    /// The verifier for a gallery's entries. Where it has no policy there is nothing to verify, and
    /// the trusted root is not fetched.
    async fn verifier(
        &self,
        gallery: &Gallery,
        environment: &Environment,
    ) -> Result<Verifier, Failure> {
        let registry = self.registry.clone();
        let Some(policy) = &gallery.policy else {
            let source = trust::instance(&self.trust, None)?.source(environment)?;
            return Ok(Verifier::with_source(registry, source));
        };
        let loaded = LoadedPolicy {
            policy: policy.clone(),
            file: Some(self.galleries.file().to_owned()),
        };
        let instance = trust::instance(&self.trust, Some(&loaded))?;
        let trusted_root = instance.trusted_root(environment).await?;
        Ok(Verifier::new(registry, trusted_root))
    }
}

fn text(plan: &Plan, fulfilled: &Fulfilled, directory: &Path) -> String {
    let (name, directory) = (plan.name(), directory.display());
    match fulfilled {
        Fulfilled::Installed {
            installed,
            replaced,
            ..
        } => {
            let verb = if replaced.is_some() {
                "upgraded"
            } else {
                "installed"
            };
            let Installed { files, bytes, .. } = **installed;
            let noun = if files == 1 { "file" } else { "files" };
            let mut text = format!(
                "{verb} {name} in {directory}: {files} {noun}, {}\n",
                output::bytes(bytes)
            );
            if let Some(replaced) = replaced {
                text.push_str(&format!("  before     {replaced}\n"));
            }
            text.push_str(&digest_text(
                &installed.digest,
                installed.reference.as_ref(),
            ));
            text.push_str(&details(&installed.grounds, installed.provenance.as_ref()));
            for warning in &installed.warnings {
                text.push_str(&format!("  warning    {warning}\n"));
            }
            text
        }
        Fulfilled::Unchanged { recorded, .. } => format!(
            "{name} in {directory} is what {} has\n{}",
            plan.lock().map_or("its source", |_| "the lock file"),
            digest_text(&recorded.digest, recorded.reference.as_ref())
        ),
        _ => String::new(),
    }
}

/// What an installation is: an image, by its reference, or content that is none.
pub(super) fn digest_text(digest: &Digest, reference: Option<&Reference>) -> String {
    let what = if reference.is_some() {
        "image"
    } else {
        "archive"
    };
    format!("  {what:<9}  {digest}\n")
}

/// On what grounds it is there, and from where.
pub(super) fn details(grounds: &Grounds, provenance: Option<&Provenance>) -> String {
    let mut text = super::grounds_text(grounds);
    if let Some(provenance) = provenance {
        let (role, source) = (provenance.role.as_str(), &provenance.source);
        text.push_str(&format!("  served by  the {role}, {source}\n"));
        for unserved in &provenance.unserved {
            let unserved = unserved.replace('\n', "\n             ");
            text.push_str(&format!("  not by     {unserved}\n"));
        }
    }
    text
}
