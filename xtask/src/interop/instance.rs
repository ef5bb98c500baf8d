//! A Sigstore instance: the addresses of its services, and the files that say whom to trust and
//! where to sign.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use countersign_sandbox::{RekorVersion, Sigstore};
use serde_json::{Value, json};

/// Where an instance's services and files are.
#[derive(Debug)]
pub(super) struct Instance {
    /// In words.
    pub(super) name: &'static str,
    /// For names of repositories and files.
    pub(super) slug: &'static str,
    pub(super) rekor_version: RekorVersion,
    /// How `countersign sign` is told of it: both ways must work.
    pub(super) told_by: ToldBy,
    pub(super) fulcio: String,
    pub(super) rekor: String,
    /// Where to post timestamp requests.
    pub(super) timestamp_authority: String,
    /// `trusted_root.json`.
    pub(super) trusted_root: PathBuf,
    /// `signing_config.json`.
    pub(super) signing_config: PathBuf,
    /// Both in one file, as sigstore-python wants them.
    pub(super) trust_config: PathBuf,
}

/// How a signer is told where to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToldBy {
    /// A signing config.
    SigningConfig,
    /// A flag for each service.
    Flags,
}

impl Instance {
    /// The sandbox in this process, with one of its logs. Its files go into `directory`.
    ///
    /// # Errors
    /// When a file can't be written.
    pub(super) fn sandbox(
        sandbox: &Sigstore,
        rekor_version: RekorVersion,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let (name, slug) = match rekor_version {
            RekorVersion::V1 => ("the sandbox with Rekor v1", "sandbox-v1"),
            RekorVersion::V2 => ("the sandbox with Rekor v2", "sandbox-v2"),
        };
        let directory = directory.join(slug);
        fs::create_dir_all(&directory)?;
        let trusted_root = directory.join("trusted_root.json");
        fs::write(&trusted_root, sandbox.trusted_root_json())?;
        let signing_config = directory.join("signing_config.json");
        fs::write(&signing_config, sandbox.signing_config_json(rekor_version))?;
        Ok(Self {
            name,
            slug,
            rekor_version,
            told_by: ToldBy::Flags,
            fulcio: bare(&sandbox.fulcio_url()),
            rekor: bare(&sandbox.rekor_url(rekor_version)),
            timestamp_authority: sandbox.tsa_url().to_string(),
            trust_config: trust_config(&directory, &trusted_root, &signing_config)?,
            trusted_root,
            signing_config,
        })
    }
}

/// A URL without the slash at its end: cosign appends paths to it, and certificates name it so.
pub(super) fn bare(url: &url::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Joins trusted root and signing config into the client trust config of the Sigstore protobuf
/// specifications.
///
/// # Errors
/// When a file can't be read or written.
pub(super) fn trust_config(
    directory: &Path,
    trusted_root: &Path,
    signing_config: &Path,
) -> anyhow::Result<PathBuf> {
    let path = directory.join("trust_config.json");
    let config = json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": read_json(trusted_root)?,
        "signingConfig": read_json(signing_config)?,
    });
    fs::write(&path, config.to_string())?;
    Ok(path)
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let bytes = fs::read(path)?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", path.display()))
}
