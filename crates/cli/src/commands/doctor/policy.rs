//! The checks of the verifier's own configuration.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::finding::{Finding, check_permissions};
use crate::commands::image_verifier::configuration::Configuration;
use crate::commands::image_verifier::refresh;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;

/// The configuration, if it can be read, and what there is to say of it.
pub(super) async fn check(
    file: Option<&Path>,
    environment: &Environment,
) -> (Option<Configuration>, Vec<Finding>) {
    const CHECK: &str = "configuration";
    let read = match file {
        Some(file) => Configuration::read(file, environment),
        None => Configuration::load(environment),
    };
    let configuration = match read {
        Ok(configuration) => configuration,
        Err(failure) => {
            let hint = "until it can be read, every image is refused";
            return (None, vec![Finding::failed(CHECK, failure.line(), hint)]);
        }
    };
    let rules = configuration.content.rules.len() as u64;
    let rules = output::counted(rules, "rule", "rules");
    let file = configuration.file.display();
    let mut findings = vec![Finding::ok(CHECK, format!("{file}, with {rules}"))];
    for weakness in configuration.content.weaknesses() {
        let hint = "`countersign policy check` explains the file";
        findings.push(Finding::warning(CHECK, weakness.to_string(), hint));
    }
    findings.extend(check_permissions(CHECK, &configuration.file));
    findings.extend(files(&configuration));
    match refresh::trusted_roots(&configuration).await {
        Ok(roots) => {
            findings.extend(roots.into_iter().map(|(name, loaded)| root(&name, loaded)));
        }
        Err(failure) => findings.push(root("the trusted root", Err(failure))),
    }
    (Some(configuration), findings)
}

/// The files and directories that the configuration names.
fn files(configuration: &Configuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, path) in configuration.files() {
        let shown = path.display();
        match File::open(&path) {
            Ok(_) => findings.push(Finding::ok(key, shown.to_string())),
            Err(error) => {
                findings.push(Finding::failed(
                    key,
                    format!("{shown} can't be read: {error}; every image that needs a signature is refused"),
                    format!("write it, or take `{key}` out of the configuration"),
                ));
                continue;
            }
        }
        // A login lets nobody decide what is pulled.
        if key != "login_file" {
            findings.extend(check_permissions(key, &path));
        }
    }
    findings.extend(configuration.journal_socket().map(|path| journal(&path)));
    findings.extend(check_permissions(
        "state_directory",
        &configuration.state_directory(),
    ));
    for (key, path, effect) in [
        (
            "log_file",
            configuration.log_file(),
            "decisions are not logged",
        ),
        (
            "state_directory",
            configuration.state_directory(),
            "each pull asks for everything again",
        ),
    ] {
        // What is not there yet is made there.
        let place = path.ancestors().find(|place| place.exists());
        let writable = place.is_some_and(|place| access(place, Access::WRITE_OK).is_ok());
        if !writable {
            let found = format!("{} can't be written: {effect}", path.display());
            findings.push(Finding::warning(
                key,
                found,
                "run this as the user that containerd runs as, or correct the permissions",
            ));
        }
    }
    findings
}

/// Decisions are sent to the socket. Everybody may write to systemd's own.
fn journal(path: &Path) -> Finding {
    const CHECK: &str = "journal_socket";
    let shown = path.display();
    let found = match fs::metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            return Finding::ok(CHECK, shown.to_string());
        }
        Ok(_) => format!("{shown} is no socket: decisions are not logged"),
        Err(error) => format!("{shown} can't be found: {error}; decisions are not logged"),
    };
    let hint = "write the path of the journal's socket, or take it out";
    Finding::warning(CHECK, found, hint)
}

fn root(name: &str, loaded: Result<(), Failure>) -> Finding {
    const CHECK: &str = "trusted root";
    match loaded {
        Ok(()) => Finding::ok(CHECK, format!("{name} is on the disk, and valid")),
        Err(failure) => {
            let hint = if failure.is_of_absent_root() {
                "run `countersign image-verifier refresh`, and let a timer run it every day"
            } else {
                "put a valid trusted_root.json there, or take the key out: then public Sigstore counts"
            };
            Finding::failed(CHECK, failure.line(), hint)
        }
    }
}
