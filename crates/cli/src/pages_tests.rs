//! README and `docs/`, held against the program: each command that they show is one that it reads, and
//! each file that they show is one that it reads too.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use countersign_download::Lock;
use countersign_policy::{GalleryIndex, ImageVerifierConfig, PolicyFile};

use crate::commands::Arguments;
use crate::configuration;
use crate::environment::{Environment, Variable};

/// A fenced block of a page.
struct Block {
    page: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["docs", "docs/ci"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let docs = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.is_file()).collect();
    pages.push(root.join("README.md"));
    let mut blocks = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let page = page.file_name().unwrap().display().to_string();
        for (position, part) in text.split("```").enumerate() {
            // Every second part is inside a fence.
            if position % 2 == 1 {
                let (language, text) = part.split_once('\n').unwrap();
                blocks.push(Block {
                    page: page.clone(),
                    language: language.to_owned(),
                    // What stands for a digest in prose.
                    text: text.replace("sha256:…", &format!("sha256:{}", "a".repeat(64))),
                });
            }
        }
    }
    blocks
}

/// The pages for those who know other programs: every command in their tables can be typed.
#[test]
fn what_stands_for_another_program_s_command_can_be_typed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let digest = format!("sha256:{}", "a".repeat(64));
    for (page, expected) in [("docs/from-cosign.md", 21), ("docs/from-docker.md", 19)] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let ours = rows.flat_map(|row| {
            row.split('`')
                .filter(|code| code.starts_with("countersign "))
        });
        let mut typed = 0;
        for code in ours {
            let line = code
                .replace("NAME@", "quay.io/acme/app@")
                .replace("NAME:TAG", "quay.io/acme/app:v1")
                .replace("IMAGE", "quay.io/acme/app:v1")
                .replace("INDEX", "quay.io/acme/app:v1")
                .replace("REPOSITORY", "quay.io/acme/app")
                .replace("DIGEST", &digest);
            let words = shlex::split(&line).unwrap();
            match Arguments::try_parse_from(&words) {
                Ok(_) => {}
                Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {}
                Err(error) => panic!("{page}: {code}: {error}"),
            }
            typed += 1;
        }
        assert_eq!(typed, expected, "{page}");
    }
}

#[test]
fn every_command_that_the_pages_show_can_be_typed() {
    let mut commands = 0;
    for Block { page, text, .. } in blocks().iter().filter(|block| block.language == "sh") {
        for line in text.replace("\\\n", " ").lines() {
            let line = line.split(" > ").next().unwrap();
            let words = shlex::split(line).unwrap_or_else(|| panic!("{page}: {line}"));
            if words.first().is_none_or(|word| word != "countersign") {
                continue;
            }
            commands += 1;
            if let Err(error) = Arguments::try_parse_from(&words) {
                panic!("{page}: {line}\n{error}");
            }
        }
    }
    assert!(commands >= 20, "{commands}");
}

/// A public key, for the pages that name a file with one.
const KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0
7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==
-----END PUBLIC KEY-----
";

/// How files of other programs begin, and those of ours that other tests read.
const FOREIGN: &[&str] = &[
    "# .buildkite/pipeline.yml\n",
    "# .github/workflows/release.yml\n",
    "# .gitlab-ci.yml\n",
    "# .woodpecker.yaml\n",
    "# Made by `countersign policy export",
    "# countersign.yaml\n",
    "# yaml-language-server: $schema=policy.schema.json\n",
    "cases:\n",
    "permissions:",
];

#[test]
fn every_file_that_the_pages_show_can_be_read() {
    let (mut policies, mut indexes, mut locks, mut nodes) = (0, 0, 0, 0);
    for Block { page, text, .. } in blocks().iter().filter(|block| block.language == "yaml") {
        if text.starts_with("verification:") || text.contains("\ngalleries:") {
            PolicyFile::parse_with_keys(text, page, &|_| Ok(KEY.to_owned())).unwrap();
            policies += 1;
        } else if text.starts_with("- name:") {
            GalleryIndex::parse(text, page).unwrap();
            indexes += 1;
        } else if text.starts_with("version: 1") {
            Lock::parse(text).unwrap();
            locks += 1;
        } else if text.starts_with("default: deny") {
            ImageVerifierConfig::parse_with_keys(text, page, &|_| Ok(KEY.to_owned())).unwrap();
            nodes += 1;
        } else {
            let is_foreign = FOREIGN.iter().any(|begin| text.starts_with(begin));
            assert!(is_foreign, "nothing reads this of {page}:\n{text}");
        }
    }
    let read = [policies, indexes, locks, nodes];
    assert!(read.iter().all(|count| *count > 0), "{read:?}");
}

#[test]
fn every_file_of_defaults_that_the_pages_show_can_be_read() {
    let mut environment = Environment::read();
    let home = tempfile::tempdir().unwrap();
    // As the user's own file, which may set every key.
    let own = home.path().join("countersign");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, Permissions::from_mode(0o700)).unwrap();
    environment.set(Variable::XdgConfigHome, home.path().into());
    environment.set(Variable::Configuration, "".into());
    let mut files = 0;
    for Block { page, text, .. } in blocks().iter().filter(|block| block.language == "toml") {
        if page != "configuration.md" {
            continue;
        }
        let file = own.join("countersign.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let read = configuration::load(None, &environment);
        if let Err(failure) = read {
            panic!("{page}: {}", failure.line());
        }
        files += 1;
    }
    assert_eq!(files, 2);
}
