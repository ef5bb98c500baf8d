//! A file that is found upward from the working directory: whether its directory is allowed.

use super::*;
use crate::stage::TRUST;

#[tokio::test]
async fn a_file_that_nobody_allowed_decides_nothing_and_is_told() {
    let stage = Stage::new().await;
    stage.configure(USER, "store = 'mine'");
    stage.write("below/file", "");
    let here = stage.directory.path().display().to_string();
    for hostile in [
        "policy = 'evil.yaml'\ntrust = 'evil.json'\nsigning-config = 'evil.json'\ngallery = 'evil.yaml'\n\
         store = 'evil'\nproxy = 'evil.example'\n",
        "this is no TOML",
    ] {
        stage.configure(PROJECT, hostile);
        let mut command = stage.command(&["list"]);
        let run = run(command.current_dir(stage.path("below")));
        assert_eq!(run.code, 0, "{}", run.shown());
        let told = "warning: /here/countersign.toml is not used: to use it, add /here to `allow` in \
                    /here/home/.config/countersign/countersign.toml, or pass --config /here/countersign.toml";
        let said = run.stderr.replace(&here, "/here");
        assert_eq!(
            said.lines().filter(|line| *line == told).count(),
            1,
            "{said}"
        );
        assert!(!run.shown().contains("evil"), "{}", run.shown());
        for words in [
            &["list", "--quiet"][..],
            &["version"],
            &["list", "--config", "/dev/null"],
        ] {
            let run = stage.run(&[words]);
            assert_eq!(run.code, 0, "{words:?}: {}", run.shown());
            assert!(!run.stderr.contains(PROJECT), "{words:?}: {}", run.stderr);
        }
        failures_name_the_file(&stage, &here);
        let shown = stage.run(&[&["config", "show"]]).stdout;
        let line = format!(
            "found, not allowed  {here}/countersign.toml (this directory or one above it)\n"
        );
        assert!(shown.contains(&line), "{shown}");
        let document = stage.show(|_| ());
        assert_eq!(document["files"][0]["state"], "not_allowed");
        assert_eq!(found(&document, "store").1, "user");
        assert_eq!(found(&document, "trust").1, "default");
        assert!(!document.to_string().contains("evil"), "{document}");
    }
    // Whoever trusts it says so.
    stage.configure(PROJECT, "store = 'ours'");
    let named = stage.run(&[&["config", "show", "--config", PROJECT]]);
    assert_eq!((named.code, named.stderr.as_str()), (0, ""));
    assert!(named.stdout.contains("ours"), "{}", named.stdout);
    stage.allow();
    let document = stage.show(|_| ());
    assert_eq!(document["files"][0]["state"], "read");
    assert_eq!(found(&document, "store").1, "project");
}

/// A failure may be because of what a file says that is not used.
fn failures_name_the_file(stage: &Stage, here: &str) {
    let app = stage.reference("app:v1");
    let failed = stage.run(&[&["verify", "--output", "json", &app]]);
    let hints = failed.json()["error"]["hints"]
        .to_string()
        .replace(here, "/here");
    assert!(
        hints.contains("/here/countersign.toml is not used"),
        "{hints}"
    );
    assert_eq!((failed.code, failed.stderr.as_str()), (2, ""));
    let gone = stage.reference("gone:v1");
    stage.write("list.txt", &gone);
    for words in [
        &["tree", &gone][..],
        &["verify", "--policy=policy.yaml", &gone],
        &["audit", "--policy=policy.yaml", "--images=list.txt"],
        &["copy", "--policy=policy.yaml", &gone, "ocifile://kept"],
    ] {
        let failed = stage.run(&[words, &TRUST, &["--output", "json"]]).json();
        let hints = failed["results"][0]["error"]["hints"].to_string();
        let hints = hints.replace(here, "/here");
        assert!(
            hints.contains("/here/countersign.toml is not used"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn only_the_user_s_file_and_the_machine_s_allow_directories() {
    let stage = Stage::new().await;
    stage.allow();
    stage.configure(PROJECT, "allow = ['/']");
    let run = refused(
        &stage,
        "allow: a file that was found in the working directory or above it can't",
    );
    assert!(run.stderr.contains("1 | allow"), "{}", run.stderr);
    let named = stage.run(&[&["list", "--config", PROJECT]]);
    assert_eq!(named.code, 2, "{}", named.shown());
    let says = "allow: it has no meaning in a file that --config or COUNTERSIGN_CONFIG names";
    assert!(named.stderr.contains(says), "{}", named.stderr);
    assert!(named.stderr.contains("remove it here"), "{}", named.stderr);
}
