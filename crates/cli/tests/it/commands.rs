//! One table of all commands, and what holds for each: it succeeds with 0, in text and in JSON; it keeps to
//! `--quiet`; the pages and CHANGELOG.md name it. A new command fails here until it has its row.

use std::path::Path;

use countersign_sandbox::{BundleSpec, Statement};

use crate::configuration::USER;
use crate::help::{commands, is_group};
use crate::stage::{RELEASE, Run, Stage, TRUST};

/// What a command prints on standard output for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prints {
    /// What was done, by `Output::result`. `--quiet` leaves it out.
    Report,
    /// What the command is there to print, by `Output::answer`. `--quiet` leaves it.
    Answer,
    /// A JSON Schema, by `Output::schema`, for a person and a program alike.
    Schema,
}

struct Row {
    /// The words of the command, such as `policy check`.
    name: &'static str,
    /// With these it succeeds, as often as it is run. `REGISTRY` stands for the registry's host, and
    /// `DIGEST` for that of an image there.
    arguments: &'static str,
    /// A command with its arguments that has to be run before each run of this one; may be empty.
    before: &'static str,
    prints: Prints,
}

const INSTALL: &str =
    "install --platform linux/amd64 --gallery galleries.yaml --trusted-root trusted_root.json chat";

const ROWS: &[Row] = &[
    Row {
        name: "sign",
        arguments: "--by-tag --trusted-root trusted_root.json --signing-config signing_config.json \
                   --identity-token @token REGISTRY/app:v1",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "merge",
        arguments: "--trusted-root trusted_root.json --signing-config signing_config.json \
                   --identity-token @token --tag REGISTRY/app:merged REGISTRY/app@DIGEST",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "copy",
        arguments: "--trusted-root trusted_root.json --policy policy.yaml REGISTRY/app:v1 REGISTRY/mirror/app",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "verify",
        arguments: "--trusted-root trusted_root.json --policy policy.yaml REGISTRY/app:v1",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "tree",
        arguments: "--trusted-root trusted_root.json REGISTRY/app:v1",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "trust show",
        arguments: "--trusted-root trusted_root.json",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "trust update",
        arguments: "--trusted-root trusted_root.json",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "config show",
        arguments: "",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "audit",
        arguments: "--trusted-root trusted_root.json --gallery galleries.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "audit merge",
        arguments: "audit.jsonl",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "install",
        arguments: "--platform linux/amd64 --gallery galleries.yaml --trusted-root trusted_root.json chat",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "upgrade",
        arguments: "--gallery galleries.yaml --trusted-root trusted_root.json",
        before: INSTALL,
        prints: Prints::Report,
    },
    Row {
        name: "outdated",
        arguments: "--gallery galleries.yaml --trusted-root trusted_root.json",
        before: INSTALL,
        prints: Prints::Answer,
    },
    Row {
        name: "gallery show",
        arguments: "galleries.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "gallery check",
        arguments: "galleries.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "list",
        arguments: "",
        before: INSTALL,
        prints: Prints::Answer,
    },
    Row {
        name: "check",
        arguments: "chat",
        before: INSTALL,
        prints: Prints::Answer,
    },
    Row {
        name: "remove",
        arguments: "chat",
        before: INSTALL,
        prints: Prints::Report,
    },
    Row {
        name: "policy check",
        arguments: "policy.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "policy init",
        arguments: "--trusted-root trusted_root.json --from REGISTRY/app:v1",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "policy export",
        arguments: "--to kyverno --images REGISTRY/** --lossy policy.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "policy import",
        arguments: "cluster.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "policy test",
        arguments: "policy.yaml --case cases.yaml --trusted-root trusted_root.json",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "image-verifier refresh",
        arguments: "--config image-verifier.yaml",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "doctor containerd",
        arguments: "--config-dump containerd.toml --config image-verifier.yaml",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "version",
        arguments: "",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "completions",
        arguments: "bash",
        before: "",
        prints: Prints::Answer,
    },
    Row {
        name: "man",
        arguments: "pages",
        before: "",
        prints: Prints::Report,
    },
    Row {
        name: "schema output",
        arguments: "",
        before: "",
        prints: Prints::Schema,
    },
    Row {
        name: "schema policy",
        arguments: "",
        before: "",
        prints: Prints::Schema,
    },
    Row {
        name: "schema image-verifier",
        arguments: "",
        before: "",
        prints: Prints::Schema,
    },
];

/// By itself it answers containerd on standard input, which `image_verifier.rs` tests.
const WITHOUT_A_ROW: [&str; 1] = ["image-verifier"];

/// The names of all commands that do something, such as `policy check`; `policy` is only a group.
fn names() -> Vec<String> {
    let commands = commands().into_iter().filter(|words| !is_group(words));
    let mut names: Vec<String> = commands.map(|words| words.join(" ")).collect();
    names.retain(|name| !WITHOUT_A_ROW.contains(&name.as_str()));
    names.sort();
    names
}

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// The commands of the table.
pub(crate) fn rows() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

#[test]
fn every_command_has_a_row() {
    let mut rows: Vec<_> = rows().map(str::to_owned).collect();
    rows.sort();
    let says = "left: the program's commands; right: those in `ROWS`, where each needs a row";
    assert_eq!(names(), rows, "{says}");
}

