//! The installation of a release by the actions, from files in place of a release's page.

use std::fs;
use std::path::PathBuf;

use anyhow::ensure;

use super::runner::Ended;
use super::scene::{Scene, WORKFLOW, image, named, target};
use crate::command::{Command, workspace};
use crate::exit_code::DONE;
use crate::ledger::Ledger;

const VERSION: &str = "1.2.3";
/// Who else could sign.
const STRANGER: &str =
    "https://github.com/stranger/app/.github/workflows/release.yml@refs/tags/v1.2.3";

pub(super) fn run(scene: &Scene, ledger: &mut Ledger) {
    ledger.case(
        "release: an archive is packed, and its image signed",
        || packed(scene),
    );
    ledger.case(
        "install: by the checksums that are pinned beside the action",
        || {
            let release = Release::publish(scene, "pinned", WORKFLOW, Content::AsPublished)?;
            let actions = release.pinned_actions()?;
            let ended = release.sign(&actions, &[])?;
            ended.expect(DONE, "countersign 1.2.3 is installed")?;
            ended.expect(DONE, "is signed by")?;
            ensure!(!ended.path.is_empty(), "nothing is in the PATH");
            Ok("it is installed and has signed".to_owned())
        },
    );
    ledger.case(
        "install: by a version and a checksum that the caller names",
        || {
            let release = Release::publish(scene, "named", WORKFLOW, Content::AsPublished)?;
            let sha256 = scene.sha256(&release.archive)?;
            let inputs = [("version", "v1.2.3"), ("sha256", &sha256)];
            release
                .sign(&Scene::action("sign"), &inputs)?
                .expect(DONE, "is signed by")?;
            Ok("it is installed and has signed".to_owned())
        },
    );
    refused(scene, ledger, "an archive with another checksum", |scene| {
        let release = Release::publish(scene, "changed", WORKFLOW, Content::AsPublished)?;
        let sha256 = "0".repeat(64);
        let inputs = [("version", VERSION), ("sha256", &sha256)];
        let ended = release.sign(&Scene::action("sign"), &inputs)?;
        Ok((ended, "has another SHA-256: expected 0000"))
    });
    refused(
        scene,
        ledger,
        "a release that a stranger has signed",
        |scene| {
            let release = Release::publish(scene, "strangers", STRANGER, Content::AsPublished)?;
            let ended = release.sign(&release.pinned_actions()?, &[])?;
            Ok((ended, "is not signed as the policy for releases says"))
        },
    );
    refused(
        scene,
        ledger,
        "an archive in place of the one that is signed",
        |scene| {
            let release = Release::publish(scene, "swapped", WORKFLOW, Content::Swapped)?;
            let ended = release.sign(&release.pinned_actions()?, &[])?;
            Ok((ended, "the signed archive is another one"))
        },
    );
    refused(scene, ledger, "a version without its checksum", |scene| {
        let release = Release::publish(scene, "half", WORKFLOW, Content::AsPublished)?;
        let ended = release.sign(&Scene::action("sign"), &[("version", VERSION)])?;
        Ok((ended, "belong together"))
    });
    refused(
        scene,
        ledger,
        "a commit of the action that pins no release",
        |scene| {
            let release = Release::publish(scene, "unpinned", WORKFLOW, Content::AsPublished)?;
            let actions = release.copied_actions()?;
            fs::write(actions.join("shared/checksums.txt"), "# nothing\n")?;
            let ended = release.sign(&actions.join("sign"), &[])?;
            Ok((ended, "pins no release for"))
        },
    );
}

/// The archive that a release is made of, and that its image is what signs it.
fn packed(scene: &Scene) -> anyhow::Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let pack = |target: &str, folder: &str| {
        Command::new(workspace().join(".github/release/archive.sh"))
            .args([version, target])
            .args([&scene.countersign, &scene.directory.path().join(folder)])
            .env("PATH", "/usr/bin:/bin")
            .run()
    };
    let native = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let name = format!("countersign-{version}-{native}");
    pack(&native, "packed")?.success()?;
    let archive = scene.directory.path().join(format!("packed/{name}.tar.gz"));
    let listed = Command::new("/bin/tar")
        .args(["-t", "-z", "-f"])
        .args([&archive])
        .env("PATH", "/usr/bin:/bin")
        .run()?
        .success()?;
    for file in [
        "countersign",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "completions/countersign.bash",
        "completions/_countersign",
        "completions/countersign.fish",
        "man/countersign.1",
        "man/countersign-sign.1",
    ] {
        let there = listed
            .stdout
            .lines()
            .any(|line| line == format!("{name}/{file}"));
        ensure!(there, "{file} is missing in:\n{}", listed.stdout);
    }
    let dynamic = pack(&target(), "not-packed")?;
    ensure!(
        dynamic.code() == Some(1),
        "a program that is not static was packed"
    );
    signed_by_its_image(scene, &format!("{name}.tar.gz"), &native)
}

