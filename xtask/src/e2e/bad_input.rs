//! Input that can't be used: one clear error, the right exit code, and nothing left behind.

use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions};

use super::commands::{
    INVALID, NOT_FOUND, POLICY, TRUSTED_ROOT, UNREACHABLE, USAGE, install, sign, words,
};
use super::stage::{Stage, Step};

/// Each fault on its own, before `install` and, for the token, `sign`.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let app = stage.image("app:v1");
    let signed = stage.push("app", "v1", "version 1")?.digest();
    let step = sign(stage, "token", &app)?.titled("An image is signed");
    stage.play(&step)?;
    stage.empty("bad")?;

    let malformed = install_from(TRUSTED_ROOT, "Not A Reference");
    refused(stage, "A reference that is not one", malformed, USAGE)?;

    let elsewhere = install("linux/s390x", &app, "bad/app");
    let title = "A platform that the image is not built for";
    refused(stage, title, elsewhere, NOT_FOUND)?;

    let missing = install_from(TRUSTED_ROOT, &stage.image("app:v2"));
    refused(stage, "A tag that does not exist", missing, NOT_FOUND)?;

    let gone = stage.another(RegistryOptions::default())?.host();
    let down = install_from(TRUSTED_ROOT, &format!("{gone}/app:v1"));
    refused(stage, "A registry that is down", down, UNREACHABLE)?;

    let login = stage.another(RegistryOptions {
        auth: Auth::Bearer {
            user: Some(("user".into(), "password".into())),
        },
        ..Default::default()
    })?;
    let private = install_from(TRUSTED_ROOT, &format!("{}/app:v1", login.host()));
    refused(stage, "A registry that wants a login", private, UNREACHABLE)?;

    stage.registry.add_fault(on_manifests(Effect::HtmlLogin));
    let page = install_from(TRUSTED_ROOT, &app);
    let title = "A web page where the registry should be";
    refused(stage, title, page, UNREACHABLE)?;
    stage.registry.clear_faults();

    let other = Effect::Body(r#"{"schemaVersion":2,"manifests":[]}"#.into());
    stage.registry.add_fault(on_manifests(other));
    let pinned = stage.image(&format!("app@{signed}"));
    let lies = install_from(TRUSTED_ROOT, &pinned);
    let title = "A registry that answers with other bytes than those of the digest asked for";
    refused(stage, title, lies, INVALID)?;
    stage.registry.clear_faults();

    stage.write("not-a-root.json", r#"{"keys": []}"#)?;
    let untrusted = install_from(["--trusted-root", "not-a-root.json"], &app);
    refused(stage, "A trusted root that isn't one", untrusted, USAGE)?;

    let by_tag = sign(stage, "token", &app)?
        .without("--by-tag")
        .titled("An image to sign, by a tag alone")
        .why("The registry decides what a tag names, and would decide what is signed.")
        .exits(USAGE)
        .says("expected a digest in each reference");
    stage.play(&by_tag)?;

    let expired = sign(stage, "expired-token", &app)?
        .titled("An identity token that has expired")
        .exits(UNREACHABLE)
        .says("has expired");
    stage.play(&expired)
}

fn refused(
    stage: &mut Stage,
    title: &str,
    arguments: Vec<String>,
    exit_code: i32,
) -> anyhow::Result<()> {
    let step = Step::new(title, arguments).exits(exit_code).says("error: ");
    stage.play_and(&step, |stage| stage.nothing_at("bad/app"))
}

/// `countersign install` for this machine's platform.
fn install_from(trust: [&str; 2], image: &str) -> Vec<String> {
    let head = [&["install"], &trust[..], &POLICY].concat();
    words(&head, &[image, "bad/app"])
}

fn on_manifests(effect: Effect) -> Fault {
    Fault::on("GET /v2/app/manifests/*", effect)
}
