//! Several files in one run: all are told, and the exit code is that of the worst.

use super::{case, check, save};
use crate::stage::{Stage, TRUST};

const STRONG: &str = "\
verification:
  issuer: https://token.actions.githubusercontent.com
  identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
  not_before: 2026-08-05T00:00:00Z
";

#[tokio::test]
async fn several_policies_are_checked_and_each_is_told_by_its_file() {
    let stage = Stage::new().await;
    stage.write("strong.yaml", STRONG);
    stage.write(
        "weak.yaml",
        STRONG.replace("release.yml@refs/heads/main", "release.yml@main"),
    );
    stage.write("bad.yaml", "verification:\n  isuer: x\n");
    let run = check(&stage, &["bad.yaml", "weak.yaml", "strong.yaml"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("bad.yaml:2:3: "), "{}", run.shown());
    assert!(
        run.stderr.contains("warning: weak.yaml: "),
        "{}",
        run.shown()
    );
    let ends = "strong.yaml can be used, without warnings\n";
    assert!(run.stdout.ends_with(ends), "{}", run.shown());
    // In the order of the exit codes, a refusal comes before a file that can't be used.
    let flags = ["--strict", "--output", "json"];
    let files = ["bad.yaml", "weak.yaml", "strong.yaml", "gone.yaml"];
    let run = check(&stage, &[&files[..], &flags].concat());
    assert_eq!(run.code, 4, "{}", run.shown());
    let json = run.json();
    let results = json["results"].as_array().unwrap();
    let codes = results.iter().map(|one| one["error"]["exit_code"].as_u64());
    let told: Vec<_> = results
        .iter()
        .map(|one| one["file"].as_str().unwrap())
        .zip(codes)
        .collect();
    let expected = [
        ("bad.yaml", Some(2)),
        ("weak.yaml", Some(4)),
        ("strong.yaml", None),
        ("gone.yaml", Some(2)),
    ];
    assert_eq!(told, expected);
    assert!(
        results[0]["error"]["mistakes"][0]["line"].is_number(),
        "{json}"
    );
    assert_eq!(json["warning_count"], 1);
    assert_eq!(check(&stage, &["weak.yaml", "strong.yaml"]).code, 0);
}

#[tokio::test]
async fn several_names_of_warnings_may_stand_in_one_flag() {
    let stage = Stage::new().await;
    let weak = "{issuer: https://gitlab.com, identity_regex: https://gitlab.com/.+}";
    stage.write("weak.yaml", weak);
    let allowed = "open-repository,unescaped-dot";
    let run = check(&stage, &["weak.yaml", "--strict", "--allow", allowed]);
    assert_eq!(run.code, 0, "{}", run.shown());
}

#[tokio::test]
async fn several_files_of_cases_are_judged_in_one_run() {
    let stage = Stage::new().await;
    save(&stage);
    stage.write(
        "cases/good.yaml",
        format!("cases:\n{}", case("release", "accepted")),
    );
    stage.write(
        "cases/wrong.yaml",
        format!("cases:\n{}", case("fork", "accepted")),
    );
    stage.write("cases/bad.yaml", "cases:\n- {name: x}\n");
    let test = |files: &[&str], flags: &[&str]| {
        let cases = files.iter().flat_map(|file| ["--case", file]);
        let cases: Vec<&str> = cases.collect();
        stage.run(&[&["policy", "test", "policy.yaml"], &cases, &TRUST, flags])
    };
    let run = test(&["cases/good.yaml", "cases/good.yaml"], &[]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout.ends_with("2 passed, 0 failed\n"),
        "{}",
        run.shown()
    );
    let run = test(&["cases/bad.yaml", "cases/good.yaml"], &[]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stdout.ends_with("1 passed, 0 failed\n"),
        "{}",
        run.shown()
    );
    let all = ["cases/bad.yaml", "cases/wrong.yaml", "cases/good.yaml"];
    let run = test(&all, &["--output", "json"]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let json = run.json();
    assert_eq!(json["failed_count"], 1);
    let files = all.iter().enumerate();
    for (position, file) in files {
        assert_eq!(json["results"][position]["cases"], *file, "{json}");
    }
    assert_eq!(json["results"][0]["error"]["exit_code"], 2);
    assert_eq!(json["results"][1]["error"]["exit_code"], 4);
    assert!(json["results"][2]["error"].is_null());
}

#[tokio::test]
async fn a_dash_is_answered_with_what_stands_for_standard_input() {
    let stage = Stage::new().await;
    for command in [
        &["policy", "check", "-"][..],
        &["policy", "test", "-", "--case", "x"],
    ] {
        let run = stage.run(&[command]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains("write /dev/stdin"), "{}", run.shown());
    }
}

/// What a file of cases lacks is told at the case, and once.
#[tokio::test]
async fn a_case_without_a_name_is_told_as_one() {
    let stage = Stage::new().await;
    stage.write("cases.yaml", "cases:\n  - manifest: m\n    bundles: []\n");
    let run = stage.run(&[&["policy", "test", "policy.yaml", "--case", "cases.yaml"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for says in [
        "cases[0]: the key `name` is missing",
        "cases[0]: the key `expect` is missing",
    ] {
        assert_eq!(
            run.stderr.matches(says).count(),
            1,
            "{says}: {}",
            run.stderr
        );
    }
    assert!(!run.stderr.contains("manifest: the key"), "{}", run.stderr);
}
