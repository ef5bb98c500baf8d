//! What is tried: each side signs and the other verifies, and what must be refused is refused.

use std::fs;
use std::path::Path;

use countersign_sandbox::RekorVersion;

use super::actors::{Actors, Cosign, STRANGER};
use super::image::{ARCHITECTURES, TestImage, installed};
use super::instance::Instance;
use super::ledger::Ledger;
use super::registries::{Referrers, Registry};
use crate::exit_code::{DONE, REFUSED_BY_POLICY, UNSIGNED};
use crate::identities::RELEASE_WORKFLOW;

/// All that the scenarios play with.
pub(super) struct World<'a> {
    pub(super) actors: Actors<'a>,
    pub(super) registries: &'a [Registry],
    /// The real services, and the sandbox with either log.
    pub(super) instances: [&'a Instance; 3],
    pub(super) image: &'a TestImage,
    /// Where the image is in each registry, to be copied from.
    pub(super) original: &'a str,
    /// Where to keep what cosign wrote, if it is to be kept.
    pub(super) record: Option<&'a Path>,
}

/// An image in a registry, and the instance that it is signed with.
struct Subject<'a> {
    registry: &'a Registry,
    instance: &'a Instance,
    repository: String,
}

impl Subject<'_> {
    fn at_digest(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry.host, self.repository)
    }

    fn tagged(&self) -> String {
        format!("{}/{}:v1", self.registry.host, self.repository)
    }
}

/// Real cosign signs, countersign verifies and installs.
pub(super) fn cosign_signs(world: &World, ledger: &mut Ledger) {
    for registry in world.registries {
        for instance in world.instances {
            // cosign 2.6 logs entries in Rekor v2 of a kind that its servers no longer take.
            let cosign = match instance.rekor_version {
                RekorVersion::V1 => Cosign::V2,
                RekorVersion::V2 => Cosign::V3,
            };
            let subject = world.subject(registry, instance, cosign.slug());
            ledger.case(
                &format!(
                    "{} signs the index and both images in {}, with {}",
                    cosign.name(),
                    registry.name,
                    instance.name
                ),
                || {
                    world.copy(&subject)?;
                    let image = subject.at_digest(&world.image.index);
                    let actors = &world.actors;
                    actors.cosign_sign(cosign, instance, RELEASE_WORKFLOW, &image)?;
                    Ok("signed".to_owned())
                },
            );
            consumed(world, ledger, &subject);
            if let Some(directory) = world.record {
                record(world, ledger, cosign, &subject, directory);
            }
        }
    }
}

/// Keeps what cosign wrote: every registry has the same, so one with the referrers API will do.
fn record(world: &World, ledger: &mut Ledger, cosign: Cosign, subject: &Subject, directory: &Path) {
    if subject.registry.referrers != Referrers::Api {
        return;
    }
    let name = format!("{}-{}", cosign.slug(), subject.instance.slug);
    ledger.case(&format!("what cosign wrote is kept as {name}"), || {
        let Subject {
            registry,
            instance,
            repository,
        } = subject;
        let index = &world.image.index;
        let into = directory.join(&name);
        world
            .actors
            .record(instance, registry, repository, index, &into)?;
        Ok(into.display().to_string())
    });
}

/// countersign signs; cosign and sigstore-python verify, and countersign itself installs.
pub(super) fn countersign_signs(world: &World, ledger: &mut Ledger) {
    for registry in world.registries {
        for instance in world.instances {
            let subject = world.subject(registry, instance, "countersign");
            ledger.case(
                &format!(
                    "countersign signs the same in {}, with {}",
                    registry.name, instance.name
                ),
                || {
                    world.copy(&subject)?;
                    let image = subject.at_digest(&world.image.index);
                    world.actors.countersign_sign(instance, &image)?;
                    Ok("signed".to_owned())
                },
            );
            ledger.case("cosign 3 accepts the index and both images", || {
                for digest in world.image.digests() {
                    let image = subject.at_digest(digest);
                    world.actors.cosign_verify(instance, &image)?;
                }
                Ok("verified".to_owned())
            });
            ledger.case("sigstore-python accepts the index and both images", || {
                for digest in world.image.digests() {
                    let repository = &subject.repository;
                    world
                        .actors
                        .sigstore_python_verify(instance, registry, repository, digest)?;
                }
                Ok("verified".to_owned())
            });
            consumed(world, ledger, &subject);
        }
    }
}

