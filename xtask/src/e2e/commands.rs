//! The command lines that the acts are made of.

use countersign_sandbox::RekorVersion;

use super::scene::{Scene, Step};

/// Flags that name the trust root.
pub(super) const TRUSTED_ROOT: [&str; 2] = ["--trusted-root", "trusted_root.json"];
/// Flags that name the policy.
pub(super) const POLICY: [&str; 2] = ["--policy", "policy.yaml"];

/// A step that signs. The services are named by a signing config for the one log, and one by one
/// for the other: both ways are tried.
pub(super) fn sign<'a>(scene: &Scene, token: &str, image: &str) -> anyhow::Result<Step<'a>> {
    let token = format!("@{token}");
    // By tag, unless the image is named by digest: this registry is the scene's own.
    let by_tag: &[&str] = if image.contains('@') {
        &[]
    } else {
        &["--by-tag"]
    };
    let head = [&["sign"], by_tag, &["--identity-token", &token]].concat();
    let tail = [&TRUSTED_ROOT[..], &[image]].concat();
    let services = match scene.rekor {
        RekorVersion::V2 => {
            let config = scene.sigstore.signing_config_json(RekorVersion::V2);
            scene.write("signing_config.json", config)?;
            words(&["--signing-config", "signing_config.json"], &[])
        }
        RekorVersion::V1 => {
            let fulcio = scene.sigstore.fulcio_url();
            let log = scene.sigstore.rekor_url(RekorVersion::V1);
            let urls = ["--fulcio-url", fulcio.as_str(), "--rekor-url", log.as_str()];
            words(&urls, &["--rekor-version", "1"])
        }
    };
    let arguments = [words(&head, &[]), services, words(&[], &tail)].concat();
    Ok(Step::new("", arguments))
}

/// `countersign verify`, with the trust root from a file.
pub(super) fn verify(arguments: &[&str]) -> Vec<String> {
    words(&[&["verify"], &TRUSTED_ROOT[..]].concat(), arguments)
}

/// `countersign install`, with the trust root and the policy from files.
pub(super) fn install(platform: &str, image: &str, directory: &str) -> Vec<String> {
    let tail = ["--platform", platform, image, directory];
    words(&[&["install"], &TRUSTED_ROOT[..], &POLICY].concat(), &tail)
}

/// A command line in two parts.
pub(super) fn words(head: &[&str], tail: &[&str]) -> Vec<String> {
    head.iter()
        .chain(tail)
        .map(|word| (*word).to_owned())
        .collect()
}

/// `app-amd64` for `app` on `linux/amd64`.
pub(super) fn directory_for(name: &str, platform: &str) -> String {
    let architecture = platform.rsplit('/').next().unwrap_or(platform);
    format!("{name}-{architecture}")
}