/// Signed images, a gallery of one of them, and a saved signature.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let host = stage.registry.host();
    stage.signed("app:v1", RELEASE);
    stage.write("galleries.yaml", stage.gallery("file:index.yaml", RELEASE));
    let entry = format!("[{{name: chat, uri: '{host}/app:v1'}}]");
    stage.write("index.yaml", entry);
    let verification = stage.verification(RELEASE);
    let config = format!(
        "trusted_root: trusted_root.json\nstate_directory: state\n\
         rules: [{{images: ['**'], verification: {verification}}}]\n"
    );
    stage.write("image-verifier.yaml", config);
    crate::doctor::node(&stage);
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), RELEASE);
    stage.write("bundle.json", stage.sigstore.issue(&spec).unwrap());
    let digest = stage.index.digest();
    let case = format!(
        "cases:\n  - name: release\n    digest: {digest}\n    bundle: bundle.json\n    expect: accepted\n"
    );
    stage.write("cases.yaml", case);
    let audit = ["audit", "--gallery=galleries.yaml", "--output=jsonl"];
    let audit = stage.run(&[&audit, &TRUST]);
    stage.write("audit.jsonl", audit.stdout);
    let export = [
        "policy",
        "export",
        "--to=policy-controller",
        "--images=**",
        "--lossy",
    ];
    let exported = stage.run(&[&export, &["policy.yaml"]]);
    stage.write("cluster.yaml", exported.stdout);
    stage
}

/// Runs `line` with `flags` behind it. It must succeed without a word on standard error.
fn succeeds(stage: &Stage, line: &str, flags: &[&str]) -> Run {
    let run = run_line(stage, line, flags);
    assert_eq!(run.code, 0, "{line} {flags:?}\n{}", run.shown());
    run
}

fn run_line(stage: &Stage, line: &str, flags: &[&str]) -> Run {
    let image = stage.index.images()[0].digest().to_string();
    let line = line
        .replace("REGISTRY", &stage.registry.host())
        .replace("DIGEST", &image);
    let words: Vec<&str> = line.split_whitespace().collect();
    stage.run(&[&words, flags])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_succeeds_with_0_and_keeps_to_quiet_and_json() {
    let stage = stage().await;
    for row in ROWS {
        let &Row {
            name,
            arguments,
            before,
            prints,
        } = row;
        let line = format!("{name} {arguments}");
        let run = |flags: &[&str]| {
            if !before.is_empty() {
                succeeds(&stage, before, &[]);
            }
            succeeds(&stage, &line, flags)
        };
        let usual = run(&[]);
        assert_ne!(usual.stdout, "", "{name}");
        let quiet = run(&["--quiet"]);
        assert_eq!(quiet.stderr, "", "{name}");
        match prints {
            Prints::Report => assert_eq!(quiet.stdout, "", "{name}"),
            Prints::Answer | Prints::Schema => assert_eq!(quiet.stdout, usual.stdout, "{name}"),
        }
        let json = run(&["--output", "json"]);
        match prints {
            Prints::Report | Prints::Answer => {
                let document = json.json();
                assert!(document["results"].is_array(), "{name}: {document}");
                assert_eq!(document.get("error"), None, "{name}");
            }
            Prints::Schema => assert_eq!(json.stdout, usual.stdout, "{name}"),
        }
    }
}

/// What decides for a node, and what has no defaults, reads no file of configuration. Which commands that are is in the
/// page, which a test of the program holds against their flags.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_defaults_reads_no_file_of_configuration() {
    let stage = stage().await;
    let page = page("docs/configuration.md");
    let (_, without) = page.split_once("doesn't read these files").unwrap();
    stage.configure(USER, "this is no TOML");
    for row in ROWS {
        let group = row.name.split(' ').next().unwrap();
        let named = [row.name, group].map(|name| without.contains(&format!("`{name}`")));
        let line = format!("{} {}", row.name, row.arguments);
        if group == "image-verifier" || named.contains(&true) {
            succeeds(&stage, &line, &[]);
        } else {
            let run = run_line(&stage, &line, &[]);
            assert_eq!(run.code, 2, "{line}\n{}", run.shown());
            assert!(run.stderr.contains("countersign.toml"), "{}", run.stderr);
        }
    }
}

#[test]
fn the_page_names_the_commands_that_quiet_does_not_silence() {
    let page = page("docs/scripting.md");
    let (_, list) = page
        .split_once("Some commands exist to print something: ")
        .unwrap();
    let (list, _) = list.split_once('.').unwrap();
    for &Row { name, prints, .. } in ROWS {
        let group = name.split(' ').next().unwrap();
        let named = list.contains(&format!("`{group}`"));
        let says = "docs/scripting.md lists the commands that print an answer, and only these";
        assert_eq!(named, prints != Prints::Report, "{says}: {name}: {list}");
    }
}

#[test]
fn the_pages_and_the_changelog_name_every_command() {
    let changelog = page("CHANGELOG.md");
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")).unwrap();
    let mut pages = page("README.md");
    for entry in docs {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            pages.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    for name in names() {
        let command = format!("countersign {name}");
        assert!(pages.contains(&command), "no page shows `{command}`");
        // Without the program's name it could be a field.
        let named = changelog.contains(&command);
        assert!(named, "CHANGELOG.md doesn't name `{command}`");
    }
}
