//! `countersign doctor containerd`, on what a real containerd 2.4.2 printed (`containerd config dump`).

use std::os::unix::fs::PermissionsExt as _;

use countersign_sandbox::{SigningKey, SigningKeyKind};
use serde_json::Value;

use crate::stage::{RELEASE, Run, Stage};

/// The parts of the dump that are read. All else in it changes nothing.
const DUMP: &str = "\
version = 4
disabled_plugins = []
[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'
    disable_snapshot_annotations = true
    discard_unpacked_layers = false
    max_concurrent_downloads = 3
    image_pull_with_sync_fs = false
    use_local_image_pull = false
    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = ''
  [plugins.'io.containerd.image-verifier.v1.bindir']
    bin_dir = 'BIN_DIR'
    max_verifiers = 10
    per_verifier_timeout = '10s'
";

/// A node that is in order: a directory with the verifier, and containerd's configuration.
pub(crate) fn node(stage: &Stage) {
    stage.write("bin/countersign-image-verifier", "#!/bin/sh\n");
    executable(stage, "bin/countersign-image-verifier", 0o755);
    executable(stage, "bin", 0o755);
    dump(stage, "", "");
}

fn executable(stage: &Stage, name: &str, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(stage.path(name), mode).unwrap();
}

/// Writes the dump, with `from` replaced.
fn dump(stage: &Stage, from: &str, to: &str) {
    assert!(DUMP.contains(from), "{from}");
    let dump = if from.is_empty() {
        DUMP.to_owned()
    } else {
        DUMP.replace(from, to)
    };
    let bin = stage.path("bin").display().to_string();
    stage.write("containerd.toml", dump.replace("BIN_DIR", &bin));
}

fn configure(stage: &Stage, above: &str) {
    let verification = stage.verification(RELEASE);
    let text = format!(
        "{above}\ntrusted_root: trusted_root.json\nrules: [{{images: [quay.io/**], verification: {verification}}}]\n"
    );
    stage.write("image-verifier.yaml", text);
}

fn doctor(stage: &Stage, flags: &[&str]) -> Run {
    let usual = ["doctor", "containerd", "--config-dump", "containerd.toml"];
    stage.run(&[&usual, &["--config", "image-verifier.yaml"], flags])
}

fn failed(stage: &Stage) -> Vec<String> {
    let run = doctor(stage, &["--output", "json"]);
    let results = run.json()["results"].as_array().unwrap().clone();
    let failed = |check: &&Value| check["status"] == "failed";
    let found: Vec<String> = results
        .iter()
        .filter(failed)
        .map(|check| format!("{}: {}", check["check"], check["found"]).replace('"', ""))
        .collect();
    assert_eq!(run.code, if found.is_empty() { 0 } else { 4 }, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_in_order_passes() {
    let stage = Stage::new().await;
    node(&stage);
    configure(&stage, "");
    assert_eq!(failed(&stage), Vec::<String>::new());
    let shown = doctor(&stage, &[]).stdout;
    assert!(shown.ends_with("0 warnings, nothing failed\n"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_that_switches_verification_off_is_named() {
    let stage = Stage::new().await;
    node(&stage);
    configure(&stage, "");
    let registry = "      config_path = ''";
    let table = |name: &str| {
        format!(
            "{registry}\n[plugins.'io.containerd.cri.v1.images'.registry.{name}.'quay.io']\nx = 1"
        )
    };
    let (mirrors, configs, auths) = (table("mirrors"), table("configs"), table("auths"));
    for (from, to, says) in [
        (
            "use_local_image_pull = false",
            "use_local_image_pull = true",
            "use_local_image_pull",
        ),
        (
            "discard_unpacked_layers = false",
            "discard_unpacked_layers = true",
            "discard_unpacked_layers",
        ),
        (
            "disable_snapshot_annotations = true",
            "disable_snapshot_annotations = false",
            "disable_snapshot",
        ),
        (
            "image_pull_with_sync_fs = false",
            "image_pull_with_sync_fs = true",
            "image_pull_with_sync_fs",
        ),
        (
            "downloads = 3",
            "downloads = 8",
            "max_concurrent_downloads is not 3",
        ),
        (registry, &mirrors, "registry.mirrors is set"),
        (registry, &configs, "registry.configs is set"),
        (registry, &auths, "registry.auths is set"),
        (
            "disabled_plugins = []",
            "disabled_plugins = ['io.containerd.image-verifier.v1.bindir']",
            "plugins: ",
        ),
        (
            "disabled_plugins = []",
            "disabled_plugins = ['io.containerd.transfer.v1.local']",
            "plugins: ",
        ),
        (
            "image-verifier.v1.bindir",
            "image-verifier.v1.other",
            "plugins: containerd has no plugin",
        ),
        (
            "max_verifiers = 10",
            "max_verifiers = 0",
            "max_verifiers: 0",
        ),
        ("'10s'", "'8s'", "per_verifier_timeout: 8s"),
        (
            "BIN_DIR",
            "BIN_DIR/none",
            "none is not there: containerd allows every image",
        ),
    ] {
        dump(&stage, from, to);
        let found = failed(&stage);
        assert!(
            matches!(found.as_slice(), [only] if only.contains(says)),
            "{to}: {found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_directory_or_the_configuration_is_named() {
    let stage = Stage::new().await;
    node(&stage);
    configure(&stage, "");
    let finds = |says: &str| {
        let found = failed(&stage);
        assert!(
            matches!(found.as_slice(), [only] if only.contains(says)),
            "{says}: {found:?}"
        );
    };
    stage.write("bin/policy.yaml", "");
    finds("policy.yaml can't be run");
    executable(&stage, "bin/policy.yaml", 0o755);
    let shown = doctor(&stage, &[]);
    assert_eq!(shown.code, 0, "{}", shown.shown());
    assert!(
        shown
            .stdout
            .contains("policy.yaml in the same directory is run"),
        "{}",
        shown.stdout
    );
    dump(&stage, "max_verifiers = 10", "max_verifiers = -1");
    assert_eq!(failed(&stage), Vec::<String>::new());
    std::fs::remove_file(stage.path("bin/policy.yaml")).unwrap();

    executable(&stage, "bin", 0o777);
    finds("can be written by others");
    executable(&stage, "bin", 0o755);
    stage.write("trusted_root.json", "{}");
    finds("trusted root: ");
    stage.write("image-verifier.yaml", "rule: []");
    finds("configuration: ");
    std::fs::remove_file(stage.path("bin/countersign-image-verifier")).unwrap();
    let found = failed(&stage);
    assert!(
        found
            .iter()
            .any(|one| one.contains("is empty: containerd allows every image")),
        "{found:?}"
    );
}

/// Each file that decides what is pulled, and who else could write it.
#[tokio::test(flavor = "multi_thread")]
async fn who_can_write_what_decides_is_named() {
    let stage = Stage::new().await;
    node(&stage);
    stage.write(
        "key.pub",
        SigningKey::generate(SigningKeyKind::EcdsaP256)
            .unwrap()
            .public_pem(),
    );
    for name in ["root.json", "other_root.json"] {
        std::fs::copy(stage.path("trusted_root.json"), stage.path(name)).unwrap();
    }
    let signer = stage.verification(RELEASE);
    let tuf = format!(
        "{}, trust: {{tuf_url: 'http://127.0.0.1:1', tuf_root: root.json}}}}",
        signer.trim_end_matches('}')
    );
    let own = format!(
        "{}, trust: {{trusted_root: other_root.json}}}}",
        signer.trim_end_matches('}')
    );
    let text = format!(
        "trusted_root: trusted_root.json\nstate_directory: state\njournal_socket: journal\nrules:\n\
         - {{images: [a.example/**], verification: {{key: key.pub, ignore_tlog: true}}}}\n\
         - {{images: [b.example/**], verification: {tuf}}}\n\
         - {{images: [c.example/**], verification: {own}}}\n\
         - {{images: [d.example/**], verification: {signer}}}\n"
    );
    stage.write("image-verifier.yaml", text);
    std::fs::create_dir(stage.path("state")).unwrap();
    let _journal = std::os::unix::net::UnixDatagram::bind(stage.path("journal")).unwrap();
    executable(&stage, "journal", 0o666);
    let found = || {
        let mut found = failed(&stage);
        // Nobody has fetched anything from that repository.
        found.retain(|one| !one.contains("127.0.0.1:1"));
        found
    };
    assert_eq!(found(), Vec::<String>::new());
    for (name, check) in [
        ("key.pub", "key"),
        ("root.json", "tuf_root"),
        ("other_root.json", "trusted_root"),
        ("trusted_root.json", "trusted_root"),
        ("image-verifier.yaml", "configuration"),
        ("state", "state_directory"),
    ] {
        let before = std::fs::metadata(stage.path(name)).unwrap().permissions();
        executable(&stage, name, before.mode() | 0o022);
        let writable = found();
        executable(&stage, name, before.mode());
        let says = format!("{check}: ");
        let named =
            |one: &&String| one.starts_with(&says) && one.contains("can be written by others");
        assert_eq!(
            writable.iter().filter(named).count(),
            1,
            "{name}: {writable:?}"
        );
        // Only root may give files away.
        if std::os::unix::fs::chown(stage.path(name), Some(4321), None).is_ok() {
            let foreign = found();
            std::os::unix::fs::chown(stage.path(name), Some(0), None).unwrap();
            let named = |one: &&String| one.contains("belongs to user 4321");
            assert_eq!(
                foreign.iter().filter(named).count(),
                1,
                "{name}: {foreign:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_check_explains_the_rules_of_an_image_verifier() {
    let stage = Stage::new().await;
    configure(&stage, "default: allow\nmode: warn");
    let run = stage.run(&[&["policy", "check", "image-verifier.yaml"]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout.starts_with("Rule 1:\nImages:\n- quay.io/**\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("An image that no rule matches is allowed"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.contains("`default: allow` lets in every image"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("`mode: warn` refuses nothing"),
        "{}",
        run.stderr
    );
    let strict = stage.run(&[&["policy", "check", "--strict", "image-verifier.yaml"]]);
    assert_eq!(strict.code, 4);
}

/// Where containerd is not installed, the verifier's own files are checked all the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_containerd_the_other_checks_are_made() {
    let stage = Stage::new().await;
    configure(&stage, "");
    let usual = ["doctor", "containerd", "--config", "image-verifier.yaml"];
    let run = stage.run(&[&usual]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let mut lines = run.stdout.lines();
    let first = lines.next().unwrap();
    assert_eq!(
        first,
        "FAILED  containerd: the program containerd is not in PATH"
    );
    assert!(
        lines.next().unwrap().contains("--config-dump FILE"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("ok      configuration: "),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("ok      trusted root: "),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("1 failed, "), "{}", run.stdout);
    // One that has nothing to say of itself, and one that says nonsense.
    for program in ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho nonsense\n"] {
        stage.write("containerd", program);
        executable(&stage, "containerd", 0o755);
        let run = stage.run(&[&usual, &["--containerd", "./containerd"]]);
        assert_eq!(run.code, 4, "{}", run.shown());
        assert!(
            run.stdout.contains("FAILED  containerd: "),
            "{}",
            run.stdout
        );
        assert!(
            run.stdout.contains("ok      configuration: "),
            "{}",
            run.stdout
        );
    }
}
