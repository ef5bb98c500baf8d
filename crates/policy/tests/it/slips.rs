//! What is said of a pattern as somebody writes it who thinks of other quotes, or of the names of files. The pattern that is
//! proposed is one that matches.

use countersign_policy::Warning;
use insta::assert_snapshot;

use crate::explain::{ISSUER, warnings, words};

const RELEASE: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2.3";

fn of_identity(identity: &str) -> Vec<Warning> {
    warnings(&format!("issuer: {ISSUER}"), identity, "")
}

/// The policy with what the first warning proposes in the place of `identity`.
fn mended(warnings: &[Warning]) -> Vec<Warning> {
    let text = warnings[0].to_string();
    let proposed = text.rsplit('`').nth(1).unwrap();
    let regex = regex::Regex::new(&format!("^(?:{proposed})$")).unwrap();
    assert!(regex.is_match(RELEASE), "{proposed}");
    of_identity(&format!("identity_regex: '{proposed}'"))
}

#[test]
fn a_doubled_backslash_outside_double_quotes_is_told_as_that() {
    let told = of_identity(
        r"identity_regex: 'https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+'",
    );
    assert_snapshot!(words(&told), @r"doubled-backslash: the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+` asks for a backslash, which no certificate has; outside double quotes, write one backslash for each two: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+`");
    assert_eq!(mended(&told), []);
    let plain = of_identity(
        r"identity_regex: https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v1\\.2\\.3",
    );
    assert_snapshot!(words(&plain), @r"doubled-backslash: the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v1\\.2\\.3` asks for a backslash, which no certificate has; outside double quotes, write one backslash for each two: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v1\.2\.3`");
    assert_eq!(mended(&plain), []);
    let claims = r"claims: {source_repository_uri_regex: 'https://github\\.com/acme/(app|tool)'}";
    let identity =
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    assert_snapshot!(words(&warnings(&format!("issuer: {ISSUER}"), identity, claims)), @r"doubled-backslash: the pattern `https://github\\.com/acme/(app|tool)` asks for a backslash, which no certificate has; outside double quotes, write one backslash for each two: `https://github\.com/acme/(app|tool)`");
}

