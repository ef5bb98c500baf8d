//! Names and texts of others, and paths of any bytes, as they reach a terminal or a program.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault};

use crate::stage::{POLICY, RELEASE, Run, Stage, TRUST, run};

/// Moves the cursor, changes the direction of what follows, is not seen, and begins a line.
const HOSTILE: &str = "x\u{1b}[2J\u{202e}y\u{200b}\u{9b}z";

/// Whether nothing acts on a terminal: lines alone are left.
fn harmless(run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let acts = |c: char| {
            c != '\n' && (c.is_control() || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}'))
        };
        assert!(!text.contains(acts), "{text:?}");
    }
}

#[tokio::test]
async fn a_signer_s_identity_is_escaped() {
    let stage = Stage::new().await;
    // Of the kind that a certificate has as UTF-8: the others are ASCII.
    let identity = format!("{HOSTILE}!acme");
    let token = stage.sigstore.token(&identity);
    let app = stage.reference(&format!("app@{}", stage.index.digest()));
    let signed = stage.sign(&["--identity-token", &token, &app]);
    assert_eq!(signed.code, 0, "{}", signed.shown());
    harmless(&signed);
    let refused = stage.verify(&[&app]);
    harmless(&refused);
    let json = stage.verify(&[&app, "--output", "json"]);
    harmless(&json);
    assert_eq!((refused.code, json.code), (4, 4), "{}", refused.shown());
    assert!(refused.stderr.contains(r"\u{202e}y"), "{}", refused.shown());
}

#[tokio::test]
async fn a_server_s_message_is_escaped() {
    let stage = Stage::new().await;
    let body = format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"{HOSTILE}\"}}]}}");
    let line = "GET /v2/app/manifests/v1";
    let fault = Fault::on(line, Effect::Body(body.into_bytes().into()));
    stage.registry.add_fault(fault);
    let app = stage.reference("app:v1");
    let refused = stage.verify(&[&app]);
    assert_ne!(refused.code, 0);
    harmless(&refused);
    harmless(&stage.verify(&[&app, "--output", "json"]));
}

#[tokio::test]
async fn names_in_layers_are_escaped_where_they_are_refused_and_kept_where_they_are_installed() {
    let stage = Stage::new().await;
    let push = |tag: &str, name: &str| {
        let layer = Layer::builder().file(name, "x", 0o644);
        let image = Image::builder("linux/amd64".parse().unwrap())
            .layer(layer.build(Compression::Gzip))
            .build();
        image.push(&stage.registry, "app", Some(tag));
        stage.signed(&format!("app:{tag}"), RELEASE);
    };
    push("refused", &format!("../{HOSTILE}"));
    let refused = stage.install(&[&stage.reference("app:refused"), "refused"]);
    assert_eq!(refused.code, 5, "{}", refused.shown());
    assert!(refused.stderr.contains(r"\u{202e}y"), "{}", refused.shown());
    harmless(&refused);

    push("kept", HOSTILE);
    let kept = stage.install(&[&stage.reference("app:kept"), "kept"]);
    assert_eq!(kept.code, 0, "{}", kept.shown());
    harmless(&kept);
    assert_eq!(
        fs::read_to_string(stage.path("kept").join(HOSTILE)).unwrap(),
        "x"
    );
}

#[tokio::test]
async fn a_gallery_s_names_and_descriptions_are_escaped() {
    let stage = Stage::new().await;
    let hostile = r"x\e[2J\u202ey\u200b\u009bz";
    let index = format!(
        "- {{ name: \"{hostile}\", description: \"{hostile}\", uri: quay.io/acme/chat:v1 }}\n- {{ name: chat, alias: \"{hostile}\", uri: \"ftp://{hostile}\" }}\n"
    );
    stage.write("index.yaml", index);
    let galleries = format!("galleries: [{{ name: \"{hostile}\", url: \"file:index.yaml\" }}]\n");
    stage.write("galleries.yaml", galleries);
    let gallery = ["gallery", "show", "galleries.yaml"];
    for what in [&[][..], &["chat"], &["nobody"]] {
        for format in ["human", "json"] {
            let run = stage.run(&[&gallery, what, &["--output", format]]);
            assert_ne!(run.stdout.len() + run.stderr.len(), 0);
            harmless(&run);
        }
    }
}

/// What is typed is shown whole, and nothing of it acts.
#[tokio::test]
async fn a_command_line_that_can_not_be_read_is_escaped() {
    let stage = Stage::new().await;
    let shown = r"x\u{1b}[2J\u{202e}y\u{200b}\u{9b}z";
    let image = format!("a{HOSTILE}/app:v1");
    let option = format!("--{HOSTILE}");
    let line_break = "app\n\nerror: none";
    for (arguments, says) in [
        (&["verify", &image][..], shown),
        (&["verify", "--trust", HOSTILE, "app:v1"], shown),
        (&["verify", &option, "app:v1"], shown),
        (&["policy", "init", "--from", &image], shown),
        (&[HOSTILE], shown),
        (&["verify", line_break], r"app\u{a}\u{a}error: none"),
    ] {
        for flags in [&[][..], &["--color=always"], &["--output=json"]] {
            let run = stage.run(&[arguments, flags]);
            assert_eq!(run.code, 2, "{}", run.shown());
            if let [flag] = flags
                && flag.ends_with("json")
            {
                harmless(&run);
                let message = run.json()["error"]["message"].to_string();
                let says = says.replace('\\', r"\\");
                assert!(message.contains(&says), "{}", run.shown());
            } else {
                if flags.is_empty() {
                    harmless(&run);
                }
                assert!(!run.stderr.contains("\u{1b}[2J"), "{}", run.shown());
                assert!(run.stderr.contains(says), "{}", run.shown());
            }
        }
    }
}

