//! Files of cases that are not what they have to be: such a case tests nothing, so it never passes.

use super::{case, save, test};
use crate::stage::{RELEASE, Stage, TRUST};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";

#[tokio::test]
async fn a_fixture_that_is_no_bundle_is_an_error_whatever_is_expected() {
    let stage = Stage::new().await;
    save(&stage);
    for (content, found) in [
        ("", "an empty file"),
        (POINTER, "a pointer of Git LFS"),
        ("cases: []\n", "a text that is not JSON"),
        ("{\"schemaVersion\": 2}", "JSON without a signature"),
        ("[{}, {}, {}]", "JSON without a signature"),
    ] {
        stage.write("cases/fork.json", content);
        for expect in ["refused", "refused_invalid"] {
            let cases = format!(
                "cases:\n{}{}",
                case("release", "accepted"),
                case("fork", expect)
            );
            let run = test(&stage, &cases, &[]);
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
            let says = format!("expected a Sigstore bundle in cases/fork.json, found {found}");
            assert!(run.stderr.contains(&says), "{}", run.stderr);
        }
    }
}

#[tokio::test]
async fn of_several_bundles_each_has_to_be_one() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    assert_eq!(stage.verify(&["--save", "two words", &app]).code, 0);
    let cases = std::fs::read_to_string(stage.path("two words/cases.yaml")).unwrap();
    let more = cases.replace("  bundles:\n", "  bundles:\n  - broken.sigstore.json\n");
    assert_ne!(cases, more);
    stage.write("two words/cases.yaml", &more);
    stage.write("two words/broken.sigstore.json", POINTER);
    let test = || {
        stage.run(&[
            &["policy", "test", "policy.yaml", "--case", "two words"],
            &TRUST,
        ])
    };
    let run = test();
    assert_eq!(run.code, 2, "{}", run.shown());
    let hint = "hint: fetch the file itself: `git lfs pull`";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
    // What a registry lists by mistake is named as that.
    let said = cases + "  not_bundles: [broken.sigstore.json]\n";
    stage.write("two words/cases.yaml", said);
    assert_eq!(test().code, 0, "{}", test().shown());
}

/// What `verify --save` says to type can be typed.
#[tokio::test]
async fn a_directory_with_a_space_is_quoted_and_signatures_have_the_names_of_their_files() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("policy.yaml", stage.policy("https://nobody.example/"));
    let run = stage.verify(&["--save", "two words", &stage.reference("app:v1")]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let says = "`countersign policy test policy.yaml --case 'two words'`";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    let test = ["policy", "test", "policy.yaml", "--case", "two words"];
    let run = stage.run(&[&test, &TRUST]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let says = "signature-1.sigstore.json: a genuine signature";
    assert!(run.stdout.contains(says), "{}", run.stdout);
}
