//! `install` by name, `upgrade`, `list` and `remove`, as a person and a script meet them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::shop::{EARLIER, LATER, SIGNER, Shop, unsigned};
use countersign_download::FileLock;
use countersign_sandbox::image::{Compression, Image, Layer};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn names_are_installed_listed_upgraded_and_removed() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let (code, document) = shop.install(&["chat", "acme@draw"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][1]["name"], "draw");
    assert_eq!(document["results"][0]["outcome"], "installed");
    assert_eq!(shop.version("chat").unwrap(), "v1");

    let (code, document) = shop.run(&["list"]);
    assert_eq!(code, 0);
    let chat = &document["results"][0];
    assert_eq!(chat["name"], "chat");
    let chat = &chat["installation"];
    assert_eq!(chat["evidence"]["identity"], SIGNER);
    assert_eq!(chat["provenance"]["role"], "primary");

    shop.publish("latest-chat", "v2", LATER);
    let (code, document) = shop.upgrade(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["replaced"], chat["digest"]);
    assert_eq!(document["results"][0]["outcome"], "upgraded");
    assert_eq!(document["results"][1]["outcome"], "unchanged");
    assert_eq!(shop.version("chat").unwrap(), "v2");

    // A name that is wrong is a mistake: nothing is removed.
    let (code, document) = shop.run(&["remove", "chat", "never-there"]);
    assert_eq!(code, 6, "{document}");
    assert_eq!(document["results"].as_array().unwrap().len(), 1);
    assert_eq!(document["results"][0]["name"], "never-there");
    assert_eq!(document["results"][0]["error"]["kind"], "not_found");
    assert!(shop.path("chat").exists());
    let (code, document) = shop.run(&["remove", "chat", "chat"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["removed"]["name"], "chat");
    assert!(!shop.path("chat").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_moved_back_is_refused_by_either_command_unless_older_is_allowed() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v2", LATER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    shop.publish("latest-chat", "v1", EARLIER);
    for (code, document) in [shop.upgrade(&["chat"]), shop.install(&["chat"])] {
        assert_eq!(code, 4, "{document}");
        let hint = document["results"][0]["error"]["hints"][0]
            .as_str()
            .unwrap();
        assert!(hint.contains("--allow-older"), "{hint}");
        assert_eq!(shop.version("chat").unwrap(), "v2");
    }
    let upgrade = [
        &["upgrade"][..],
        &crate::shop::FLAGS,
        &["chat", "--allow-older"],
    ]
    .concat();
    let (code, out, err) = shop.shown(&upgrade);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("rolled back chat in "), "{out}");
    assert_eq!(shop.version("chat").unwrap(), "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_does_not_keep_the_others_from_being_installed() {
    let shop = Shop::open().await;
    shop.publish("latest-draw", "d1", EARLIER);
    let (code, document) = shop.install(&["chat", "draw"]);
    assert_eq!(code, 6, "{document}");
    assert_eq!(document["results"][0]["name"], "chat");
    assert_eq!(shop.version("draw").unwrap(), "d1");
    assert!(!shop.path("chat").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_without_a_policy_installs_unverified_unless_integrity_is_required() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let verified = fs::read_to_string(shop.directory.path().join("galleries.yaml")).unwrap();
    shop.write("galleries.yaml", "[{name: acme, url: 'file:index.yaml'}]");
    let (code, document) = shop.install(&["--require-integrity", "chat"]);
    assert_eq!(code, 4, "{document}");
    assert!(shop.registry.requests().is_empty());
    let (code, document) = shop.install(&["chat"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["installation"]["grounds"], "nothing");
    let (_, listed) = shop.run(&["list"]);
    assert_eq!(listed["results"][0]["installation"]["grounds"], "nothing");
    // With a policy it is verified, and stays so.
    let uncovered = fs::read_to_string(shop.directory.path().join("galleries.yaml")).unwrap();
    shop.write("galleries.yaml", &verified);
    let (code, document) = shop.upgrade(&[]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["outcome"], "now_verified");
    let (_, listed) = shop.run(&["list"]);
    assert_eq!(listed["results"][0]["installation"]["grounds"], "signature");
    shop.write("galleries.yaml", &uncovered);
    let (code, document) = shop.upgrade(&[]);
    assert_eq!(code, 4, "{document}");
    let hints = document["results"][0]["error"]["hints"].to_string();
    assert!(hints.contains("countersign remove"), "{hints}");
    assert_eq!(shop.version("chat").unwrap(), "v1");
}

/// What `upgrade` and, into an empty store, `install` say of `chat`: the same, since one builder
/// makes the requirement of both.
fn refusal_of_either(shop: &Shop, flags: &[&str]) -> (i32, Value) {
    let (upgrading, upgrade) = shop.upgrade(&[flags, &["chat"]].concat());
    let elsewhere = ["--store", "elsewhere", "chat"];
    let (installing, install) = shop.install(&[flags, &elsewhere].concat());
    let error = &upgrade["results"][0]["error"];
    assert_eq!(error["message"], install["results"][0]["error"]["message"]);
    assert_eq!(*error, install["results"][0]["error"]);
    assert_eq!(upgrading, installing, "{error}");
    assert_eq!(upgrade["results"][0]["outcome"], Value::Null);
    assert_eq!(shop.version("chat").unwrap(), "v1", "{error}");
    assert!(!shop.directory.path().join("elsewhere/chat").exists());
    (upgrading, error.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_refused_by_a_changed_policy_as_an_installation_is() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let good = fs::read_to_string(shop.directory.path().join("galleries.yaml")).unwrap();
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (_, listed) = shop.run(&["list"]);
    let digest = listed["results"][0]["installation"]["digest"]
        .as_str()
        .unwrap();

    let change = |wrong: &str| {
        let right = format!("identity: '{SIGNER}'");
        let changed = good.replace(&right, wrong);
        assert_ne!(changed, good);
        shop.write("galleries.yaml", &changed);
    };
    let told = |error: &Value, text: &str| assert!(error.to_string().contains(text), "{error}");

    change("identity: 'https://github.com/acme/app/.github/workflows/other.yml@refs/tags/v1'");
    let (code, error) = refusal_of_either(&shop, &[]);
    assert_eq!((code, &error["kind"]), (4, &"policy".into()));
    told(&error, "other.yml");

    change(&format!(
        "identity: '{SIGNER}', not_before: '2025-06-01T00:00:00Z'"
    ));
    let (code, error) = refusal_of_either(&shop, &[]);
    assert_eq!((code, &error["kind"]), (4, &"policy".into()));
    told(&error, "2025-06-01");

    change(&format!("identity: '{SIGNER}', deny_digests: ['{digest}']"));
    let (code, error) = refusal_of_either(&shop, &[]);
    assert_eq!((code, &error["kind"]), (4, &"policy".into()));
    told(&error, "deny_digests");

    // Content that nobody signed, behind the same tag.
    shop.write("galleries.yaml", &good);
    unsigned("v2").push(&shop.registry, "acme/app", Some("latest-chat"));
    let (code, error) = refusal_of_either(&shop, &[]);
    assert_eq!((code, &error["kind"]), (3, &"unsigned".into()));

    // A gallery whose policy was taken away, in strict mode.
    shop.write("galleries.yaml", "[{name: acme, url: 'file:index.yaml'}]");
    let (code, error) = refusal_of_either(&shop, &["--require-integrity"]);
    assert_eq!((code, &error["kind"]), (4, &"policy".into()));
    told(&error, "integrity is required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_can_not_be_read_is_told_by_list_and_upgrade_and_remove_takes_it_away() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let (code, document) = shop.install(&["chat"]);
    assert_eq!(code, 0, "{document}");
    let record = shop.path("chat").join(".countersign/record.json");
    let digest = &document["results"][0]["installation"]["digest"];
    fs::write(record, format!(r#"{{"version":1,"digest":{digest}}}"#)).unwrap();
    let (_, listed) = shop.run(&["list"]);
    assert_eq!(listed["results"][0]["name"], "chat");
    assert_eq!(listed["results"][0]["installation"], Value::Null);
    for names in [&[][..], &["chat"]] {
        let (code, document) = shop.upgrade(names);
        assert_eq!(code, 2, "{document}");
        let result = &document["results"][0];
        assert_eq!(result["name"], "chat");
        let hints = result["error"]["hints"].to_string();
        assert!(hints.contains("countersign remove"), "{hints}");
    }
    let (code, document) = shop.run(&["remove", "chat"]);
    assert_eq!(code, 0, "{document}");
    assert!(!shop.path("chat").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_all_checked_before_anything_is_installed() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    for (wrong, code, kind) in [
        ("caht", 6, "not_found"),
        ("nobody@chat", 2, "usage"),
        ("acme@chat", 2, "usage"),
    ] {
        let (found, document) = shop.install(&["chat", wrong]);
        assert_eq!(found, code, "{document}");
        assert_eq!(document["results"].as_array().unwrap().len(), 1);
        let name = wrong.split_once('@').map_or(wrong, |(_, name)| name);
        assert_eq!(document["results"][0]["name"], name);
        assert_eq!(document["results"][0]["error"]["kind"], kind);
        assert!(shop.registry.requests().is_empty());
        assert!(!shop.path("chat").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_gallery_has_no_more_keeps_no_other_from_its_upgrade() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    assert_eq!(shop.install(&["chat", "draw"]).0, 0);
    let host = shop.registry.host();
    let index = format!("[{{name: draw, uri: '{host}/acme/app:latest-draw'}}]");
    shop.write("index.yaml", &index);
    shop.publish("latest-draw", "d2", LATER);
    let (code, document) = shop.upgrade(&[]);
    assert_eq!(code, 6, "{document}");
    assert_eq!(document["results"][0]["name"], "chat");
    let told = document.to_string();
    assert!(told.contains("countersign remove chat"), "{told}");
    assert_eq!(shop.version("draw").unwrap(), "d2");
    // By name it is a mistake.
    shop.publish("latest-draw", "d3", LATER);
    let (code, document) = shop.upgrade(&["draw", "chat"]);
    assert_eq!(code, 6, "{document}");
    assert_eq!(shop.version("draw").unwrap(), "d2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_emptied_is_told_to_be_unchecked_and_reinstalled_where_that_is_asked_for() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    fs::remove_file(shop.path("chat").join("version")).unwrap();
    let again = [
        &["install", "--platform", "linux/amd64"],
        &crate::shop::FLAGS[..],
        &["chat"],
    ]
    .concat();
    let (code, out, _) = shop.shown(&again);
    assert_eq!(code, 0);
    assert!(
        out.contains("is up to date by its record, which has the same digest"),
        "{out}"
    );
    assert!(out.contains("not checked; --check"), "{out}");
    assert_eq!(shop.version("chat"), None);
    for command in [&shop.install(&["--reinstall", "chat"]), &{
        fs::remove_file(shop.path("chat").join("version")).unwrap();
        shop.upgrade(&["--reinstall"])
    }] {
        let (code, document) = command;
        assert_eq!(*code, 0, "{document}");
        assert_eq!(document["results"][0]["outcome"], "reinstalled");
        assert_eq!(shop.version("chat").unwrap(), "v1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_trusted_root_needs_a_home() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.write("plain.yaml", "[{name: acme, url: 'file:index.yaml'}]");
    let platform = ["install", "--platform", "linux/amd64"];
    let install = |file| shop.run(&[&platform[..], &["--gallery", file, "chat"]].concat());
    let (code, document) = install("plain.yaml");
    assert_eq!(code, 0, "{document}");
    let (code, document) = install("galleries.yaml");
    assert_eq!(code, 2, "{document}");
    let hints = document["results"][0]["error"]["hints"].to_string();
    assert!(hints.contains("COUNTERSIGN_CACHE_DIR"), "{hints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_waits_and_says_so_unless_it_is_told_not_to() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    fs::create_dir(shop.directory.path().join("store")).unwrap();
    let first = FileLock::try_take(&shop.path(".chat.countersign.lock")).unwrap();
    let (code, document) = shop.install(&["--no-wait", "chat"]);
    assert_eq!(code, 1, "{document}");
    let hints = document["results"][0]["error"]["hints"].to_string();
    assert!(hints.contains("--no-wait"), "{hints}");

    let arguments = [
        &["install", "--platform", "linux/amd64"],
        &crate::shop::FLAGS[..],
        &["chat"],
    ]
    .concat();
    let mut second = shop
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(second.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    let path = shop.path("chat");
    let expected = format!("waiting: another run installs to {}\n", path.display());
    assert_eq!(said, expected);
    assert!(!path.exists());
    drop(first);
    assert!(second.wait().unwrap().success());
    assert_eq!(shop.version("chat").unwrap(), "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_is_told_by_its_place_and_is_no_failure() {
    let shop = Shop::open().await;
    let store = shop.path("");
    let store = store.to_str().unwrap().trim_end_matches('/');
    let more = "only entries of galleries are listed; `countersign check DIRECTORY` looks at what was installed into a directory";
    let none = "no entry of a gallery is installed";
    let said = format!("{none}: the directory {store} doesn't exist\n{more}\n");
    assert_eq!(shop.shown(&["list"]), (0, String::new(), said));
    fs::create_dir_all(store).unwrap();
    let said = format!("{none} in {store}\n{more}\n");
    assert_eq!(shop.shown(&["list"]), (0, String::new(), said));
    let upgrade = [&["upgrade"][..], &crate::shop::FLAGS].concat();
    let said = format!("nothing from a gallery is installed in {store}\n");
    assert_eq!(shop.shown(&upgrade), (0, String::new(), said));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_record_explains_is_listed_and_removed_where_that_is_asked_for() {
    let shop = Shop::open().await;
    fs::create_dir_all(shop.path("chat").join("deep")).unwrap();
    let (_, listed) = shop.run(&["list"]);
    assert_eq!(listed["results"][0]["name"], "chat");
    assert_eq!(listed["results"][0]["record"], "missing");
    let (code, out, _) = shop.shown(&["list"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("countersign remove --unrecorded chat"),
        "{out}"
    );
    let (code, document) = shop.run(&["remove", "chat"]);
    assert_eq!(code, 2, "{document}");
    let hints = document["results"][0]["error"]["hints"].to_string();
    assert!(hints.contains("--unrecorded"), "{hints}");
    assert!(shop.path("chat").exists());
    assert_eq!(shop.run(&["remove", "--unrecorded", "chat"]).0, 0);
    assert!(!shop.path("chat").exists());
}

/// Under a limit on descriptors, whatever is opened when there are none left.
#[tokio::test(flavor = "multi_thread")]
async fn no_descriptors_left_is_the_machine_s_fault_wherever_it_happens() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let program = shop.command(&[]);
    let mut failed = 0;
    for limit in 9..24 {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
            .arg(program.get_program())
            .args(["--output", "json", "install", "--platform", "linux/amd64"])
            .args(crate::shop::FLAGS)
            .args(["--store", "store", "--reinstall", "chat"])
            .current_dir(shop.directory.path())
            .env_clear();
        let output = command.output().unwrap();
        let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
            panic!("{limit}: {output:?}");
        };
        crate::schema::conforms(&document);
        if output.status.code() == Some(0) {
            continue;
        }
        failed += 1;
        assert_eq!(output.status.code(), Some(1), "{limit}: {document}");
        let hint = "too many files are open: raise the limit";
        assert!(document.to_string().contains(hint), "{limit}: {document}");
    }
    assert!(failed > 0, "every limit was enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_was_reached_names_the_flag_that_raises_it() {
    let shop = Shop::open().await;
    let layer = Layer::builder().file("version", "v1", 0o644);
    let layer = layer.file("some/where/below", "", 0o644);
    let image = Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build();
    shop.publish_image("latest-chat", &image, EARLIER);
    for (flag, low, enough) in [
        ("--max-size", "1000", "1M"),
        ("--max-download", "10", "1M"),
        ("--max-files", "1", "10"),
        ("--max-layers", "0", "1"),
        ("--max-depth", "1", "3"),
        ("--max-path", "8", "20"),
        ("--max-config", "1", "4KiB"),
    ] {
        let (code, document) = shop.install(&[flag, low, "chat"]);
        let error = &document["results"][0]["error"];
        assert_eq!((code, &error["kind"]), (5, &"invalid".into()), "{document}");
        let hint =
            format!("if you trust the content to be that large, raise the limit with {flag}");
        assert_eq!(error["hints"][0], hint, "{document}");
        assert_eq!(shop.version("chat"), None);
        let (code, document) = shop.install(&[flag, enough, "chat"]);
        assert_eq!(code, 0, "{document}");
        assert_eq!(shop.run(&["remove", "chat"]).0, 0);
    }
    let (code, document) = shop.install(&["--max-index", "10", "chat"]);
    assert_eq!(code, 5, "{document}");
    let hint = document["error"]["hints"][0].as_str().unwrap();
    assert!(hint.ends_with("raise the limit with --max-index"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_a_file_is_a_mistake_and_no_fault_of_the_machine() {
    let shop = Shop::open().await;
    shop.write("file", "");
    for arguments in [&["list"][..], &["remove", "chat"]] {
        let (code, out, err) = shop.shown(&[arguments, &["--store", "file"]].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.starts_with("error: file is not a directory\n"), "{err}");
        assert!(err.contains("hint: name the directory"), "{err}");
    }
}
