//! Policies that countersign exports, read by the code of the programs that they are for; and images, judged by
//! policy-controller's own code with such a policy.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{BundleSpec, Scene, Statement};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Setting;
use super::actors::STRANGER;
use super::tools::ENFORCERS;
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;
use crate::ledger::Ledger;

const SLSA: &str = "https://slsa.dev/provenance/v1";
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0
7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==
-----END PUBLIC KEY-----
";
/// Patterns of images, names, and whether they match. Talos compares no tags, and containers/image has no stars
/// within a part, so neither is in them.
const NAMES: [(&str, &str, bool); 9] = [
    ("quay.io/acme/**", "quay.io/acme/app:v1", true),
    ("quay.io/acme/**", "quay.io/acme/a/b:v1", true),
    ("quay.io/acme/**", "quay.io/acmeevil/app:v1", false),
    ("quay.io/acme/**", "quay.io.evil.example/acme/app:v1", false),
    (
        "registry.internal:5000/app",
        "registry.internal:5000/app:v1",
        true,
    ),
    (
        "registry.internal:5000/app",
        "registry.internal:5001/app:v1",
        false,
    ),
    ("nginx", "nginx:1.29", true),
    ("nginx", "docker.io/library/nginx:1.29", true),
    ("nginx", "quay.io/nginx:1.29", false),
];

/// Images that the rules of a configuration are for, and one that none is for.
const RULED: [&str; 6] = [
    "registry.k8s.io/pause:3.10",
    "registry.k8s.io/coredns/coredns:v1.12.0",
    "quay.io/acme/app:v1",
    "quay.io/acmeevil/app:v1",
    "nginx:1.29",
    "ghcr.io/other/app:v1",
];

/// Plays all cases.
///
/// # Errors
/// When the software can't be installed or the sandbox can't be started.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        countersign,
        root,
        directory,
        ..
    } = *setting;
    let enforcers = ENFORCERS.install(root)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let scene = runtime.block_on(Scene::start())?;
    fs::write(
        directory.join("trusted_root.json"),
        scene.sigstore.trusted_root_json(),
    )?;
    fs::write(directory.join("key.pub"), KEY)?;
    let world = World {
        countersign,
        enforcers: &enforcers,
        scene: &scene,
        directory,
    };
    world.read(ledger);
    world.rule(ledger);
    world.judge(ledger);
    Ok(())
}

/// What is attached to an image.
#[derive(Debug, Clone, Copy)]
enum Attached {
    Nothing,
    Signature,
    /// A signature by somebody else.
    OfStranger,
    Attestation,
    /// A signature and an attestation.
    Both,
}

impl Attached {
    /// The repository of such an image.
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "unsigned",
            Self::Signature => "signed",
            Self::OfStranger => "stranger",
            Self::Attestation => "attested",
            Self::Both => "whole",
        }
    }
}

struct World<'a> {
    countersign: &'a Path,
    enforcers: &'a Path,
    scene: &'a Scene,
    directory: &'a Path,
}

