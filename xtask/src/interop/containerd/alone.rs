//! containerd by itself, as it pulls and unpacks images for `ctr`.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::text;
use crate::command::Command;
use crate::interop::server::Server;
use crate::interop::tools::{CONTAINERD, CTR};

/// A running containerd with a store of its own. It ends when this is dropped.
pub(crate) struct Containerd {
    ctr: PathBuf,
    socket: PathBuf,
    snapshots: PathBuf,
    server: Server,
    // Removed after the server has ended.
    _store: TempDir,
}

impl Containerd {
    /// Starts it, if an earlier run installed it in `root`. Its store is a new directory in `above`. It needs the rights of
    /// root, to mount.
    ///
    /// # Errors
    /// When it doesn't start.
    pub(crate) fn start(root: &Path, above: &Path) -> anyhow::Result<Option<Self>> {
        let (Some(containerd), Some(ctr)) = (CONTAINERD.installed(root), CTR.installed(root))
        else {
            return Ok(None);
        };
        // Short, because the path of a socket has about a hundred bytes.
        let store = tempfile::Builder::new().prefix("c-").tempdir_in(above)?;
        let socket = store.path().join("sock");
        let (server, _) = Server::start("containerd", store.path(), |[address]| {
            let config = store.path().join("config.toml");
            let configuration = configuration(store.path(), &address.to_string())?;
            fs::write(&config, configuration)?;
            Ok(Command::new(&containerd).args(["--config", text(&config)?]))
        })?;
        Ok(Some(Self {
            ctr,
            socket,
            snapshots: store
                .path()
                .join("root/io.containerd.snapshotter.v1.overlayfs/snapshots"),
            server,
            _store: store,
        }))
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.server.process()
    }

    /// Pulls an image and unpacks it.
    pub(crate) fn pull(&self, image: &str) -> Command {
        self.images(&["pull", "--plain-http", image])
    }

    /// Removes an image, and all that was kept for it.
    ///
    /// # Errors
    /// When `ctr` fails.
    pub(crate) fn remove(&self, image: &str) -> anyhow::Result<()> {
        self.images(&["remove", "--sync", image]).run()?.success()?;
        Ok(())
    }

    /// The directory of each layer that is unpacked.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(crate) fn layers(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut layers = Vec::new();
        for snapshot in fs::read_dir(&self.snapshots)? {
            layers.push(snapshot?.path().join("fs"));
        }
        Ok(layers)
    }

    fn images(&self, arguments: &[&str]) -> Command {
        Command::new(&self.ctr)
            .args(["--address"])
            .args([&self.socket])
            .args(["images"])
            .args(arguments)
    }
}

/// As it is by default, but all of it in `directory`, and without what containers need.
fn configuration(directory: &Path, metrics: &str) -> anyhow::Result<String> {
    let here = text(directory)?;
    Ok(format!(
        r#"version = 3
root = "{here}/root"
state = "{here}/state"
disabled_plugins = [
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.nri.v1.nri",
]
[grpc]
  address = "{here}/sock"
[metrics]
  address = "{metrics}"
"#
    ))
}