/// Not UTF-8, and a line break.
fn odd() -> &'static OsStr {
    OsStr::from_bytes(b"odd\xff\ndir")
}

#[tokio::test]
async fn an_image_is_installed_to_a_directory_of_any_name() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    for (format, shown) in [
        ("human", "odd\u{fffd}\\u{a}dir"),
        ("json", "odd\u{fffd}\\ndir"),
    ] {
        let _ = fs::remove_dir_all(stage.directory.path().join(odd()));
        let first = ["install", "--output", format, "--platform", "linux/amd64"];
        let mut command = stage.command(&[&first[..], &TRUST, &POLICY, &[&app]].concat());
        let run = run(command.arg(odd()));
        assert_eq!(run.code, 0, "{}", run.shown());
        assert!(run.stdout.contains(shown), "{}", run.shown());
        let file = stage.directory.path().join(odd()).join("bin/app");
        assert_eq!(fs::read_to_string(file).unwrap(), "linux/amd64");
    }
}

#[tokio::test]
async fn a_store_of_any_name_is_listed_and_emptied() {
    let stage = Stage::new().await;
    stage.write("content/file", "x");
    let content = stage.path("content");
    let index = format!(
        "- {{ name: chat, uri: \"file://{}\" }}\n",
        content.display()
    );
    stage.write("index.yaml", index);
    let galleries = "galleries: [{ name: acme, url: \"file:index.yaml\" }]\n";
    stage.write("galleries.yaml", galleries);
    let install = ["install", "--gallery", "galleries.yaml", "chat"];
    for (arguments, format) in [
        (&install[..], "json"),
        (&["list", "--long"], "human"),
        (&["list"], "json"),
        (&["remove", "chat"], "json"),
    ] {
        let mut command = stage.command(&[arguments, &["--output", format]].concat());
        let run = run(command.env("COUNTERSIGN_STORE_DIR", odd()));
        assert_eq!(run.code, 0, "{}", run.shown());
        assert!(run.stdout.contains("odd\u{fffd}"), "{}", run.shown());
    }
    assert!(stage.directory.path().join(odd()).is_dir());
}

/// Each argument that is a file or a name, with bytes that are no text.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of commands")]
async fn no_argument_that_is_not_utf_8_panics() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    stage.write("galleries.yaml", "galleries: []\n");
    let odd = odd().to_owned();
    let after = |flag: &str| {
        let mut text = OsString::from(flag);
        text.push(&odd);
        text
    };
    let text = |arguments: &[&str]| arguments.iter().map(OsString::from).collect::<Vec<_>>();
    let cases: Vec<(Vec<OsString>, i32)> = vec![
        ([text(&["policy", "check"]), vec![odd.clone()]].concat(), 2),
        (
            [
                text(&["policy", "test", "policy.yaml", "--case"]),
                vec![odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [text(&["verify", &app, "--policy"]), vec![odd.clone()]].concat(),
            2,
        ),
        (
            [
                text(&["verify", &app, "--policy", "policy.yaml", "--trusted-root"]),
                vec![odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["verify", &app, "--policy", "policy.yaml", "--registry-ca"]),
                vec![odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["verify", "--policy", "policy.yaml"]),
                vec![odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["verify", "--policy", "policy.yaml"]),
                vec![after("ocifile://")],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["install", "--policy", "policy.yaml"]),
                vec![odd.clone(), odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["install", "--policy", "policy.yaml"]),
                vec![after("ocifile://"), odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [text(&["install", "chat", "--gallery"]), vec![odd.clone()]].concat(),
            2,
        ),
        (
            [
                text(&["install", "--gallery", "galleries.yaml"]),
                vec![odd.clone()],
            ]
            .concat(),
            2,
        ),
        (
            [
                text(&["install", "--gallery", "galleries.yaml"]),
                vec![after("--from-lock=")],
            ]
            .concat(),
            2,
        ),
        ([text(&["remove"]), vec![odd.clone()]].concat(), 2),
        ([text(&["list", "--store"]), vec![odd.clone()]].concat(), 0),
        (
            [text(&["sign", &app, "--identity-token"]), vec![after("@")]].concat(),
            2,
        ),
    ];
    for (arguments, code) in cases {
        for format in ["human", "json"] {
            let mut command = stage.command(&["--output", format]);
            let run = run(command.args(&arguments));
            assert_eq!(run.code, code, "{arguments:?}: {}", run.shown());
            assert!(!run.stderr.contains("panicked"), "{}", run.shown());
        }
    }
}
