//! What has to be refused. Each is tried by `verify`, where that can see the fault, and by
//! `install`, which has to leave nothing behind.

use countersign_oci::Digest;
use countersign_sandbox::image::Image;
use countersign_sandbox::{Effect, Fault};

use super::commands::{
    INVALID, POLICY, REFUSED_BY_POLICY, TRUSTED_ROOT, UNSIGNED, directory_for, install, sign,
    verify, words,
};
use super::stage::{PLATFORMS, RELEASE_WORKFLOW, STRANGER, Stage, Step};

/// What is said of an image without signatures.
const NOT_SIGNED: &str = "is not signed";
/// What is said of bytes that are not those of the digest.
const WRONG_CONTENT: &str = "has the wrong content";

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
    let title = "An image that nobody signed";
    refused(stage, title, &image, UNSIGNED, NOT_SIGNED)
}

fn signed_by_a_stranger(stage: &mut Stage) -> anyhow::Result<()> {
    stage.push("stranger", "v1", "the stranger's")?;
    let image = stage.image("stranger:v1");
    let step = sign(stage, "strangers-token", &image)?
        .titled("Somebody else signs an image of theirs, with a token of their own");
    stage.play(&step)?;
    let title = "An image with a genuine signature, but by somebody else";
    refused(stage, title, &image, REFUSED_BY_POLICY, STRANGER)
}

fn signed_before(stage: &mut Stage) -> anyhow::Result<()> {
    const SINCE: &str = "2999-01-01T00:00:00Z";
    let app = stage.image("app:v1");
    let issuer = stage.issuer();
    let who = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    let policy = [&who[..], &["--not-before", SINCE]].concat();
    let title = "An image that was signed before the time from which signatures count";
    let step = Step::new(title, verify(&[&policy[..], &[&app]].concat()))
        .why("After a break-in, `not_before` revokes all earlier signatures at once.")
        .exits(REFUSED_BY_POLICY)
        .says(SINCE);
    stage.play(&step)?;
    stage.empty("revoked")?;
    let arguments = [
        &policy[..],
        &["--platform", PLATFORMS[0], &app, "revoked/app"],
    ]
    .concat();
    let arguments = words(&[&["install"], &TRUSTED_ROOT[..]].concat(), &arguments);
    let step = Step::new("The same, installed", arguments)
        .exits(REFUSED_BY_POLICY)
        .says(SINCE);
    stage.play_and(&step, |stage| stage.nothing_at("revoked/app"))
}

fn tampered_layer(stage: &mut Stage) -> anyhow::Result<()> {
    let index = stage.push("tampered", "v1", "version 2")?;
    let image = stage.image("tampered:v1");
    let step = sign(stage, "token", &image)?.titled("The project signs an image …");
    stage.play(&step)?;
    for layer in index.images().iter().flat_map(Image::layers) {
        let mut other = layer.to_vec();
        other.iter_mut().for_each(|byte| *byte ^= 1);
        let digest = Digest::sha256(layer);
        stage.registry.replace_blob("tampered", &digest, other);
    }
    stage.empty("tampered")?;
    let arguments = install(PLATFORMS[0], &image, "tampered/app");
    let title = "… and then the registry serves other bytes as its layers";
    let step = Step::new(title, arguments)
        .why("The signature is good; the layers are not what it covers.")
        .exits(INVALID)
        .says(WRONG_CONTENT);
    stage.play_and(&step, |stage| stage.nothing_at("tampered/app"))?;

    let there = directory_for("app", PLATFORMS[0]);
    let arguments = install(PLATFORMS[0], &image, &there);
    let step = Step::new("The same over an earlier installation", arguments)
        .why("That one stays as it was, whole.")
        .exits(INVALID)
        .says(WRONG_CONTENT);
    stage.play_and(&step, |stage| {
        stage.installed(&there, PLATFORMS[0], "version 1")
    })
}

fn moved_tag(stage: &mut Stage) -> anyhow::Result<()> {
    let signed = stage.push("moved", "v1", "version 1")?.digest();
    let tag = stage.image("moved:v1");
    let step = sign(stage, "token", &tag)?.titled("The project signs an image …");
    stage.play(&step)?;
    let other = stage.push("moved", "v1", "somebody else's")?.digest();
    let title = "… and somebody moves its tag to another image, which is not signed";
    refused(stage, title, &tag, UNSIGNED, NOT_SIGNED)?;

    let pinned = stage.image(&format!("moved@{signed}"));
    let arguments = verify(&[&POLICY[..], &[&pinned]].concat());
    let title = "By its digest, the signed image is still there, and still good";
    let step = Step::new(title, arguments).says(RELEASE_WORKFLOW);
    stage.play(&step)?;

    let turns = Effect::Manifests(vec![signed, other]);
    let fault = Fault::on("GET /v2/moved/manifests/v1", turns);
    stage.registry.add_fault(fault);
    stage.empty("moving")?;
    let arguments = install(PLATFORMS[0], &tag, "moving/app");
    let title = "A registry that answers differently each time that it is asked for the tag";
    let step = Step::new(title, arguments)
        .why(
            "First with the signed image, then with the other one. The tag is asked for once, so \
             what is installed is what was verified.",
        )
        .says(RELEASE_WORKFLOW);
    stage.play_and(&step, |stage| {
        stage.installed("moving/app", PLATFORMS[0], "version 1")
    })
}

/// Two steps: `verify` refuses the image, and `install` refuses it and leaves nothing.
fn refused(
    stage: &mut Stage,
    title: &str,
    image: &str,
    exit_code: i32,
    says: &str,
) -> anyhow::Result<()> {
    let arguments = verify(&[&POLICY[..], &[image]].concat());
    let step = Step::new(title, arguments).exits(exit_code).says(says);
    stage.play(&step)?;
    stage.empty("refused")?;
    let arguments = install(PLATFORMS[0], image, "refused/app");
    let step = Step::new("The same, installed", arguments)
        .exits(exit_code)
        .says(says);
    stage.play_and(&step, |stage| stage.nothing_at("refused/app"))
}