/// The archive `file`, for the target `native`, is in an image that is signed.
fn signed_by_its_image(scene: &Scene, file: &str, native: &str) -> anyhow::Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let archive = scene.directory.path().join("packed").join(file);
    let image = image("linux/amd64", file, fs::read(&archive)?)?;
    let digest = image.push(&scene.registry, "packed/archives", None);
    let repository = format!("{}/packed/archives", scene.registry.host());
    let runner = scene.runner(WORKFLOW)?;
    let files = scene.directory.path().display();
    let program = format!(
        "exec '{}' \"$1\" --signing-config '{files}/signing_config.json' --trusted-root \
         '{files}/trusted_root.json' \"${{@:2}}\"\n",
        scene.countersign.display()
    );
    let program = scene.write("packed/countersign", format!("#!/bin/bash\n{program}"))?;
    Command::new("/bin/chmod")
        .args(["+x"])
        .args([&program])
        .run()?
        .success()?;
    let mut command = Command::new(workspace().join(".github/release/archives.sh"))
        .env("PATH", "/usr/bin:/bin")
        .env("VERSION", format!("v{version}"))
        .env("IMAGES", format!("{repository}@{digest}\n"))
        .env("PROGRAM", &program)
        .env("DIRECTORY", scene.directory.path().join("packed"));
    for (name, value) in &runner.environment {
        command = command.env(name, value);
    }
    command.run()?.success()?;
    scene.verify(&format!("{repository}:v{version}-{native}"), WORKFLOW)?;
    Ok(format!(
        "{file} is packed, and {repository}:v{version}-{native} is signed"
    ))
}

/// A case in which nothing must be installed, and the log says why.
fn refused(
    scene: &Scene,
    ledger: &mut Ledger,
    title: &str,
    play: impl FnOnce(&Scene) -> anyhow::Result<(Ended, &'static str)>,
) {
    ledger.case(&format!("install: refused is {title}"), || {
        let (ended, why) = play(scene)?;
        ended.expect(1, why)?;
        ensure!(ended.path.is_empty(), "the PATH has {:?}", ended.path);
        Ok(ended.log.lines().last().unwrap_or_default().to_owned())
    });
}

/// What the signed image has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    AsPublished,
    Swapped,
}

/// A release of a program that runs the one that was built: a folder with archives, and their image.
struct Release<'a> {
    scene: &'a Scene,
    name: &'static str,
    archive: PathBuf,
}

impl<'a> Release<'a> {
    fn publish(
        scene: &'a Scene,
        name: &'static str,
        signer: &str,
        content: Content,
    ) -> anyhow::Result<Self> {
        let archive = scene.archive(name, VERSION, "")?;
        let bytes = match content {
            Content::AsPublished => fs::read(&archive)?,
            Content::Swapped => b"something else".to_vec(),
        };
        let repository = format!("{name}/archives");
        let tag = format!("v{VERSION}-{}", target());
        let image = image("linux/amd64", &format!("{}.tar.gz", named(VERSION)), bytes)?;
        let digest = image.push(&scene.registry, &repository, Some(&tag));
        let image = format!("{}/{repository}@{digest}", scene.registry.host());
        let runner = scene.runner(signer)?;
        runner
            .action(&Scene::action("sign"), &scene.inputs(&[("images", &image)]))?
            .expect(DONE, "")?;

        let issuer = scene.sigstore().oidc_issuer();
        let issuer = issuer.as_str().trim_end_matches('/');
        let policy = format!(
            "verification:\n  issuer: {issuer}\n  identity: {WORKFLOW}\n  \
             trust:\n    trusted_root: trusted_root.json\n"
        );
        scene.write("release-policy.yaml", policy)?;
        Ok(Self {
            scene,
            name,
            archive,
        })
    }

    /// A copy of the actions, in a folder of this release's.
    fn copied_actions(&self) -> anyhow::Result<PathBuf> {
        let copy = self.scene.directory.path().join(self.name).join("actions");
        Command::new("/bin/cp")
            .args(["-R"])
            .args([Scene::action(""), copy.clone()])
            .run()?
            .success()?;
        Ok(copy)
    }

    /// The action that signs, in a copy that pins this release by its `pin.sh`.
    fn pinned_actions(&self) -> anyhow::Result<PathBuf> {
        let actions = self.copied_actions()?;
        let name = self
            .archive
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let sums = format!(
            "{}  {name}\n{}  other.txt\n",
            self.scene.sha256(&self.archive)?,
            "a".repeat(64)
        );
        let sums = self
            .scene
            .write(&format!("{}/SHA256SUMS", self.name), sums)?;
        Command::new(actions.join("shared/pin.sh"))
            .args([format!("v{VERSION}").as_ref(), sums.as_os_str()])
            .env("PATH", "/usr/bin:/bin")
            .run()?
            .success()?;
        Ok(actions.join("sign"))
    }

    /// Signs an image with what the action installs.
    fn sign(&self, action: &std::path::Path, further: &[(&str, &str)]) -> anyhow::Result<Ended> {
        let digest = self.scene.push_index(&format!("{}/app", self.name), "v1")?;
        let host = self.scene.registry.host();
        let image = format!("{host}/{}/app@{digest}", self.name);
        let releases = format!(
            "file://{}/{}",
            self.scene.directory.path().display(),
            self.name
        );
        let archives = format!("{host}/{}/archives", self.name);
        let mut inputs = self.scene.inputs(&[
            ("images", &image),
            ("releases", &releases),
            ("archives", &archives),
            ("release-policy", "release-policy.yaml"),
        ]);
        inputs.remove("executable");
        inputs.extend(
            further
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self.scene.runner(WORKFLOW)?.action(action, &inputs)
    }
}
