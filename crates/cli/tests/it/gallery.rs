//! `countersign gallery` and `install --gallery`, as a person at a terminal and a script meet it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

const INDEX: &str = "
- &chat
  name: chat
  alias: chat
  capabilities: {default: cpu-chat, nvidia: cuda-chat}
- <<: *chat
  name: cpu-chat
  uri: quay.io/acme/galleries:latest-cpu-chat
  mirrors: [acme/galleries:latest-cpu-chat]
- <<: *chat
  name: cuda-chat
  uri: quay.io/acme/galleries:latest-cuda-chat
- name: mac-chat
  capabilities: {metal: cpu-chat}
";

const COVERED: &str = r"
- name: acme
  url: file:index.yaml
  verification:
    issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\.com/acme/galleries/.+
";

pub(crate) const UNCOVERED: &str = "[{name: acme, url: 'file:index.yaml'}]";

/// A directory with a gallery file and an index, to run in.
pub(crate) struct Directory(pub(crate) TempDir);

impl Directory {
    pub(crate) fn new(galleries: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("galleries.yaml"), galleries).unwrap();
        fs::write(directory.path().join("index.yaml"), INDEX).unwrap();
        Self(directory)
    }

    fn install(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        self.run(&[&["install"], arguments].concat(), variables)
    }

    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// Exit code, standard output and standard error of planning.
    pub(crate) fn plan(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut all = vec!["gallery", "show", "galleries.yaml"];
        // Not this machine's: what is printed must not depend on it.
        if !arguments.contains(&"--capability") {
            all.extend(["--capability", "default"]);
        }
        all.extend(arguments);
        read(&self.run(&all, &[]))
    }
}

