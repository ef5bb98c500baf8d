//! What was signed and does not hold, or not for the consumer: not pushed, or told of.

use std::collections::BTreeMap;

use countersign_policy::{PolicySpec, Violation};
use countersign_sandbox::{Service, Sigstore};
use countersign_sign::{
    Error, IdentityToken, RekorVersion, Services, Signer, Tags, WrittenFormats,
};
use countersign_verify::{RefusalKind, TrustedRoot};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{IDENTITY, Stage, client};

/// Signs `v1` by a token with these further claims; the installer's policy refuses it. Returns the
/// condition that doesn't hold.
async fn refused(
    stage: &Stage,
    claims: &serde_json::Value,
    change: impl FnOnce(&mut PolicySpec),
) -> Violation {
    let token = stage.sigstore.token_with(IDENTITY, claims);
    let token = IdentityToken::from_jwt(&token).unwrap();
    let signer = stage.signer().with_consumer_policy(stage.policy(change));
    let references = [stage.reference(":v1")];
    let annotations = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
    let signed = signer.sign(&references, &token, &annotations, &|_| {});
    match signed.await.unwrap_err().error {
        Error::Policy { source, .. } => *source,
        error => panic!("expected a refusal, found {error:?}"),
    }
}

#[tokio::test]
async fn what_the_installer_s_policy_will_refuse_is_refused_before_a_key_is_made() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let plain = serde_json::json!({});
    let other = |spec: &mut PolicySpec| spec.identity = Some(format!("{IDENTITY}-other"));
    let violation = refused(&stage, &plain, other).await;
    let text = violation.to_string();
    assert!(
        text.contains(&format!("expected  `{IDENTITY}-other`")),
        "{text}"
    );
    let issuer = |spec: &mut PolicySpec| spec.issuer = Some("https://issuer.example".into());
    let violation = refused(&stage, &plain, issuer).await;
    assert!(matches!(violation, Violation::Signer(_)), "{violation:?}");
    let later = |spec: &mut PolicySpec| spec.not_before = Some("2999-01-01T00:00:00Z".into());
    let violation = refused(&stage, &plain, later).await;
    assert!(
        matches!(violation, Violation::SignedBefore { .. }),
        "{violation:?}"
    );
    let annotated = |spec: &mut PolicySpec| {
        spec.annotations = BTreeMap::from([("build".to_owned(), "43".to_owned())]);
    };
    let violation = refused(&stage, &plain, annotated).await;
    assert!(
        matches!(violation, Violation::Annotation { ref key, .. } if key == "build"),
        "{violation:?}"
    );
    let denied = |spec: &mut PolicySpec| spec.deny_digests = vec![digest.to_string()];
    let violation = refused(&stage, &plain, denied).await;
    assert_eq!(violation, Violation::DeniedDigest { digest });
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_job_of_github_is_judged_by_the_workflow_that_its_token_names() {
    const GITHUB: &str = "https://token.actions.githubusercontent.com";
    const WORKFLOW: &str = "acme/app/.github/workflows/release.yml@refs/tags/v1";
    let job = serde_json::json!({
        "iss": GITHUB,
        "sub": "repo:acme/app:ref:refs/tags/v1",
        "job_workflow_ref": WORKFLOW,
        "event_name": "push",
    });
    let stage = Stage::new().await;
    stage.one_image();
    let by_github = |identity: &str, trigger: &str| {
        let identity = identity.to_owned();
        let claims = [("build_trigger".to_owned(), trigger.to_owned())];
        move |spec: &mut PolicySpec| {
            spec.issuer = Some(GITHUB.into());
            spec.identity = Some(identity);
            spec.claims = claims.into();
        }
    };
    let uri = format!("https://github.com/{WORKFLOW}");
    // The subject is not what the certificate will name.
    let subject = by_github("repo:acme/app:ref:refs/tags/v1", "push");
    let violation = refused(&stage, &job, subject).await.to_string();
    assert!(
        violation.contains(&format!("found     `{uri}`")),
        "{violation}"
    );
    let scheduled = by_github(&uri, "schedule");
    let violation = refused(&stage, &job, scheduled).await.to_string();
    assert!(violation.contains("found     `push`"), "{violation}");
    assert_eq!(stage.sigstore.requests(), []);

    // What is accepted goes on to Fulcio, which knows GitHub by no key here.
    let token = stage.sigstore.token_with(IDENTITY, &job);
    let token = IdentityToken::from_jwt(&token).unwrap();
    let policy = stage.policy(by_github(&uri, "push"));
    let signer = stage.signer().with_consumer_policy(policy);
    let references = [stage.reference(":v1")];
    let annotations = BTreeMap::new();
    let signed = signer.sign(&references, &token, &annotations, &|_| {});
    let error = signed.await.unwrap_err().error;
    assert!(
        matches!(
            error,
            Error::Service {
                service: countersign_sign::Service::Fulcio,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(stage.answers(Service::Fulcio), [401]);
}

#[tokio::test]
async fn what_only_the_certificate_tells_is_refused_before_anything_is_recorded() {
    // A token of a CI that nobody knows: its certificate could name anything.
    let pipeline = serde_json::json!({"pipeline": "release"});
    let stage = Stage::new().await;
    stage.one_image();
    let other = |spec: &mut PolicySpec| spec.identity = Some(format!("{IDENTITY}-other"));
    let violation = refused(&stage, &pipeline, other).await;
    assert!(matches!(violation, Violation::Signer(_)), "{violation:?}");
    // A claim of the certificate that no token tells.
    let claims = |spec: &mut PolicySpec| {
        let claims = [("build_trigger".to_owned(), "push".to_owned())];
        spec.claims = claims.into();
    };
    let violation = refused(&stage, &serde_json::json!({}), claims).await;
    assert!(matches!(violation, Violation::Signer(_)), "{violation:?}");
    assert_eq!(stage.answers(Service::Fulcio), [200, 200]);
    assert_eq!(stage.answers(Service::RekorV1), [0; 0]);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn what_the_installer_s_policy_accepts_is_signed() {
    let stage = Stage::new().await;
    stage.one_image();
    let policy = stage.policy(|spec| spec.bind_name = true);
    let signer = stage.signer().with_consumer_policy(policy);
    assert_eq!(stage.sign_with(&signer).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_signature_that_the_trusted_root_does_not_cover_is_not_pushed() {
    let other = Sigstore::start().await.unwrap();
    let root = TrustedRoot::from_json("sandbox", &other.trusted_root_json()).unwrap();
    for formats in [WrittenFormats::Bundle, WrittenFormats::SimpleSigning] {
        let stage = Stage::new().await;
        stage.one_image();
        let signer = stage
            .signer_trusting(RekorVersion::V1, root.clone())
            .with_formats(formats);
        let error = stage.sign_with(&signer).await.unwrap_err();
        let Error::Bundle { source, .. } = error else {
            panic!("expected a signature that doesn't hold, found {error:?}");
        };
        assert_eq!(source.kind(), RefusalKind::Invalid);
        assert_eq!(stage.writes(), [""; 0], "{formats:?}");
    }
}

#[tokio::test]
async fn a_genuine_log_entry_of_another_signature_is_not_pushed() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sign().await.unwrap();
    let mut entries = stage
        .sigstore
        .rekor_url(countersign_sandbox::RekorVersion::V1);
    entries.set_path("/api/v1/log/entries");
    entries.set_query(Some("logIndex=2"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let entry = http.get(entries).send().await.unwrap();
    let entry = entry.bytes().await.unwrap();

    let log = MockServer::start().await;
    let answer = ResponseTemplate::new(201).set_body_bytes(entry);
    Mock::given(any()).respond_with(answer).mount(&log).await;
    let services = Services {
        rekor: log.uri().parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = Signer::new(client(), &services, stage.trusted_root()).unwrap();
    let signer = signer.with_tags(Tags::Followed);
    stage.registry.reset_requests();
    let error = stage.sign_again(signer).await.unwrap_err();
    let Error::Bundle { source, .. } = error else {
        panic!("expected a bundle that doesn't hold, found {error:?}");
    };
    assert_eq!(source.kind(), RefusalKind::Invalid);
    assert_eq!(stage.writes(), [""; 0]);
}
