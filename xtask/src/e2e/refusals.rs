//! What has to be refused. Each is tried by `verify`, where that can see the fault, and by
//! `install`, which has to leave nothing behind.

use countersign_sandbox::{Effect, Fault};

use super::commands::{
    DONE, INVALID, POLICY, REFUSED_BY_POLICY, TRUSTED_ROOT, UNSIGNED, directory_for, install, sign,
    verify, words,
};
use super::stage::{PLATFORMS, RELEASE_WORKFLOW, STRANGER, Stage, Step};

/// What is said of an image without signatures.
const NOT_SIGNED: &[&str] = &["is not signed"];

/// The five refusals.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    unsigned(stage)?;
    signed_by_a_stranger(stage)?;
    signed_before(stage)?;
    tampered_layer(stage)?;
    moved_tag(stage)
}

fn unsigned(stage: &mut Stage) -> anyhow::Result<()> {
    stage.push("unsigned", "v1", "never signed")?;
    let image = stage.image("unsigned:v1");
    refused(
        stage,
        "An image that nobody signed",
        &image,
        UNSIGNED,
        NOT_SIGNED,
    )
}

fn signed_by_a_stranger(stage: &mut Stage) -> anyhow::Result<()> {
    stage.push("stranger", "v1", "the stranger's")?;
    let image = stage.image("stranger:v1");
    sign(
        stage,
        "Somebody else signs an image of theirs, with a token of their own",
        "strangers-token",
        &image,
    )?;
    let title = "An image with a genuine signature, but by somebody else";
    refused(stage, title, &image, REFUSED_BY_POLICY, &[STRANGER])
}

fn signed_before(stage: &mut Stage) -> anyhow::Result<()> {
    let app = stage.image("app:v1");
    let issuer = stage.issuer();
    let who = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    let since = ["--not-before", "2999-01-01T00:00:00Z"];
    stage.step(
        &Step {
            title: "An image that was signed before the time from which signatures are good again. \
                    (After a break-in, `not_before` revokes all earlier ones)",
            arguments: verify(&[&who[..], &since, &[&app]].concat()),
            exit_code: REFUSED_BY_POLICY,
            says: &["2999-01-01"],
        },
        |_| Ok(String::new()),
    )?;
    stage.empty("revoked")?;
    let arguments = [
        &["install"],
        &TRUSTED_ROOT[..],
        &who,
        &since,
        &[&app, "revoked/app"],
    ];
    stage.step(
        &Step {
            title: "The same, installed",
            arguments: words(&[], &arguments.concat()),
            exit_code: REFUSED_BY_POLICY,
            says: &["2999-01-01"],
        },
        |stage| stage.nothing_at("revoked/app"),
    )
}

fn tampered_layer(stage: &mut Stage) -> anyhow::Result<()> {
    let index = stage.push("tampered", "v1", "version 1")?;
    let image = stage.image("tampered:v1");
    sign(stage, "The project signs an image …", "token", &image)?;
    for layer in index
        .images()
        .iter()
        .flat_map(|image| &image.manifest().layers)
    {
        let other = "not what was signed";
        stage
            .registry
            .replace_blob("tampered", &layer.digest, other);
    }
    stage.empty("tampered")?;
    stage.step(
        &Step {
            title: "… and then the registry serves other bytes as its layers. The signature is good, \
                    the layers are not what it covers",
            arguments: install(PLATFORMS[0], &image, "tampered/app"),
            exit_code: INVALID,
            says: &["expected"],
        },
        |stage| stage.nothing_at("tampered/app"),
    )?;
    let installed = directory_for("app", PLATFORMS[0]);
    stage.step(
        &Step {
            title: "The same over an installation that is there: it stays, whole",
            arguments: install(PLATFORMS[0], &image, &installed),
            exit_code: INVALID,
            says: &["expected"],
        },
        |stage| stage.installed(&installed, PLATFORMS[0], "version 1"),
    )
}

fn moved_tag(stage: &mut Stage) -> anyhow::Result<()> {
    let signed = stage.push("moved", "v1", "version 1")?.digest();
    let tag = stage.image("moved:v1");
    sign(stage, "The project signs an image …", "token", &tag)?;
    let other = stage.push("moved", "v1", "somebody else's")?.digest();
    let title = "… and somebody moves its tag to another image, which is not signed";
    refused(stage, title, &tag, UNSIGNED, NOT_SIGNED)?;
    let pinned = stage.image(&format!("moved@{signed}"));
    stage.step(
        &Step {
            title: "By its digest, the signed image is still there, and still good",
            arguments: verify(&[&POLICY[..], &[&pinned]].concat()),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |_| Ok(String::new()),
    )?;
    let turns = Effect::Manifests(vec![signed, other]);
    let fault = Fault::on("GET /v2/moved/manifests/v1", turns);
    stage.registry.add_fault(fault);
    stage.empty("moving")?;
    stage.step(
        &Step {
            title: "A registry that answers for the tag with the signed image when asked first, and \
                    with the other one after that: the tag is asked once, so what is installed is \
                    what was verified",
            arguments: install(PLATFORMS[0], &tag, "moving/app"),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |stage| stage.installed("moving/app", PLATFORMS[0], "version 1"),
    )
}

/// Two steps: `verify` refuses the image, and `install` refuses it and leaves nothing.
fn refused(
    stage: &mut Stage,
    title: &str,
    image: &str,
    exit_code: i32,
    says: &[&str],
) -> anyhow::Result<()> {
    stage.step(
        &Step {
            title,
            arguments: verify(&[&POLICY[..], &[image]].concat()),
            exit_code,
            says,
        },
        |_| Ok(String::new()),
    )?;
    stage.empty("refused")?;
    stage.step(
        &Step {
            title: "The same, installed",
            arguments: install(PLATFORMS[0], image, "refused/app"),
            exit_code,
            says,
        },
        |stage| stage.nothing_at("refused/app"),
    )
}