/// What must be refused, and how.
pub(super) fn refusals(world: &World, ledger: &mut Ledger) {
    let [real, sandbox_v1, _] = world.instances;
    for registry in world.registries {
        let subject = world.subject(registry, real, "unsigned");
        refused(
            world,
            ledger,
            &subject,
            "an image that nobody signed",
            UNSIGNED,
            &["is not signed", "hint:"],
            || Ok(()),
        );

        let subject = world.subject(registry, real, "stranger");
        refused(
            world,
            ledger,
            &subject,
            "an image that somebody else signed",
            REFUSED_BY_POLICY,
            &[
                "not as the policy requires",
                STRANGER,
                RELEASE_WORKFLOW,
                "hint:",
            ],
            || {
                let image = subject.at_digest(&world.image.index);
                world.actors.cosign_sign(Cosign::V3, real, STRANGER, &image)
            },
        );

        let subject = world.subject(registry, real, "attested");
        refused(
            world,
            ledger,
            &subject,
            "an image with an SBOM attested by the right identity, but without a signature",
            UNSIGNED,
            &["an attestation", "https://spdx.dev/Document", "hint:"],
            || attest(world, &subject),
        );

        for cosign in [Cosign::V3, Cosign::V2] {
            let name = format!("legacy-{}", cosign.slug());
            let subject = world.subject(registry, sandbox_v1, &name);
            refused(
                world,
                ledger,
                &subject,
                &format!(
                    "an image with a signature in the legacy form, of {}",
                    cosign.name()
                ),
                UNSIGNED,
                &["legacy form", "--new-bundle-format", "hint:"],
                || legacy_sign(world, &subject, cosign, &[]),
            );
            accepted_by_form(world, ledger, &subject, "at its tag");
        }
        if registry.referrers == Referrers::Api {
            let subject = world.subject(registry, sandbox_v1, "legacy-referrer");
            refused(
                world,
                ledger,
                &subject,
                "an image with a legacy signature attached as a referrer",
                UNSIGNED,
                &["legacy form", "--new-bundle-format", "hint:"],
                || {
                    let mode = ["--registry-referrers-mode", "oci-1-1"];
                    legacy_sign(world, &subject, Cosign::V2, &mode)
                },
            );
            accepted_by_form(world, ledger, &subject, "as a referrer");
        }
    }
}

/// `countersign verify` accepts index and manifests, `countersign install` both platforms.
fn consumed(world: &World, ledger: &mut Ledger, subject: &Subject) {
    ledger.case("countersign verifies the index and both images", || {
        let policy = world.actors.policy(subject.instance)?;
        let policy: Vec<&str> = policy.iter().map(String::as_str).collect();
        let image = subject.tagged();
        let arguments = [&["verify"], &policy[..], &[&image]].concat();
        world
            .actors
            .countersign(&arguments, DONE, &[RELEASE_WORKFLOW])?;
        for (architecture, _) in ARCHITECTURES {
            let platform = format!("linux/{architecture}");
            let arguments = [&["verify"], &policy[..], &["--platform", &platform, &image]].concat();
            world
                .actors
                .countersign(&arguments, DONE, &[RELEASE_WORKFLOW])?;
        }
        Ok("verified".to_owned())
    });
    ledger.case("countersign installs the image of each platform", || {
        let policy = world.actors.policy(subject.instance)?;
        let policy: Vec<&str> = policy.iter().map(String::as_str).collect();
        for (architecture, machine) in ARCHITECTURES {
            let into = "installed";
            let directory = world.actors.home.join(into);
            let platform = format!("linux/{architecture}");
            let image = subject.tagged();
            let arguments = [
                &["install"],
                &policy[..],
                &["--platform", &platform, &image, into],
            ]
            .concat();
            world
                .actors
                .countersign(&arguments, DONE, &[RELEASE_WORKFLOW])?;
            installed(&directory, machine)?;
            fs::remove_dir_all(&directory)?;
        }
        Ok("their programs are for the right machines".to_owned())
    });
    let title = "countersign installs what oras copied into an image layout, and its archive";
    ledger.case(title, || {
        let policy = world.actors.policy(subject.instance)?;
        let policy: Vec<&str> = policy.iter().map(String::as_str).collect();
        world.actors.layout(&subject.tagged(), "layout")?;
        for image in ["ocifile://layout", "ocifile://layout.tar"] {
            let arguments = [&["verify"], &policy[..], &[image]].concat();
            world
                .actors
                .countersign(&arguments, DONE, &[RELEASE_WORKFLOW])?;
            for (architecture, machine) in ARCHITECTURES {
                let (into, platform) = ("installed", format!("linux/{architecture}"));
                let directory = world.actors.home.join(into);
                let image = ["--platform", &platform, image, into];
                let arguments = [&["install"], &policy[..], &image].concat();
                world
                    .actors
                    .countersign(&arguments, DONE, &[RELEASE_WORKFLOW])?;
                installed(&directory, machine)?;
                fs::remove_dir_all(&directory)?;
            }
        }
        fs::remove_dir_all(world.actors.home.join("layout"))?;
        fs::remove_file(world.actors.home.join("layout.tar"))?;
        Ok("without a registry".to_owned())
    });
}

