//! Signing services that are busy, broken, refusing or hostile.

use std::error::Error as _;
use std::time::Duration;

use countersign_oci::{ErrorKind, Retries};
use countersign_sandbox::Service as Sandbox;
use countersign_sandbox::{ClosedPort, ServiceFault};
use countersign_sign::{Error, RekorVersion, Service, Services, Signer, Tags};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{PAUSE, Stage, client, retries};

fn refuse(status: u16) -> ServiceFault {
    ServiceFault::Refuse {
        status: status.try_into().unwrap(),
        retry_after: None,
    }
}

fn refuse_for(status: u16, retry_after: Duration) -> ServiceFault {
    ServiceFault::Refuse {
        status: status.try_into().unwrap(),
        retry_after: Some(retry_after),
    }
}

/// Asserts which service failed, and with which status.
fn assert_failed(error: &Error, expected: (Service, Option<u16>)) {
    match error {
        Error::Service {
            service, status, ..
        } => assert_eq!((*service, *status), expected),
        other => panic!("expected a failure of {}, found {other:?}", expected.0),
    }
}

#[tokio::test]
async fn a_busy_certificate_authority_is_asked_again() {
    let stage = Stage::new().await;
    stage.two_platforms();
    stage.sigstore.inject(Sandbox::Fulcio, refuse(429), 2);
    assert_eq!(stage.sign().await.unwrap().len(), 3);
    assert_eq!(stage.answers(Sandbox::Fulcio), [429, 429, 200]);
}

#[tokio::test]
async fn a_certificate_authority_that_refuses_is_asked_once() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.inject(Sandbox::Fulcio, refuse(403), 1);
    let error = stage.sign().await.unwrap_err();
    assert_failed(&error, (Service::Fulcio, Some(403)));
    assert_eq!(stage.answers(Sandbox::Fulcio), [403]);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_service_that_wants_too_long_a_pause_is_not_asked_again() {
    let stage = Stage::new().await;
    stage.one_image();
    let fault = refuse_for(429, Duration::from_secs(3600));
    stage.sigstore.inject(Sandbox::Fulcio, fault, 1);
    let error = stage.sign().await.unwrap_err();
    assert_failed(&error, (Service::Fulcio, Some(429)));
    assert_eq!(stage.answers(Sandbox::Fulcio), [429]);
}

#[tokio::test]
async fn a_log_that_is_away_for_a_while_is_waited_for() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.inject(Sandbox::RekorV1, refuse(502), 3);
    assert_eq!(stage.sign().await.unwrap().len(), 1);
    assert_eq!(stage.answers(Sandbox::RekorV1), [502, 502, 502, 201]);
}

#[tokio::test]
async fn a_log_that_stays_away_ends_the_run_before_anything_is_pushed() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.inject(Sandbox::RekorV1, refuse(502), 100);
    let error = stage.sign().await.unwrap_err();
    assert_failed(&error, (Service::Rekor, Some(502)));
    assert_eq!(stage.answers(Sandbox::RekorV1).len(), 1 + retries().times);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn an_entry_whose_answer_is_lost_is_fetched_and_not_made_twice() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let lost = ServiceFault::LoseAnswer;
    stage.sigstore.inject(Sandbox::RekorV1, lost, 1);
    let signed = stage.sign().await.unwrap();

    let requests = stage.sigstore.requests().into_iter();
    let asked: Vec<_> = requests
        .filter(|request| request.service == Sandbox::RekorV1)
        .map(|request| (request.method.to_string(), request.status.as_u16()))
        .collect();
    let expected = [("POST", 504), ("POST", 409), ("GET", 200)];
    assert_eq!(
        asked,
        expected.map(|(method, status)| (method.to_owned(), status))
    );
    assert_eq!(signed.len(), 1);
    assert_eq!(stage.listed(&image.digest()).await.len(), 1);
    // After the two entries that the log starts with.
    assert_eq!(signed[0].evidence.log_index, Some(2));
}