impl World<'_> {
    /// Each program reads what is written for it, and finds the same images.
    fn read(&self, ledger: &mut Ledger) {
        let workflow = "issuer: https://token.actions.githubusercontent.com\n\
                        identity_regex: https://github\\.com/acme/app/\\.github/workflows/r\\.yml@refs/tags/v\\d+\n";
        let key = "key: key.pub\nignore_tlog: true\nsignature_formats: [simple_signing]\n";
        for (program, by, policy) in [
            ("policy-controller", "identity", workflow),
            ("policy-controller", "key", key),
            ("kyverno", "identity", workflow),
            ("kyverno", "key", "key: key.pub\nignore_tlog: true\n"),
            ("talos", "identity", workflow),
            ("containers", "key", key),
        ] {
            ledger.case(
                &format!("{program} reads a policy with a signer by {by}, for the same images"),
                || {
                    for (pattern, name, expected) in NAMES {
                        let file = self.export(program, policy, &[pattern])?;
                        let read = self.enforcers(&["read", program, &file, name])?.success()?;
                        let found = read.stdout.trim() == "yes";
                        ensure!(
                            found == expected,
                            "{pattern} and {name}: expected {expected}, found {found}"
                        );
                    }
                    Ok(format!("{} names", NAMES.len()))
                },
            );
        }
        ledger.case("Flux reads a policy", || {
            let file = self.export("flux", workflow, &[])?;
            self.enforcers(&["read", "flux", &file])?.success()?;
            Ok("it is one".to_owned())
        });
    }

    /// Each program comes to the rulings of countersign, by all rules of a configuration.
    fn rule(&self, ledger: &mut Ledger) {
        let workflow = "issuer: https://token.actions.githubusercontent.com, identity: ci";
        let key = "key: key.pub, ignore_tlog: true, signature_formats: [simple_signing]";
        for (program, signer) in [
            ("policy-controller", workflow),
            ("kyverno", workflow),
            ("talos", workflow),
            ("containers", key),
        ] {
            for default in ["deny", "allow"] {
                let case = format!(
                    "{program} reads a whole configuration with `default: {default}`, and rules as countersign does"
                );
                ledger.case(&case, || {
                    let rules = format!(
                        "default: {default}\nrules:\n- {{images: [registry.k8s.io/**], allow: true, reason: a}}\n- \
                         {{images: [quay.io/acme/**, nginx], verification: {{{signer}}}}}\n"
                    );
                    fs::write(self.directory.join("rules.yaml"), rules)?;
                    let exported =
                        self.countersign(&["policy", "export", "--to", program, "rules.yaml"])?;
                    fs::write(self.directory.join("rules"), exported.success()?.stdout)?;
                    let theirs =
                        self.enforcers(&[&["rule", program, "rules"][..], &RULED].concat())?;
                    let theirs = theirs.success()?.stdout;
                    let theirs: Vec<&str> = theirs.lines().collect();
                    let ours = self.rulings("rules.yaml")?;
                    ensure!(theirs == ours, "expected {ours:?}, found {theirs:?}");
                    Ok(format!("{} images", RULED.len()))
                });
            }
        }
    }

    /// What countersign says of the images.
    fn rulings(&self, file: &str) -> anyhow::Result<Vec<String>> {
        let images = RULED.map(|image| format!("--image={image}"));
        let mut arguments = vec!["policy", "test", "--output=json", file];
        arguments.extend(images.iter().map(String::as_str));
        let document: Value =
            serde_json::from_str(&self.countersign(&arguments)?.success()?.stdout)?;
        let results = document
            .get("results")
            .and_then(Value::as_array)
            .context("no results")?;
        let ruling = |result: &Value| result["ruling"].as_str().map(str::to_owned);
        results
            .iter()
            .map(|result| ruling(result).context("no ruling"))
            .collect()
    }

    /// policy-controller's own code comes to the same verdicts as `countersign verify`.
    fn judge(&self, ledger: &mut Ledger) {
        let issuer = self.scene.sigstore.issuer();
        let policy = format!("issuer: {issuer}\nidentity: {RELEASE_WORKFLOW}\n");
        let provenance = format!("{policy}predicate_types: ['{SLSA}']\n");
        let both = format!("{policy}require: [signature, {{predicate_type: '{SLSA}'}}]\n");
        for (image, title, accepted) in [
            (Attached::Signature, "a signed image", [true, false, false]),
            (
                Attached::OfStranger,
                "an image that somebody else signed",
                [false, false, false],
            ),
            (
                Attached::Nothing,
                "an image that nobody signed",
                [false, false, false],
            ),
            (
                Attached::Attestation,
                "an image with an attestation alone",
                [false, true, false],
            ),
            (
                Attached::Both,
                "an image with a signature and an attestation",
                [true, true, true],
            ),
        ] {
            ledger.case(
                &format!("policy-controller and countersign agree on {title}"),
                || {
                    let reference = self.image(image)?;
                    let policies = [&policy, &provenance, &both];
                    for (policy, accepted) in policies.into_iter().zip(accepted) {
                        let file = self.export("policy-controller", policy, &["**"])?;
                        let theirs =
                            self.enforcers(&["judge", &file, "trusted_root.json", &reference])?;
                        let ours =
                            self.countersign(&["verify", "--policy", "policy.yaml", &reference])?;
                        // Whatever else ends one of them is no verdict.
                        for (who, output, refused) in [
                            ("policy-controller", &theirs, &[1][..]),
                            ("countersign", &ours, &[3, 4]),
                        ] {
                            let expected = if accepted { &[0][..] } else { refused };
                            let found = output.code();
                            ensure!(
                                found.is_some_and(|code| expected.contains(&code)),
                                "{who}, with {policy}: expected one of the codes {expected:?}, found {found:?}: {}{}",
                                output.stdout,
                                output.stderr
                            );
                        }
                    }
                    Ok("three policies".to_owned())
                },
            );
        }
    }

    /// Pushes an image with what is attached to it.
    fn image(&self, attached: Attached) -> anyhow::Result<String> {
        let name = attached.name();
        let layer = Layer::builder().file("content", name, 0o644);
        let builder = Image::builder("linux/amd64".parse()?);
        let image = builder.layer(layer.build(Compression::Gzip)).build();
        let digest = image.push(&self.scene.registry, name, Some("v1"));
        let attach = |statement: Statement, identity: &str| -> anyhow::Result<()> {
            let spec = BundleSpec::new(statement, identity).signed_at(Timestamp::now());
            let signature = self.scene.signature(image.descriptor(), &spec)?;
            signature.push(&self.scene.registry, name, None);
            Ok(())
        };
        let signature = || Statement::of(digest.clone());
        let provenance =
            || Statement::of(digest.clone()).predicate(SLSA, json!({ "buildDefinition": {} }));
        match attached {
            Attached::Nothing => {}
            Attached::Signature => attach(signature(), RELEASE_WORKFLOW)?,
            Attached::OfStranger => attach(signature(), STRANGER)?,
            Attached::Attestation => attach(provenance(), RELEASE_WORKFLOW)?,
            Attached::Both => {
                attach(signature(), RELEASE_WORKFLOW)?;
                attach(provenance(), RELEASE_WORKFLOW)?;
            }
        }
        Ok(format!("{}/{name}@{digest}", self.scene.registry.host()))
    }

    /// Exports `policy`, and says in which file the document is.
    fn export(&self, program: &str, policy: &str, images: &[&str]) -> anyhow::Result<String> {
        fs::write(self.directory.join("policy.yaml"), policy)?;
        let images: Vec<String> = images
            .iter()
            .map(|image| format!("--images={image}"))
            .collect();
        let mut arguments = vec!["policy", "export", "--to", program, "policy.yaml"];
        arguments.extend(images.iter().map(String::as_str));
        let exported = self.countersign(&arguments)?.success()?;
        let file = format!("{program}.exported");
        fs::write(self.directory.join(&file), exported.stdout)?;
        Ok(file)
    }

    fn countersign(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let trust: &[&str] = match arguments.first() {
            Some(&"verify") => &["--trusted-root", "trusted_root.json"],
            _ => &[],
        };
        let command = Command::new(self.countersign).args(arguments).args(trust);
        command.directory(self.directory).run()
    }

    fn enforcers(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let command = Command::new(self.enforcers).args(arguments);
        let command = command
            .directory(self.directory)
            .env("HOME", self.directory);
        command.run().context("enforcers")
    }
}
