//! The files in `docs/ci`, run as they stand there: the CI's variables are given, registry and release
//! are the scene's own, and small programs stand in for the CI's agent and for what fetches from the
//! network.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::scene::{Scene, WORKFLOW, named};
use crate::command::{Command, workspace};
use crate::ledger::Ledger;

/// The version that the pages install.
const VERSION: &str = "0.1.0";
/// What the pages say in place of the archive's checksum.
const CHECKSUM: &str = "of the archive, from the file SHA256SUMS of the release";

pub(super) fn run(scene: &Scene, ledger: &mut Ledger) {
    ledger.case("docs/ci: the job of GitLab CI signs", || {
        let page = Page::read(scene, "gitlab")?;
        let token = scene.sigstore().token(WORKFLOW);
        page.signs(
            &lines(page.at("/sign/script")?)?,
            &[
                ("CI_REGISTRY", &page.host),
                ("CI_REGISTRY_IMAGE", &format!("{}/app", page.host)),
                ("CI_REGISTRY_USER", "user"),
                ("CI_REGISTRY_PASSWORD", "password"),
                ("CI_COMMIT_REF_SLUG", "v1"),
                ("DIGEST", &page.digest),
                ("SIGSTORE_ID_TOKEN", &token),
            ],
            page.at("/sign/variables")?,
        )
    });
    ledger.case("docs/ci: the step of Buildkite signs", || {
        let page = Page::read(scene, "buildkite")?;
        page.signs(
            &lines(page.at("/steps/1/commands")?)?.replace("$$", "$"),
            &[("BUILDKITE", "true"), ("BUILDKITE_BUILD_NUMBER", "v1")],
            page.at("/steps/1/env")?,
        )
    });
    ledger.case("docs/ci: the step of Woodpecker signs", || {
        let page = Page::read(scene, "woodpecker")?;
        page.signs(
            &lines(page.at("/steps/1/commands")?)?,
            &[
                ("CI_COMMIT_TAG", "v1"),
                ("REGISTRY_USERNAME", "user"),
                ("REGISTRY_PASSWORD", "password"),
            ],
            page.at("/steps/1/environment")?,
        )
    });
    ledger.case("docs/ci: the task of Tekton signs", || {
        let page = Page::read(scene, "tekton")?;
        let arguments = page.at("/spec/steps/0/args")?;
        let arguments = arguments.as_array().context("a step has no arguments")?;
        let arguments = arguments.iter().filter_map(Value::as_str).map(|argument| {
            argument
                .replace("$(params.image)", &format!("{}/app:v1", page.host))
                .replace("$(params.digest)", &page.digest)
                .replace("/var/run/sigstore/token", &page.path("bin/token"))
        });
        Command::new(page.path(&format!("release/{}/countersign", named(VERSION))))
            .args(arguments)
            .env("PATH", "/usr/bin:/bin")
            .env("COUNTERSIGN_CACHE_DIR", page.path("cache"))
            .run()?
            .success()?;
        page.signed()
    });
}

/// A page's file, and a folder in which what it fetches is at hand.
struct Page<'a> {
    scene: &'a Scene,
    folder: PathBuf,
    file: Value,
    host: String,
    digest: String,
    sha256: String,
}

impl<'a> Page<'a> {
    fn read(scene: &'a Scene, name: &str) -> anyhow::Result<Self> {
        let page = fs::read_to_string(workspace().join(format!("docs/ci/{name}.md")))?;
        let block = page
            .split("```yaml\n")
            .nth(1)
            .context("a page has a file")?;
        let (text, _) = block.split_once("```").context("a block has an end")?;
        let host = format!("{}/{name}", scene.registry.host());
        let file = serde_saphyr::from_str(&text.replace("registry.example", &host))?;
        let digest = scene.push_index(&format!("{name}/app"), "v1")?;

        let files = scene.directory.path().display();
        let flags = format!(
            "--signing-config '{files}/signing_config.json' --trusted-root '{files}/trusted_root.json'"
        );
        let archive = scene.archive(&format!("pages/{name}/release"), VERSION, &flags)?;
        let folder = scene.directory.path().join("pages").join(name);
        let token = scene.sigstore().token(WORKFLOW);
        scene.write(&format!("pages/{name}/bin/token"), token)?;
        let bin = folder.join("bin").display().to_string();
        let fetch = format!(
            "while [ $# -gt 0 ]; do\n  case \"$1\" in\n    -O|-o) to=$2; shift ;;\n    \
             http*) from=$1 ;;\n  esac\n  shift\ndone\ncase \"$from\" in\n  \
             https://github.com/countersign/countersign/releases/download/v{VERSION}/countersign-{VERSION}-x86_64-unknown-linux-musl.tar.gz) \
             cp '{}' \"$to\" ;;\n  *audience=sigstore*) cp '{bin}/token' \"$to\" ;;\n  *) exit 9 ;;\nesac\n",
            archive.display()
        );
        let agent = format!(
            "case \"$*\" in\n  'meta-data get digest') echo '{digest}' ;;\n  \
             'oidc request-token --audience sigstore') cat '{bin}/token' ;;\n  *) exit 9 ;;\nesac\n"
        );
        for (program, script) in [
            ("wget", &fetch),
            ("curl", &fetch),
            ("buildkite-agent", &agent),
        ] {
            scene.program(&format!("pages/{name}/bin/{program}"), script)?;
        }
        let sha256 = scene.sha256(&archive)?;
        Ok(Self {
            scene,
            folder,
            file,
            host,
            digest,
            sha256,
        })
    }

    /// A part of the file, by its JSON pointer.
    fn at(&self, pointer: &str) -> anyhow::Result<&Value> {
        let part = self.file.pointer(pointer);
        part.with_context(|| format!("the page's file has no {pointer}"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Runs a script with a shell, as CIs do, and looks for the signature.
    fn signs(
        &self,
        script: &str,
        given: &[(&str, &str)],
        variables: &Value,
    ) -> anyhow::Result<String> {
        let mut command = Command::new("/bin/sh")
            .args(["-e", "-c", script])
            .directory(&self.folder)
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin")))
            .env("HOME", self.path("home"));
        for (name, value) in variables.as_object().context("a job has variables")? {
            command = match value {
                Value::String(value) if value == CHECKSUM => command.env(name, &self.sha256),
                Value::String(value) => command.env(name, value),
                // A secret, which is given.
                Value::Object(_) => command,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                    bail!("expected a text as the variable {name}, found {value}")
                }
            };
        }
        for (name, value) in given {
            command = command.env(name, value);
        }
        let output = command.run()?.success()?;
        ensure!(
            output.stdout.contains("countersign.tar.gz: OK"),
            "the checksum was not checked"
        );
        self.signed()
    }

    fn signed(&self) -> anyhow::Result<String> {
        let image = format!("{}/app@{}", self.host, self.digest);
        self.scene.verify(&image, WORKFLOW)?;
        Ok(format!("{image} is signed by {WORKFLOW}"))
    }
}

/// The lines of a script.
fn lines(script: &Value) -> anyhow::Result<String> {
    let lines = script.as_array().context("a script is a list of lines")?;
    let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
    Ok(lines.context("a line is a text")?.join("\n"))
}
