//! The workflow that merges, and the steps that lead to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::definition::{Workflow, read};
use super::runner::{Ended, Names, Runner, filled};
use super::scene::{Scene, WORKFLOW, image};
use crate::command::{Command, workspace};
use crate::exit_code::{DONE, REJECTED};
use crate::ledger::Ledger;

/// The commit that is built.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What actions get by `uses` that GitHub alone has.
const DOWNLOAD: &str = "actions/download-artifact@";

/// A registry's answer.
#[derive(serde::Deserialize)]
struct Tags {
    tags: Vec<String>,
}

pub(super) fn run(scene: &Scene, ledger: &mut Ledger) {
    merged(scene, ledger);
    refused(scene, ledger);
    ledger.case("tags: by branch, version and pre-release", || names(scene));
    ledger.case(
        "login: kept for countersign, beside other logins, and taken away",
        || login(scene),
    );
}

/// What gets its tags.
fn merged(scene: &Scene, ledger: &mut Ledger) {
    ledger.case(
        "merge: a version gets its name, its commit's and latest, in two repositories",
        || {
            let build = Build::of(scene, "version", "-cpu", &["linux/amd64", "linux/arm64"])?;
            let ended = build.merge("tag", "v1.2.3", "auto")?;
            ended.expect(DONE, "is signed by")?;
            let digest = ended.output("digest")?.to_owned();
            for repository in ["app", "mirror"] {
                let tags = ["v1.2.3-cpu", "sha-0123456-cpu", "latest-cpu"];
                build.tags(repository, &tags.map(|tag| (tag, digest.as_str())))?;
                for tag in tags {
                    scene.verify(&build.image(&format!("{repository}:{tag}")), WORKFLOW)?;
                }
            }
            for text in [
                "### countersign merge",
                "| linux/amd64 |",
                "| linux/arm64 |",
                "app:latest-cpu`",
            ] {
                let summary = &ended.summary;
                ensure!(
                    summary.contains(text),
                    "expected `{text}` in the summary, found:\n{summary}"
                );
            }
            build.logged_out()?;
            Ok(format!("six tags name {digest}, and it is signed"))
        },
    );
    ledger.case(
        "merge: a branch gets its name, without slashes, and no latest",
        || {
            let build = Build::of(scene, "branch", "", &["linux/amd64"])?;
            let ended = build.merge("branch", "feature/x+y", "")?;
            ended.expect(DONE, "is signed by")?;
            let digest = ended.output("digest")?;
            build.tags("app", &[("feature-x-y", digest), ("sha-0123456", digest)])?;
            Ok("it has two tags".to_owned())
        },
    );
    ledger.case(
        "merge: the digests of a suffix that begins alike are left out",
        || {
            let build = Build::of(scene, "alike", "-vllm", &["linux/amd64"])?;
            build.upload("digests-vllm-omni--linux-arm64", &"f".repeat(64))?;
            build
                .merge("tag", "v1.2.3", "false")?
                .expect(DONE, "is signed by")?;
            Ok("only -vllm is merged".to_owned())
        },
    );
}

/// What gets no tag.
fn refused(scene: &Scene, ledger: &mut Ledger) {
    ledger.case(
        "merge: without a token nothing gets a name, and the logins are taken away",
        || {
            let build = Build::of(scene, "tokenless", "", &["linux/amd64", "linux/arm64"])?;
            let mut runner = build.runner("tag", "v1.2.3")?;
            runner
                .environment
                .retain(|name, _| !name.starts_with("ACTIONS_ID_TOKEN"));
            let ended = build.run(&runner, "auto")?;
            ended.expect(REJECTED, "id-token: write")?;
            ensure!(
                ended.summary.contains("**Failed:** "),
                "found:\n{}",
                ended.summary
            );
            build.tags("app", &[])?;
            build.logged_out()?;
            Ok("there is no tag".to_owned())
        },
    );
    for (title, suffix, file, code, why) in [
        (
            "no build has uploaded anything",
            "-none",
            None,
            2,
            "holds no digests",
        ),
        (
            "a file that is called like no digest",
            "-odd",
            Some("readme.txt"),
            2,
            "readme.txt",
        ),
    ] {
        ledger.case(&format!("merge: refused is {title}"), || {
            let build = Build::of(scene, suffix.trim_matches('-'), suffix, &[])?;
            if let Some(file) = file {
                build.upload(&format!("digests{suffix}--linux-amd64"), file)?;
            }
            let ended = build.merge("tag", "v1.2.3", "auto")?;
            ended.expect(code, why)?;
            build.tags("app", &[])?;
            Ok(ended.log.trim().to_owned())
        });
    }
}