pub(crate) fn read(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_plan_says_from_where_and_on_what_proof() {
    let directory = Directory::new(COVERED);
    let (code, out, err) = directory.plan(&["chat", "--fallback-tag", "latest-*=master-*"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_snapshot!(out, @r#"
    gallery acme: 4 entries from file:index.yaml, for the hardware `default`
      A signature is accepted if all of this is true:
      - it is a cosign signature, not another kind of statement;
      - its certificate says:
          issuer is exactly https://token.actions.githubusercontent.com
          identity as a whole matches https://github\.com/acme/galleries/.+
      - a log or a timestamp authority proves when it was made; any time is accepted;
      - it is valid by the trusted root in use.
      Signatures are looked for in the repository of the image.

    chat → cpu-chat
      primary  quay.io/acme/galleries:latest-cpu-chat
      mirror   docker.io/acme/galleries:latest-cpu-chat
      fallback quay.io/acme/galleries:master-cpu-chat
      fallback docker.io/acme/galleries:master-cpu-chat
      requires a signature that the policy accepts
    "#);
}

#[test]
fn a_capability_that_nobody_knows_is_refused_and_the_nearest_named() {
    let directory = Directory::new(COVERED);
    for (misspelt, says) in [
        ("nvidai", "did you mean `nvidia`?"),
        ("nvidia-cdua-12", "did you mean `nvidia-cuda-12`?"),
        ("abacus", "expected one of amd, cpu, darwin-x86, default, "),
    ] {
        let (code, out, err) = directory.plan(&["acme@chat", "--capability", misspelt]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        let says = format!("error: --capability `{misspelt}` is unknown: {says}");
        assert!(err.starts_with(&says), "{err}");
    }
    // Its family is known.
    let (code, _, err) = directory.plan(&["acme@chat", "--capability", "nvidia-cuda-99"]);
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn another_capability_leads_to_another_entry() {
    let directory = Directory::new(COVERED);
    let (code, out, _) = directory.plan(&["acme@chat", "--capability", "nvidia-cuda-12"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("chat → cuda-chat\n"), "{out}");
}

#[test]
fn every_entry_is_planned_and_those_for_other_machines_are_no_failure() {
    let directory = Directory::new(COVERED);
    let (code, out, err) = directory.plan(&[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("`mac-chat` is not for the capability default, only for metal\n"),
        "{out}"
    );
    // So the line for jq in docs/scripting.md is not for it, and the page says so.
    let (code, out, _) = directory.plan(&["--output", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    let results = document["results"].as_array().unwrap();
    let mut failed = results.iter().filter(|result| !result["error"].is_null());
    assert_eq!(failed.next().unwrap()["name"], "mac-chat");
    assert_eq!((code, &document["error"]), (Some(0), &Value::Null));
    let page = include_str!("../../../../docs/scripting.md");
    let exceptions = page.split("select(.error)] == [])'`").nth(1).unwrap();
    let exceptions = exceptions.split("\n\n").next().unwrap();
    let exceptions = exceptions.replace('\n', " ");
    assert!(exceptions.contains("`gallery show` without names"));
    let (code, _, err) = directory.plan(&["mac-chat"]);
    assert_eq!(code, Some(6));
    assert!(
        err.contains("hint: choose one of these with --capability"),
        "{err}"
    );
}

/// LocalAI's index lies beside the workspace, where it is there at all: it is not ours to copy.
const LOCALAI: &str = "../shared/galleries/localai-backends.yaml";

#[test]
fn all_of_a_gallery_is_planned() {
    // One entry is for NVIDIA's hardware alone.
    planned("fixtures/gallery.yaml", [(16, 1), (17, 0)]);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if workspace.join(LOCALAI).exists() {
        // Five names stand there twice.
        planned(LOCALAI, [(1018, 15), (1028, 5)]);
    }
}

/// How many entries of the index have a plan, and how many have none: for the usual hardware, and for NVIDIA's.
fn planned(index: &str, expected: [(usize, usize); 2]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = Directory::new(COVERED);
    let copy = directory.0.path().join("index.yaml");
    fs::copy(workspace.join(index), copy).unwrap();
    for (capability, expected) in ["default", "nvidia"].into_iter().zip(expected) {
        let arguments = ["--capability", capability, "--output", "json"];
        let (code, out, err) = directory.plan(&arguments);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{capability}");
        let document: Value = serde_json::from_str(&out).unwrap();
        crate::schema::conforms(&document);
        let results = document["results"].as_array().unwrap();
        let count = |key: &str| results.iter().filter(|one| !one[key].is_null()).count();
        assert_eq!((count("plan"), count("error")), expected, "{capability}");
    }
}

#[test]
fn json_holds_plans_and_what_has_none() {
    let directory = Directory::new(UNCOVERED);
    let (code, out, err) = directory.plan(&["chat", "chatt", "--output", "json"]);
    assert_eq!((code, err.as_str()), (Some(6), ""));
    let document: Value = serde_json::from_str(&out).unwrap();
    crate::schema::conforms(&document);
    insta::assert_json_snapshot!(document, @r#"
    {
      "capability": "default",
      "integrity": "permissive",
      "galleries": [
        {
          "name": "acme",
          "location": "file:index.yaml",
          "entries": 4,
          "skipped": []
        }
      ],
      "results": [
        {
          "gallery": "acme",
          "name": "chat",
          "plan": {
            "via": [
              "chat"
            ],
            "entry": "cpu-chat",
            "alias": "chat",
            "sources": [
              {
                "role": "primary",
                "source": {
                  "kind": "image",
                  "reference": "quay.io/acme/galleries:latest-cpu-chat"
                }
              },
              {
                "role": "mirror",
                "source": {
                  "kind": "image",
                  "reference": "docker.io/acme/galleries:latest-cpu-chat"
                }
              }
            ],
            "requirement": {
              "kind": "none",
              "words": "nothing"
            },
            "warning": "nothing proves who made this content, or that it is unchanged"
          }
        },
        {
          "gallery": "acme",
          "name": "chatt",
          "error": {
            "kind": "not_found",
            "exit_code": 6,
            "message": "the gallery `acme` has nothing to install as `chatt`",
            "causes": [
              "there is no entry `chatt`; did you mean `chat`?"
            ],
            "hints": [
              "`countersign gallery show FILE` shows all entries"
            ]
          }
        }
      ]
    }
    "#);
}

#[test]
fn strict_mode_is_asked_for_by_flag_variable_or_file() {
    let strict_file =
        "{require_integrity: true, galleries: [{name: acme, url: 'file:index.yaml'}]}";
    let arguments = ["gallery", "show", "galleries.yaml", "cpu-chat"];
    let variable = |value| [("COUNTERSIGN_REQUIRE_INTEGRITY", value)];
    for (file, flags, variables, expected) in [
        (UNCOVERED, vec![], vec![], 0),
        (UNCOVERED, vec!["--require-integrity"], vec![], 4),
        (UNCOVERED, vec![], variable("1").to_vec(), 4),
        (UNCOVERED, vec![], variable("0").to_vec(), 0),
        (UNCOVERED, vec![], variable("maybe").to_vec(), 2),
        (strict_file, vec![], vec![], 4),
        // Nothing turns it off again.
        (strict_file, vec![], variable("0").to_vec(), 4),
        (COVERED, vec!["--require-integrity"], vec![], 0),
    ] {
        let arguments = [&arguments[..], &flags].concat();
        let output = Directory::new(file).run(&arguments, &variables);
        let (code, _, err) = read(&output);
        assert_eq!(
            code,
            Some(expected),
            "{file} {flags:?} {variables:?}: {err}"
        );
    }
}

#[test]
fn a_variable_that_is_neither_yes_nor_no_is_refused_where_nothing_is_planned_too() {
    let variables = [("COUNTERSIGN_REQUIRE_INTEGRITY", "maybe")];
    let directory = Directory::new(COVERED);
    for arguments in ["install registry.example/app:v1 app", "upgrade", "outdated"] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (code, _, err) = read(&directory.run(&arguments, &variables));
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        let says = "expected 1 or 0 in COUNTERSIGN_REQUIRE_INTEGRITY, found \"maybe\"";
        assert!(err.contains(says), "{arguments:?}: {err}");
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let directory = Directory::new(UNCOVERED);
    let (code, _, err) = directory.plan(&["cpu-chat", "--require-integrity"]);
    assert_eq!(code, Some(4));
    assert_snapshot!(err, @r#"
    error: the entry `cpu-chat` of the gallery `acme` is refused
      caused by: integrity is required, but quay.io/acme/galleries:latest-cpu-chat can't be verified: the gallery has no `verification` block
      hint: add a `verification` block to the gallery: it says who must have signed
    "#);
}

#[test]
fn wrong_usage_of_either_form_is_told_apart() {
    let directory = Directory::new(COVERED);
    let gallery = ["--gallery", "galleries.yaml"];
    for (arguments, told) in [
        (vec![], "REFERENCE DIRECTORY"),
        (vec!["quay.io/acme/app"], "found only one of them"),
        (vec!["quay.io/acme/app", "a", "b"], "found more than these"),
        (vec!["quay.io/ACME/app", "a"], "is not an image reference"),
        (vec!["--all"], "unexpected argument '--all'"),
        (
            [&gallery[..], &["--dry-run"]].concat(),
            "REFERENCE DIRECTORY|NAME",
        ),
        (
            [&gallery[..], &["--dry-run", "chat", "--issuer", "x"]].concat(),
            "cannot be used with",
        ),
        (
            [&gallery[..], &["chat"]].concat(),
            "pass --store DIR, or set COUNTERSIGN_STORE_DIR",
        ),
        (
            vec!["quay.io/acme/app", "a", "--allow-older"],
            "the policy is incomplete",
        ),
        (
            [&gallery[..], &["--dry-run", "--store", "s", "other@chat"]].concat(),
            "there is no gallery `other`: expected one of acme",
        ),
    ] {
        let (code, _, err) = read(&directory.install(&arguments, &[]));
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(err.contains(told), "{arguments:?}: {err}");
    }
}

#[test]
fn mistakes_in_a_gallery_file_are_told_with_what_to_change() {
    for (file, code, told) in [
        ("[]", 2, "names no gallery"),
        (
            "{issuer: https://a.example, identity: me}",
            2,
            "names no gallery",
        ),
        (
            "[{name: acme, url: index.yaml}]",
            2,
            "file:path, found `index.yaml`",
        ),
        (
            "[{name: acme, url: 'http://acme.example/'}]",
            2,
            "acme.example needs https",
        ),
        ("[{name: acme, url: 'file:gone.yaml'}]", 6, "was not found"),
        (
            "[{name: acme, url: 'file:galleries.yaml'}]",
            6,
            "there is no entry",
        ),
        (
            "[{name: acme, url: 'file:index.yaml', verificaton: {}}]",
            2,
            "verificaton",
        ),
    ] {
        let (found, _, err) = Directory::new(file).plan(&["chat"]);
        assert!(err.contains(told), "{file}: {err}");
        assert_eq!(found, Some(code), "{file}: {err}");
    }
}

#[test]
fn an_index_is_checked_entry_by_entry() {
    let directory = Directory::new(COVERED);
    let (code, out, _) = read(&directory.run(&["gallery", "check", "galleries.yaml"], &[]));
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "acme: 4 entries, 0 errors, 0 warnings\n")
    );
    let index = format!(
        "{INDEX}- name: lost\n  capabilities: {{default: gone, metla: cpu-chat}}\n- {{name: listed, uri: [a]}}\n\
         - {{name: spelt, uri: 'quay.io/acme/a:1', mirror: ['ghcr.io/acme/a:1']}}\n"
    );
    fs::write(directory.0.path().join("index.yaml"), index).unwrap();
    for file in ["index.yaml", "galleries.yaml"] {
        let (code, out, err) = read(&directory.run(&["gallery", "check", file], &[]));
        assert_eq!((code, err.as_str()), (Some(2), ""), "{out}");
        insta::allow_duplicates! {
            let out = out.replace("index.yaml: 7", "acme: 7").replace("file:index.yaml", "index.yaml");
            assert_snapshot!(out, @"
            error: lost: index.yaml:16:3: [4].capabilities: `lost` leads to `gone` for default, and there is no such entry
            warning: lost: index.yaml:16:3: [4].capabilities: no machine has the capability `metla`; did you mean `metal`?
            error: listed: index.yaml:17:18: [5].uri: expected a text, found a list
            warning: spelt: index.yaml:18:42: [6].mirror: nothing reads the key `mirror`; did you mean `mirrors`?
            acme: 7 entries, 2 errors, 2 warnings
            ");
        }
    }
    // Only the gallery's own policy says that a tarball is of no use.
    let tarball = "- {name: ball, uri: 'https://example.org/b.tar'}\n";
    fs::write(directory.0.path().join("tarball.yaml"), tarball).unwrap();
    let galleries = COVERED.replace("index.yaml", "tarball.yaml");
    fs::write(directory.0.path().join("tarballs.yaml"), galleries).unwrap();
    let (code, out, _) = read(&directory.run(&["gallery", "check", "tarball.yaml"], &[]));
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = read(&directory.run(&["gallery", "check", "tarballs.yaml"], &[]));
    assert_eq!(code, Some(2), "{out}");
    let says = "error: ball: file:tarball.yaml:1:16: [0].uri: the entry `ball`";
    assert!(out.starts_with(says), "{out}");
    assert!(out.contains("requires a signature"), "{out}");
    // Without its trusted root, nothing of the gallery could be installed.
    let rootless = format!("{COVERED}    trust: {{trusted_root: gone.json}}\n");
    fs::write(directory.0.path().join("rootless.yaml"), rootless).unwrap();
    let (code, out, err) = read(&directory.run(&["gallery", "check", "rootless.yaml"], &[]));
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(err.contains("gone.json"), "{err}");
    // What is wrong with one entry keeps no other from being planned.
    let (code, out, err) = directory.plan(&["cpu-chat"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let (code, _, err) = directory.plan(&["listed"]);
    assert_eq!(code, Some(2));
    assert_snapshot!(err, @"
    error: the gallery `acme` has nothing to install as `listed`
      caused by: the entry `listed` of the index can't be read
      caused by: file:index.yaml:17:18: [5].uri: expected a text, found a list
      hint: correct the entry in the gallery's index, or tell the gallery's maintainer
    ");
}
