//! `upgrade` and `outdated` without `--gallery`: by the gallery files that records name, and by a file of configuration.

mod renamed;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::shop::{EARLIER, LATER, SIGNER, Shop};
use crate::stage::Stage;

const TRUST: [&str; 2] = ["--trusted-root", "root.json"];

impl Shop {
    /// A second gallery, `other`, in a directory of its own. It has `draw`.
    fn second_gallery(&self) {
        let directory = self.directory.path().join("elsewhere");
        fs::create_dir(&directory).unwrap();
        private(&directory, 0o755);
        let galleries = self.gallery("file:index.yaml", SIGNER);
        let galleries = galleries.replace("name: acme", "name: other");
        fs::write(directory.join("galleries.yaml"), galleries).unwrap();
        let host = self.registry.host();
        let entry = format!("[{{name: draw, uri: '{host}/acme/app:latest-draw'}}]");
        fs::write(directory.join("index.yaml"), entry).unwrap();
    }

    /// `chat` of one gallery and `draw` of another are installed, and there are newer images of both.
    async fn with_two_galleries() -> Self {
        let shop = Self::open().await;
        shop.second_gallery();
        shop.publish("latest-chat", "v1", EARLIER);
        shop.publish("latest-draw", "d1", EARLIER);
        for (gallery, name) in [
            ("galleries.yaml", "chat"),
            ("elsewhere/galleries.yaml", "draw"),
        ] {
            let words = ["install", "--platform=linux/amd64", "--gallery", gallery];
            let (code, document) = shop.run(&[&words[..], &TRUST, &[name]].concat());
            assert_eq!(code, 0, "{document}");
            let provenance = &document["results"][0]["installation"]["provenance"];
            let recorded = provenance["gallery_file"].as_str().unwrap();
            let file = shop.directory.path().join(gallery);
            assert_eq!(Path::new(recorded), file);
        }
        shop.publish("latest-chat", "v2", LATER);
        shop.publish("latest-draw", "d2", LATER);
        shop
    }

    /// A command of a user whose own file says where the store is.
    fn as_user(&self, words: &[&str]) -> Command {
        let home = self.directory.path().join("config");
        let own = home.join("countersign");
        if !own.exists() {
            fs::create_dir_all(&own).unwrap();
            private(&own, 0o755);
            self.write_private(
                "config/countersign/countersign.toml",
                "store = '../../store'",
            );
        }
        let mut command = self.command(words);
        command.env_remove("COUNTERSIGN_STORE_DIR");
        command.env("XDG_CONFIG_HOME", home);
        command
    }

    fn upgrade_by_records(&self, arguments: &[&str]) -> (i32, Value) {
        let words = [&["--output", "json", "upgrade"], &TRUST[..], arguments].concat();
        let output = self.as_user(&words).output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap();
        crate::schema::conforms(&document);
        (output.status.code().unwrap(), document)
    }

    fn versions(&self) -> [Option<String>; 2] {
        ["chat", "draw"].map(|name| self.version(name))
    }

    /// Writes a file that nobody else can write to, whatever the umask is.
    fn write_private(&self, name: &str, text: &str) {
        self.write(name, text);
        private(&self.directory.path().join(name), 0o644);
    }
}

