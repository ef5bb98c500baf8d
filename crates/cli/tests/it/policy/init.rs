//! `countersign policy init`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, SigningKey, SigningKeyKind, Statement};

use crate::stage::{RELEASE, STRANGER, Stage, TRUST, run};

#[tokio::test]
async fn a_new_policy_accepts_those_who_signed_and_nobody_else() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let from = |reference: &str| {
        let arguments = ["policy", "init", "--from", reference];
        run(&mut stage.command(&[&arguments[..], &TRUST].concat()))
    };
    let made = from(&app);
    assert_eq!(made.code, 0, "{}", made.shown());
    assert!(
        made.stdout.contains(&format!("identity: '{RELEASE}'")),
        "{}",
        made.shown()
    );
    assert!(
        made.stderr
            .contains("compare the signer with what the project publishes"),
        "{}",
        made.shown()
    );
    stage.write("new.yaml", &made.stdout);
    // It names the trusted root that it needs, and stands its own test.
    let alone = run(&mut stage.command(&["verify", "--policy", "new.yaml", &app]));
    assert_eq!(alone.code, 0, "{}", alone.shown());
    let strict = run(&mut stage.command(&["policy", "check", "--strict", "new.yaml"]));
    assert_eq!(strict.code, 0, "{}", strict.shown());
    let verify = ["verify", "--policy", "new.yaml", &app];
    assert_eq!(
        run(&mut stage.command(&[&verify[..], &TRUST].concat())).code,
        0
    );
    stage.write("other.yaml", made.stdout.replace(RELEASE, STRANGER));
    let verify = ["verify", "--policy", "other.yaml", &app];
    assert_eq!(
        run(&mut stage.command(&[&verify[..], &TRUST].concat())).code,
        4
    );

    crate::stage::image("linux/amd64").push(&stage.registry, "bare", Some("v1"));
    let bare = from(&stage.reference("bare:v1"));
    assert_eq!(
        (bare.code, bare.stdout.as_str()),
        (3, ""),
        "{}",
        bare.shown()
    );
    assert!(
        bare.stderr.contains("found no signature"),
        "{}",
        bare.shown()
    );
    let nowhere = run(stage
        .command(&["policy", "init"])
        .stdin(std::process::Stdio::null()));
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (2, ""));
}

/// Wherever it is saved, and from wherever it is used.
#[tokio::test]
async fn a_new_policy_names_the_whole_path_of_its_trusted_root() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let made = stage.run(&[&["policy", "init", "--from", &app], &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    let whole = stage.path("trusted_root.json").display().to_string();
    assert!(made.stdout.contains(&whole), "{}", made.shown());
    stage.write("elsewhere/new.yaml", &made.stdout);
    let verified = stage.run(&[&["verify", "--policy", "elsewhere/new.yaml", &app]]);
    assert_eq!(verified.code, 0, "{}", verified.shown());
}

#[tokio::test]
async fn a_trusted_root_that_no_policy_can_name_is_refused() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let name = OsStr::from_bytes(b"root-\xff.json");
    let copied = std::fs::copy(
        stage.path("trusted_root.json"),
        stage.directory.path().join(name),
    );
    assert!(copied.is_ok(), "{copied:?}");
    let app = stage.reference("app:v1");
    let tuf = ["--tuf-url", "https://tuf.example.org", "--tuf-root"];
    for flags in [&["--trusted-root"][..], &tuf] {
        let arguments = [&["policy", "init", "--from", &app], flags].concat();
        let refused = run(stage.command(&arguments).arg(name));
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (2, ""),
            "{}",
            refused.shown()
        );
        for said in [
            "expected a path in UTF-8",
            "root-\u{fffd}.json",
            "hint: rename",
        ] {
            assert!(refused.stderr.contains(said), "{}", refused.stderr);
        }
    }
}

/// A signature by a key does not say by which: the policy's author has to have it from elsewhere.
#[tokio::test]
async fn of_an_image_signed_with_a_key_it_is_said_what_to_do() {
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), RELEASE).signed_with(&key);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
    let app = stage.reference("app:v1");
    let from = || stage.run(&[&["policy", "init", "--from", &app], &TRUST]);
    let none = from();
    assert_eq!(
        (none.code, none.stdout.as_str()),
        (3, ""),
        "{}",
        none.shown()
    );
    for said in [
        "is signed with a key",
        "`verification: {key: cosign.pub}`",
        "verify --key cosign.pub",
    ] {
        assert!(none.stderr.contains(said), "{}", none.stderr);
    }
    stage.signed("app:v1", RELEASE);
    let some = from();
    assert_eq!(some.code, 0, "{}", some.shown());
    assert!(
        some.stderr.contains("signatures with a key, too"),
        "{}",
        some.stderr
    );
}