/// The images of a build, and the artifacts that its jobs uploaded.
struct Build<'a> {
    scene: &'a Scene,
    name: &'a str,
    suffix: &'a str,
}

impl<'a> Build<'a> {
    fn of(
        scene: &'a Scene,
        name: &'a str,
        suffix: &'a str,
        platforms: &[&str],
    ) -> anyhow::Result<Self> {
        let build = Self {
            scene,
            name,
            suffix,
        };
        fs::create_dir_all(build.artifacts())?;
        for platform in platforms {
            let image = image(platform, "bin/app", format!("{name} for {platform}"))?;
            let digest = image.push(&scene.registry, &format!("{name}/cache"), None);
            let file = digest.to_string().replace("sha256:", "");
            build.upload(
                &format!("digests{suffix}--{}", platform.replace('/', "-")),
                &file,
            )?;
        }
        Ok(build)
    }

    fn artifacts(&self) -> std::path::PathBuf {
        self.scene
            .directory
            .path()
            .join("artifacts")
            .join(self.name)
    }

    /// Uploads an artifact with one empty file.
    fn upload(&self, artifact: &str, file: &str) -> anyhow::Result<()> {
        let name = format!("artifacts/{}/{artifact}/{file}", self.name);
        self.scene.write(&name, "").map(|_| ())
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.scene.registry.host(), self.name)
    }

    fn runner(&self, kind: &str, name: &str) -> anyhow::Result<Runner<'a>> {
        let mut runner = self.scene.runner(WORKFLOW)?;
        for (variable, value) in [
            ("GITHUB_REF_TYPE", kind),
            ("GITHUB_REF_NAME", name),
            ("GITHUB_SHA", COMMIT),
        ] {
            runner.environment.insert(variable.into(), value.into());
        }
        let artifacts = self.artifacts();
        runner.stand_in = Box::new(move |uses, with| download(&artifacts, uses, with));
        Ok(runner)
    }

    /// Runs the workflow for a branch or tag.
    fn merge(&self, kind: &str, name: &str, latest: &str) -> anyhow::Result<Ended> {
        self.run(&self.runner(kind, name)?, latest)
    }

    fn run(&self, runner: &Runner, latest: &str) -> anyhow::Result<Ended> {
        let path = workspace().join(".github/workflows/backend_merge.yml");
        let workflow: Workflow = read(&path)?;
        let job = workflow
            .jobs
            .get("merge")
            .context("there is no job `merge`")?;
        let repositories = format!("{}\n{}", self.image("app"), self.image("mirror"));
        let mut names = Names::from([
            (
                "runner.temp".to_owned(),
                runner.scratch.display().to_string(),
            ),
            ("secrets.quayUsername".to_owned(), "user".to_owned()),
            ("secrets.quayPassword".to_owned(), "pass\"word".to_owned()),
            ("secrets.dockerUsername".to_owned(), String::new()),
            ("secrets.dockerPassword".to_owned(), String::new()),
        ]);
        for (name, value) in [
            ("tag-suffix", self.suffix),
            ("tag-latest", latest),
            ("source", &self.image("cache")),
            ("repositories", &repositories),
            ("annotations", ""),
        ] {
            names.insert(format!("inputs.{name}"), value.to_owned());
        }
        let mut ended = runner.steps(&job.steps, None, names, &[])?;
        for (name, value) in &job.outputs {
            let value = filled(value, &ended.names)?;
            ended.names.insert(format!("outputs.{name}"), value);
        }
        Ok(ended)
    }

    /// Checks that a repository has these tags and no others.
    fn tags(&self, repository: &str, expected: &[(&str, &str)]) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let origin = self.scene.registry.origin();
        let url = format!("{origin}/v2/{}/{repository}", self.name);
        let answer = self
            .scene
            .block_on(client.get(format!("{url}/tags/list")).send())?;
        let tags = match answer.status().as_u16() {
            404 => Vec::new(),
            _ => self.scene.block_on(answer.json::<Tags>())?.tags,
        };
        let mut found = BTreeMap::new();
        for tag in tags {
            let head = client.head(format!("{url}/manifests/{tag}"));
            let answer = self.scene.block_on(head.send())?;
            let digest = answer.headers().get("docker-content-digest");
            let digest = digest.context("the registry names no digest")?.to_str()?;
            found.insert(tag, digest.to_owned());
        }
        let expected = expected.iter();
        let expected = expected.map(|(tag, digest)| ((*tag).to_owned(), (*digest).to_owned()));
        let expected: BTreeMap<_, _> = expected.collect();
        ensure!(
            found == expected,
            "{repository}: expected the tags {expected:?}, found {found:?}"
        );
        Ok(())
    }

    /// Checks that no login is left behind.
    fn logged_out(&self) -> anyhow::Result<()> {
        let file = self.scene.directory.path().join("home/.docker/config.json");
        let text = fs::read_to_string(file)?;
        ensure!(
            !text.contains("quay.io"),
            "the login is still there: {text}"
        );
        Ok(())
    }
}