fn private(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn versions(chat: &str, draw: &str) -> [Option<String>; 2] {
    [chat, draw].map(|version| Some(version.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_upgraded_from_the_gallery_that_its_record_names() {
    let shop = Shop::with_two_galleries().await;
    let mut command = shop.as_user(&[&["outdated"][..], &TRUST].concat());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
    for (gallery, name) in [
        ("galleries.yaml", "chat"),
        ("elsewhere/galleries.yaml", "draw"),
    ] {
        let file = shop.directory.path().join(gallery);
        let line = format!(
            "{} is used: the record of `{name}` names it",
            file.display()
        );
        assert!(err.contains(&line), "{err}");
    }
    assert!(
        out.contains("would upgrade chat") && out.contains("would upgrade draw"),
        "{out}"
    );
    // Wherever it is run.
    let below = shop.directory.path().join("below");
    fs::create_dir(&below).unwrap();
    let mut command: Command = shop.as_user(&["upgrade", "--trusted-root", "../root.json"]);
    let output = command.current_dir(below).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.versions(), versions("v2", "d2"));
    // What was upgraded still says from where.
    let (_, listed) = shop.run(&["list"]);
    for result in listed["results"].as_array().unwrap() {
        let provenance = &result["installation"]["provenance"];
        assert!(provenance["gallery_file"].is_string(), "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_file_that_is_gone_keeps_the_other_gallery_from_nothing() {
    let shop = Shop::with_two_galleries().await;
    fs::remove_file(shop.directory.path().join("elsewhere/galleries.yaml")).unwrap();
    // A name is a mistake then, and nothing is installed.
    let (code, document) = shop.upgrade_by_records(&["chat", "draw"]);
    assert_eq!(code, 2, "{document}");
    assert_eq!(shop.versions(), versions("v1", "d1"));
    let (code, document) = shop.upgrade_by_records(&[]);
    assert_eq!(code, 2, "{document}");
    assert_eq!(shop.versions(), versions("v2", "d1"));
    let results = document["results"].as_array().unwrap();
    let failed = results.iter().find(|one| one["name"] == "draw").unwrap();
    let hints = failed["error"]["hints"].to_string();
    assert!(hints.contains("pass --gallery FILE"), "{hints}");
}

/// It is told once, with all that it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_file_that_was_moved_is_one_failure_of_all_its_entries() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    assert_eq!(shop.install(&["chat", "draw"]).0, 0);
    private(&shop.directory.path().join("galleries.yaml"), 0o644);
    let here = shop.directory.path();
    fs::rename(here.join("galleries.yaml"), here.join("moved.yaml")).unwrap();
    let output = shop.as_user(&[&["outdated"][..], &TRUST].concat()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    let err = err.replace(&here.display().to_string(), "/srv");
    insta::assert_snapshot!(err, @"
    error: the gallery file /srv/galleries.yaml can't be read
      caused by: No such file or directory (os error 2)
      hint: check the path, and that you may read it
      hint: this gallery file is in the record of `chat`, `draw`
      hint: if it was moved, pass --gallery FILE; `countersign upgrade --gallery FILE --reinstall chat draw` also writes the new path into the records
    ");
    // What it says is true.
    let moved = [
        "upgrade",
        "--gallery",
        "moved.yaml",
        "--reinstall",
        "chat",
        "draw",
    ];
    let output = shop.as_user(&[&moved[..], &TRUST].concat()).output();
    assert!(output.unwrap().status.success());
    let output = shop.as_user(&[&["outdated"][..], &TRUST].concat()).output();
    assert_eq!(output.unwrap().status.code(), Some(0));
}

/// The store is not the usual one, so the file of configuration decides, which knows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_gallery_file_that_a_record_names_is_told_where_another_is_used() {
    let shop = Shop::with_two_galleries().await;
    shop.write_private("org.toml", "gallery = 'galleries.yaml'");
    let words = [
        "upgrade", "--store", "store", "--config", "org.toml", "draw",
    ];
    let output = shop.as_user(&[&words[..], &TRUST].concat()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    let file = shop.directory.path().join("elsewhere/galleries.yaml");
    let file = file.display();
    assert!(
        err.contains(&format!("`draw` was installed by {file}")),
        "{err}"
    );
    assert!(err.contains(&format!("pass --gallery {file}")), "{err}");
}

/// A gallery file decides who must have signed, and here nobody names it.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_can_have_written_names_no_gallery() {
    let shop = Shop::with_two_galleries().await;
    let here = shop.directory.path();
    for (path, mode) in [
        (here.join("galleries.yaml"), 0o666),
        (shop.path("chat/.countersign/record.json"), 0o646),
        (shop.path("chat/.countersign"), 0o777),
        (shop.path("chat"), 0o757),
        (here.to_owned(), 0o1777),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        private(&path, mode);
        let (code, document) = shop.upgrade_by_records(&["--dry-run", "chat"]);
        let shown = path.display();
        assert_eq!(code, 2, "{shown}: {document}");
        let error = document["results"][0]["error"].to_string();
        assert!(
            error.contains("can be written to by everybody"),
            "{shown}: {error}"
        );
        assert!(error.contains("pass --gallery FILE"), "{shown}: {error}");
        // Whoever names it has decided.
        let (code, document) = shop.upgrade(&["--dry-run", "chat"]);
        assert_eq!(code, 0, "{shown}: {document}");
        fs::set_permissions(&path, before).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_comes_before_records_and_these_before_a_file_of_configuration() {
    let shop = Shop::with_two_galleries().await;
    // By the flag, nobody knows the gallery of `draw`.
    let (code, document) = shop.upgrade(&["--dry-run"]);
    assert_eq!(code, 2, "{document}");
    let mut results = document["results"].as_array().unwrap().iter();
    let draw = results.find(|one| one["name"] == "draw").unwrap();
    let error = draw["error"]["message"].to_string();
    assert!(error.contains("other"), "{error}");
    // By the configuration alone, neither is known. The records come before it.
    shop.write_private("org.toml", "gallery = 'nothing.yaml'\nstore = 'store'");
    let (code, document) = shop.upgrade_by_records(&["--config", "org.toml"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(shop.versions(), versions("v2", "d2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_of_configuration_installed_is_upgraded_by_it() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let text = "gallery = 'galleries.yaml'\ntrust = 'root.json'";
    shop.write_private("org.toml", text);
    let organisation = ["--config", "org.toml"];
    let install = ["install", "--platform=linux/amd64", "chat", "draw"];
    let (code, document) = shop.run(&[&install[..], &organisation].concat());
    assert_eq!(code, 0, "{document}");
    let provenance = &document["results"][0]["installation"]["provenance"];
    assert!(provenance.get("gallery_file").is_none(), "{provenance}");
    shop.publish("latest-chat", "v2", LATER);
    // Without it nobody says where the gallery is: told once, for both.
    let (code, _, err) = shop.shown(&[&["upgrade"][..], &TRUST].concat());
    assert_eq!(code, 2);
    insta::assert_snapshot!(err, @"
    error: no gallery file is known for `chat`, `draw`: their records name none
      hint: pass --gallery FILE, or set `gallery` in your countersign.toml
      hint: what was installed from a kit is upgraded from a newer kit: `countersign install --from ocifile://KIT chat draw`
    ");
    // The file may move meanwhile.
    fs::rename(
        shop.directory.path().join("galleries.yaml"),
        shop.directory.path().join("moved.yaml"),
    )
    .unwrap();
    shop.write_private("org.toml", "gallery = 'moved.yaml'\ntrust = 'root.json'");
    let (code, document) = shop.run(&[&["upgrade"][..], &organisation].concat());
    assert_eq!(code, 0, "{document}");
    assert_eq!(shop.versions(), versions("v2", "d1"));
}

/// A clone or an archive may bring a store, with records that name a gallery file beside it, and all of it is the user's.
#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_store_that_is_named_name_no_gallery() {
    let shop = Shop::with_two_galleries().await;
    shop.write_private("org.toml", "gallery = 'galleries.yaml'");
    for (by, variable) in [("--store", ""), ("COUNTERSIGN_STORE_DIR", "store")] {
        let flag = ["--store", "store"];
        let flag = if variable.is_empty() { &flag[..] } else { &[] };
        let upgrade = |with: &[&str]| {
            let words = [&["upgrade", "--dry-run", "chat"], &TRUST[..], flag, with].concat();
            let mut command = shop.as_user(&words);
            let output = command.env("COUNTERSIGN_STORE_DIR", variable).output();
            let output = output.unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            (output.status.code(), said)
        };
        let (code, said) = upgrade(&[]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(&format!("is not used: {by} names the store")),
            "{said}"
        );
        assert!(said.contains("pass --gallery FILE"), "{said}");
        // What the user chose is enough.
        let (code, said) = upgrade(&["--config", "org.toml"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("galleries.yaml is used: countersign.toml names it"),
            "{said}"
        );
        let (code, said) = upgrade(&["--gallery", "galleries.yaml"]);
        assert_eq!(code, Some(0), "{said}");
    }
    let home = shop.directory.path().join("home");
    let upgrade = |data: &Path| {
        let mut command = shop.command(&[&["upgrade"], &TRUST[..]].concat());
        command.env_remove("COUNTERSIGN_STORE_DIR");
        command.env("HOME", &home).env("XDG_DATA_HOME", data);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    // So may the one be that a variable makes the directory for data.
    let data = shop.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::rename(
        shop.directory.path().join("store"),
        data.join("countersign"),
    )
    .unwrap();
    let (code, said) = upgrade(&data);
    assert_eq!(code, Some(2), "{said}");
    let by = "is not used: XDG_DATA_HOME names the store";
    assert!(said.contains(by), "{said}");
    // The default one needs nothing.
    let usual = home.join(".local/share");
    fs::create_dir_all(home.join(".local")).unwrap();
    fs::rename(&data, &usual).unwrap();
    for data in [Path::new(""), &usual] {
        let (code, said) = upgrade(data);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_file_that_the_working_directory_decides_is_refused() {
    let shop = Shop::with_two_galleries().await;
    let record = shop.path("chat/.countersign/record.json");
    let text = fs::read_to_string(&record).unwrap();
    let here = shop.directory.path().display().to_string();
    for relative in [".", "../x/.."] {
        let forged = text.replace(
            &format!("{here}/galleries.yaml"),
            &format!("{relative}/galleries.yaml"),
        );
        assert_ne!(forged, text);
        fs::write(&record, forged).unwrap();
        let (code, document) = shop.upgrade_by_records(&["--dry-run", "chat"]);
        assert_eq!(code, 2, "{document}");
        let error = document["results"][0]["error"].to_string();
        assert!(error.contains("expected a whole path"), "{error}");
        assert!(error.contains("pass --gallery FILE"), "{error}");
    }
}

/// A clone has a store with the digest and the evidence of the genuine image, and files of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_brings_a_store_does_not_decide_what_is_installed() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let here = shop.directory.path();
    let clone = here.join("clone");
    fs::create_dir(&clone).unwrap();
    let (code, document) = shop.install(&["--store", "clone/store", "chat"]);
    assert_eq!(code, 0, "{document}");
    fs::write(clone.join("store/chat/evil"), "").unwrap();
    shop.write_private("clone/countersign.toml", "store = 'store'");
    private(&clone, 0o755);
    let install = |allow: &str| {
        let user = format!("{allow}gallery = '../../galleries.yaml'\ntrust = '../../root.json'\n");
        let mut command = shop.as_user(&["install", "--platform=linux/amd64", "chat"]);
        shop.write_private("config/countersign/countersign.toml", &user);
        command.env("XDG_DATA_HOME", here.join("data"));
        let output = command.current_dir(&clone).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = install("");
    assert!(
        said.contains("clone/countersign.toml is not used"),
        "{said}"
    );
    let genuine = here.join("data/countersign/chat");
    assert!(genuine.join(".countersign/record.json").exists());
    assert!(!genuine.join("evil").exists());
    // Whoever allows it takes its store as it is.
    fs::remove_dir_all(here.join("data")).unwrap();
    let said = install(&format!("allow = [{clone:?}]\n"));
    assert!(!said.contains("is not used"), "{said}");
    assert!(!genuine.exists());
}

#[tokio::test]
async fn outdated_refuses_what_has_no_effect_there() {
    let stage = Stage::new().await;
    let flags = [
        "--dry-run",
        "--lock",
        "--check",
        "--no-wait",
        "--durability=full",
        "--jobs=2",
        "--layer-cache=layers",
    ];
    for (command, flags) in [
        (&["outdated"][..], &flags[..]),
        (&["upgrade", "--dry-run"], &flags[1..]),
        (&["install", "--dry-run"], &flags[1..]),
    ] {
        for flag in flags {
            let name: &[&str] = if command[0] == "install" {
                &["chat"]
            } else {
                &[]
            };
            let run = stage.run(&[command, &["--gallery", "galleries.yaml", flag], name]);
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
            let (command, flag) = (command.join(" "), flag.split('=').next().unwrap());
            let says = format!("{flag} has no effect: `{command}` installs nothing");
            assert!(run.stderr.contains(&says), "{}", run.stderr);
        }
    }
}
