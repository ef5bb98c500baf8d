//! What is advised helps, if it is followed as it stands.

use std::fs;

use serde_json::Value;

use crate::shop::{EARLIER, FLAGS, LATER, Shop};
use crate::stage::{RELEASE, Stage, TRUST};

/// The commands that are advised, word by word.
fn advised(told: &str) -> Vec<Vec<&str>> {
    let quoted = told.split('`').skip(1).step_by(2);
    let commands = quoted.filter_map(|text| text.strip_prefix("countersign "));
    commands
        .map(|command| command.split(' ').collect())
        .collect()
}

/// `chat` and `draw` are installed, and there are newer images of both.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let (code, document) = shop.install(&["chat", "draw"]);
    assert_eq!(code, 0, "{document}");
    shop.publish("latest-chat", "v2", LATER);
    shop.publish("latest-draw", "d2", LATER);
    shop
}

/// Records that say nothing, and too little.
fn damaged() -> [String; 2] {
    let zeros = "0".repeat(64);
    [
        "{".to_owned(),
        format!(r#"{{"version":1,"digest":"sha256:{zeros}"}}"#),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_keeps_no_other_entry_from_an_upgrade() {
    let shop = shop().await;
    for record in damaged() {
        fs::write(shop.path("draw/.countersign/record.json"), record).unwrap();
        for command in ["outdated", "upgrade"] {
            let (code, document) = shop.run(&[&[command], &FLAGS[..]].concat());
            assert_eq!(code, 2, "{document:#}");
            let results = document["results"].as_array().unwrap();
            let failed = |name: &str| {
                let of_name = |one: &&Value| one["name"] == name;
                let result = results.iter().find(of_name).unwrap();
                result["error"]["kind"].clone()
            };
            assert_eq!(failed("chat"), Value::Null, "{document:#}");
            assert_eq!(failed("draw"), "usage", "{document:#}");
        }
    }
    assert_eq!(shop.version("chat").unwrap(), "v2");
    assert_eq!(shop.version("draw").unwrap(), "d1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_told_also_if_the_gallery_file_is_gone() {
    let shop = shop().await;
    fs::write(shop.path("draw/.countersign/record.json"), "{").unwrap();
    for command in ["outdated", "upgrade"] {
        let (code, document) = shop.run(&[command, "--gallery=gone.yaml"]);
        assert_eq!(code, 2, "{document:#}");
        let results = document["results"].as_array().unwrap();
        for (name, says) in [
            ("draw", "the record of `draw`"),
            ("chat", "the gallery file gone.yaml can't be read"),
        ] {
            let mut results = results.iter();
            let result = results.find(|one| one["name"] == name).unwrap();
            let message = result["error"]["message"].as_str().unwrap();
            assert!(message.contains(says), "{document:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_looked_at_for_want_of_a_trusted_root_is_named() {
    let shop = shop().await;
    let offline = ["outdated", "--gallery=galleries.yaml", "--offline"];
    let mut command = shop.command(&offline);
    command.env("COUNTERSIGN_CACHE_DIR", shop.directory.path().join("cache"));
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_ne!(output.status.code(), Some(0), "{told}");
    let errors = told.lines().filter(|line| line.starts_with("error: "));
    assert_eq!(errors.count(), 1, "{told}");
    let says = "these were not looked at: chat, draw";
    assert!(told.contains(says), "{told}");

    let gone = [
        "outdated",
        "--gallery=galleries.yaml",
        "--trusted-root=gone.json",
    ];
    let (code, _, told) = shop.shown(&gone);
    assert_eq!(code, 2, "{told}");
    for name in ["chat", "draw"] {
        let says = format!("hint: `{name}` was not looked at");
        assert!(told.contains(&says), "{told}");
    }
}

/// It is told once.
#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_file_of_the_configuration_that_is_gone_is_told_with_all_its_entries() {
    let shop = shop().await;
    shop.write("own.toml", "gallery = \"gone.yaml\"\n");
    let (code, _, told) = shop.shown(&["outdated", "--config", "own.toml"]);
    assert_eq!(code, 2, "{told}");
    let says = "not looked at because of it: `chat`, `draw`";
    assert!(told.contains(says), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_advised_of_a_damaged_record_works() {
    let shop = shop().await;
    let install = [
        &["install", "--platform", "linux/amd64"],
        &FLAGS[..],
        &["draw"],
    ]
    .concat();
    let named = [&["--store", "store"], &["draw"][..]].concat();
    let rows: [Vec<&str>; 8] = [
        [&["upgrade"], &FLAGS[..]].concat(),
        [&["upgrade"], &FLAGS[..], &["draw"]].concat(),
        [&["outdated"], &FLAGS[..], &named].concat(),
        vec!["check"],
        vec!["check", "draw"],
        [&["check"], &named[..]].concat(),
        install.clone(),
        vec!["list"],
    ];
    for record in damaged() {
        for words in &rows {
            fs::write(shop.path("draw/.countersign/record.json"), &record).unwrap();
            let (_, out, err) = shop.shown(words);
            let told = out + &err;
            let commands = advised(&told);
            let remove = commands.iter().find(|words| words[0] == "remove");
            let remove = remove.unwrap_or_else(|| panic!("{words:?}: {told}"));
            let (code, _, told) = shop.shown(remove);
            assert_eq!(code, 0, "{words:?}: {remove:?}: {told}");
            let (code, _, told) = shop.shown(&install);
            assert_eq!(code, 0, "{words:?}: {told}");
        }
    }
}

/// Both entries have the same content. The next upgrade has to know which one was chosen.
#[tokio::test(flavor = "multi_thread")]
async fn the_choice_of_hardware_is_remembered_also_where_the_content_is_the_same() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "v1", EARLIER);
    shop.one_entry_for_each_hardware();
    for (capability, entry, lock) in [
        ("default", "cpu", "--lock"),
        ("nvidia", "gpu", "--lock=nv.lock"),
    ] {
        let (code, document) = shop.install(&["--capability", capability, lock, "any"]);
        assert_eq!(code, 0, "{document}");
        let (_, document) = shop.run(&["list"]);
        let provenance = &document["results"][0]["installation"]["provenance"];
        assert_eq!(provenance["entry"], entry, "{document:#}");
    }
    let (code, document) = shop.run(&["list", "--check=nv.lock"]);
    assert_eq!(code, 0, "{document:#}");
    let (code, _, told) = shop.shown(&["list", "--check"]);
    assert_eq!(code, 8, "{told}");
    let says = "installed as another entry: expected cpu, found gpu";
    assert!(told.contains(says), "{told}");
    assert!(told.contains("--capability CAPABILITY any"), "{told}");

    shop.publish("latest-draw", "v2", LATER);
    let (code, document) = shop.upgrade(&["any"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(shop.version("any").unwrap(), "v2");

    // What was advised, for the hardware that the user names.
    let advised = [
        "--from-lock",
        "--allow-older",
        "--capability",
        "default",
        "any",
    ];
    let (code, document) = shop.install(&advised);
    assert_eq!(code, 0, "{document:#}");
    let (code, document) = shop.run(&["list", "--check"]);
    assert_eq!(code, 0, "{document:#}");
}

/// Only the wrong file was named.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_is_not_to_be_removed_because_of_another_gallery_file() {
    let shop = shop().await;
    let path = shop.path("chat/.countersign/record.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let file = record["provenance"]["gallery_file"].take();
    assert!(file.is_string(), "{record}");
    let provenance = record["provenance"].as_object_mut().unwrap();
    provenance.remove("gallery_file");
    fs::write(&path, record.to_string()).unwrap();
    let galleries = fs::read_to_string(shop.directory.path().join("galleries.yaml")).unwrap();
    shop.write(
        "other.yaml",
        &galleries.replace("name: acme", "name: other"),
    );
    let outdated = [
        "outdated",
        "--gallery=other.yaml",
        "--trusted-root=root.json",
    ];
    for name in ["chat", "draw"] {
        let (code, _, told) = shop.shown(&[&outdated[..], &[name]].concat());
        assert_eq!(code, 2, "{told}");
        assert!(!told.contains("countersign remove"), "{told}");
        assert!(told.contains("--gallery"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_file_that_was_moved_is_recorded_as_advised() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    assert_eq!(shop.install(&["--store=two", "chat"]).0, 0);
    let file = |name: &str| shop.directory.path().join(name);
    fs::rename(file("galleries.yaml"), file("moved.yaml")).unwrap();
    let upgrade = [
        "upgrade",
        "--gallery=moved.yaml",
        "--trusted-root=root.json",
        "chat",
    ];
    let (code, _, told) = shop.shown(&upgrade);
    assert_eq!(code, 0, "{told}");
    let commands = advised(&told);
    let mut again = commands[0].clone();
    assert_eq!(again[..2], ["upgrade", "--reinstall"], "{told}");
    again.push("--trusted-root=root.json");
    let (code, _, told) = shop.shown(&again);
    assert_eq!(code, 0, "{told}");
    let (_, document) = shop.run(&["list"]);
    let recorded = &document["results"][0]["installation"]["provenance"]["gallery_file"];
    assert_eq!(recorded, file("moved.yaml").to_str().unwrap());
    let (_, _, told) = shop.shown(&upgrade);
    assert!(!told.contains("not there any more"), "{told}");
    let (code, _, told) = shop.shown(&[&upgrade[..], &["--store=two"]].concat());
    assert_eq!(code, 0, "{told}");
    let again = advised(&told)[0].join(" ");
    assert!(again.contains(" --store two "), "{told}");
}

/// A plain `upgrade` asks for the tag that the entry names.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_a_fallback_tag_is_upgraded_by_it() {
    let shop = Shop::open().await;
    shop.publish("master-chat", "v1", EARLIER);
    let fallback = "--fallback-tag=latest-*=master-*";
    let (code, document) = shop.install(&[fallback, "chat"]);
    assert_eq!(code, 0, "{document:#}");
    shop.publish("master-chat", "v2", LATER);
    let (code, _, told) = shop.shown(&[&["upgrade"][..], &FLAGS, &["chat"]].concat());
    assert_eq!(code, 6, "{told}");
    assert!(
        told.contains("pass the same --fallback-tag again"),
        "{told}"
    );
    let (code, document) = shop.upgrade(&[fallback, "chat"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(shop.version("chat").unwrap(), "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_behind_check_is_a_lock_file() {
    let shop = shop().await;
    let (code, _, told) = shop.shown(&["list", "--check", "chat"]);
    assert_eq!(code, 2, "{told}");
    assert!(
        told.contains("write --check=countersign.lock chat"),
        "{told}"
    );
    assert!(!told.contains("--lock=chat"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_signed_is_told_by_the_policy_s_key() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("policy.yaml", stage.policy(RELEASE) + "  bind_name: true\n");
    stage.index.push(&stage.registry, "app", Some("v2"));
    let copied = stage.copy(&[&stage.reference("app:v1"), "ocifile://layout"]);
    assert_eq!(copied.code, 0, "{}", copied.shown());
    for (image, says) in [
        (
            &*stage.reference("app:v2"),
            "hint: do not use the image under this name",
        ),
        (
            "ocifile://layout",
            "hint: the policy has `bind_name`, and nobody signs the path of a layout",
        ),
    ] {
        let run = stage.verify(&[image]);
        assert_eq!(run.code, 4, "{}", run.shown());
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert!(run.stderr.contains("`bind_name`"), "{}", run.shown());
        // A layout's image is not copied on the way to its name either.
        assert!(!run.stderr.contains("into a registry"), "{}", run.shown());
        assert!(!run.stderr.contains("policy check"), "{}", run.shown());
    }
}

/// Nobody has to compare an issuer that is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_or_an_annotation_that_is_refused_is_what_the_hint_is_about() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let issuer = stage.issuer();
    let image = stage.reference("app:v1");
    let signer = ["--issuer", &issuer, "--identity", RELEASE];
    for (condition, says) in [
        (["-a", "stage=foo"], "correct the annotations"),
        (
            ["--not-before", "2999-01-01T00:00:00Z"],
            "it was signed before the time that is asked for",
        ),
    ] {
        let run = stage.run(&[&["verify", &image], &signer, &condition, &TRUST]);
        assert_eq!(run.code, 4, "{}", run.shown());
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert!(!run.stderr.contains("--issuer-regex"), "{}", run.shown());
    }
}

/// There is no file that `policy check` could look at.
#[tokio::test(flavor = "multi_thread")]
async fn flags_that_are_the_policy_are_looked_at_where_they_refuse() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let issuer = stage.issuer();
    let image = stage.reference("app:v1");
    for (issuer, identity) in [
        (issuer.clone(), "https://github.com/.*"),
        (format!("{issuer}/"), RELEASE),
    ] {
        let policy = ["--issuer", &issuer, "--identity", identity];
        let run = stage.run(&[&["verify", &image], &policy, &TRUST]);
        assert_eq!(run.code, 4, "{}", run.shown());
        let says = "texts are compared letter by letter, and patterns are --issuer-regex and --identity-regex";
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert!(!run.stderr.contains("policy check"), "{}", run.shown());
    }
}
