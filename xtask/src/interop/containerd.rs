//! A real containerd with the built program as its image verifier: what `ctr` (the transfer service) and
//! `crictl` (CRI) are told of images that are signed, unsigned, signed by others, or can't be judged.
//!
//! It needs root, and says so where it isn't. The registry with a login and the one that fails are the sandbox's; all
//! other images are in a real one.

mod alone;
mod daemon;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{
    Auth, Effect, Fault, RegistryOptions, RegistryServer, RekorVersion, Scene,
};
use jiff::Timestamp;
use rustix::process::geteuid;

use self::daemon::{Daemon, Pulled};
use super::Setting;
use super::actors::STRANGER;
use super::home::Home;
use super::instance::Instance;
use super::ledger::{Ledger, Seen};
use super::registries;
use super::tools::{CONTAINERD, CRANE, CRICTL, CTR, OLAREG};
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;

pub(crate) use self::alone::Containerd;

const USER: &str = "node";
const PASSWORD: &str = "a pass:word";
/// How many images are pulled at the same time.
const AT_ONCE: usize = 20;

/// Plays all cases, or says that it needs root.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        countersign,
        root,
        directory,
        ..
    } = *setting;
    if !geteuid().is_root() {
        ledger.case("containerd asks the image verifier", || {
            Ok(Seen::Skipped("containerd needs root"))
        });
        return Ok(());
    }
    let (containerd, ctr, crictl) = (
        CONTAINERD.install(root)?,
        CTR.install(root)?,
        CRICTL.install(root)?,
    );
    let (crane, olareg) = (CRANE.install(root)?, OLAREG.install(root)?);
    let runtime = tokio::runtime::Runtime::new()?;
    let scene = runtime.block_on(Scene::with(RegistryOptions {
        referrers_api: true,
        auth: Auth::Basic {
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        ..RegistryOptions::default()
    }))?;
    let failing = runtime.block_on(RegistryServer::start(RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    }))?;
    let instance = Instance::sandbox(&scene.sigstore, RekorVersion::V1, directory)?;
    let open = registries::olareg(&olareg, directory)?;
    let hosts = [open.host.clone(), scene.registry.host(), failing.host()];
    configure(directory, &instance, &scene, &hosts)?;
    let daemon = Daemon::start([&containerd, &ctr, &crictl], countersign, &hosts, directory)?;
    let world = World {
        countersign,
        scene: &scene,
        failing: &failing,
        instance: &instance,
        host: &open.host,
        daemon: &daemon,
        home: Home::new(directory, &crane),
    };
    world.play(ledger);
    Ok(())
}

/// Writes the configuration of the verifier, and the login that it needs.
fn configure(
    directory: &Path,
    instance: &Instance,
    scene: &Scene,
    hosts: &[String; 3],
) -> anyhow::Result<()> {
    let [open, private, failing] = hosts;
    let signed = scene.verification(RELEASE_WORKFLOW);
    let config = format!(
        "trusted_root: {}\nlogin_file: login.json\nstate_directory: state\nlog_file: decisions.log\nrules:\n\
         - {{images: ['{open}/exempt/**'], allow: true, reason: an exemption}}\n\
         - {{images: ['{open}/app/*', '{private}/**', '{failing}/**'], verification: {signed}}}\n",
        text(&instance.trusted_root)?
    );
    fs::write(directory.join(daemon::CONFIGURATION), config)?;
    let logins =
        serde_json::json!({ "auths": { private: { "username": USER, "password": PASSWORD } } });
    Ok(fs::write(directory.join("login.json"), logins.to_string())?)
}

struct World<'a> {
    countersign: &'a Path,
    scene: &'a Scene,
    failing: &'a RegistryServer,
    instance: &'a Instance,
    host: &'a str,
    daemon: &'a Daemon,
    home: Home,
}

