//! What has to be refused. Each is tried by `verify`, where that can see the fault, and by
//! `install`, which has to leave nothing behind.

use countersign_oci::Digest;
use countersign_sandbox::image::Image;
use countersign_sandbox::{Effect, Fault};

use super::commands::{POLICY, TRUSTED_ROOT, directory_for, install, sign, verify, words};
use super::scene::{PLATFORMS, STRANGER, Scene, Step};
use crate::exit_code::{INVALID, REFUSED_BY_POLICY, UNSIGNED};
use crate::identities::RELEASE_WORKFLOW;

/// What is said of an image without signatures.
const NOT_SIGNED: &str = "is not signed";
/// What is said of bytes that are not those of the digest.
const WRONG_CONTENT: &str = "has the wrong content";

/// The five refusals.
pub(super) fn play(scene: &mut Scene) -> anyhow::Result<()> {
    unsigned(scene)?;
    signed_by_a_stranger(scene)?;
    signed_before(scene)?;
    tampered_layer(scene)?;
    moved_tag(scene)
}

fn unsigned(scene: &mut Scene) -> anyhow::Result<()> {
    scene.push("unsigned", "v1", "never signed")?;
    let image = scene.image("unsigned:v1");
    let title = "An image that nobody signed";
    refused(scene, title, &image, UNSIGNED, NOT_SIGNED)
}

fn signed_by_a_stranger(scene: &mut Scene) -> anyhow::Result<()> {
    scene.push("stranger", "v1", "the stranger's")?;
    let image = scene.image("stranger:v1");
    let step = sign(scene, "strangers-token", &image)?
        .titled("Somebody else signs an image of theirs, with a token of their own");
    scene.play(&step)?;
    let title = "An image with a genuine signature, but by somebody else";
    refused(scene, title, &image, REFUSED_BY_POLICY, STRANGER)
}

fn signed_before(scene: &mut Scene) -> anyhow::Result<()> {
    const SINCE: &str = "2999-01-01T00:00:00Z";
    let app = scene.image("app:v1");
    let issuer = scene.issuer();
    let who = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    let policy = [&who[..], &["--not-before", SINCE]].concat();
    let title = "An image that was signed before the time from which signatures count";
    let step = Step::new(title, verify(&[&policy[..], &[&app]].concat()))
        .why("After a break-in, `not_before` revokes all earlier signatures at once.")
        .exits(REFUSED_BY_POLICY)
        .says(SINCE);
    scene.play(&step)?;
    scene.empty("revoked")?;
    let arguments = [
        &policy[..],
        &["--platform", PLATFORMS[0], &app, "revoked/app"],
    ]
    .concat();
    let arguments = words(&[&["install"], &TRUSTED_ROOT[..]].concat(), &arguments);
    let step = Step::new("The same, installed", arguments)
        .exits(REFUSED_BY_POLICY)
        .says(SINCE);
    scene.play_and(&step, |scene| scene.nothing_at("revoked/app"))
}

fn tampered_layer(scene: &mut Scene) -> anyhow::Result<()> {
    let index = scene.push("tampered", "v1", "version 2")?;
    let image = scene.image("tampered:v1");
    let step = sign(scene, "token", &image)?.titled("The project signs an image …");
    scene.play(&step)?;
    for layer in index.images().iter().flat_map(Image::layers) {
        let mut other = layer.to_vec();
        other.iter_mut().for_each(|byte| *byte ^= 1);
        let digest = Digest::sha256(layer);
        scene.registry.replace_blob("tampered", &digest, other);
    }
    scene.empty("tampered")?;
    let arguments = install(PLATFORMS[0], &image, "tampered/app");
    let title = "… and then the registry serves other bytes as its layers";
    let step = Step::new(title, arguments)
        .why("The signature is good; the layers are not what it covers.")
        .exits(INVALID)
        .says(WRONG_CONTENT);
    scene.play_and(&step, |scene| scene.nothing_at("tampered/app"))?;

    let there = directory_for("app", PLATFORMS[0]);
    let arguments = install(PLATFORMS[0], &image, &there);
    let step = Step::new("The same over an earlier installation", arguments)
        .why("That one stays as it was, whole.")
        .exits(INVALID)
        .says(WRONG_CONTENT);
    scene.play_and(&step, |scene| {
        scene.installed(&there, PLATFORMS[0], "version 1")
    })
}

fn moved_tag(scene: &mut Scene) -> anyhow::Result<()> {
    let signed = scene.push("moved", "v1", "version 1")?.digest();
    let tag = scene.image("moved:v1");
    let step = sign(scene, "token", &tag)?.titled("The project signs an image …");
    scene.play(&step)?;
    let other = scene.push("moved", "v1", "somebody else's")?.digest();
    let title = "… and somebody moves its tag to another image, which is not signed";
    refused(scene, title, &tag, UNSIGNED, NOT_SIGNED)?;

    let pinned = scene.image(&format!("moved@{signed}"));
    let arguments = verify(&[&POLICY[..], &[&pinned]].concat());
    let title = "By its digest, the signed image is still there, and still good";
    let step = Step::new(title, arguments).says(RELEASE_WORKFLOW);
    scene.play(&step)?;

    let turns = Effect::Manifests(vec![signed, other]);
    let fault = Fault::on("GET /v2/moved/manifests/v1", turns);
    scene.registry.add_fault(fault);
    scene.empty("moving")?;
    let arguments = install(PLATFORMS[0], &tag, "moving/app");
    let title = "A registry that answers differently each time that it is asked for the tag";
    let step = Step::new(title, arguments)
        .why(
            "First with the signed image, then with the other one. The tag is asked for once, so \
             what is installed is what was verified.",
        )
        .says(RELEASE_WORKFLOW);
    scene.play_and(&step, |scene| {
        scene.installed("moving/app", PLATFORMS[0], "version 1")
    })
}

/// Two steps: `verify` refuses the image, and `install` refuses it and leaves nothing.
fn refused(
    scene: &mut Scene,
    title: &str,
    image: &str,
    exit_code: i32,
    says: &str,
) -> anyhow::Result<()> {
    let arguments = verify(&[&POLICY[..], &[image]].concat());
    let step = Step::new(title, arguments).exits(exit_code).says(says);
    scene.play(&step)?;
    scene.empty("refused")?;
    let arguments = install(PLATFORMS[0], image, "refused/app");
    let step = Step::new("The same, installed", arguments)
        .exits(exit_code)
        .says(says);
    scene.play_and(&step, |scene| scene.nothing_at("refused/app"))
}
