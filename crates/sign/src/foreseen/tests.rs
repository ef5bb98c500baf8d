use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

fn foreseen(claims: Value) -> Option<Foreseen> {
    let mut all = json!({
        "sub": "me", "aud": "sigstore", "exp": 4_102_444_800_i64, "iat": 1_700_000_000, "jti": "x",
    });
    let object = all.as_object_mut().unwrap();
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    object.extend(claims);
    let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(all.to_string()));
    foresee(&IdentityToken::from_jwt(&text).unwrap())
}

fn identity(claims: Value) -> Option<(String, Vec<String>)> {
    let foreseen = foreseen(claims)?;
    Some((foreseen.issuer.clone(), foreseen.identities()))
}

fn pair(issuer: &str, identity: &str) -> Option<(String, Vec<String>)> {
    Some((issuer.to_owned(), vec![identity.to_owned()]))
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[test]
fn github_certifies_the_workflow_that_the_job_is_of() {
    let workflow = "acme/workflows/.github/workflows/sign.yml@refs/tags/v2";
    let uri = format!("https://github.com/{workflow}");
    for issuer in [GITHUB, &format!("{GITHUB}/acme-inc")] {
        let claims = json!({
            "iss": issuer,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "job_workflow_ref": workflow,
            "workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
            "repository": "acme/app",
        });
        assert_eq!(identity(claims), pair(issuer, &uri));
    }
    assert_eq!(identity(json!({"iss": GITHUB})), None);
    // Not GitHub, however it begins.
    let other = json!({"iss": format!("{GITHUB}.evil.example"), "job_workflow_ref": workflow});
    assert_eq!(identity(other), None);
}

#[test]
fn github_certifies_claims_by_these_names() {
    let foreseen = foreseen(json!({
        "iss": GITHUB,
        "job_workflow_ref": "acme/app/.github/workflows/w.yml@refs/heads/main",
        "repository": "acme/app",
        "repository_id": "7",
        "ref": "refs/heads/main",
        "event_name": "push",
        "run_id": "12",
        "run_attempt": "1",
    }));
    let claims = foreseen.unwrap().claims;
    for (claim, value) in [
        (
            Claim::BuildSignerUri,
            Some("https://github.com/acme/app/.github/workflows/w.yml@refs/heads/main"),
        ),
        (
            Claim::SourceRepositoryUri,
            Some("https://github.com/acme/app"),
        ),
        (Claim::SourceRepositoryIdentifier, Some("7")),
        (Claim::SourceRepositoryRef, Some("refs/heads/main")),
        (Claim::BuildTrigger, Some("push")),
        (
            Claim::RunInvocationUri,
            Some("https://github.com/acme/app/actions/runs/12/attempts/1"),
        ),
        // Not in the token, and perhaps in the certificate.
        (Claim::RunnerEnvironment, None),
        (Claim::TokenSubject, None),
    ] {
        assert_eq!(claims.value(claim), value, "{claim}");
    }
}

#[test]
fn gitlab_buildkite_and_circleci_certify_the_pipeline() {
    let gitlab = json!({
        "iss": "https://gitlab.com",
        "sub": "project_path:acme/app:ref_type:tag:ref:v1",
        "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1",
        "user_email": "a@b.c",
        "ref": "v1",
        "ref_type": "tag",
    });
    let claims = foreseen(gitlab.clone()).unwrap().claims;
    assert_eq!(
        claims.value(Claim::SourceRepositoryRef),
        Some("refs/tags/v1")
    );
    let expected = "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1";
    assert_eq!(identity(gitlab), pair("https://gitlab.com", expected));

    let buildkite = "https://agent.buildkite.com";
    let claims = json!({"iss": buildkite, "organization_slug": "acme", "pipeline_slug": "app"});
    let expected = "https://buildkite.com/acme/app";
    assert_eq!(identity(claims), pair(buildkite, expected));

    let circleci = "https://oidc.circleci.com/org/1";
    let claims = json!({
        "iss": circleci,
        "oidc.circleci.com/project-id": "2",
        "oidc.circleci.com/pipeline-definition-id": "3",
    });
    let expected = "https://circleci.com/api/v2/projects/2/pipeline-definitions/3";
    assert_eq!(identity(claims), pair(circleci, expected));
}

#[test]
fn people_are_certified_by_their_address_and_dex_names_who_vouched() {
    let google = "https://accounts.google.com";
    let person = |verified: Value| json!({"iss": google, "email": "a@b.c", "email_verified": verified, "hd": "b.c"});
    assert_eq!(identity(person(json!(true))), pair(google, "a@b.c"));
    assert_eq!(identity(person(json!("true"))), pair(google, "a@b.c"));
    assert_eq!(identity(person(json!(false))), None);
    let dex = json!({
        "iss": "https://oauth2.sigstore.dev/auth",
        "email": "a@b.c",
        "email_verified": true,
        "federated_claims": {"connector_id": "https://github.com/login/oauth", "user_id": "1"},
    });
    let expected = pair("https://github.com/login/oauth", "a@b.c");
    assert_eq!(identity(dex), expected);
}

#[test]
fn of_an_issuer_that_nobody_knows_only_a_plain_token_tells() {
    let issuer = "https://issuer.example";
    let uri = "https://ci.example/job";
    assert_eq!(
        identity(json!({"iss": issuer, "sub": uri})),
        pair(issuer, uri)
    );
    assert_eq!(
        identity(json!({"iss": issuer, "sub": uri, "email": "a@b.c"})),
        Some((issuer.to_owned(), vec!["a@b.c".into(), uri.into()]))
    );
    assert_eq!(identity(json!({"iss": issuer})), None);
    assert_eq!(
        identity(json!({"iss": issuer, "sub": uri, "pipeline": "p"})),
        None
    );
}

#[test]
fn nothing_is_foreseen_of_a_kind_of_ref_that_is_not_known() {
    for (kind, expected) in [
        ("branch", Some("refs/heads/main")),
        ("tag", Some("refs/tags/main")),
        ("merge_train", None),
    ] {
        let claims = json!({
            "iss": "https://gitlab.com",
            "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
            "ref": "main",
            "ref_type": kind,
        });
        let foreseen = foreseen(claims).unwrap();
        assert_eq!(foreseen.claims.value(Claim::SourceRepositoryRef), expected);
    }
}
