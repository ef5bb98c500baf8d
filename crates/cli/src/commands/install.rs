//! `countersign install`: unpacks an image, if and only if it is signed as the policy says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use countersign_download::{Installed, Installer};
use countersign_oci::{Platform, Reference};
use countersign_verify::Verifier;
use serde_json::json;

use super::fulfil::{Fulfilment, Wanted};
use super::gallery::{self, Asked, Galleries};
use crate::arguments::InstallArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::image;
use crate::lock::{self, LockFile};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::services;
use crate::trust;

pub(crate) async fn run(
    mut arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let operands = std::mem::take(&mut arguments.operands);
    if let Some(file) = arguments.gallery.gallery.take() {
        return by_name(&file, operands, arguments, environment, output).await;
    }
    let (reference, directory) = reference_and_directory(operands)?;
    let policy = services::policy(&arguments.policy)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let registry = services::registry(&arguments.registry, environment)?;
    let trusted_root = instance.trusted_root(environment).await?;
    let installer = Installer::new(registry.clone(), Verifier::new(registry, trusted_root));
    let platform = arguments.platform.unwrap_or_else(Platform::host);

    let progress = Progress::new(output, format!("resolving {reference}"));
    let events = |event| progress.installing(&event);
    let installed = installer
        .install(&reference, &platform, &policy.policy, &directory, &events)
        .await;
    drop(progress);
    let installed = installed?;

    output.result(&text(
        &reference,
        &installed,
        &directory.display().to_string(),
    ));
    output.document(&json!({ "installed": installed, "directory": directory }));
    Ok(ExitCode::SUCCESS)
}

/// Entries of galleries, into the store.
async fn by_name(
    file: &Path,
    names: Vec<OsString>,
    arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let InstallArguments {
        mut gallery,
        trust,
        platform,
        registry,
        ..
    } = arguments;
    let platform = platform.unwrap_or_else(Platform::host);
    if gallery.planning.lock.is_some() {
        lock::refuse_files(&names, "--lock")?;
    }
    let lock = match gallery.from_lock {
        Some(path) => {
            lock::refuse_files(&names, "--from-lock")?;
            Some(LockFile::new(path).read()?)
        }
        None => None,
    };
    let names = match &lock {
        Some(lock) => lock::wanted(lock, &names, &platform)?,
        None => {
            let names = names.iter().map(|name| name.to_string_lossy().into_owned());
            names.collect()
        }
    };
    let wanted = names.into_iter().map(|name| Wanted {
        name,
        platform: platform.clone(),
    });
    let wanted = wanted.collect();
    let galleries = Galleries::load(file, &gallery.planning, &registry, environment).await?;
    let galleries = galleries.locked(lock);
    if gallery.dry_run {
        let asked = if gallery.all {
            Asked::WithAll
        } else {
            Asked::ByName
        };
        return gallery::dry_run(&galleries, wanted, asked, output);
    }
    let store = gallery::open_store(gallery.planning.store.as_deref(), environment)?;
    let fulfilment = Fulfilment {
        galleries,
        store,
        succession: gallery.planning.succession(),
        lock_file: gallery.planning.lock_file(),
        trust,
        connection: services::connection(&registry, environment)?,
        registry: services::registry(&registry, environment)?,
    };
    fulfilment.run(wanted, environment, output).await
}

/// The operands of installing one image: which, and where to.
fn reference_and_directory(operands: Vec<OsString>) -> Result<(Reference, PathBuf), Failure> {
    let [reference, directory] = <[OsString; 2]>::try_from(operands).map_err(|found| {
        let message = match found.len() {
            1 => "expected REFERENCE and DIRECTORY, found only one of them",
            _ => "expected REFERENCE and DIRECTORY, found more than these",
        };
        Failure::new(Kind::Usage, message)
            .hint("countersign install [OPTIONS] REFERENCE DIRECTORY")
            .hint("to install entries of a gallery by name, pass --gallery FILE")
    })?;
    let reference = image::parse(&reference.to_string_lossy());
    let reference = reference.map_err(|error| Failure::new(Kind::Usage, error))?;
    Ok((reference, directory.into()))
}

fn text(reference: &Reference, installed: &Installed, directory: &str) -> String {
    let mut text = format!(
        "installed {reference} ({}) in {directory}: {} {}, {}\n",
        installed.platform,
        installed.files,
        if installed.files == 1 {
            "file"
        } else {
            "files"
        },
        output::bytes(installed.bytes),
    );
    text.push_str(&format!("  image      {}\n", installed.digest));
    text.push_str(&super::grounds_text(&installed.grounds));
    for warning in &installed.warnings {
        text.push_str(&format!("  warning    {warning}\n"));
    }
    text
}
