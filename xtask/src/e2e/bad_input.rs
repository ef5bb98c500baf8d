//! Input that can't be used: one clear error, the right exit code, and nothing left behind.

use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions};

use super::commands::{
    INVALID, NOT_FOUND, POLICY, TRUSTED_ROOT, UNREACHABLE, USAGE, install, sign, signing, words,
};
use super::stage::{Stage, Step};

/// Each fault on its own, before `install` and, for the token, `sign`.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let app = stage.image("app:v1");
    let signed = stage.push("app", "v1", "version 1")?.digest();
    sign(stage, "An image is signed", "token", &app)?;
    let missing = stage.image("app:v2");
    // Once it is dropped, nobody listens at its port.
    let gone = stage.another(RegistryOptions::default())?;
    let down = format!("{}/app:v1", gone.host());
    drop(gone);
    let login = stage.another(RegistryOptions {
        auth: Auth::Bearer {
            user: Some(("user".into(), "password".into())),
        },
        ..Default::default()
    })?;
    let private = format!("{}/app:v1", login.host());
    stage.write("not-a-root.json", "{\"keys\": []}")?;
    let not_a_root = ["--trusted-root", "not-a-root.json"];
    let install_with = |trust: [&str; 2], image: &str| {
        let tail = [&POLICY[..], &[image, "bad/app"]].concat();
        words(&["install", trust[0], trust[1]], &tail)
    };
    let cases: [(&str, Vec<String>, i32, Option<Effect>); 9] = [
        (
            "A reference that is not one",
            install_with(TRUSTED_ROOT, "Not A Reference"),
            USAGE,
            None,
        ),
        (
            "A platform that the image is not built for",
            install("linux/s390x", &app, "bad/app"),
            NOT_FOUND,
            None,
        ),
        (
            "A tag that does not exist",
            install_with(TRUSTED_ROOT, &missing),
            NOT_FOUND,
            None,
        ),
        (
            "A registry that is down",
            install_with(TRUSTED_ROOT, &down),
            UNREACHABLE,
            None,
        ),
        (
            "A registry that wants a login",
            install_with(TRUSTED_ROOT, &private),
            UNREACHABLE,
            None,
        ),
        (
            "A login page where the registry should be",
            install_with(TRUSTED_ROOT, &app),
            UNREACHABLE,
            Some(Effect::HtmlLogin),
        ),
        (
            "A registry that answers with other bytes than the digest asked for",
            install_with(TRUSTED_ROOT, &stage.image(&format!("app@{signed}"))),
            INVALID,
            Some(Effect::Body(
                "{\"schemaVersion\":2,\"manifests\":[]}".into(),
            )),
        ),
        (
            "A trusted root that isn't one",
            install_with(not_a_root, &app),
            USAGE,
            None,
        ),
        (
            "An identity token that has expired",
            signing(stage, "expired-token", &app)?,
            UNREACHABLE,
            None,
        ),
    ];
    stage.empty("bad")?;
    for (title, arguments, exit_code, effect) in cases {
        if let Some(effect) = effect {
            let fault = Fault::on("GET /v2/app/manifests/*", effect);
            stage.registry.add_fault(fault);
        }
        let step = Step {
            title,
            arguments,
            exit_code,
            says: &["error"],
        };
        stage.step(&step, |stage| stage.nothing_at("bad/app"))?;
        stage.registry.clear_faults();
    }
    Ok(())
}
