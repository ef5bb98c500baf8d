//! What the steps run on: a registry, a Sigstore, files in a directory, and the program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use countersign_oci::{Options, Registry};
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryOptions, RegistryServer, RekorVersion, Sigstore};

use super::Part;
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;
use crate::servers::Servers;

/// Somebody else, whose name begins in the same way.
pub(super) const STRANGER: &str =
    "https://github.com/example/app-evil/.github/workflows/release.yml@refs/tags/v1";
/// The platforms of the image.
pub(super) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// How many steps did what they should.
#[derive(Debug, Default)]
pub(super) struct StepCount {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

/// One command, and what it must do: succeed, unless something else is said.
pub(super) struct Step<'a> {
    title: String,
    why: &'a str,
    arguments: Vec<String>,
    exit_code: i32,
    says: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// A command with these arguments.
    pub(super) fn new(title: &str, arguments: Vec<String>) -> Self {
        Self {
            title: title.to_owned(),
            why: "",
            arguments,
            exit_code: 0,
            says: None,
        }
    }

    /// The same command line without one word.
    pub(super) fn without(mut self, word: &str) -> Self {
        self.arguments.retain(|argument| argument != word);
        self
    }

    /// What is done, in words.
    pub(super) fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// What there is to understand about it.
    pub(super) fn why(mut self, why: &'a str) -> Self {
        self.why = why;
        self
    }

    /// The exit code that there must be.
    pub(super) fn exits(mut self, exit_code: i32) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// A text that must be in what the program prints.
    pub(super) fn says(mut self, text: &'a str) -> Self {
        self.says = Some(text);
        self
    }
}

/// A directory with the files that the commands name, and the servers that they talk to.
pub(super) struct Scene<'a> {
    program: &'a Path,
    servers: &'a Servers,
    ledger: &'a mut StepCount,
    client: Registry,
    pub(super) directory: PathBuf,
    pub(super) sigstore: &'a Sigstore,
    pub(super) registry: RegistryServer,
    /// The log that signatures are recorded in.
    pub(super) rekor: RekorVersion,
}

impl<'a> Scene<'a> {
    /// Starts a registry and writes the files: trust material, policy and identity tokens.
    pub(super) fn start(
        program: &'a Path,
        directory: PathBuf,
        servers: &'a Servers,
        part: &Part,
        ledger: &'a mut StepCount,
    ) -> anyhow::Result<Self> {
        let options = RegistryOptions {
            referrers_api: part.referrers_api,
            ..Default::default()
        };
        let (registry, sigstore) = (servers.registry(options)?, &servers.sigstore);
        let scene = Self {
            program,
            servers,
            ledger,
            client: Registry::new(Options::default())?,
            directory,
            sigstore,
            registry,
            rekor: part.rekor,
        };
        scene.write("trusted_root.json", sigstore.trusted_root_json())?;
        scene.write("tuf_root.json", sigstore.tuf_root())?;
        scene.write("token", sigstore.token(RELEASE_WORKFLOW))?;
        scene.write("strangers-token", sigstore.token(STRANGER))?;
        scene.write("expired-token", sigstore.expired_token(RELEASE_WORKFLOW))?;
        let policy = format!(
            "verification:\n  issuer: \"{}\"\n  identity_regex: \"{}\"\n",
            sigstore.issuer(),
            r"https://github\\.com/example/app/\\.github/workflows/release\\.yml@refs/tags/.+"
        );
        scene.write("policy.yaml", policy)?;
        Ok(scene)
    }

    /// Starts one more registry.
    pub(super) fn another(&self, options: RegistryOptions) -> anyhow::Result<RegistryServer> {
        self.servers.registry(options)
    }

