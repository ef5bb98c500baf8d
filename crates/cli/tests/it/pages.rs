//! README and `docs/`, run: the commands that the pages show, with the files that the pages show, in
//! the order of each page. Instead of a public registry and Sigstore they meet the sandbox's.

use std::fs;
use std::path::Path;

use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, SigningKey, SigningKeyKind, Statement};

use crate::stage::{RELEASE, STRANGER, Stage, image, run};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// The signer in the page about galleries.
const BACKENDS: &str =
    "https://github.com/mudler/LocalAI/.github/workflows/backend_merge.yml@refs/heads/master";
/// After the `not_before` of the pages.
const SIGNED_AT: &str = "2026-08-06T09:14:02Z";

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(name)).unwrap()
}

/// The fenced blocks of `language`, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    // Every second part is inside a fence.
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n'))
        .filter(|(found, _)| *found == language)
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// The one block of YAML that begins like this.
fn file(page: &str, beginning: &str) -> String {
    let blocks = blocks(page, "yaml");
    let file = blocks.iter().find(|block| block.starts_with(beginning));
    file.unwrap_or_else(|| panic!("no file begins with {beginning}"))
        .clone()
}

/// A page as it is with the sandbox's registry and the stage's image.
fn here(stage: &Stage, text: &str) -> String {
    let host = stage.registry.host();
    let digest = stage.index.digest().to_string();
    // A merge takes different images.
    let [first, second] = [0, 1].map(|at| format!("cache@{}", stage.index.images()[at].digest()));
    text.replacen("cache@sha256:…", &first, 1)
        .replacen("cache@sha256:…", &second, 1)
        .replace("quay.io/", &format!("{host}/"))
        .replace("ghcr.io/", &format!("{host}/"))
        .replace("registry.internal/", &format!("{host}/"))
        .replace("sha256:…", &digest)
        .replace(
            "sha256:4e85e8b64adf6ff23b73225fb19e35c57f134d32ea56bd399ebe47534da1f29c",
            &digest,
        )
}

fn bundle(stage: &Stage, statement: Statement, identity: &str) -> String {
    let spec = BundleSpec::new(statement, identity).issuer(ISSUER);
    let spec = spec.signed_at(SIGNED_AT.parse().unwrap());
    stage.sigstore.issue(&spec).unwrap()
}

/// What the pages talk about: `example/app:v1` and `example/chat:v1`, each signed by the signer of
/// its page, and the files beside it.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.index.push(&stage.registry, "example/app", Some("v1"));
    stage.index.push(&stage.registry, "example/ci-cache", None);
    let chat = image("linux/amd64");
    chat.push(&stage.registry, "example/chat", Some("v1"));
    let app = stage.index.descriptor();
    for (repository, descriptor, signer) in [
        ("example/app", app, RELEASE),
        ("example/chat", chat.descriptor(), BACKENDS),
    ] {
        let statement = Statement::of(descriptor.digest.clone());
        Image::signature(descriptor, bundle(&stage, statement, signer)).push(
            &stage.registry,
            repository,
            None,
        );
    }

    let policies = page("docs/policy.md");
    stage.write("policy.yaml", file(&policies, "verification:"));
    stage.write("cases.yaml", here(&stage, &file(&policies, "cases:")));
    stage.write("image.json", stage.index.bytes());
    for (name, signer) in [("release", RELEASE), ("fork", STRANGER)] {
        let statement = Statement::of(stage.index.digest());
        let saved = bundle(&stage, statement, signer);
        stage.write(&format!("{name}.sigstore.json"), saved);
    }

    let cluster = file(&page("docs/other-programs.md"), "# Made by");
    stage.write("cluster-image-policy.yaml", cluster);
    let node = file(&page("docs/fleet.md"), "default: deny");
    stage.write("image-verifier.yaml", node);
    stage.write("images.txt", stage.reference("example/app:v1"));
    let galleries = page("docs/galleries.md");
    let url = "github:mudler/LocalAI/backend/index.yaml@master";
    let text = file(&galleries, "require_integrity:");
    stage.write("galleries.yaml", text.replace(url, "file:index.yaml"));
    stage.write("index.yaml", here(&stage, &file(&galleries, "- name:")));
    stage
}

/// What has to be added to meet the sandbox's Sigstore, for a platform that its images have.
fn flags(words: &[String]) -> &'static [&'static str] {
    let trusts = words.iter().any(|word| word == "--trusted-root");
    let caches = words.iter().any(|word| word == "--cache");
    let words: Vec<&str> = words.iter().take(2).map(String::as_str).collect();
    match *words {
        ["sign" | "merge", ..] => &[
            "--trusted-root=trusted_root.json",
            "--signing-config=signing_config.json",
            "--identity-token=@token",
        ],
        ["verify", ..] if caches => &["--trusted-root=trusted_root.json", "--cache-dir=kept"],
        ["install", ..] if trusts => &["--platform=linux/amd64"],
        ["install", ..] => &["--trusted-root=trusted_root.json", "--platform=linux/amd64"],
        [
            "verify" | "copy" | "tree" | "trust" | "upgrade" | "audit",
            ..,
        ]
        | ["policy", "test" | "init"]
            if !trusts =>
        {
            &["--trusted-root=trusted_root.json"]
        }
        _ => &[],
    }
}

