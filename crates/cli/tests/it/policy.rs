//! `countersign policy`: files in words, and their verdicts on saved signatures.

mod export;
mod fixtures;
mod init;
mod named_files;
mod rules;
mod save;
mod several;

use countersign_oci::Digest;
use countersign_sandbox::{BundleSpec, Flaw, Statement};

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST, run};

/// Nothing is asked of anybody here, and no home is needed.
fn check(stage: &Stage, arguments: &[&str]) -> Run {
    let arguments = [&["policy", "check"], arguments].concat();
    run(stage.command(&arguments).env_clear())
}

#[tokio::test]
async fn a_policy_is_told_in_words_and_its_weakness_after_it() {
    let stage = Stage::new().await;
    let weak = "\
verification:
  issuer: https://token.actions.githubusercontent.com
  identity_regex: https://github.com/acme/.+
";
    stage.write("weak.yaml", weak);
    let run = check(&stage, &["weak.yaml"]);
    assert_eq!(run.code, 0);
    stage.snapshot("policy_check_weak", &run);
    assert_eq!(check(&stage, &["weak.yaml", "--strict"]).code, 4);

    let json = check(&stage, &["weak.yaml", "--output", "json"]).json();
    let warnings = json["results"][0]["warnings"].as_array().unwrap().len();
    assert_eq!(json["warning_count"], warnings);
    assert_eq!(json["results"][0]["warnings"][0]["name"], "unescaped-dot");
    assert_eq!(json["results"][0]["notes"][0]["name"], "no-not-before");

    let both = [
        "--allow",
        "unescaped-dot",
        "--allow",
        "open-repository",
        "--strict",
    ];
    let run = check(&stage, &[&["weak.yaml"][..], &both].concat());
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout.ends_with("without warnings, with 1 note\n"),
        "{}",
        run.shown()
    );
    let run = check(&stage, &["weak.yaml", "--allow", "unescaped-dots"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("'unescaped-dot'"), "{}", run.shown());
}

#[tokio::test]
async fn a_weakness_of_several_signers_is_told_once() {
    let stage = Stage::new().await;
    let weak = "\
identities:
  - {issuer_regex: 'https://.*', identity: ci@example.org, not_before: 2026-08-05T00:00:00Z}
  - {issuer_regex: 'https://.*', identity: cd@example.org, not_before: 2026-08-05T00:00:00Z}
";
    stage.write("weak.yaml", weak);
    let run = check(&stage, &["weak.yaml"]);
    assert!(run.stdout.ends_with("with 1 warning\n"), "{}", run.shown());
    assert_eq!(run.stderr.matches("warning:").count(), 1, "{}", run.shown());
}

#[tokio::test]
async fn a_policy_without_weakness_passes_strictly() {
    let stage = Stage::new().await;
    let strong = "\
verification:
  issuer: https://token.actions.githubusercontent.com
  identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
  not_before: 2026-08-05T00:00:00Z
";
    stage.write("strong.yaml", strong);
    let run = check(&stage, &["strong.yaml", "--strict"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stdout.contains("without warnings"), "{}", run.stdout);
}

#[tokio::test]
async fn each_gallery_is_told_by_its_name() {
    let stage = Stage::new().await;
    let galleries = "\
- name: signed
  url: https://example.org/index.yaml
  verification:
    issuer: https://gitlab.com
    identity: https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main
    not_before: 2026-08-05T00:00:00Z
- name: open
  url: https://example.org/open.yaml
";
    stage.write("galleries.yaml", galleries);
    let run = check(&stage, &["galleries.yaml"]);
    assert_eq!(run.code, 0);
    stage.snapshot("policy_check_galleries", &run);
    assert_eq!(check(&stage, &["galleries.yaml", "--strict"]).code, 4);
}

#[tokio::test]
async fn a_file_that_can_not_be_used_is_2_with_its_line() {
    let stage = Stage::new().await;
    stage.write("bad.yaml", "verification:\n  issuer: [\n");
    for strict in [&["bad.yaml"][..], &["bad.yaml", "--strict"]] {
        let run = check(&stage, strict);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains("bad.yaml:"), "{}", run.stderr);
    }
    assert_eq!(check(&stage, &["missing.yaml"]).code, 2);
}

