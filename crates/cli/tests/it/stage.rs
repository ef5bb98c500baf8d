//! A Sigstore and a registry in this process, a directory with the files that commands name, and
//! the real program, which gets no environment but what a test gives it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign_oci::{Digest, Platform};
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryOptions, RekorVersion, Scene};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const RELEASE: &str =
    "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1";
pub(crate) const STRANGER: &str =
    "https://github.com/stranger/app/.github/workflows/release.yml@refs/tags/v1";
pub(crate) const TRUST: [&str; 2] = ["--trusted-root", "trusted_root.json"];
pub(crate) const POLICY: [&str; 2] = ["--policy", "policy.yaml"];
pub(crate) const SERVICES: [&str; 2] = ["--signing-config", "signing_config.json"];

/// Whether this machine lets a test do `what`. Where all tests have to be played, it has to: see CONTRIBUTING.md. A browser
/// and LocalAI's own index are asked for by no machine, and their tests are left out where they are not there.
#[expect(
    clippy::disallowed_methods,
    reason = "only whoever starts the tests knows what has to be possible"
)]
pub(crate) fn possible(what: &str, is_possible: bool) -> bool {
    if !is_possible {
        let all = std::env::var_os("COUNTERSIGN_TEST_ALL");
        assert!(
            all.is_none(),
            "COUNTERSIGN_TEST_ALL is set, and this machine does not let us: {what}"
        );
        eprintln!("skipped: this machine does not let us: {what}");
    }
    is_possible
}

/// Whether `command`, which tries something out, succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Whether we may mount, in a mount name space of our own.
pub(crate) fn may_mount() -> bool {
    let mut trial = Command::new("unshare");
    trial.args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"]);
    possible("mount", succeeds(&mut trial))
}

pub(crate) struct Stage {
    scene: Scene,
    pub(crate) directory: TempDir,
    pub(crate) index: ImageIndex,
    program: PathBuf,
}

/// What became of a run of the program.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The one JSON document on standard output; nothing is on standard error.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stderr, "", "JSON mode is silent on standard error");
        let document =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout));
        crate::schema::conforms(&document);
        crate::schema::tells_failure(&document, self.code);
        document
    }

    /// Everything a person sees, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!(
            "exit code {}\n--- standard output\n{}--- standard error\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Deref for Stage {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(RegistryOptions {
            referrers_api: true,
            ..RegistryOptions::default()
        })
        .await
    }

    /// An index of two platforms at `app:v1`, unsigned.
    pub(crate) async fn with(options: RegistryOptions) -> Self {
        let stage = Self {
            scene: Scene::with(options).await.unwrap(),
            directory: TempDir::new().unwrap(),
            index: ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]),
            program: env!("CARGO_BIN_EXE_countersign").into(),
        };
        stage.index.push(&stage.registry, "app", Some("v1"));
        stage.write("trusted_root.json", stage.sigstore.trusted_root_json());
        let config = stage.sigstore.signing_config_json(RekorVersion::V1);
        stage.write("signing_config.json", config);
        stage.write("policy.yaml", stage.policy(RELEASE));
        stage.write("token", stage.sigstore.token(RELEASE));
        stage
    }

    /// A policy file for signatures by `identity`.
    pub(crate) fn policy(&self, identity: &str) -> String {
        format!(
            "verification:\n  issuer: {}\n  identity: {identity}\n",
            self.issuer()
        )
    }

    pub(crate) fn issuer(&self) -> String {
        self.sigstore.issuer()
    }

    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// From now on runs a copy of the program, which stays the same if somebody builds it again.
    pub(crate) fn keep_program(&mut self) {
        let copy = self.path("countersign");
        std::fs::copy(&self.program, &copy).unwrap();
        self.program = copy;
    }

    /// The program in the stage's directory, with a home there and nothing else in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(&self.program, arguments);
        command
            .current_dir(self.directory.path())
            .env("HOME", self.path("home"));
        command
    }

    pub(crate) fn run(&self, parts: &[&[&str]]) -> Run {
        run(&mut self.command(&parts.concat()))
    }

    /// `countersign sign`, with the stage's services and trust; tags are what this stage made them.
    pub(crate) fn sign(&self, arguments: &[&str]) -> Run {
        self.run(&[&["sign", "--by-tag"], &TRUST, &SERVICES, arguments])
    }

    /// `countersign verify`, with the stage's policy and trust.
    pub(crate) fn verify(&self, arguments: &[&str]) -> Run {
        self.run(&[&["verify"], &TRUST, &POLICY, arguments])
    }

    /// `countersign install` of the amd64 image, with the stage's policy and trust.
    pub(crate) fn install(&self, arguments: &[&str]) -> Run {
        let platform = ["--platform", "linux/amd64"];
        self.run(&[&["install"], &TRUST, &POLICY, &platform, arguments])
    }

    /// Signs the image `name` as `identity`, which must succeed.
    pub(crate) fn signed(&self, name: &str, identity: &str) {
        let token = self.sigstore.token(identity);
        let run = self.sign(&["--identity-token", &token, &self.reference(name)]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }

    /// Pushes a second image, with another digest, and signs nothing.
    pub(crate) fn push_unsigned(&self, tag: &str) -> Digest {
        image("linux/s390x").push(&self.registry, "app", Some(tag))
    }

    /// Compares with the committed snapshot, without what differs from run to run.
    pub(crate) fn snapshot(&self, name: &str, run: &Run) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.add_filter(
            &self.registry.host().replace('.', r"\."),
            "registry.example",
        );
        settings.add_filter(r"http://127\.0\.0\.1:\d+", "http://issuer.example");
        settings.add_filter(r"127\.0\.0\.1:\d+", "other.example");
        let directory = self.directory.path().to_string_lossy();
        settings.add_filter(&directory.replace('.', r"\."), "/here");
        settings.add_filter("sha256:[0-9a-f]{64}", "[DIGEST]");
        settings.add_filter("sha256:[0-9a-f]{12}…", "[DIGEST…]");
        settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]");
        // The log and the timestamp authority may see different seconds.
        settings.add_filter(r#""\[TIME\]",\n\s+"\[TIME\]""#, r#""[TIME]""#);
        // Certificate and log may be of two different seconds.
        settings.add_filter(r"\[TIME\](, \[TIME\])+", "[TIME]");
        settings.add_filter(r"copied \(\d+\.\d+ KiB\)", "copied ([SIZE])");
        settings.add_filter(r"log entry  \d+", "log entry  [NUMBER]");
        settings.add_filter(r#""log_index": \d+"#, r#""log_index": "[NUMBER]""#);
        settings.add_filter(r#""log_id": "[0-9a-f]{64}""#, r#""log_id": "[LOG]""#);
        settings.bind(|| insta::assert_snapshot!(name, run.shown()));
    }
}

/// The program, with nothing in its environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    clean(env!("CARGO_BIN_EXE_countersign").as_ref(), arguments)
}

fn clean(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn image(platform: &str) -> Image {
    let layer = Layer::builder()
        .directory("bin", 0o755)
        .file("bin/app", platform, 0o755)
        .build(Compression::Gzip);
    Image::builder(platform.parse::<Platform>().unwrap())
        .layer(layer)
        .build()
}
