//! `countersign.toml`, as a person and a script meet it: what it sets, what comes before it, and which counts.

mod allowed;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::stage::{RELEASE, Run, STRANGER, Stage, program, run};

/// The user's own file, in the home of the stage.
pub(crate) const USER: &str = "home/.config/countersign/countersign.toml";
/// One that is found upward from the working directory.
const PROJECT: &str = "countersign.toml";

impl Stage {
    /// Writes a file that nobody else can write to, whatever the umask is.
    pub(crate) fn configure(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
        let directory = self.path(name);
        let directory = directory.parent().unwrap();
        fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
    }

    /// Writes the user's file: one in the working directory counts.
    fn allow(&self) {
        self.configure(USER, &self.allowing(""));
    }

    /// A user's file for that, which sets more.
    fn allowing(&self, text: &str) -> String {
        format!("allow = [{:?}]\n{text}", self.directory.path())
    }

    fn show(&self, with: impl FnOnce(&mut Command)) -> Value {
        let mut command = self.command(&["config", "show", "--output", "json"]);
        with(&mut command);
        run(&mut command).json()
    }

    /// A user whose file has all that is needed to verify and to sign, beside it.
    fn configure_user(&self) {
        self.configure(
            USER,
            "trust = 'trusted_root.json'\nsigning-config = 'signing_config.json'\npolicy = 'policy.yaml'\n\
             gallery = 'galleries.yaml'\nstore = 'store'\n",
        );
        let directory = self.path(USER);
        let directory = directory.parent().unwrap();
        for name in ["trusted_root.json", "signing_config.json", "policy.yaml"] {
            fs::copy(self.path(name), directory.join(name)).unwrap();
        }
        let galleries = self.gallery("file:index.yaml", RELEASE);
        fs::write(directory.join("galleries.yaml"), galleries).unwrap();
        let host = self.registry.host();
        let entry = format!("[{{name: chat, uri: '{host}/app:v1'}}]");
        fs::write(directory.join("index.yaml"), entry).unwrap();
    }
}

