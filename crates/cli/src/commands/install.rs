//! `countersign install`: unpacks an image, if and only if it is signed as the policy says.

use std::process::ExitCode;

use countersign_download::{Event, Installed, Installer};
use countersign_oci::Platform;
use countersign_verify::Verifier;
use serde_json::json;

use crate::arguments::InstallArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::services;
use crate::trust;

pub(crate) async fn run(
    arguments: InstallArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let policy = services::policy(&arguments.policy)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let registry = services::registry(&arguments.registry, environment)?;
    let trusted_root = instance.trusted_root(environment).await?;
    let installer = Installer::new(registry.clone(), Verifier::new(registry, trusted_root));
    let platform = arguments.platform.unwrap_or_else(Platform::host);

    let progress = Progress::new(output, format!("resolving {}", arguments.reference));
    let events = |event: Event| match event {
        Event::Resolved { digest } => progress.say(format!("verifying {digest}")),
        Event::Verified { .. } => progress.say("unpacking"),
        Event::LayerProgress {
            digest,
            bytes,
            size,
        } => progress.transferred(&digest, bytes, size),
        _ => {}
    };
    let installed = installer
        .install(
            &arguments.reference,
            &platform,
            &policy.policy,
            &arguments.directory,
            &events,
        )
        .await;
    drop(progress);
    let installed = installed?;

    output.result(&text(
        &installed,
        &arguments.directory.display().to_string(),
    ));
    output.document(&json!({ "installed": installed, "directory": arguments.directory }));
    Ok(ExitCode::SUCCESS)
}

fn text(installed: &Installed, directory: &str) -> String {
    let mut text = format!(
        "installed {} ({}) in {directory}: {} {}, {}\n",
        installed.reference,
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
    text.push_str(&super::evidence_text(&installed.evidence));
    for warning in &installed.warnings {
        text.push_str(&format!("  warning    {warning}\n"));
    }
    text
}
