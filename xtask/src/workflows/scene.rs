//! What the cases play on: a registry, a Sigstore, a workspace, and a runner of jobs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryServer, RekorVersion, Sigstore};
use tempfile::TempDir;

use super::runner::{Ended, Names, Runner};
use crate::command::{Command, workspace};
use crate::machine::Machine;
use crate::servers::Servers;

/// The workflow that signs, as tokens name it.
pub(super) const WORKFLOW: &str =
    "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1.2.3";
/// Where entries of the sandbox's log could be looked up.
pub(super) const LOG_SEARCH_URL: &str = "https://log.example/?entry=";

/// The servers and the files.
pub(super) struct Scene {
    pub(super) countersign: PathBuf,
    pub(super) registry: RegistryServer,
    pub(super) directory: TempDir,
    // Last: its end would stop the registry in the middle of its own.
    servers: Servers,
}

impl Scene {
    /// Starts the servers and writes the files that name them.
    ///
    /// # Errors
    /// When ports or files can't be had.
    pub(super) fn start(countersign: &Path) -> anyhow::Result<Self> {
        let root = workspace().join("target/workflows");
        fs::create_dir_all(&root)?;
        let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&root)?;
        let servers = Servers::start(2)?;
        let registry = servers.registry_with_referrers()?;
        let scene = Self {
            countersign: countersign.to_owned(),
            registry,
            directory,
            servers,
        };
        scene.write("trusted_root.json", scene.sigstore().trusted_root_json())?;
        let config = scene.sigstore().signing_config_json(RekorVersion::V2);
        scene.write("signing_config.json", config)?;
        Ok(scene)
    }

    /// The Sigstore that the jobs sign with.
    pub(super) fn sigstore(&self) -> &Sigstore {
        &self.servers.sigstore
    }

    /// Waits for what a client of the servers does.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.servers.block_on(future)
    }

    /// Writes a file into the jobs' workspace, and says where it is.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.directory.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
        Ok(path)
    }

    /// Writes a shell script that can be run.
    pub(super) fn program(&self, name: &str, script: &str) -> anyhow::Result<PathBuf> {
        let path = self.write(name, format!("#!/bin/sh\n{script}"))?;
        let chmod = Command::new("/bin/chmod").args(["+x"]).args([&path]);
        chmod.run()?.success()?;
        Ok(path)
    }

    /// Makes a release's archive in `folder/vVERSION`. The program in it runs the one that was built,
    /// with `flags`.
    pub(super) fn archive(
        &self,
        folder: &str,
        version: &str,
        flags: &str,
    ) -> anyhow::Result<PathBuf> {
        let name = named(version);
        let program = self.countersign.display();
        let script = format!("# {folder}\nexec '{program}' \"$@\" {flags}\n");
        self.program(&format!("{folder}/{name}/countersign"), &script)?;
        let archive = self.write(&format!("{folder}/v{version}/{name}.tar.gz"), "")?;
        Command::new("/bin/tar")
            .args(["-c", "-z", "-f"])
            .args([&archive])
            .args(["-C"])
            .args([self.directory.path().join(folder)])
            .args([&name])
            .env("PATH", "/usr/bin:/bin")
            .run()?
            .success()?;
        Ok(archive)
    }

    /// A file's checksum, as another program computes it.
    pub(super) fn sha256(&self, file: &Path) -> anyhow::Result<String> {
        let output = Command::new("/usr/bin/sha256sum")
            .args([file])
            .run()?
            .success()?;
        let sum = output
            .stdout
            .split(' ')
            .next()
            .context("sha256sum prints a checksum")?;
        Ok(sum.to_owned())
    }

    /// The folder of an action in this repository.
    pub(super) fn action(name: &str) -> PathBuf {
        workspace().join(".github/actions").join(name)
    }

    /// A machine whose jobs are given tokens for `identity`.
    pub(super) fn runner(&self, identity: &str) -> anyhow::Result<Runner<'_>> {
        let scratch = self.directory.path().join("temp");
        let home = self.directory.path().join("home");
        fs::create_dir_all(&scratch)?;
        fs::create_dir_all(&home)?;
        let (url, bearer) = self.sigstore().identity_endpoint(identity);
        let architecture = Machine::this()?.of_runner();
        let environment = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("HOME", home.display().to_string()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_ARCH", architecture.to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.to_string()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer),
        ];
        let environment: BTreeMap<_, _> = environment
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        Ok(Runner {
            workspace: self.directory.path().to_owned(),
            scratch,
            environment,
            stand_in: Box::new(|uses, _| bail!("nothing stands in for {uses}")),
            further: self.inputs(&[]),
        })
    }

    /// Pushes an index of two images, and gives its digest.
    pub(super) fn push_index(&self, repository: &str, tag: &str) -> anyhow::Result<String> {
        let images =
            ["linux/amd64", "linux/arm64"].map(|platform| image(platform, "bin/app", repository));
        let images = images.into_iter().collect::<anyhow::Result<_>>()?;
        let index = ImageIndex::new(images);
        Ok(index
            .push(&self.registry, repository, Some(tag))
            .to_string())
    }

    /// Verifies an image as signed by `identity`, with the program.
    pub(super) fn verify(&self, image: &str, identity: &str) -> anyhow::Result<()> {
        let issuer = self.sigstore().oidc_issuer();
        let issuer = issuer.as_str().trim_end_matches('/');
        Command::new(&self.countersign)
            .args(["verify", "--trusted-root", "trusted_root.json"])
            .args(["--issuer", issuer, "--identity", identity, image])
            .directory(self.directory.path())
            .env("HOME", self.directory.path())
            .run()?
            .success()?;
        Ok(())
    }

    /// What tells the actions of the sandbox, and of the program that is there.
    pub(super) fn inputs<'a>(&'a self, further: &[(&'a str, &'a str)]) -> Names {
        let mut names = Names::from([
            (
                "signing-config".to_owned(),
                "signing_config.json".to_owned(),
            ),
            ("trusted-root".to_owned(), "trusted_root.json".to_owned()),
            ("log-search-url".to_owned(), LOG_SEARCH_URL.to_owned()),
            (
                "executable".to_owned(),
                self.countersign.display().to_string(),
            ),
        ]);
        names.extend(
            further
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        names
    }
}

/// What the archive of a version is called, without its ending, and the folder in it.
pub(super) fn named(version: &str) -> String {
    format!("countersign-{version}-{}", target())
}

/// What programs for this machine are published as.
pub(super) fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// An image of one file.
pub(super) fn image(
    platform: &str,
    path: &str,
    content: impl AsRef<[u8]>,
) -> anyhow::Result<Image> {
    let layer = Layer::builder().file(path, content, 0o755);
    Ok(Image::builder(platform.parse()?)
        .layer(layer.build(Compression::Gzip))
        .build())
}

impl Ended {
    /// Checks that it ended with `code`, and that its log has `text` in it.
    ///
    /// # Errors
    /// When not, with the log.
    pub(super) fn expect(&self, code: i32, text: &str) -> anyhow::Result<()> {
        let Self {
            code: found, log, ..
        } = self;
        ensure!(
            *found == code,
            "expected exit code {code}, found {found}:\n{log}"
        );
        ensure!(
            log.contains(text),
            "expected `{text}` in the log, found:\n{log}"
        );
        Ok(())
    }

    /// An output of the action.
    ///
    /// # Errors
    /// When it is missing.
    pub(super) fn output(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.names.get(&format!("outputs.{name}"));
        value
            .map(String::as_str)
            .with_context(|| format!("there is no output `{name}`"))
    }
}
