//! containerd as a child process, with the verifier in a directory of its own, and the two programs that pull.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::text;
use crate::command::{Command, Output};
use crate::interop::server::Server;
use crate::machine::Machine;

/// The verifier's configuration.
pub(super) const CONFIGURATION: &str = "image-verifier.yaml";
const VERIFIER: &str = "countersign-image-verifier";
/// How long it may need until it answers.
const STARTUP: Duration = Duration::from_secs(60);

/// A running containerd. It ends when this is dropped.
pub(super) struct Daemon {
    ctr: PathBuf,
    crictl: PathBuf,
    socket: PathBuf,
    _server: Server,
}

/// What became of a pull.
pub(super) struct Pulled {
    pub(super) by: &'static str,
    pub(super) output: Output,
}

impl Daemon {
    pub(super) fn start(
        programs: [&Path; 3],
        countersign: &Path,
        hosts: &[String],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let [containerd, ctr, crictl] = programs;
        let verifiers = directory.join("verifiers");
        fs::create_dir_all(&verifiers)?;
        fs::copy(countersign, verifiers.join(VERIFIER))?;
        for host in hosts {
            let folder = directory.join("certs").join(host);
            fs::create_dir_all(&folder)?;
            let hosts = format!(
                "server = \"http://{host}\"\n[host.\"http://{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
            );
            fs::write(folder.join("hosts.toml"), hosts)?;
        }
        let socket = directory.join("c.sock");
        let (server, _) = Server::start("containerd", directory, |[address]| {
            let config = directory.join("containerd.toml");
            fs::write(&config, configuration(directory, &address.to_string())?)?;
            Ok(Command::new(containerd)
                .args(["--config", text(&config)?])
                .env(
                    "COUNTERSIGN_IMAGE_VERIFIER_CONFIG",
                    directory.join(CONFIGURATION),
                ))
        })?;
        let daemon = Self {
            ctr: ctr.to_owned(),
            crictl: crictl.to_owned(),
            socket,
            _server: server,
        };
        let started = Instant::now();
        while daemon.crictl(&["version"])?.code() != Some(0) {
            ensure!(
                started.elapsed() < STARTUP,
                "containerd's CRI does not answer"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(daemon)
    }

    /// Pulls by the transfer service, then by CRI.
    pub(super) fn pull(&self, image: &str, login: &str) -> anyhow::Result<[Pulled; 2]> {
        let mut ctr = vec!["images", "pull", "--plain-http", "--hosts-dir"];
        let certs = self.socket.with_file_name("certs");
        ctr.push(text(&certs)?);
        if !login.is_empty() {
            ctr.extend(["--user", login]);
        }
        ctr.push(image);
        Ok([
            Pulled {
                by: "ctr",
                output: Command::new(&self.ctr)
                    .args(["--address", text(&self.socket)?])
                    .args(ctr)
                    .run()?,
            },
            Pulled {
                by: "crictl",
                output: self.pull_by_cri(image, login)?,
            },
        ])
    }

    pub(super) fn pull_by_cri(&self, image: &str, login: &str) -> anyhow::Result<Output> {
        let login = if login.is_empty() {
            Vec::new()
        } else {
            vec!["--creds", login]
        };
        self.crictl(&[&["pull"], &login[..], &[image]].concat())
    }

    /// The images that the transfer service pulled.
    pub(super) fn images(&self) -> anyhow::Result<Vec<String>> {
        let list = Command::new(&self.ctr).args(["--address", text(&self.socket)?]);
        let list = list.args(["images", "list", "--quiet"]).run()?.success()?;
        Ok(list.stdout.lines().map(str::to_owned).collect())
    }

    fn crictl(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let endpoint = format!("unix://{}", text(&self.socket)?);
        let crictl = Command::new(&self.crictl)
            .args([
                "--runtime-endpoint",
                &endpoint,
                "--image-endpoint",
                &endpoint,
            ])
            .args(arguments);
        crictl.run()
    }
}

/// Everything of it in `directory`. The native snapshotter mounts nothing.
fn configuration(directory: &Path, metrics: &str) -> anyhow::Result<String> {
    let here = text(directory)?;
    Ok(format!(
        r#"version = 3
root = "{here}/root"
state = "{here}/state"
[grpc]
  address = "{here}/c.sock"
[metrics]
  address = "{metrics}"
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = "{here}/verifiers"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "{here}/certs"
[plugins."io.containerd.transfer.v1.local"]
  config_path = "{here}/certs"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/{arch}"
  snapshotter = "native"
"#,
        arch = Machine::this()?.architecture()
    ))
}
