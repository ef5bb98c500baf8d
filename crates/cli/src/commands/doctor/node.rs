//! The checks of containerd's configuration and of the directory of verifiers.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::finding::{Finding, check_permissions, check_permissions_in};
use super::settings::ContainerdSettings;
use crate::arguments::registry::parse_duration;
use crate::commands::image_verifier::PROGRAM;
use crate::commands::image_verifier::configuration::Configuration;

const VERIFIER: &str = "io.containerd.image-verifier.v1.bindir";
const TRANSFER: &str = "io.containerd.transfer.v1.local";
const CRI: &str = "io.containerd.cri.v1.images";

pub(super) fn check(
    settings: &ContainerdSettings,
    configuration: Option<&Configuration>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in [VERIFIER, TRANSFER] {
        if settings.is_disabled(name) {
            findings.push(Finding::failed(
                "plugins",
                format!("{name} is in `disabled_plugins`: no verifier is asked"),
                "remove it from `disabled_plugins`",
            ));
        }
    }
    let Some(verifier) = settings.plugin(VERIFIER) else {
        findings.push(Finding::failed(
            "plugins",
            format!("containerd has no plugin {VERIFIER}: no verifier is asked"),
            "upgrade to containerd 2.1 or newer",
        ));
        return findings;
    };
    findings.extend(check_cri(settings));
    findings.extend(check_directory(verifier));
    findings.extend(check_time(verifier, configuration));
    findings
}

/// Each setting by which CRI pulls as before, and asks nobody.
fn check_cri(settings: &ContainerdSettings) -> Vec<Finding> {
    let Some(cri) = settings.plugin(CRI).filter(|_| !settings.is_disabled(CRI)) else {
        return vec![Finding::warning(
            "CRI",
            format!("containerd has no plugin {CRI}: only `ctr` and other clients pull"),
            "for Kubernetes, enable CRI",
        )];
    };
    let is = |key: &str, value: bool| cri.get(key).and_then(Value::as_bool) == Some(value);
    let downloads = cri
        .get("max_concurrent_downloads")
        .and_then(Value::as_integer);
    let registry = cri.get("registry").and_then(Value::as_table);
    let has = |key: &str| {
        let table = registry.and_then(|registry| registry.get(key)?.as_table());
        table.is_some_and(|table| !table.is_empty())
    };
    let certs = "write registries into `config_path` (hosts.toml) instead";
    let settings = [
        (
            is("use_local_image_pull", true),
            "use_local_image_pull = true",
            "set it to false",
        ),
        (
            is("discard_unpacked_layers", true),
            "discard_unpacked_layers = true",
            "set it to false",
        ),
        (
            is("disable_snapshot_annotations", false),
            "disable_snapshot_annotations = false",
            "set it to true; the snapshotter has this setting now",
        ),
        (
            is("image_pull_with_sync_fs", true),
            "image_pull_with_sync_fs = true",
            "set it to false",
        ),
        (
            downloads.is_some_and(|number| number != 3),
            "max_concurrent_downloads is not 3",
            "set it to 3, and set the number you want in plugins.'io.containerd.transfer.v1.local'",
        ),
        (has("mirrors"), "registry.mirrors is set", certs),
        (has("configs"), "registry.configs is set", certs),
        (
            has("auths"),
            "registry.auths is set",
            "use the kubelet's logins or `config_path` instead",
        ),
    ];
    let off: Vec<Finding> = settings
        .into_iter()
        .filter(|(present, _, _)| *present)
        .map(|(_, setting, hint)| {
            let found = format!("{setting}: CRI pulls without asking any verifier");
            Finding::failed("CRI", found, hint)
        })
        .collect();
    if off.is_empty() {
        vec![Finding::ok(
            "CRI",
            "pulls by the transfer service, which asks verifiers",
        )]
    } else {
        off
    }
}

/// Every entry of the directory is run, in the order of names.
fn check_directory(verifier: &Table) -> Vec<Finding> {
    const CHECK: &str = "bin_dir";
    let name = verifier.get("bin_dir").and_then(Value::as_str);
    let Some(directory) = name.filter(|name| !name.is_empty()).map(Path::new) else {
        let hint = "set it to /opt/containerd/image-verifier/bin";
        return vec![Finding::failed(CHECK, "it is not set", hint)];
    };
    let shown = directory.display();
    let put = format!("put {PROGRAM} into it, and nothing else");
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = match entries {
        Ok(entries) if entries.is_empty() => {
            let found = format!("{shown} is empty: containerd allows every image");
            return vec![Finding::failed(CHECK, found, put)];
        }
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = format!("{shown} is not there: containerd allows every image");
            return vec![Finding::failed(CHECK, found, put)];
        }
        Err(error) => {
            let found = format!("{shown} can't be read: {error}");
            return vec![Finding::failed(CHECK, found, "check its permissions")];
        }
    };
    let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    let mut findings = vec![Finding::ok(CHECK, shown.to_string())];
    findings.extend(check_permissions(CHECK, directory));
    for name in &names {
        let path = directory.join(name);
        let ours = name == PROGRAM;
        let shown = name.to_string_lossy();
        match runs(&path) {
            true if ours => findings.push(Finding::ok("verifier", path.display().to_string())),
            true => findings.push(Finding::warning(
                "verifier",
                format!("{shown} in the same directory is run before every pull, too"),
                "remove it, unless it is meant as a verifier",
            )),
            false => findings.push(Finding::failed(
                "verifier",
                format!("{shown} can't be run, so containerd refuses every image"),
                if ours {
                    "make it an executable file (mode 0755)"
                } else {
                    "remove it: containerd runs whatever is there"
                },
            )),
        }
        findings.extend(check_permissions_in(Some(directory), "verifier", &path));
    }
    match names.iter().position(|name| name == PROGRAM) {
        None => findings.push(Finding::failed(
            "verifier",
            format!("{PROGRAM} is not in {shown}"),
            put,
        )),
        Some(position) => findings.push(check_position(verifier, position)),
    }
    findings
}

fn runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
}

/// Behind `max_verifiers` entries, containerd runs no more.
fn check_position(verifier: &Table, position: usize) -> Finding {
    let max = verifier.get("max_verifiers").and_then(Value::as_integer);
    match max.map(usize::try_from) {
        Some(Ok(max)) if position >= max => Finding::failed(
            "max_verifiers",
            format!(
                "{max}, and {PROGRAM} is number {}: it is skipped",
                position + 1
            ),
            "raise it, or remove the other files",
        ),
        Some(_) => Finding::ok("max_verifiers", max.unwrap_or_default().to_string()),
        None => Finding::warning("max_verifiers", "it is not set", "set it to 10"),
    }
}

fn check_time(verifier: &Table, configuration: Option<&Configuration>) -> Option<Finding> {
    const CHECK: &str = "per_verifier_timeout";
    let text = verifier.get(CHECK).and_then(Value::as_str);
    let Some(limit) = text.and_then(|text| parse_duration(text).ok()) else {
        return Some(Finding::warning(
            CHECK,
            "it is not understood",
            "set it to 10s",
        ));
    };
    let deadline = configuration?.content.deadline;
    Some(if deadline + Duration::from_secs(1) > limit {
        Finding::failed(
            CHECK,
            format!(
                "{limit:?}, and the verifier's `deadline` is {deadline:?}: it may be ended before it answers"
            ),
            "raise it, or lower `deadline`: there has to be a second between them",
        )
    } else {
        Finding::ok(
            CHECK,
            format!("{limit:?}, and the verifier answers within {deadline:?}"),
        )
    })
}