/// The value of a setting, and where it is from.
fn found(document: &Value, setting: &str) -> (String, String) {
    let results = document["results"].as_array().unwrap();
    let result = results.iter().find(|one| one["setting"] == setting);
    let result = result.unwrap();
    let text = |field: &str| result[field].as_str().unwrap_or("-").to_owned();
    let source = match text("source") {
        path if path.ends_with(USER) => "user".to_owned(),
        path if path.ends_with(PROJECT) => "project".to_owned(),
        path if path.ends_with("named.toml") => "named".to_owned(),
        other => other,
    };
    let from = text("from");
    (
        text("value"),
        match from.as_str() {
            "default" | "nothing" => from,
            _ => source,
        },
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn a_flag_comes_before_a_variable_and_this_before_files_the_nearest_first() {
    let stage = Stage::new().await;
    let named = "store = '/n'\npolicy = '/n.yaml'";
    stage.configure("home/named.toml", named);
    let user = "store = '/u'\npolicy = '/u.yaml'\ntrust = 'github'\ngallery = '/g.yaml'\n\
                proxy = 'me:hunter2@user.example:1'\nno-proxy = ['u']";
    let user = stage.allowing(user);
    let user = user.as_str();
    let project = "store = '/p'\nproxy = 'http://project.example'\n";
    let store = ("COUNTERSIGN_STORE_DIR", "/v");
    let config = ("COUNTERSIGN_CONFIG", "home/named.toml");
    let https = ("HTTPS_PROXY", "http://v.example:3");
    let no_proxy = ("NO_PROXY", "v");
    let flag = &["--store", "/f"][..];
    // What there is: files, variables, flags. Then a setting with its value, and where it is from.
    for (files, variables, flags, setting, value, from) in [
        (
            ["", ""],
            &[][..],
            &[][..],
            "trust",
            "public-good",
            "default",
        ),
        (["", ""], &[], &[], "gallery", "-", "nothing"),
        (["", user], &[], &[], "store", "/u", "user"),
        ([project, user], &[], &[], "store", "/p", "project"),
        ([project, user], &[], &[], "policy", "/u.yaml", "user"),
        ([project, user], &[], &[], "trust", "github", "user"),
        ([project, user], &[store], &[], "store", "/v", store.0),
        ([project, user], &[store], flag, "store", "/f", "--store"),
        (
            [project, user],
            &[],
            &["--trust", "public-good"],
            "trust",
            "public-good",
            "--trust",
        ),
        (
            ["", user],
            &[],
            &["--trusted-root", "x"],
            "trust",
            "x",
            "--trusted-root",
        ),
        (
            ["", user],
            &[],
            &["--gallery", "x"],
            "gallery",
            "x",
            "--gallery",
        ),
        // A file that is named is the only one.
        ([project, user], &[config], &[], "store", "/n", "named"),
        (
            [project, user],
            &[config],
            &[],
            "trust",
            "public-good",
            "default",
        ),
        (
            [project, user],
            &[config, store],
            &[],
            "store",
            "/v",
            store.0,
        ),
        (
            [project, user],
            &[config],
            &["--config", "/dev/null"],
            "policy",
            "-",
            "nothing",
        ),
        // A proxy has its own list of hosts. No password is shown.
        (
            ["", user],
            &[],
            &[],
            "proxy",
            "http://user.example:1",
            "user",
        ),
        (["", user], &[], &[], "no-proxy", "u", "user"),
        (
            [project, user],
            &[],
            &[],
            "proxy",
            "http://project.example",
            "project",
        ),
        ([project, user], &[], &[], "no-proxy", "-", "nothing"),
        (
            ["", user],
            &[https],
            &[],
            "proxy",
            "http://v.example:3",
            https.0,
        ),
        (["", user], &[https], &[], "no-proxy", "-", "nothing"),
        (["", user], &[no_proxy], &[], "no-proxy", "v", no_proxy.0),
    ] {
        for (name, text) in [PROJECT, USER].into_iter().zip(files) {
            stage.configure(name, text);
        }
        let document = stage.show(|command| {
            command.args(flags).envs(variables.iter().copied());
        });
        let expected = (value.to_owned(), from.to_owned());
        let case = format!("{files:?} {variables:?} {flags:?} {setting}");
        assert_eq!(found(&document, setting), expected, "{case}");
        assert!(!document.to_string().contains("hunter2"), "{document}");
    }
}

/// Neither a home nor a file: everything is as it always was.
#[test]
fn without_a_home_nothing_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = program(&["config", "show"]);
    let shown = run(command.current_dir(directory.path()));
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert_snapshot!(shown.stdout, @"
    SETTING         VALUE        FROM
    gallery         -            -
    policy          -            -
    trust           public-good  default
    signing-config  -            -
    store           -            -
    proxy           -            -
    no-proxy        -            -

    not found  countersign.toml in this directory and those above it
    not found  /etc/countersign/countersign.toml (this machine's)
    ");
    let mut command = program(&["list", "--store", "here"]);
    assert_eq!(run(command.current_dir(directory.path())).code, 0);
}

#[tokio::test]
async fn what_is_shown_is_a_table_with_the_files_below_it() {
    let stage = Stage::new().await;
    let user = stage.allowing("gallery = 'g.yaml'\ntrust = 'github'\n");
    stage.configure(USER, &user);
    stage.configure(PROJECT, "store = 'models'\nproxy = 'proxy.example:3128'");
    stage.write("below/file", "");
    let mut command = stage.command(&["config", "show"]);
    let shown = run(command.current_dir(stage.path("below")));
    let here = stage.directory.path().display().to_string();
    // The table is as wide as the paths are.
    let columns = regex::Regex::new("  +").unwrap();
    let text = shown.shown().replace(&here, "/here");
    let text = columns.replace_all(&text, "  ");
    assert_snapshot!(text, @"
    exit code 0
    --- standard output
    SETTING  VALUE  FROM
    gallery  /here/home/.config/countersign/g.yaml  /here/home/.config/countersign/countersign.toml
    policy  -  -
    trust  github  /here/home/.config/countersign/countersign.toml
    signing-config  -  -
    store  /here/models  /here/countersign.toml
    proxy  http://proxy.example:3128  /here/countersign.toml
    no-proxy  -  -

    read  /here/countersign.toml (this directory or one above it)
    read  /here/home/.config/countersign/countersign.toml (this user's)
    not found  /etc/countersign/countersign.toml (this machine's)
    --- standard error
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_s_file_says_is_enough_to_sign_verify_and_install() {
    let stage = Stage::new().await;
    stage.configure_user();
    let app = stage.reference("app:v1");
    let done = |words: &[&str]| {
        let run = stage.run(&[words]);
        assert_eq!(run.code, 0, "{words:?}: {}", run.shown());
        run
    };
    done(&["sign", "--by-tag", "--identity-token", "@token", &app]);
    done(&["verify", &app]);
    let platform = ["install", "--platform", "linux/amd64"];
    done(&[&platform[..], &[&app, "./here"]].concat());
    done(&[&platform[..], &["chat"]].concat());
    let store = stage.path(USER).with_file_name("store");
    assert!(store.join("chat/bin/app").exists());
    let listed = done(&["list"]);
    assert!(listed.stdout.contains("chat"), "{}", listed.stdout);
    for words in [
        &["outdated"][..],
        &["upgrade"],
        &["check"],
        &["gallery", "show"],
        &["gallery", "check"],
        &["trust", "show"],
        &["remove", "chat"],
    ] {
        done(words);
    }
    // A flag comes first, as a whole.
    let issuer = stage.issuer();
    let other = ["--issuer", &issuer, "--identity", STRANGER];
    let run = stage.run(&[&["verify"], &other, &[&app]]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let run = stage.run(&[&["verify", "--identity", STRANGER, &app]]);
    assert_eq!(run.code, 2, "{}", run.shown());
}

/// Whoever asks for something else than images is not told of images.
#[tokio::test]
async fn a_file_that_is_named_and_is_not_there_is_told_with_what_names_it() {
    let stage = Stage::new().await;
    stage.configure(
        USER,
        "policy = 'nothing.yaml'\ntrust = './none'\ngallery = 'none.yaml'",
    );
    let app = stage.reference("app:v1");
    for words in [&["verify", &app][..], &["install", "chat"]] {
        let run = stage.run(&[words]);
        assert_eq!(run.code, 2, "{}", run.shown());
        let says = "countersign.toml names it";
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    let mut command = stage.command(&["list"]);
    let run = run(command.env("COUNTERSIGN_CONFIG", "none.toml"));
    assert_eq!(run.code, 2, "{}", run.shown());
    let says = "COUNTERSIGN_CONFIG names this file";
    assert!(run.stderr.contains(says), "{}", run.stderr);
}

/// Every command of somebody who works in a directory that somebody else filled.
fn refused(stage: &Stage, expected: &str) -> Run {
    let app = stage.reference("app:v1");
    stage.write("below/file", "");
    let arguments = [
        &["verify", "--policy", "../policy.yaml", &app][..],
        &["sign", "--by-tag", "--identity-token", "@../token", &app],
        &["list"],
        &["config", "show"],
    ];
    let mut last = None;
    for words in arguments {
        let mut command = stage.command(words);
        let run = run(command.current_dir(stage.path("below")));
        assert_eq!(run.code, 2, "{words:?}: {}", run.shown());
        assert!(run.stderr.contains(expected), "{words:?}: {}", run.stderr);
        last = Some(run);
    }
    assert_eq!(stage.registry.requests().len(), 0);
    last.unwrap()
}

#[tokio::test]
async fn a_trusted_root_that_is_not_there_is_told_with_the_file_that_names_it() {
    let stage = Stage::new().await;
    stage.configure_user();
    fs::remove_file(stage.path(USER).with_file_name("trusted_root.json")).unwrap();
    let run = stage.run(&[&["verify", &stage.reference("app:v1")]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for says in ["the configuration ", "countersign.toml names it"] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

#[tokio::test]
async fn what_others_can_write_to_is_not_used() {
    let stage = Stage::new().await;
    stage.allow();
    stage.configure(PROJECT, "store = 'x'");
    fs::set_permissions(stage.path(PROJECT), Permissions::from_mode(0o666)).unwrap();
    refused(&stage, "can be written to by everybody (mode 666)");
    stage.configure(PROJECT, "store = 'x'");
    fs::set_permissions(stage.directory.path(), Permissions::from_mode(0o1777)).unwrap();
    let run = refused(&stage, "can be written to by everybody (mode 1777)");
    // A directory says nothing itself.
    let says = "look at the files in it";
    assert!(run.stderr.contains(says), "{}", run.stderr);
}

#[tokio::test]
async fn a_proxy_of_a_file_is_used_and_a_variable_comes_before_it() {
    let stage = Stage::new().await;
    let proxy = stage.registry.host();
    let project = format!("proxy = '{proxy}'\nno-proxy = ['inside.invalid']\n");
    stage.allow();
    stage.configure(PROJECT, &project);
    let asked = |host: &str, variable: &str| {
        let app = format!("{host}/app:v1");
        let words = ["verify", "--plain-http", "--timeout=3s", "--trusted-root"];
        let rest = ["trusted_root.json", "--policy", "policy.yaml", &app];
        let before = stage.registry.requests().len();
        let mut command = stage.command(&[&words[..], &rest].concat());
        run(command.env("HTTPS_PROXY", variable));
        stage.registry.requests().len() > before
    };
    assert!(asked("outside.invalid", ""));
    assert!(!asked("inside.invalid", ""));
    assert!(!asked("outside.invalid", "http://127.0.0.1:1"));
}
