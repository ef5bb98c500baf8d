//! `countersign install`: unpacks an image, if and only if it is signed as the policy says.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use countersign_download::{Installer, Outcome, Plan};
use countersign_oci::{Platform, Reference, printable};
use countersign_verify::Verifier;
use serde::Serialize;
use serde_json::json;

use super::by_name::{self, ByName, Named, Wanted};
use super::gallery::{self, Asked};
use crate::arguments::InstallArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::image;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::progress::Progress;
use crate::services;
use crate::trust;

pub(crate) async fn run(
    mut arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    arguments.gallery.refuse_without_gallery()?;
    let operands = std::mem::take(&mut arguments.operands);
    if let Some(file) = arguments.gallery.gallery.take() {
        return by_name(file, operands, arguments, environment, output).await;
    }
    let (reference, directory) = reference_and_directory(operands)?;
    let policy = services::policy(&arguments.policy)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let registry = services::registry(&arguments.registry, environment)?;
    let trusted_root = instance
        .trusted_root(environment, registry.connection())
        .await?;
    let installer = Installer::new(registry.clone(), Verifier::new(registry, trusted_root));
    let installer = installer.with_limits(arguments.limits.limits());
    let platform = arguments.platform.unwrap_or_else(Platform::host);
    let options = arguments.replacing.options();
    let plan = Plan::of_image(reference.clone(), policy.policy);

    let progress = Progress::new(output, format!("resolving {reference}"));
    let events = |event| progress.installing(&event);
    let outcome = installer
        .install(&plan, &platform, &directory, options, &events)
        .await;
    drop(progress);
    let outcome = outcome.map_err(Failure::of_one_image)?;

    let name = format!("{reference} ({platform})");
    output.result(&by_name::text(&name, &outcome, &directory, "the registry"));
    by_name::warn(output, &name, &outcome);
    output.document(&json!(Document {
        directory: directory.to_string_lossy(),
        outcome: &outcome,
    }));
    Ok(ExitCode::SUCCESS)
}

/// What a program is told of one image.
#[derive(Serialize)]
struct Document<'a> {
    directory: Cow<'a, str>,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Entries of galleries, into the store.
async fn by_name(
    file: PathBuf,
    names: Vec<OsString>,
    arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let InstallArguments {
        mut gallery,
        replacing,
        limits,
        trust,
        platform,
        registry,
        ..
    } = arguments;
    if gallery.all && !gallery.dry_run {
        return Err(
            Failure::new(Kind::Usage, "--all has no effect without --dry-run")
                .hint("to install, name the entries"),
        );
    }
    let platform = platform.unwrap_or_else(Platform::host);
    if gallery.planning.lock.is_some() {
        lock::refuse_files(&names, "--lock")?;
    }
    let lock = match gallery.from_lock {
        Some(path) => {
            lock::refuse_files(&names, "--from-lock")?;
            Some(Arc::new(LockFile::new(path).read()?))
        }
        None => None,
    };
    let names = match &lock {
        Some(lock) => lock::wanted(lock, &names, &platform)?,
        None => {
            let names = names.into_iter().map(|name| text(name, "name"));
            names.collect::<Result<_, _>>()?
        }
    };
    let wanted = names.into_iter().map(|name| Wanted {
        name,
        platform: platform.clone(),
        lock: lock.clone(),
    });
    let wanted: Vec<Wanted> = wanted.collect();
    let galleries = gallery::load(&file, &gallery.planning, &registry, environment).await?;
    if gallery.dry_run {
        let asked = if gallery.all {
            Asked::WithAll
        } else {
            Asked::ByName
        };
        return gallery::dry_run(&galleries, &wanted, asked, output);
    }
    let store = gallery::open_store(gallery.planning.store.as_deref(), environment)?;
    let by_name = ByName {
        file,
        galleries,
        store,
        options: replacing.options(),
        limits: limits.limits(),
        lock_file: gallery.planning.lock_file(),
        trust,
        connection: services::connection(&registry, environment)?,
        registry: services::registry(&registry, environment)?,
    };
    by_name
        .run(&wanted, Named::ByUser, environment, output)
        .await
}

/// An operand that is a text. A path may hold any bytes, a name may not.
pub(crate) fn text(operand: OsString, what: &str) -> Result<String, Failure> {
    operand.into_string().map_err(|operand| {
        let found = printable(&operand.to_string_lossy());
        let message = format!("expected a {what} in UTF-8, found `{found}`");
        Failure::new(Kind::Usage, message).hint("check the encoding of the terminal or the script")
    })
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
    let reference = image::parse(&text(reference, "reference")?);
    let reference = reference.map_err(|error| Failure::new(Kind::Usage, error))?;
    Ok((reference, directory.into()))
}
