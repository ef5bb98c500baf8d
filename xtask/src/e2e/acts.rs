//! What is played: what works, what is refused, and what is wrong input.

use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions, RekorVersion};

use super::stage::{PLATFORMS, RELEASE_WORKFLOW, STRANGER, Stage, Step};

/// Flags that name the trust root.
const TRUSTED_ROOT: [&str; 2] = ["--trusted-root", "trusted_root.json"];
/// Flags that name the policy.
const POLICY: [&str; 2] = ["--policy", "policy.yaml"];

const DONE: i32 = 0;
const USAGE: i32 = 2;
const UNSIGNED: i32 = 3;
const REFUSED_BY_POLICY: i32 = 4;
const INVALID: i32 = 5;
const NOT_FOUND: i32 = 6;
const UNREACHABLE: i32 = 7;

/// What is said of an image without signatures.
const NOT_SIGNED: &[&str] = &["is not signed"];

/// Sign, verify, install.
pub(super) fn what_works(stage: &mut Stage, rekor: RekorVersion) -> anyhow::Result<()> {
    stage.push("app", "v1", "version 1")?;
    let app = stage.image("app:v1");
    sign(
        stage,
        "The project's CI signs the image: the index and the image for each platform. \
         It proves who it is by a token of the CI (here from a file)",
        rekor,
        "token",
        &app,
    )?;
    let issuer = stage.issuer();
    stage.step(
        &Step {
            title: "Anyone can prove who signed it; issuer and identity say who must have",
            arguments: verify(&["--issuer", &issuer, "--identity", RELEASE_WORKFLOW, &app]),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |_| Ok(String::new()),
    )?;
    for platform in PLATFORMS {
        stage.step(
            &Step {
                title: &format!(
                    "The image for {platform} is signed too; the policy is in a file this time"
                ),
                arguments: verify(&[&POLICY[..], &["--platform", platform, &app]].concat()),
                exit_code: DONE,
                says: &[RELEASE_WORKFLOW],
            },
            |_| Ok(String::new()),
        )?;
    }
    let tuf_url = stage.sigstore.tuf_url().to_string();
    stage.step(
        &Step {
            title: "The trust root can also come from a TUF repository, which keeps it up to date",
            arguments: words(
                &[
                    "verify",
                    "--tuf-url",
                    &tuf_url,
                    "--tuf-root",
                    "tuf_root.json",
                ],
                &[&POLICY[..], &[&app]].concat(),
            ),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |_| Ok(String::new()),
    )?;
    for platform in PLATFORMS {
        let directory = directory_for("app", platform);
        stage.step(
            &Step {
                title: &format!("The image for {platform} is verified and installed in one go"),
                arguments: install(platform, &app, &directory),
                exit_code: DONE,
                says: &[RELEASE_WORKFLOW],
            },
            |stage| stage.installed(&directory, platform, "version 1"),
        )?;
    }
    Ok(())
}

/// The refusals. Each is tried by `verify`, where it can see the fault, and by `install`.
pub(super) fn what_is_refused(stage: &mut Stage) -> anyhow::Result<()> {
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
        RekorVersion::V2,
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
    sign(
        stage,
        "The project signs an image …",
        RekorVersion::V2,
        "token",
        &image,
    )?;
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
    sign(
        stage,
        "The project signs an image …",
        RekorVersion::V2,
        "token",
        &tag,
    )?;
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

/// One clear error, the right exit code, and nothing left behind.
pub(super) fn bad_input(stage: &mut Stage) -> anyhow::Result<()> {
    let app = stage.image("app:v1");
    let signed = stage.push("app", "v1", "version 1")?.digest();
    sign(stage, "An image is signed", RekorVersion::V2, "token", &app)?;
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
            signing(stage, RekorVersion::V2, "expired-token", &app)?,
            USAGE,
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

/// A step that signs.
fn sign(
    stage: &mut Stage,
    title: &str,
    rekor: RekorVersion,
    token: &str,
    image: &str,
) -> anyhow::Result<()> {
    let arguments = signing(stage, rekor, token, image)?;
    let step = Step {
        title,
        arguments,
        exit_code: DONE,
        says: &[],
    };
    stage.step(&step, |_| Ok(String::new()))
}

/// The services are named by a signing config, or one by one, so that both ways are gone.
fn signing(
    stage: &Stage,
    rekor: RekorVersion,
    token: &str,
    image: &str,
) -> anyhow::Result<Vec<String>> {
    let token = format!("@{token}");
    let head = ["sign", "--identity-token", &token];
    let tail = [&TRUSTED_ROOT[..], &[image]].concat();
    let services = match rekor {
        RekorVersion::V2 => {
            let config = stage.sigstore.signing_config_json(rekor);
            stage.write("signing_config.json", config)?;
            words(&["--signing-config", "signing_config.json"], &[])
        }
        RekorVersion::V1 => {
            let fulcio = stage.sigstore.fulcio_url();
            let log = stage.sigstore.rekor_url(rekor);
            let tsa = stage.sigstore.tsa_url();
            let version = ["--rekor-version", "1", "--tsa-url", tsa.as_str()];
            let urls = ["--fulcio-url", fulcio.as_str(), "--rekor-url", log.as_str()];
            words(&urls, &version)
        }
    };
    Ok([words(&head, &[]), services, words(&[], &tail)].concat())
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

fn verify(arguments: &[&str]) -> Vec<String> {
    words(&[&["verify"], &TRUSTED_ROOT[..]].concat(), arguments)
}

fn install(platform: &str, image: &str, directory: &str) -> Vec<String> {
    let tail = ["--platform", platform, image, directory];
    words(&[&["install"], &TRUSTED_ROOT[..], &POLICY].concat(), &tail)
}

fn words(head: &[&str], tail: &[&str]) -> Vec<String> {
    head.iter()
        .chain(tail)
        .map(|word| (*word).to_owned())
        .collect()
}

/// `app-amd64` for `app` on `linux/amd64`.
fn directory_for(name: &str, platform: &str) -> String {
    let architecture = platform.rsplit('/').next().unwrap_or(platform);
    format!("{name}-{architecture}")
}
