//! The sandbox's servers in this process, and the threads that they run on: one start for all that need
//! them.

use countersign_sandbox::{RegistryOptions, RegistryServer, Sigstore};
use tokio::runtime::Runtime;

/// A Sigstore, and what registries are started on. A registry has to be dropped before this.
pub(crate) struct Servers {
    // Before the runtime, whose end would stop it in the middle of its own.
    pub(crate) sigstore: Sigstore,
    runtime: Runtime,
}

impl Servers {
    /// Starts a Sigstore on so many threads. It ends when it is dropped.
    ///
    /// # Errors
    /// When threads or ports can't be had.
    pub(crate) fn start(threads: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?;
        Ok(Self {
            sigstore: runtime.block_on(Sigstore::start())?,
            runtime,
        })
    }

    /// Starts a registry.
    ///
    /// # Errors
    /// When a port can't be had.
    pub(crate) fn registry(&self, options: RegistryOptions) -> anyhow::Result<RegistryServer> {
        Ok(self.block_on(RegistryServer::start(options))?)
    }

    /// Starts a registry with the referrers API.
    ///
    /// # Errors
    /// When a port can't be had.
    pub(crate) fn registry_with_referrers(&self) -> anyhow::Result<RegistryServer> {
        self.registry(RegistryOptions {
            referrers_api: true,
            ..RegistryOptions::default()
        })
    }

    /// Waits for what a client of the servers does.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