/// What the pages show and nobody can run here, by the page and how the line begins: another program has to make first
/// what it reads.
const SKIPPED: &[(&str, &str)] = &[];

/// Runs every command of a page that is ours. All of them have to succeed.
async fn play(name: &str) {
    let stage = stage().await;
    let mut played = 0;
    let mut skipped: Vec<_> = SKIPPED.iter().filter(|(page, _)| *page == name).collect();
    for block in blocks(&page(name), "sh") {
        for line in block.replace("\\\n", " ").lines() {
            if let Some(at) = skipped
                .iter()
                .position(|(_, begin)| line.starts_with(begin))
            {
                skipped.swap_remove(at);
                continue;
            }
            let line = here(&stage, line);
            let words = shlex::split(line.split(" > ").next().unwrap()).unwrap();
            if words.first().is_none_or(|word| word != "countersign") {
                continue;
            }
            let words: Vec<String> = words.into_iter().skip(1).collect();
            let arguments = words
                .iter()
                .map(String::as_str)
                .chain(flags(&words).iter().copied());
            let run = run(&mut stage.command(&arguments.collect::<Vec<_>>()));
            assert_eq!(run.code, 0, "{name}: {line}\n{}", run.shown());
            played += 1;
        }
    }
    assert!(played > 0, "{name}");
    assert!(skipped.is_empty(), "{name} no longer shows {skipped:?}");
}

#[tokio::test]
async fn the_commands_of_the_first_page_work() {
    play("README.md").await;
}

#[tokio::test]
async fn the_commands_about_policies_work() {
    play("docs/policy.md").await;
}

#[tokio::test]
async fn the_commands_about_installing_work() {
    play("docs/installing.md").await;
}

#[tokio::test]
async fn the_commands_about_galleries_work() {
    play("docs/galleries.md").await;
}

#[tokio::test]
async fn the_commands_about_registries_work() {
    play("docs/registries.md").await;
}

#[tokio::test]
async fn the_commands_about_audits_work() {
    play("docs/audit.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_about_copying_work() {
    play("docs/copy.md").await;
}

#[tokio::test]
async fn the_commands_about_other_programs_work() {
    play("docs/other-programs.md").await;
}

/// The document that the page shows is the one that its command prints.
#[tokio::test]
async fn the_page_about_other_programs_shows_what_is_printed() {
    let stage = stage().await;
    let (to, images) = ("--to=policy-controller", "--images=quay.io/acme/**");
    let run = stage.run(&[&["policy", "export", to, images, "--lossy", "policy.yaml"]]);
    assert_eq!(
        run.stdout,
        file(&page("docs/other-programs.md"), "# Made by")
    );
}

#[tokio::test]
async fn the_commands_about_signing_work() {
    play("docs/signing.md").await;
}

/// Every policy that a page shows, not only the first.
#[tokio::test]
async fn the_policies_of_the_pages_can_be_used() {
    let stage = Stage::new().await;
    // The file that a page names.
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    stage.write("cosign.pub", key.public_pem());
    let mut checked = 0;
    for name in [
        "README.md",
        "docs/policy.md",
        "docs/from-cosign.md",
        "docs/galleries.md",
    ] {
        for text in blocks(&page(name), "yaml") {
            if text.starts_with("verification:") || text.contains("\ngalleries:") {
                stage.write("shown.yaml", &text);
                let run = stage.run(&[&["policy", "check", "shown.yaml"]]);
                assert_eq!(run.code, 0, "{name}: {}", run.shown());
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 9);
}

/// The runs that README shows are those of the snapshots.
#[test]
fn the_first_page_shows_what_the_program_prints() {
    let snapshots = ["success_install", "unsigned_install"].map(|name| {
        let path = format!("crates/cli/tests/it/snapshots/{name}.snap");
        page(&path)
            .replace("[DIGEST]", "sha256:…")
            .replace("[TIME]", SIGNED_AT)
            .replace("[NUMBER]", "1234567")
            .replace("http://issuer.example", ISSUER)
    });
    let shown = blocks(&page("README.md"), "console");
    assert_eq!(shown.len(), snapshots.len());
    for (shown, snapshot) in shown.iter().zip(snapshots) {
        let mut lines = shown.lines();
        assert!(lines.next().unwrap().starts_with("$ countersign "));
        let printed: String = lines.map(|line| format!("{line}\n")).collect();
        let mut streams = snapshot.split("--- standard ").skip(1);
        let whole = streams.any(|stream| {
            let text = stream.split_once('\n').unwrap().1;
            text.trim_end() == printed.trim_end()
        });
        assert!(whole, "{printed}\n{snapshot}");
    }
}
