//! Input that can't be used: one clear error, the right exit code, and nothing left behind.

use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions};

use super::commands::{POLICY, TRUSTED_ROOT, install, sign, words};
use super::scene::{Scene, Step};
use crate::exit_code::{INVALID, NOT_FOUND, REJECTED, UNREACHABLE, USAGE};

/// Each fault on its own, before `install` and, for the token, `sign`.
pub(super) fn play(scene: &mut Scene) -> anyhow::Result<()> {
    let app = scene.image("app:v1");
    let signed = scene.push("app", "v1", "version 1")?.digest();
    let step = sign(scene, "token", &app)?.titled("An image is signed");
    scene.play(&step)?;
    scene.empty("bad")?;

    let malformed = install_from(TRUSTED_ROOT, "Not A Reference");
    refused(scene, "A reference that is not one", malformed, USAGE)?;

    let elsewhere = install("linux/s390x", &app, "bad/app");
    let title = "A platform that the image is not built for";
    refused(scene, title, elsewhere, NOT_FOUND)?;

    let missing = install_from(TRUSTED_ROOT, &scene.image("app:v2"));
    refused(scene, "A tag that does not exist", missing, NOT_FOUND)?;

    let gone = scene.another(RegistryOptions::default())?.host();
    let down = install_from(TRUSTED_ROOT, &format!("{gone}/app:v1"));
    refused(scene, "A registry that is down", down, UNREACHABLE)?;

    let login = scene.another(RegistryOptions {
        auth: Auth::Bearer {
            user: Some(("user".into(), "password".into())),
        },
        ..Default::default()
    })?;
    let private = install_from(TRUSTED_ROOT, &format!("{}/app:v1", login.host()));
    refused(scene, "A registry that wants a login", private, REJECTED)?;

    scene.registry.add_fault(on_manifests(Effect::HtmlLogin));
    let page = install_from(TRUSTED_ROOT, &app);
    let title = "A web page where the registry should be";
    refused(scene, title, page, REJECTED)?;
    scene.registry.clear_faults();

    let other = Effect::Body(r#"{"schemaVersion":2,"manifests":[]}"#.into());
    scene.registry.add_fault(on_manifests(other));
    let pinned = scene.image(&format!("app@{signed}"));
    let lies = install_from(TRUSTED_ROOT, &pinned);
    let title = "A registry that answers with other bytes than those of the digest asked for";
    refused(scene, title, lies, INVALID)?;
    scene.registry.clear_faults();

    scene.write("not-a-root.json", r#"{"keys": []}"#)?;
    let untrusted = install_from(["--trusted-root", "not-a-root.json"], &app);
    refused(scene, "A trusted root that isn't one", untrusted, USAGE)?;

    let by_tag = sign(scene, "token", &app)?
        .without("--by-tag")
        .titled("An image to sign, by a tag alone")
        .why("The registry decides what a tag names, and would decide what is signed.")
        .exits(USAGE)
        .says("expected a digest in each reference");
    scene.play(&by_tag)?;

    let expired = sign(scene, "expired-token", &app)?
        .titled("An identity token that has expired")
        .exits(REJECTED)
        .says("has expired");
    scene.play(&expired)
}

fn refused(
    scene: &mut Scene,
    title: &str,
    arguments: Vec<String>,
    exit_code: i32,
) -> anyhow::Result<()> {
    let step = Step::new(title, arguments).exits(exit_code).says("error: ");
    scene.play_and(&step, |scene| scene.nothing_at("bad/app"))
}

/// `countersign install` for this machine's platform.
fn install_from(trust: [&str; 2], image: &str) -> Vec<String> {
    let head = [&["install"], &trust[..], &POLICY].concat();
    words(&head, &[image, "bad/app"])
}

fn on_manifests(effect: Effect) -> Fault {
    Fault::on("GET /v2/app/manifests/*", effect)
}