#[tokio::test]
async fn a_log_of_tiles_that_has_the_entry_already_gets_another() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sigstore.inject(Sandbox::RekorV2, refuse(409), 1);
    let signed = stage.sign_with(&stage.signer_by(RekorVersion::V2)).await;
    assert_eq!(signed.unwrap().len(), 1);
    assert_eq!(stage.answers(Sandbox::RekorV2), [409, 201]);
    assert_eq!(stage.listed(&image.digest()).await.len(), 1);
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_an_error() {
    let stage = Stage::new().await;
    stage.one_image();
    for (version, log) in [
        (RekorVersion::V1, Sandbox::RekorV1),
        (RekorVersion::V2, Sandbox::RekorV2),
    ] {
        stage.sigstore.inject(log, refuse(409), 2);
        let error = stage
            .sign_with(&stage.signer_by(version))
            .await
            .unwrap_err();
        assert_failed(&error, (Service::Rekor, Some(409)));
    }
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_timestamp_authority_that_refuses_ends_the_run() {
    let stage = Stage::new().await;
    stage.one_image();
    let tsa = Sandbox::TimestampAuthority;
    stage.sigstore.inject(tsa, refuse(403), 1);
    let error = stage
        .sign_with(&stage.signer_by(RekorVersion::V2))
        .await
        .unwrap_err();
    assert_failed(&error, (Service::TimestampAuthority, Some(403)));
    assert_eq!(stage.answers(tsa), [403]);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_busy_timestamp_authority_is_asked_again() {
    let stage = Stage::new().await;
    stage.one_image();
    let tsa = Sandbox::TimestampAuthority;
    stage.sigstore.inject(tsa, refuse(503), 1);
    let signed = stage.sign_with(&stage.signer_by(RekorVersion::V2)).await;
    assert_eq!(signed.unwrap().len(), 1);
    assert_eq!(stage.answers(tsa), [503, 201]);
}

/// Which statuses lead to another request, by service: one table, so that no rule is added unseen. The next test is the
/// same for answers of success.
#[tokio::test]
async fn answers_are_asked_about_again_by_one_rule() {
    let again = [408, 425, 429, 500, 502, 503, 504];
    let final_at_once = [400, 401, 403, 404, 501, 505];
    for service in Sandbox::all() {
        let version = match service {
            Sandbox::Fulcio | Sandbox::RekorV2 | Sandbox::TimestampAuthority => RekorVersion::V2,
            Sandbox::RekorV1 => RekorVersion::V1,
            // Nothing is asked of them to sign.
            Sandbox::Oidc | Sandbox::Tuf => continue,
        };
        for (statuses, requests) in [(&again[..], 2), (&final_at_once[..], 1)] {
            for status in statuses {
                let stage = Stage::new().await;
                stage.one_image();
                stage.sigstore.inject(service, refuse(*status), 1);
                let signed = stage.sign_with(&stage.signer_by(version)).await;
                assert_eq!(signed.is_ok(), requests == 2, "{service:?} {status}");
                // Of a failure of this kind an installer is told to try again.
                let kind = signed.err().map(|error| error.kind());
                let later = matches!(status, 501 | 505).then_some(ErrorKind::Unreachable);
                let expected = (requests == 1).then(|| later.unwrap_or(ErrorKind::Rejected));
                assert_eq!(kind, expected, "{service:?} {status}");
                let answers = stage.answers(service);
                assert_eq!(answers.len(), requests, "{service:?} {status}: {answers:?}");
            }
        }
    }
}

/// What a service answers with success and nobody can use, by service, and how many requests that leads to. Whoever
/// finds an answer that may pass writes its row.
#[tokio::test]
async fn an_answer_that_cannot_be_used_is_no_reason_to_ask_again() {
    // RFC 3161: the response of an authority that rejects the request.
    let rejection: &'static [u8] = &[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02];
    let page = include_str!("../../../../docs/signing.md");
    let (_, outages) = page.split_once("## Outages").unwrap();
    let outages = outages.split("## ").next().unwrap();
    for service in Sandbox::all() {
        let (version, status, answers) = match service {
            Sandbox::Fulcio => (RekorVersion::V2, 200, &[(&b"{}"[..], 1)][..]),
            Sandbox::RekorV1 => (RekorVersion::V1, 201, &[(&b"{}"[..], 1)][..]),
            Sandbox::RekorV2 => (RekorVersion::V2, 201, &[(&b"{}"[..], 1)][..]),
            Sandbox::TimestampAuthority => (
                RekorVersion::V2,
                200,
                &[(rejection, 1), (&b"<html>"[..], 1)][..],
            ),
            // Nothing is asked of them to sign.
            Sandbox::Oidc | Sandbox::Tuf => continue,
        };
        for (body, requests) in answers {
            let stage = Stage::new().await;
            stage.one_image();
            let answer = ServiceFault::Answer {
                status: u16::try_into(status).unwrap(),
                body,
            };
            stage.sigstore.inject(service, answer, 1);
            let signed = stage.sign_with(&stage.signer_by(version)).await;
            assert_eq!(signed.is_ok(), *requests == 2, "{service:?}");
            let kind = signed.err().map(|error| error.kind());
            let expected = (*requests == 1).then_some(ErrorKind::Rejected);
            assert_eq!(kind, expected, "{service:?}");
            assert_eq!(stage.answers(service).len(), *requests, "{service:?}");
            if *requests == 1 {
                assert_eq!(stage.writes(), [""; 0], "{service:?}");
            } else {
                let told = outages.contains("refus");
                assert!(
                    told,
                    "docs/signing.md, \"Outages\": an answer that is asked about again"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let stage = Stage::new().await;
    stage.one_image();
    let server = MockServer::start().await;
    let long = ResponseTemplate::new(200).set_body_bytes(vec![b' '; (1 << 20) + 1]);
    Mock::given(any())
        .respond_with(long)
        .expect(3)
        .mount(&server)
        .await;
    let url: url::Url = server.uri().parse().unwrap();
    let services = stage.services(RekorVersion::V2);
    let with = |change: fn(&mut Services, url::Url)| {
        let mut services = services.clone();
        change(&mut services, url.clone());
        Signer::new(client(), &services, stage.trusted_root())
            .unwrap()
            .with_tags(Tags::Followed)
            .with_retries(retries())
    };
    for (service, signer) in [
        (Service::Fulcio, with(|services, url| services.fulcio = url)),
        (Service::Rekor, with(|services, url| services.rekor = url)),
        (
            Service::TimestampAuthority,
            with(|services, url| services.tsa = Some(url)),
        ),
    ] {
        let error = stage.sign_with(&signer).await.unwrap_err();
        assert_failed(&error, (service, None));
        let cause = error.source().unwrap().to_string();
        assert_eq!(
            cause,
            "its answer is too long: expected 1048576 bytes at most, found more"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let stage = Stage::new().await;
    stage.one_image();
    let server = MockServer::start().await;
    let elsewhere = stage.sigstore.fulcio_url().to_string();
    let redirect = ResponseTemplate::new(307).insert_header("location", elsewhere.as_str());
    Mock::given(any())
        .respond_with(redirect)
        .mount(&server)
        .await;
    let services = Services {
        fulcio: server.uri().parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = Signer::new(client(), &services, stage.trusted_root()).unwrap();
    let signer = signer.with_tags(Tags::Followed);
    let error = stage.sign_with(&signer).await.unwrap_err();
    assert_failed(&error, (Service::Fulcio, Some(307)));
    assert_eq!(stage.sigstore.requests(), []);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let stage = Stage::new().await;
    stage.one_image();
    let nobody = ClosedPort::hold().unwrap();
    let services = Services {
        fulcio: format!("http://{}", nobody.address()).parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = Signer::new(client(), &services, stage.trusted_root())
        .unwrap()
        .with_tags(Tags::Followed)
        .with_retries(Retries {
            times: 1,
            pause: PAUSE,
            ..Retries::default()
        });
    let error = stage.sign_with(&signer).await.unwrap_err();
    assert_failed(&error, (Service::Fulcio, None));
}
