//! Servers by other projects for the measurements, where an earlier run installed them.

use std::fs;
use std::path::Path;

use super::registries::{self, Registry};
use super::services::Services;
use super::tools::{ServicePrograms, installed_docker_registry};

/// What is installed, running. It ends when it is dropped.
pub(crate) struct RealServers {
    docker_registry: Option<Registry>,
    services: Option<Services>,
}

impl RealServers {
    /// Starts what is installed in `root`. The services take identity tokens from `issuer`. Their files go into
    /// `directory`.
    ///
    /// # Errors
    /// When something that is installed doesn't start.
    pub(crate) fn start(root: &Path, issuer: &str, directory: &Path) -> anyhow::Result<Self> {
        let docker_registry = installed_docker_registry(root)
            .map(|program| registries::docker_registry(&program, directory))
            .transpose()?;
        let services = ServicePrograms::installed(root)
            .map(|programs| Services::start(&programs, issuer, directory))
            .transpose()?;
        Ok(Self {
            docker_registry,
            services,
        })
    }

    /// The host of docker-registry.
    pub(crate) fn docker_registry(&self) -> Option<&str> {
        self.docker_registry
            .as_ref()
            .map(|registry| registry.host.as_str())
    }

    /// The trusted root and the signing config of Fulcio, rekor-tiles and the timestamp authority.
    pub(crate) fn services(&self) -> Option<[&Path; 2]> {
        let instance = &self.services.as_ref()?.instance;
        Some([&instance.trusted_root, &instance.signing_config])
    }
}

/// A registry to copy from, and one to copy to for each of four that copy.
pub(crate) struct CopyServers([Registry; 5]);

impl CopyServers {
    /// Starts docker-registry five times, if it is installed in `root`. Their files go into `directory`.
    ///
    /// # Errors
    /// When one doesn't start.
    pub(crate) fn start(root: &Path, directory: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = installed_docker_registry(root) else {
            return Ok(None);
        };
        let start = |name: &str| {
            let directory = directory.join(name);
            fs::create_dir_all(&directory)?;
            registries::docker_registry(&program, &directory)
        };
        let [source, first, second, third, fourth] =
            ["from", "to-1", "to-2", "to-3", "to-4"].map(start);
        Ok(Some(Self([source?, first?, second?, third?, fourth?])))
    }

    /// The host of the source, and then the others.
    pub(crate) fn hosts(&self) -> [&str; 5] {
        self.0.each_ref().map(|registry| registry.host.as_str())
    }
}