    /// Writes a file into the working directory of the commands.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, content).with_context(|| format!("{} can't be written", path.display()))
    }

    /// `host:port/name`.
    pub(super) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// The issuer of identity tokens, as certificates name it.
    pub(super) fn issuer(&self) -> String {
        self.sigstore.issuer()
    }

    /// Pushes an index with an image for each of [`PLATFORMS`], over HTTP, as a build does.
    pub(super) fn push(
        &self,
        repository: &str,
        tag: &str,
        content: &str,
    ) -> anyhow::Result<ImageIndex> {
        let images = PLATFORMS
            .iter()
            .map(|platform| image(platform, content))
            .collect::<anyhow::Result<_>>()?;
        let index = ImageIndex::new(images);
        let target = self.registry.repository(repository);
        self.servers.block_on(async {
            for image in index.images() {
                for blob in image.blobs() {
                    self.client.push_blob(&target, blob.clone()).await?;
                }
                let media_type = image.descriptor().media_type;
                let bytes = image.bytes().clone();
                self.client
                    .push_manifest(&target, &media_type, bytes, None)
                    .await?;
            }
            let media_type = index.descriptor().media_type;
            let bytes = index.bytes().clone();
            self.client
                .push_manifest(&target, &media_type, bytes, Some(tag))
                .await
        })?;
        println!(
            "\n   (pushed {}:{tag}, an index of {}: {})",
            self.image(repository),
            PLATFORMS.join(" and "),
            index.digest()
        );
        Ok(index)
    }

    /// Runs a step, prints it, and judges its exit code and what it says.
    pub(super) fn play(&mut self, step: &Step) -> anyhow::Result<()> {
        self.play_and(step, |_| Ok(String::new()))
    }

    /// [`Self::play`], and then looks at what the command did; `look` says what it saw.
    pub(super) fn play_and(
        &mut self,
        step: &Step,
        look: impl FnOnce(&Self) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let number = self.ledger.passed + self.ledger.failed + 1;
        println!("\n{number}. {}", step.title);
        for line in wrapped(step.why) {
            println!("   {line}");
        }
        let home = self.directory.join("home");
        fs::create_dir_all(&home)?;
        let command = Command::new(self.program)
            .args(&step.arguments)
            .directory(&self.directory)
            .env("HOME", &home);
        println!("   $ {}", command.line());
        let output = command.run()?;
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("       {line}");
        }
        let ended = output.ended(step.exit_code, step.says.as_slice());
        match ended.and_then(|_| look(self)) {
            Ok(seen) => {
                self.ledger.passed += 1;
                let seen = if seen.is_empty() {
                    seen
                } else {
                    format!("; {seen}")
                };
                println!("   ok: exit code {}, as it should be{seen}", step.exit_code);
            }
            Err(error) => {
                self.ledger.failed += 1;
                println!("   FAILED: {error:#}");
            }
        }
        Ok(())
    }

    /// Checks that a directory holds the image for `platform` with `content`, all of it.
    pub(super) fn installed(
        &self,
        directory: &str,
        platform: &str,
        content: &str,
    ) -> anyhow::Result<String> {
        let root = self.directory.join(directory);
        let read = |name: &str| {
            fs::read_to_string(root.join(name))
                .with_context(|| format!("{directory}/{name} can't be read"))
        };
        let found = read("bin/hello")?;
        let expected = hello(platform, content);
        ensure!(
            found == expected,
            "{directory}/bin/hello: expected {expected:?}, found {found:?}"
        );
        ensure!(
            executable(&root.join("bin/hello"))?,
            "{directory}/bin/hello is not executable"
        );
        ensure!(
            read("bin/hi")? == expected,
            "{directory}/bin/hi is not a link to hello"
        );
        ensure!(
            read("etc/motd")? == content,
            "{directory}/etc/motd is not the upper layer's"
        );
        ensure!(
            !root.join("etc/old").exists(),
            "{directory}/etc/old was deleted by the upper layer, and is there"
        );
        Ok(format!(
            "{directory}/bin/hello is the program for {platform}"
        ))
    }

    /// Checks that a directory is not there, nor anything beside it that an installation began.
    pub(super) fn nothing_at(&self, directory: &str) -> anyhow::Result<String> {
        let path = self.directory.join(directory);
        ensure!(!path.exists(), "{directory} is there");
        let parent = path.parent().context("a directory has a parent")?;
        let left: Vec<String> = fs::read_dir(parent)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<anyhow::Result<_>>()?;
        ensure!(left.is_empty(), "beside {directory} there is {left:?}");
        Ok(format!("nothing of {directory} is there"))
    }

    /// A new, empty directory to install into a subdirectory of.
    pub(super) fn empty(&self, directory: &str) -> anyhow::Result<()> {
        let path = self.directory.join(directory);
        fs::create_dir_all(&path).with_context(|| format!("no directory {}", path.display()))
    }
}

/// `text` in lines of at most 96 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// An image of two layers, the upper of which replaces a file of the lower and deletes another.
fn image(platform: &str, content: &str) -> anyhow::Result<Image> {
    let lower = Layer::builder()
        .directory("bin/", 0o755)
        .file("bin/hello", hello(platform, content), 0o755)
        .symlink("bin/hi", "hello")
        .directory("etc/", 0o755)
        .file("etc/motd", "the lower layer's", 0o644)
        .file("etc/old", "to be deleted", 0o644);
    let upper = Layer::builder()
        .file("etc/motd", content, 0o644)
        .whiteout("etc/old");
    Ok(Image::builder(platform.parse()?)
        .layer(lower.build(Compression::Gzip))
        .layer(upper.build(Compression::Zstd))
        .build())
}

fn hello(platform: &str, content: &str) -> String {
    format!("#!/bin/sh\necho '{content} on {platform}'\n")
}

fn executable(path: &Path) -> anyhow::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o111 != 0)
}