/// What `actions/download-artifact` does: puts the files of the artifacts that match into a folder.
fn download(artifacts: &Path, uses: &str, with: &Names) -> anyhow::Result<()> {
    ensure!(uses.starts_with(DOWNLOAD), "nothing stands in for {uses}");
    let input = |name: &str| {
        with.get(name)
            .with_context(|| format!("`{name}` is missing"))
    };
    let pattern = input("pattern")?;
    let prefix = pattern
        .strip_suffix('*')
        .context("the pattern has no `*` at its end")?;
    let target = Path::new(input("path")?);
    // A machine of GitHub's is new for every job.
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::create_dir_all(target)?;
    for artifact in fs::read_dir(artifacts)? {
        let artifact = artifact?;
        if artifact.file_name().to_string_lossy().starts_with(prefix) {
            for file in fs::read_dir(artifact.path())? {
                let file = file?;
                fs::copy(file.path(), target.join(file.file_name()))?;
            }
        }
    }
    Ok(())
}

/// The tags of one branch or tag after the other.
fn names(scene: &Scene) -> anyhow::Result<String> {
    let cases = [
        (["branch", "main", "auto"], "main sha-0123456"),
        (["branch", "main", "true"], "main sha-0123456 latest"),
        (["tag", "1.2.3", "auto"], "1.2.3 sha-0123456 latest"),
        (["tag", "v1.2.3-rc.1", "auto"], "v1.2.3-rc.1 sha-0123456"),
        (["tag", "v1.2.3+build", "false"], "v1.2.3-build sha-0123456"),
        (["tag", "nightly", ""], "sha-0123456"),
        (["branch", "$(touch x)", ""], "--touch-x- sha-0123456"),
    ];
    for ([kind, name, latest], expected) in cases {
        let output = scene.write("tags-output", "")?;
        let result = Command::new(Scene::action("shared").join("tags.sh"))
            .env("PATH", "/usr/bin:/bin")
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_SHA", COMMIT)
            .env("GITHUB_REF_TYPE", kind)
            .env("GITHUB_REF_NAME", name)
            .env("REPOSITORIES", "a.example/b")
            .env("LATEST", latest)
            .run()?
            .success()?;
        let text = fs::read_to_string(output)?;
        let tags: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("a.example/b:"))
            .collect();
        let mut expected: Vec<&str> = expected.split(' ').collect();
        expected.sort_unstable();
        let mut found = tags.clone();
        found.sort_unstable();
        ensure!(
            found == expected,
            "{name}: expected {expected:?}, found {found:?} {}",
            result.stdout
        );
    }
    Ok(format!("{} branches and tags", cases.len()))
}

fn login(scene: &Scene) -> anyhow::Result<String> {
    let home = scene.directory.path().join("login");
    let other = r#"{"auths":{"other.example":{"auth":"eDp5"}},"credsStore":"x"}"#;
    let file = scene.write("login/.docker/config.json", other)?;
    let run = |arguments: &[&str], user: &str| {
        Command::new(Scene::action("shared").join("login.sh"))
            .args(arguments)
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &home)
            .env("REGISTRY", "registry.example")
            .env("USERNAME", user)
            .env("PASSWORD", "p\"a$s:s")
            .run()?
            .success()
    };
    let auth = |name: &str| {
        let value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let auth = value.pointer(&format!("/auths/{name}/auth"));
        anyhow::Ok(auth.and_then(|auth| auth.as_str()).map(ToOwned::to_owned))
    };
    run(&[], "")?;
    ensure!(auth("registry.example")?.is_none(), "nobody is logged in");
    run(&[], "user")?;
    // `printf 'user:p"a$s:s' | base64`
    let found = auth("registry.example")?;
    ensure!(
        found.as_deref() == Some("dXNlcjpwImEkczpz"),
        "found {found:?}"
    );
    ensure!(
        auth("other.example")?.as_deref() == Some("eDp5"),
        "the other login is lost"
    );
    run(&["--remove"], "user")?;
    if let Some(auth) = auth("registry.example")? {
        bail!("the login is still there: {auth}");
    }
    ensure!(
        auth("other.example")?.as_deref() == Some("eDp5"),
        "the other login is lost"
    );
    Ok("the password is in no argument".to_owned())
}
