//! The checks of the verifier's own configuration.

use std::path::Path;

use super::finding::Finding;
use crate::commands::image_verifier::configuration::Configuration;
use crate::commands::image_verifier::refresh;
use crate::environment::Environment;
use crate::failure::Failure;

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
    let rules = configuration.content.rules.len();
    let file = configuration.file.display();
    let mut findings = vec![Finding::ok(CHECK, format!("{file}, with {rules} rules"))];
    for weakness in configuration.content.weaknesses() {
        let hint = "`countersign policy check` explains the file";
        findings.push(Finding::warning(CHECK, weakness, hint));
    }
    match refresh::trusted_roots(&configuration).await {
        Ok(roots) => {
            findings.extend(roots.into_iter().map(|(name, loaded)| root(&name, loaded)));
        }
        Err(failure) => findings.push(root("the trusted root", Err(failure))),
    }
    (Some(configuration), findings)
}

fn root(name: &str, loaded: Result<(), Failure>) -> Finding {
    const CHECK: &str = "trusted root";
    match loaded {
        Ok(()) => Finding::ok(CHECK, format!("{name} is on the disk, and valid")),
        Err(failure) => Finding::failed(
            CHECK,
            failure.line(),
            "run `countersign image-verifier refresh`, and let a timer run it every day",
        ),
    }
}