/// After `prepare`, both `verify` and `install` refuse, and nothing is installed.
fn refused(
    world: &World,
    ledger: &mut Ledger,
    subject: &Subject,
    what: &str,
    code: i32,
    says: &[&str],
    prepare: impl FnOnce() -> anyhow::Result<()>,
) {
    let title = format!("countersign refuses {what}, in {}", subject.registry.name);
    ledger.case(&title, || {
        world.copy(subject)?;
        prepare()?;
        let policy = world.actors.policy(subject.instance)?;
        let policy: Vec<&str> = policy.iter().map(String::as_str).collect();
        let image = subject.tagged();
        let arguments = [&["verify"], &policy[..], &[&image]].concat();
        let output = world.actors.countersign(&arguments, code, says)?;
        let into = "refused";
        let platform = ["--platform", "linux/amd64"];
        let arguments = [&["install"], &policy[..], &platform, &[&image, into]].concat();
        world.actors.countersign(&arguments, code, says)?;
        let installed = world.actors.home.join(into).exists();
        anyhow::ensure!(!installed, "it was installed all the same");
        Ok(format!("refused with exit code {code}:\n{}", output.tail()))
    });
}

/// The same legacy signature that was refused is accepted by a policy that names its form.
fn accepted_by_form(world: &World, ledger: &mut Ledger, subject: &Subject, place: &str) {
    let title = format!(
        "countersign accepts it {place} by `signature_formats`, in {}",
        subject.registry.name
    );
    ledger.case(&title, || {
        let actors = &world.actors;
        let policy = format!(
            "verification:\n  issuer: {}\n  identity: {RELEASE_WORKFLOW}\n  signature_formats: [bundle, simple_signing]\n",
            actors.issuer()
        );
        actors.home.write("legacy-policy.yaml", policy)?;
        let trusted_root = actors.home.path(&subject.instance.trusted_root)?;
        let flags = ["--policy", "legacy-policy.yaml", "--trusted-root", trusted_root];
        let image = subject.tagged();
        let says = [RELEASE_WORKFLOW, "simple signing"];
        let arguments = [&["verify", "--all-platforms", "--verbose"], &flags[..], &[&image]].concat();
        actors.countersign(&arguments, DONE, &says)?;
        // Each image has a legacy signature of its own.
        for digest in world.image.digests() {
            let image = subject.at_digest(digest);
            let arguments = [&["verify"], &flags[..], &[&image]].concat();
            actors.countersign(&arguments, DONE, &says)?;
        }
        for (architecture, machine) in ARCHITECTURES {
            let (into, platform) = ("installed", format!("linux/{architecture}"));
            let directory = actors.home.join(into);
            let arguments = ["--platform", &platform, &image, into];
            let arguments = [&["install"], &flags[..], &arguments].concat();
            actors.countersign(&arguments, DONE, &says)?;
            installed(&directory, machine)?;
            fs::remove_dir_all(&directory)?;
        }
        Ok("verified and installed".to_owned())
    });
}

fn attest(world: &World, subject: &Subject) -> anyhow::Result<()> {
    let actors = &world.actors;
    let predicate = actors.home.join("sbom.json");
    let sbom = r#"{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","name":"app"}"#;
    fs::write(predicate, sbom)?;
    let token = actors.home.token(actors.sandbox, RELEASE_WORKFLOW)?;
    for digest in world.image.digests() {
        let mut arguments = vec!["attest", "--yes", "--predicate", "sbom.json"];
        arguments.extend(["--type", "spdxjson", "--identity-token", token]);
        arguments.extend([
            "--signing-config",
            actors.home.path(&subject.instance.signing_config)?,
        ]);
        arguments.extend([
            "--trusted-root",
            actors.home.path(&subject.instance.trusted_root)?,
        ]);
        let image = subject.at_digest(digest);
        arguments.push(&image);
        actors.cosign(Cosign::V3, &arguments)?;
    }
    Ok(())
}

fn legacy_sign(
    world: &World,
    subject: &Subject,
    cosign: Cosign,
    flags: &[&str],
) -> anyhow::Result<()> {
    let token = world
        .actors
        .home
        .token(world.actors.sandbox, RELEASE_WORKFLOW)?;
    let at = subject.instance;
    let mut arguments = vec!["sign", "--yes", "--recursive", "--identity-token", token];
    arguments.extend(["--new-bundle-format=false", "--use-signing-config=false"]);
    arguments.extend(["--fulcio-url", &at.fulcio, "--rekor-url", &at.rekor]);
    arguments.extend(["--trusted-root", world.actors.home.path(&at.trusted_root)?]);
    arguments.extend(flags);
    let image = subject.at_digest(&world.image.index);
    arguments.push(&image);
    world.actors.cosign(cosign, &arguments)?;
    Ok(())
}

impl World<'_> {
    fn subject<'a>(
        &self,
        registry: &'a Registry,
        instance: &'a Instance,
        name: &str,
    ) -> Subject<'a> {
        Subject {
            registry,
            instance,
            repository: format!("{name}/{}", instance.slug),
        }
    }

    /// Puts the image into the subject's repository.
    fn copy(&self, subject: &Subject) -> anyhow::Result<()> {
        let from = format!("{}/{}", subject.registry.host, self.original);
        self.actors
            .home
            .crane(&["copy", &from, &subject.tagged()])?;
        Ok(())
    }
}
