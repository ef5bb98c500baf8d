//! `countersign policy init`.

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
