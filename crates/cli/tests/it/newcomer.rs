//! A gallery for two images as the README shows it, and what is said of it with one mistake in it:
//! what was expected, what was found, and what to change. The snapshots are read as whoever made
//! the mistake reads them.

mod author;
mod gallery;
mod habits;
mod kits;
mod maintainer;
mod operator;
mod policy;
mod scripts;
pub(crate) mod transcript;

use std::fs;

use tempfile::TempDir;

use crate::stage::{Run, program, run};

const GALLERIES: &str = r#"require_integrity: true
galleries:
  - name: acme
    url: file:index.yaml
    verification:
      issuer: https://token.actions.githubusercontent.com
      identity_regex: "https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+"
      not_before: "2026-08-05T00:00:00Z"
"#;

const INDEX: &str = "- name: chat
  uri: quay.io/acme/chat:v1
  mirrors: [ghcr.io/acme/chat:v1]
- name: draw
  uri: quay.io/acme/draw:v1
- name: studio
  capabilities: {nvidia: draw}
";

/// What is planned, so that nothing is asked of a registry.
fn plan(galleries: &str, index: &str, names: &[&str]) -> Run {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("galleries.yaml"), galleries).unwrap();
    fs::write(directory.path().join("index.yaml"), index).unwrap();
    // A capability that is said, since what is told must not depend on this machine.
    let arguments = "gallery show --capability default galleries.yaml";
    let arguments: Vec<&str> = arguments.split(' ').chain(names.iter().copied()).collect();
    run(program(&arguments).current_dir(directory.path()))
}

/// Exchanges what stands in the text once.
fn exchange(text: &str, right: &str, wrong: &str) -> String {
    assert_eq!(text.matches(right).count(), 1, "{right}");
    text.replace(right, wrong)
}

fn snapshot(mistake: &str, told: &Run) {
    assert_eq!(told.stderr.lines().last().map(str::is_empty), Some(false));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = format!("exit code {}\n{}", told.code, told.stderr);
    settings.bind(|| insta::assert_snapshot!(format!("wrong_{mistake}"), text));
}

/// What is told of the gallery file with `wrong` in the place of `right`.
fn told(mistake: &str, right: &str, wrong: &str) {
    let told = plan(&exchange(GALLERIES, right, wrong), INDEX, &["chat"]);
    assert_eq!(told.stdout, "", "{mistake}");
    snapshot(mistake, &told);
}

/// What is told of the index with `wrong` in the place of `right`.
fn told_of_index(mistake: &str, right: &str, wrong: &str) {
    // All entries: which of them is wrong is not known.
    snapshot(
        mistake,
        &plan(GALLERIES, &exchange(INDEX, right, wrong), &[]),
    );
}

/// What is told of a name that the gallery has no content for.
fn told_of_name(name: &str) {
    snapshot(&format!("name_{name}"), &plan(GALLERIES, INDEX, &[name]));
}

#[test]
fn the_gallery_without_a_mistake_is_planned() {
    for name in ["chat", "draw"] {
        let shown = plan(GALLERIES, INDEX, &[name]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
        let required = "requires a signature that the policy accepts";
        assert!(shown.stdout.contains(required), "{}", shown.stdout);
    }
}

#[test]
fn a_mistake_in_who_must_have_signed_is_told_with_what_to_change() {
    told("misspelt_key", "identity_regex:", "identity_regexp:");
    told(
        "both_of_a_pair",
        "      issuer: https://token.actions.githubusercontent.com\n",
        "      issuer: https://token.actions.githubusercontent.com\n      issuer_regex: https://.+\n",
    );
    told(
        "identity_missing",
        r#"      identity_regex: "https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+""#,
        "",
    );
    told("regex", "refs/tags/.+", "refs/tags/(.+");
    told("time_without_zone", "00:00:00Z", "00:00:00");
    told(
        "policy_empty",
        "      issuer: https://token.actions.githubusercontent.com\n      identity_regex: \"https://github\\\\.com/acme/app/\\\\.github/workflows/release\\\\.yml@refs/tags/.+\"\n      not_before: \"2026-08-05T00:00:00Z\"\n",
        "",
    );
    told("policy_misspelt", "verification:", "verfication:");
}

#[test]
fn a_mistake_in_the_file_s_form_is_told_with_what_to_change() {
    told("indentation", "    url:", "   url:");
    told("tab", "    url:", "\turl:");
    told("quote_left_open", "refs/tags/.+\"", "refs/tags/.+");
    told("backslash", r"github\\.com", r"github\.com");
    told("galleries_misspelt", "galleries:", "gallerys:");
    told(
        "boolean",
        "require_integrity: true",
        "require_integrity: maybe",
    );
}

#[test]
fn a_mistake_in_where_the_index_is_is_told_with_what_to_change() {
    told("url_relative", "file:index.yaml", "index.yaml");
    told(
        "url_scheme",
        "file:index.yaml",
        "ftp://acme.example/index.yaml",
    );
    told("url_github", "file:index.yaml", "github:acme/index.yaml");
    told(
        "url_http",
        "file:index.yaml",
        "http://acme.example/index.yaml",
    );
    told("url_missing", "    url: file:index.yaml\n", "");
    told("url_of_no_file", "file:index.yaml", "file:indx.yaml");
}

#[test]
fn a_mistake_in_the_index_is_told_with_what_to_change() {
    told_of_index("source_scheme", "quay.io/acme/chat:v1", "s3://acme/chat:v1");
    told_of_index(
        "source_upper_case",
        "quay.io/acme/chat:v1",
        "quay.io/ACME/chat:v1",
    );
    told_of_index(
        "source_that_no_signature_is_of",
        "quay.io/acme/chat:v1",
        "https://acme.example/chat.tar.gz",
    );
    told_of_index(
        "sha256_beside_an_image",
        "  mirrors: [ghcr.io/acme/chat:v1]\n",
        "  sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
    );
    told_of_index(
        "mirrors_no_list",
        "mirrors: [ghcr.io/acme/chat:v1]",
        "mirrors: ghcr.io/acme/chat:v1",
    );
    told_of_index(
        "entry_indentation",
        "  uri: quay.io/acme/chat",
        " uri: quay.io/acme/chat",
    );
    told_of_index("entry_without_name", "- name: draw\n  uri", "- uri");
    let page = "<!doctype html>\n<html><body><p>404: Not Found</p></body></html>\n";
    told_of_index("index_is_html", INDEX, page);
    let mapping = "entries:\n  - name: chat\n";
    told_of_index("index_is_no_list", INDEX, mapping);
}

#[test]
fn a_name_with_nothing_to_install_is_told_with_what_to_ask_for() {
    told_of_name("caht");
    told_of_name("studio");
    told_of_name("amce@chat");
}