#[tokio::test]
async fn a_file_of_cases_that_can_not_be_used_is_2_and_says_where_to_see_one() {
    let stage = Stage::new().await;
    let run = test(&stage, "verification:\n  issuer: x\n", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    for says in [
        "error: cases/cases.yaml:1:1: unknown key `verification`",
        "valid here: trusted_root, cases",
        "hint: `countersign policy test --help` shows a file of cases\n",
    ] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

/// Saves the index and three signatures of it: good, by a stranger, and broken.
fn save(stage: &Stage) {
    stage.write("cases/image.json", stage.index.bytes());
    let spec = |identity: &str| BundleSpec::new(Statement::of(stage.index.digest()), identity);
    let specs = [
        ("release", spec(RELEASE)),
        ("fork", spec(STRANGER)),
        ("broken", spec(RELEASE).flaw(Flaw::NoEntry)),
    ];
    for (name, spec) in specs {
        let bundle = stage.sigstore.issue(&spec).unwrap();
        stage.write(&format!("cases/{name}.json"), bundle);
    }
}

fn case(name: &str, expect: &str) -> String {
    format!(
        "  - name: {name}\n    manifest: image.json\n    bundle: {name}.json\n    expect: {expect}\n"
    )
}

fn test(stage: &Stage, cases: &str, arguments: &[&str]) -> Run {
    stage.write("cases/cases.yaml", cases);
    let command = [
        "policy",
        "test",
        "policy.yaml",
        "--case",
        "cases/cases.yaml",
    ];
    let run = stage.run(&[&command, &TRUST, arguments]);
    assert!(stage.registry.requests().is_empty(), "no registry is asked");
    run
}

#[tokio::test]
async fn verdicts_on_saved_signatures_are_compared() {
    let stage = Stage::new().await;
    save(&stage);
    let good = format!(
        "cases:\n{}{}{}",
        case("release", "accepted"),
        case("fork", "refused_policy"),
        case("broken", "refused_invalid")
    );
    let run = test(&stage, &good, &[]);
    assert_eq!(run.code, 0, "{}", run.shown());
    stage.snapshot("policy_test_passes", &run);

    let any = format!(
        "cases:\n{}{}",
        case("fork", "refused"),
        case("broken", "refused")
    );
    assert_eq!(test(&stage, &any, &[]).code, 0);
}

#[tokio::test]
async fn a_case_may_say_at_which_time_it_is_judged() {
    let stage = Stage::new().await;
    save(&stage);
    let at =
        |time: &str, expect: &str| format!("cases:\n{}    at: {time}\n", case("release", expect));
    // Before the log's key was in use.
    let early = at("2001-01-01T00:00:00Z", "refused_invalid");
    let run = test(&stage, &early, &[]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let says = "was in use at 2001-01-01T00:00:00Z, the time to judge at";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    let late = at("2100-01-01T00:00:00+02:00", "accepted");
    let run = test(&stage, &late, &[]);
    assert_eq!(run.code, 0, "{}", run.shown());

    let run = test(&stage, &at("2001-01-01", "accepted"), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}

/// A case about the index's digest, its name being `image`.
fn digest_case(stage: &Stage, name: &str, image: &str, expect: &str) -> String {
    format!(
        "  - name: {name}\n    digest: {}\n    image: {image}\n    bundle: {name}.json\n    \
         expect: {expect}\n",
        stage.index.digest()
    )
}

#[tokio::test]
async fn a_digest_serves_in_place_of_the_manifest() {
    let stage = Stage::new().await;
    save(&stage);
    let cases = format!(
        "cases:\n{}{}{}",
        digest_case(&stage, "release", "ghcr.io/acme/app", "accepted"),
        digest_case(&stage, "fork", "ghcr.io/acme/app", "refused_policy"),
        digest_case(&stage, "broken", "ghcr.io/acme/app", "refused_invalid"),
    );
    let run = test(&stage, &cases, &[]);
    assert_eq!(run.code, 0, "{}", run.shown());

    let other = format!(
        "cases:\n{}",
        digest_case(&stage, "release", "ghcr.io/acme/app", "accepted")
    );
    let other = other.replace(stage.index.digest().hex(), &"0".repeat(64));
    let run = test(&stage, &other, &[]);
    assert_eq!(run.code, 4);
    assert!(
        run.stdout.contains("found refused_invalid"),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn a_case_for_bound_names_says_which_name_is_asked_for() {
    let stage = Stage::new().await;
    save(&stage);
    stage.write("policy.yaml", stage.policy(RELEASE) + "  bind_name: true\n");
    let named = Statement::of(stage.index.digest()).name("ghcr.io/acme/app:v1");
    let bundle = stage.sigstore.issue(&BundleSpec::new(named, RELEASE));
    stage.write("cases/release.json", bundle.unwrap());
    let cases = |image: &str, expect: &str| {
        format!("cases:\n{}", digest_case(&stage, "release", image, expect))
    };
    for (image, expect) in [
        ("ghcr.io/acme/app:v1", "accepted"),
        ("ghcr.io/acme/app:v2", "refused_policy"),
        ("ghcr.io/acme/other:v1", "refused_policy"),
    ] {
        let run = test(&stage, &cases(image, expect), &[]);
        assert_eq!(run.code, 0, "{image}: {}", run.shown());
    }
    let nameless = format!("cases:\n{}", case("release", "accepted"));
    let run = test(&stage, &nameless, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("add `image`"), "{}", run.stderr);
}

#[tokio::test]
async fn a_verdict_that_is_not_the_one_expected_is_4_with_its_reason() {
    let stage = Stage::new().await;
    save(&stage);
    let wrong = format!(
        "cases:\n{}{}{}",
        case("release", "refused"),
        case("fork", "accepted"),
        case("broken", "refused_policy")
    );
    let run = test(&stage, &wrong, &[]);
    assert_eq!(run.code, 4);
    stage.snapshot("policy_test_fails", &run);
    let json = test(&stage, &wrong, &["--output", "json"]).json();
    assert_eq!(json["failed_count"], 3);
    assert_eq!(json["results"][1]["found"], "refused_policy");
}

#[tokio::test]
async fn cases_that_can_not_be_used_are_2() {
    let stage = Stage::new().await;
    save(&stage);
    for (cases, says) in [
        ("cases: []", "expected at least one"),
        ("cases:\n  - nam: x", "nam"),
        (
            &*format!("cases:\n{}", case("missing", "accepted")),
            "missing.json can't be read",
        ),
        (&*format!("cases:\n{}", case("release", "maybe")), "maybe"),
        (
            "cases:\n  - {name: a, bundle: release.json, expect: accepted}",
            "expected `manifest` or `digest`, found neither",
        ),
        (
            &*format!(
                "cases:\n{}    digest: {}\n",
                case("release", "accepted"),
                stage.index.digest()
            ),
            "expected `manifest` or `digest`, found both",
        ),
        (
            &*format!(
                "cases:\n{}    image: ghcr.io/acme/app@sha256:{}\n",
                case("release", "accepted"),
                "0".repeat(64)
            ),
            "but the case is about sha256:",
        ),
        (
            "cases:\n  - {name: a, digest: sha256:abc, bundle: release.json, expect: accepted}",
            "expected a digest: `sha256:` and 64 lower-case hex digits, found `sha256:abc`",
        ),
        (
            "cases:\n  - {name: a, digest: sha256:abc, image: ghcr.io/Acme/app, bundles: [], expect: accepted}",
            "repository names are lower-case",
        ),
        (
            "cases:\n  - name: a\n    manifest: image.json\n    digest:\n    at: ~\n    image: null\n    bundle: missing.json\n    expect: accepted",
            "missing.json can't be read",
        ),
        (
            &*format!(
                "cases:\n{}    image: ghcr.io/acme/app@sha256:{}\n",
                case("release", "accepted"),
                "0".repeat(64)
            ),
            "hint: correct the file of cases",
        ),
    ] {
        let run = test(&stage, cases, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{cases}");
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

#[tokio::test]
async fn what_a_denied_index_lists_is_printed_ready_to_paste() {
    let stage = Stage::new().await;
    let index = stage.index.digest();
    let [amd64, arm64] = [0, 1].map(|at: usize| stage.index.images()[at].digest());
    let elsewhere = Digest::sha256(b"elsewhere");
    let policy = |denied: &[&Digest]| {
        let denied: Vec<String> = denied.iter().map(ToString::to_string).collect();
        let strong = "not_before: 2026-08-05T00:00:00Z";
        format!(
            "{}  {strong}\n  deny_digests: {denied:?}\n",
            stage.policy(RELEASE)
        )
    };
    let app = stage.reference("app");
    let resolve = ["denying.yaml", "--strict", "--resolve", &app];
    // They would decide nothing.
    let by_digest = format!("{app}@{index}");
    for (given, found) in [(&format!("{app}:v1"), "tag"), (&by_digest, "digest")] {
        let run = check(&stage, &["denying.yaml", "--resolve", given]);
        let says = format!("expected a repository, such as {app}, found one with a {found}");
        assert_eq!(
            (run.code, run.stderr.contains(&says)),
            (2, true),
            "{}",
            run.shown()
        );
    }

    stage.write("denying.yaml", policy(&[&index, &amd64]));
    let blind = check(&stage, &["denying.yaml", "--strict"]);
    assert_eq!(blind.code, 4);
    assert!(
        blind.stderr.contains("policy check --resolve"),
        "{}",
        blind.shown()
    );
    let run = check(&stage, &resolve);
    assert_eq!(run.code, 4, "{}", run.shown());
    let lines = format!("add to `deny_digests`:\n  - {arm64} # listed by {index}\n");
    assert!(run.stdout.contains(&lines), "{}", run.shown());
    let json = check(&stage, &[&resolve[..], &["--output", "json"]].concat()).json();
    let denied = json["results"][0]["denied"].as_array().unwrap();
    let of = |digest: &Digest| {
        let digest = digest.to_string();
        denied
            .iter()
            .find(|entry| entry["digest"] == digest)
            .unwrap()
    };
    assert_eq!(of(&index)["found"], "index");
    assert_eq!(
        of(&index)["missing"],
        serde_json::json!([arm64.to_string()])
    );
    assert_eq!(of(&amd64)["found"], "manifest");

    stage.write("denying.yaml", policy(&[&index, &amd64, &arm64]));
    let run = check(&stage, &resolve);
    assert_eq!(run.code, 0, "{}", run.shown());
    stage.write("denying.yaml", policy(&[&elsewhere]));
    let run = check(&stage, &resolve);
    assert_eq!(run.code, 4);
    let says = format!("the denied digest {elsewhere} is in none of these repositories");
    assert!(run.stderr.contains(&says), "{}", run.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_too_young_is_4_but_not_for_its_signer() {
    let stage = Stage::new().await;
    let policy = format!("{}  min_age: 24h\n", stage.policy(RELEASE));
    stage.write("policy.yaml", policy);
    let told = check(&stage, &["policy.yaml"]).stdout;
    assert!(told.contains("- it was made at least 24h ago;\n"), "{told}");

    let app = stage.reference("app:v1");
    let token = ["--identity-token", "@token"];
    let signed = stage.sign(&[&token[..], &POLICY, &[&app]].concat());
    assert_eq!(signed.code, 0, "{}", signed.shown());
    // What is signed already is found again.
    let again = stage.sign(&[&token[..], &POLICY, &["--output=json", &app]].concat());
    assert_eq!(again.json()["results"][0]["outcome"], "already_signed");

    let refused = stage.verify(&[&app]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    for says in [
        "the signature is younger than the policy's `min_age`",
        "expected  made at least 24h ago",
        "; it is accepted from 2",
        "hint: do not use the image yet: wait until the time that the message names",
    ] {
        assert!(refused.stderr.contains(says), "{says}\n{}", refused.stderr);
    }
    assert_eq!(stage.install(&[&app, "here"]).code, 4);
    assert!(!stage.path("here").exists());
}