#[test]
fn a_star_as_in_names_of_files_is_told_with_the_pattern_that_was_meant() {
    let told = of_identity(
        "identity_regex: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v*",
    );
    assert_snapshot!(words(&told), @r"
    glob-pattern: in the pattern `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v*`, `v*` matches any number of `v`, and no other text; for any text, write `.*`: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*`
    unescaped-dot: in the pattern `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v*`, a `.` matches any character; write `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*`
    ");
    assert_eq!(mended(&told), []);
    let slash = of_identity(
        r"identity_regex: https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/*",
    );
    assert_snapshot!(words(&slash), @r"glob-pattern: in the pattern `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/*`, `/*` matches any number of `/`, and no other text; for any text, write `.*`: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.*`");
    assert_eq!(mended(&slash), []);
    for right in [".*", "v.*", "v[0-9]*", "(v|w)*.*", r"v1\.\d*"] {
        let identity = format!(
            r"identity_regex: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/{right}'"
        );
        assert_eq!(of_identity(&identity), [], "{right}");
    }
}

#[test]
fn a_pattern_where_a_text_is_compared_is_told_with_the_other_key() {
    let told = of_identity(
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*",
    );
    assert_snapshot!(words(&told), @r"pattern-as-text: no certificate has the identity `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*`: `identity` is compared character by character; for a pattern, write `identity_regex` with `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.*`");
    assert_eq!(mended(&told), []);
    for pattern in [
        r"https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+",
        "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/.+",
        "^https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v.*",
    ] {
        let told = of_identity(&format!("identity: {pattern}"));
        assert!(
            matches!(told.as_slice(), [Warning::PatternAsText { .. }]),
            "{told:?}"
        );
        assert_eq!(mended(&told), [], "{pattern}");
    }
    let github = format!("issuer: {ISSUER}");
    let identity =
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    let claims = "claims: {source_repository_ref: refs/tags/v*}";
    assert_snapshot!(words(&warnings(&github, identity, claims)), @"pattern-as-text: no certificate has the source_repository_ref `refs/tags/v*`: `source_repository_ref` is compared character by character; for a pattern, write `source_repository_ref_regex` with `refs/tags/v.*`");
    assert_snapshot!(words(&warnings("issuer: https://*.acme.example", "identity: ci@acme.example", "")), @r"pattern-as-text: no certificate has the issuer `https://*.acme.example`: `issuer` is compared character by character; for a pattern, write `issuer_regex` with `https://.*\.acme\.example`");
}

#[test]
fn two_stars_are_one_text_and_what_has_no_scheme_or_no_ref_matches_nobody() {
    let stars = of_identity(r"identity_regex: 'https://github\.com/acme/app/**'");
    let says = words(&stars);
    assert!(
        says.contains(r"write `.*`: `https://github\.com/acme/app/.*`"),
        "{says}"
    );
    for identity in [
        "identity: https://github.com/acme/app/.github/workflows/release.yml@v1",
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/tag/v1",
        r"identity_regex: 'github\.com/acme/app/.*'",
    ] {
        let says = words(&of_identity(identity));
        assert!(
            says.starts_with("impossible-identity: "),
            "{identity}: {says}"
        );
        assert!(!says.contains("open-repository"), "{identity}: {says}");
    }
    let quoted = r"identity_regex: '/https:\/\/github\.com\/acme\/app\/.*/'";
    let says = words(&of_identity(quoted));
    assert!(says.starts_with("impossible-identity: "), "{says}");
    assert!(says.contains("leave out the slashes"), "{says}");
    assert!(!says.contains("open-repository"), "{says}");
    // A reusable workflow may be called by its commit.
    let commit = format!(
        "identity: https://github.com/acme/app/.github/workflows/release.yml@{}",
        "0a".repeat(20)
    );
    for fine in [
        &commit,
        r"identity_regex: 'ht*ps://github\.com/acme/app/.*'",
        r"identity_regex: '/?https://github\.com/acme/app/.*'",
    ] {
        let says = words(&of_identity(fine));
        assert!(!says.contains("impossible"), "{fine}: {says}");
    }
}

#[test]
fn a_claim_that_no_certificate_of_this_issuer_has_is_told() {
    let github = "issuer: https://token.actions.githubusercontent.com";
    let gitlab = "issuer: https://gitlab.com";
    let at_github =
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    let at_gitlab = "identity: https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main";
    let told = |issuer, identity, claims: &str| {
        words(&warnings(
            issuer,
            identity,
            &format!("claims: {{{claims}}}"),
        ))
    };
    let wrong = "source_repository_ref: main, source_repository_uri: acme/app, build_trigger: Push, \
                 source_repository_identifier: acme, runner_environment: ubuntu-latest, \
                 source_repository_digest: 0123abc, build_config_uri: release.yml, \
                 source_repository_visibility_at_signing: open, source_repository_owner_uri: acme, \
                 run_invocation_uri: '1'";
    assert_snapshot!(told(github, at_github, wrong), @r"
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the build_config_uri `release.yml`; with this issuer, it is a file at a ref, as an identity is
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the build_trigger `Push`; with this issuer, it is a word in small letters: `push`
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the run_invocation_uri `1`; with this issuer, it is the URL of a run
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the runner_environment `ubuntu-latest`; with this issuer, it is `github-hosted` or `self-hosted`
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_digest `0123abc`; with this issuer, it is a commit in full, in 40 or 64 hex digits
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_identifier `acme`; with this issuer, it is a number
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_owner_uri `acme`; with this issuer, it is a URL: `https://github.com/OWNER`
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_ref `main`; with this issuer, it is a ref in full: `refs/heads/BRANCH`, `refs/tags/TAG`
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_uri `acme/app`; with this issuer, it is a URL: `https://github.com/OWNER/REPOSITORY`
    impossible-claim: no certificate of the issuer `https://token.actions.githubusercontent.com` has the source_repository_visibility_at_signing `open`; with this issuer, it is `public`, `private` or `internal`
    ");
    assert_eq!(told(gitlab, at_gitlab, wrong).lines().count(), 10);
    // A pattern with one match is judged as its text.
    let pattern = told(github, at_github, "source_repository_ref_regex: main");
    assert!(pattern.starts_with("impossible-claim: "), "{pattern}");
    // Each requirement has its claims.
    let required = "predicate_type: https://slsa.dev/provenance/v1, claims: {build_trigger: Push}";
    let required = warnings(
        github,
        at_github,
        &format!("require: [signature, {{{required}}}]"),
    );
    assert!(
        words(&required).starts_with("impossible-claim: "),
        "{required:?}"
    );
    let right = "source_repository_ref: refs/heads/main, source_repository_uri: https://github.com/acme/app, \
                 build_trigger: workflow_dispatch, source_repository_identifier: 1234, \
                 runner_environment: self-hosted, deployment_environment: Any thing, token_subject: 'repo:a'";
    assert_eq!(told(github, at_github, right), "");
    assert_eq!(told(gitlab, at_gitlab, right), "");
    // Of other issuers nobody knows what they write.
    let unknown = told("issuer: https://ci.acme.example", "identity: ci", wrong);
    assert_eq!(unknown, "");
}
