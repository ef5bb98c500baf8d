//! Real registries on loopback, with and without the referrers API.

use std::fs;
use std::path::Path;

use super::package_client::client;
use super::server::Server;
use super::tools::Programs;
use crate::command::Command;

/// A running registry.
#[derive(Debug)]
pub(super) struct Registry {
    /// In words.
    pub(super) name: &'static str,
    /// `127.0.0.1:port`.
    pub(super) host: String,
    /// How referrers are listed.
    pub(super) referrers: Referrers,
    /// Held for their end.
    _servers: Vec<Server>,
}

/// How a registry lists what refers to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referrers {
    /// By the API of the OCI distribution specification 1.1.
    Api,
    /// Not at all; clients keep an index under a tag.
    FallbackTag,
}

impl Referrers {
    /// How oras is told so.
    pub(super) fn for_oras(self) -> &'static str {
        match self {
            Self::Api => "v1.1-referrers-api",
            Self::FallbackTag => "v1.1-referrers-tag",
        }
    }
}

/// Starts both.
///
/// # Errors
/// When one doesn't start.
pub(super) fn start(programs: &Programs, directory: &Path) -> anyhow::Result<[Registry; 2]> {
    let directory = directory.join("registries");
    fs::create_dir_all(&directory)?;
    Ok([
        olareg(&programs.olareg, &directory)?,
        docker_registry(&programs.docker_registry, &directory)?,
    ])
}

/// Starts olareg alone.
///
/// # Errors
/// When it doesn't start.
pub(super) fn olareg(program: &Path, directory: &Path) -> anyhow::Result<Registry> {
    let (server, [address]) = Server::start("olareg", directory, |[address]| {
        Ok(Command::new(program)
            .args(["serve", "--store-type", "mem", "--addr", "127.0.0.1"])
            .args(["--port", &address.port().to_string()]))
    })?;
    Ok(Registry {
        name: "olareg (referrers API)",
        host: address.to_string(),
        referrers: Referrers::Api,
        _servers: vec![server],
    })
}

/// Starts docker-registry alone.
///
/// # Errors
/// When it doesn't start.
pub(super) fn docker_registry(program: &Path, directory: &Path) -> anyhow::Result<Registry> {
    let (server, host) = distribution(program, directory, "docker-registry", "")?;
    Ok(Registry {
        name: "docker-registry (tag fallback)",
        host,
        referrers: Referrers::FallbackTag,
        _servers: vec![server],
    })
}

/// Starts docker-registry so that it redirects whoever reads a blob to another origin, as registries in
/// front of an object store do.
///
/// # Errors
/// When it doesn't start.
pub(super) fn redirecting(programs: &Programs, directory: &Path) -> anyhow::Result<Registry> {
    let name = "docker-registry-redirecting";
    let storage = directory.join(name);
    fs::create_dir_all(&storage)?;
    let (store, [origin]) = Server::start("object-store", directory, |[address]| {
        Ok(client("python3")
            .args(["-m", "http.server", "--bind", "127.0.0.1"])
            .args(["--directory".as_ref(), storage.as_os_str()])
            .args([address.port().to_string()]))
    })?;
    let middleware = format!(
        "middleware: {{storage: [{{name: redirect, options: {{baseurl: \"http://{origin}\"}}}}]}}\n"
    );
    let (server, host) = distribution(&programs.docker_registry, directory, name, &middleware)?;
    Ok(Registry {
        name: "docker-registry that redirects (tag fallback)",
        host,
        referrers: Referrers::FallbackTag,
        _servers: vec![server, store],
    })
}

/// Starts docker-registry with more lines of configuration.
fn distribution(
    program: &Path,
    directory: &Path,
    name: &str,
    more: &str,
) -> anyhow::Result<(Server, String)> {
    let storage = directory.join(name);
    let config = directory.join(format!("{name}.yaml"));
    let (server, [address]) = Server::start(name, directory, |[address]| {
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {:?}}}\n\
             {more}http: {{addr: \"{address}\"}}\n",
            storage.display().to_string()
        );
        fs::write(&config, text)?;
        Ok(Command::new(program).args(["serve"]).args([&config]))
    })?;
    Ok((server, address.to_string()))
}