impl World<'_> {
    fn play(&self, ledger: &mut Ledger) {
        self.by_signature(ledger);
        self.by_circumstance(ledger);
        let title = format!("{AT_ONCE} signed images and one that is not, all at once");
        ledger.case(&title, || self.at_once());
        ledger.case("every verdict is a line of JSON in the log", || self.log());
    }

    /// What is pulled and what isn't, by what is signed.
    fn by_signature(&self, ledger: &mut Ledger) {
        ledger.case("containerd does not pull an unsigned image", || {
            let image = self.image("app/unsigned:v1")?;
            self.refused(&image, "", &["refused by rule 2", "no signature was found"])
        });
        ledger.case("containerd pulls a signed image", || {
            let image = self.image("app/signed:v1")?;
            self.sign(&image, RELEASE_WORKFLOW)?;
            self.taken(&image, "")
        });
        ledger.case("containerd does not pull what somebody else signed", || {
            let image = self.image("app/stranger:v1")?;
            self.sign(&image, STRANGER)?;
            self.refused(&image, "", &["not as the policy requires", STRANGER])
        });
        ledger.case(
            "containerd does not pull a tag that was moved to an unsigned image",
            || {
                let image = self.image("app/moved:v1")?;
                self.sign(&image, RELEASE_WORKFLOW)?;
                self.taken(&image, "")?;
                self.append(&image, "something else")?;
                self.refused(&image, "", &["no signature was found"])
            },
        );
        ledger.case(
            "containerd does not pull an index if only its images are signed",
            || {
                let child = self.image("app/children:amd64")?;
                self.home.crane(&[
                    "mutate",
                    "--set-platform",
                    "linux/amd64",
                    "--tag",
                    &child,
                    &child,
                ])?;
                self.sign(&child, RELEASE_WORKFLOW)?;
                let image = self.name("app/children:v1");
                self.home
                    .crane(&["index", "append", "--manifest", &child, "--tag", &image])?;
                self.refused(&image, "", &["the index itself has to be signed"])?;
                self.sign(&image, RELEASE_WORKFLOW)?;
                self.taken(&image, "")
            },
        );
    }

    /// What is pulled and what isn't, by the rules and by what the registry does.
    fn by_circumstance(&self, ledger: &mut Ledger) {
        ledger.case(
            "an image that no rule matches is refused, and an exempt one is pulled",
            || {
                self.refused(
                    &self.image("other/app:v1")?,
                    "",
                    &["no rule in", "the default is `deny`"],
                )?;
                self.taken(&self.image("exempt/app:v1")?, "")
            },
        );
        ledger.case(
            "containerd pulls from a registry that asks for a login",
            || self.private(),
        );
        ledger.case(
            "containerd pulls nothing while the registry answers nothing about signatures",
            || {
                self.failing(
                    "down",
                    Effect::Disconnect(countersign_sandbox::Moment::BeforeServing),
                    "referrers",
                )
            },
        );
        ledger.case(
            "containerd gets a reason before it ends the verifier for being slow",
            || {
                let late = Effect::Delay(std::time::Duration::from_secs(60));
                self.failing("slow", late, "no verdict within the deadline of 8s")
            },
        );
    }

    /// Both ways to pull it have to fail for each of these reasons, and leave no image.
    fn refused(&self, image: &str, login: &str, reasons: &[&str]) -> anyhow::Result<String> {
        for Pulled { by, output } in self.daemon.pull(image, login)? {
            ensure!(output.code() != Some(0), "{by} pulled it");
            let said = format!("{}{}", output.stdout, output.stderr);
            for reason in reasons {
                ensure!(
                    said.contains(reason),
                    "{by} does not say `{reason}`: {said}"
                );
            }
            ensure!(
                said.contains("countersign-image-verifier rejected image"),
                "{by}: {said}"
            );
        }
        Ok(format!("refused by both: {}", reasons.join(", ")))
    }

    fn taken(&self, image: &str, login: &str) -> anyhow::Result<String> {
        for Pulled { by, output } in self.daemon.pull(image, login)? {
            output.success().with_context(|| format!("by {by}"))?;
        }
        let listed = self.daemon.images()?;
        ensure!(
            listed.iter().any(|name| name == image),
            "{image} is not listed"
        );
        Ok("pulled by both".to_owned())
    }

    fn private(&self) -> anyhow::Result<String> {
        let registry = &self.scene.registry;
        let login = format!("{USER}:{PASSWORD}");
        let signed = picture("signed")?;
        self.scene.publish(
            &signed,
            "private",
            "signed",
            RELEASE_WORKFLOW,
            Timestamp::now(),
        )?;
        picture("unsigned")?.push(registry, "private", Some("unsigned"));
        let name = |tag| format!("{}/private:{tag}", registry.host());
        self.refused(&name("unsigned"), &login, &["no signature was found"])?;
        self.taken(&name("signed"), &login)
    }

    fn failing(&self, path: &str, effect: Effect, reason: &str) -> anyhow::Result<String> {
        let image = picture(path)?;
        self.scene.publish_to(
            self.failing,
            &image,
            path,
            "v1",
            RELEASE_WORKFLOW,
            Timestamp::now(),
        )?;
        let name = format!("{}/{path}:v1", self.failing.host());
        let pattern = format!("GET /v2/{path}/referrers/*");
        self.failing.add_fault(Fault::on(&pattern, effect));
        let refused = self.refused(&name, "", &[reason])?;
        self.failing.clear_faults();
        self.taken(&name, "")?;
        Ok(format!("{refused}; pulled after that"))
    }

    fn at_once(&self) -> anyhow::Result<String> {
        let mut images = Vec::new();
        for number in 0..AT_ONCE {
            let image = self.image(&format!("app/many-{number}:v1"))?;
            self.sign(&image, RELEASE_WORKFLOW)?;
            images.push(image);
        }
        let unsigned = self.image("app/many-unsigned:v1")?;
        images.push(unsigned.clone());
        let outputs: Vec<anyhow::Result<Output>> = std::thread::scope(|scope| {
            let pulls: Vec<_> = images
                .iter()
                .map(|image| scope.spawn(|| self.daemon.pull_by_cri(image, "")))
                .collect();
            let ended = |pull: std::thread::ScopedJoinHandle<'_, anyhow::Result<Output>>| {
                pull.join()
                    .unwrap_or_else(|_| anyhow::bail!("a pull panicked"))
            };
            pulls.into_iter().map(ended).collect()
        });
        for (image, output) in images.iter().zip(outputs) {
            let output = output?;
            let pulled = output.code() == Some(0);
            ensure!(pulled != (*image == unsigned), "{image}: {}", output.tail());
        }
        Ok(format!("{AT_ONCE} pulled, one refused"))
    }

    fn log(&self) -> anyhow::Result<String> {
        let log = fs::read_to_string(self.home.join("decisions.log"))?;
        let (mut allowed, mut refused) = (0, 0);
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            match line.get("allowed").and_then(serde_json::Value::as_bool) {
                Some(true) => allowed += 1,
                Some(false) => refused += 1,
                None => anyhow::bail!("no verdict in {line}"),
            }
        }
        ensure!(
            allowed > AT_ONCE && refused > 10,
            "{allowed} allowed, {refused} refused"
        );
        Ok(format!("{allowed} allowed, {refused} refused"))
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host)
    }

    /// Pushes an image of its own at this name, unsigned.
    fn image(&self, name: &str) -> anyhow::Result<String> {
        let image = self.name(name);
        self.append(&image, name)?;
        Ok(image)
    }

    fn append(&self, image: &str, content: &str) -> anyhow::Result<()> {
        let layer = Layer::builder().file("content", content, 0o644);
        let layer = layer.build(Compression::Gzip);
        let file = self.home.join("layer.tar.gz");
        fs::write(&file, layer.bytes())?;
        self.home
            .crane(&["append", "--new_layer", text(&file)?, "--new_tag", image])?;
        Ok(())
    }

    fn sign(&self, image: &str, identity: &str) -> anyhow::Result<()> {
        self.home.token(&self.scene.sigstore, identity)?;
        let sign = Command::new(self.countersign)
            .args(["sign", "--by-tag", "--identity-token", "@token"])
            .args(["--trusted-root", text(&self.instance.trusted_root)?])
            .args(["--signing-config", text(&self.instance.signing_config)?])
            .args([image]);
        self.home.succeed(sign)?;
        Ok(())
    }
}

/// An image of the sandbox, with a digest of its own.
fn picture(content: &str) -> anyhow::Result<Image> {
    let layer = Layer::builder().file("content", content, 0o644);
    let builder = Image::builder("linux/amd64".parse()?);
    Ok(builder.layer(layer.build(Compression::Gzip)).build())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path is not UTF-8")
}
