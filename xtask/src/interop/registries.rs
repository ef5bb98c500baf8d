//! Real registries on loopback, with and without the referrers API.

use std::fs;
use std::path::Path;

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
    /// Held for its end.
    _server: Server,
}

/// How a registry lists what refers to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referrers {
    /// By the API of the OCI distribution specification 1.1.
    Api,
    /// Not at all; clients keep an index under a tag.
    FallbackTag,
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
        docker_registry(programs, &directory)?,
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
        _server: server,
    })
}

fn docker_registry(programs: &Programs, directory: &Path) -> anyhow::Result<Registry> {
    let storage = directory.join("docker-registry");
    let config = directory.join("docker-registry.yaml");
    let (server, [address]) = Server::start("docker-registry", directory, |[address]| {
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {:?}}}\n\
             http: {{addr: \"{address}\"}}\n",
            storage.display().to_string()
        );
        fs::write(&config, text)?;
        Ok(Command::new(&programs.docker_registry)
            .args(["serve"])
            .args([&config]))
    })?;
    Ok(Registry {
        name: "docker-registry (tag fallback)",
        host: address.to_string(),
        referrers: Referrers::FallbackTag,
        _server: server,
    })
}
