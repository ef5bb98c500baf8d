//! A person's login at the sandbox's issuer, with this test as the browser.

use std::time::Duration;

use countersign_sandbox::{LoginAnswer, Service as Fake, ServiceFault, Sigstore};
use countersign_sign::{Error, IdentityToken, Login, LoginError, Service, Shown, TokenError};
use serde_json::json;
use url::Url;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::connection;

const PERSON: &str = "person@example.com";

fn login(sigstore: &Sigstore) -> Login {
    let login = Login::new(&connection(), &sigstore.oidc_issuer()).unwrap();
    login.with_time(Duration::from_secs(20))
}

/// A browser: opens a page and follows where it leads. Returns what the last page says.
fn browse(url: Url) -> tokio::task::JoinHandle<(u16, String)> {
    tokio::spawn(async move {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// Logs in by a browser that does what a person's does.
async fn by_browser(sigstore: &Sigstore) -> Result<IdentityToken, Error> {
    let show = |url| async {
        browse(url);
        Shown::ToPerson
    };
    login(sigstore).by_browser(show).await
}

async fn by_device(sigstore: &Sigstore) -> Result<IdentityToken, Error> {
    login(sigstore).by_device(|_| {}).await
}

fn requests(sigstore: &Sigstore) -> Vec<String> {
    let requests = sigstore.requests().into_iter();
    let shown = requests.map(|r| {
        let path = r.path.split('?').next().unwrap();
        format!("{} {path} {}", r.method, r.status.as_u16())
    });
    shown.collect()
}

#[tokio::test]
async fn a_person_logs_in_by_a_browser() {
    let sigstore = Sigstore::start().await.unwrap();
    let mut browser = None;
    let mut opened = None;
    let show = |url: Url| {
        opened = Some(url.clone());
        browser = Some(browse(url));
        async { Shown::ToPerson }
    };
    let token = login(&sigstore).by_browser(show).await.unwrap();
    assert_eq!(token.issuer(), sigstore.issuer());
    let (status, page) = browser.unwrap().await.unwrap();
    assert_eq!(status, 200);
    assert!(page.starts_with("You have logged in."), "{page}");
    let discovered = "GET /.well-known/openid-configuration 200";
    let expected = [discovered, "GET /auth 303", "POST /token 200"];
    assert_eq!(requests(&sigstore), expected);

    let opened = opened.unwrap();
    let value = |name: &str| {
        let mut pairs = opened.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    assert_eq!(value("client_id"), "sigstore");
    assert_eq!(value("scope"), "openid email");
    assert_eq!(value("code_challenge_method"), "S256");
    let redirect: Url = value("redirect_uri").parse().unwrap();
    assert_eq!(redirect.host_str(), Some("127.0.0.1"));
    assert_eq!(redirect.path(), "/auth/callback");
}

#[tokio::test]
async fn a_person_logs_in_at_another_device() {
    let sigstore = Sigstore::start().await.unwrap();
    let mut shown = None;
    let token = login(&sigstore).by_device(|code| shown = Some(code)).await;
    assert_eq!(token.unwrap().issuer(), sigstore.issuer());
    let shown = shown.unwrap();
    assert_eq!(shown.user_code, "WDJB-MJHT");
    let page = format!("{}/device", sigstore.issuer());
    assert_eq!(shown.url.as_str(), page);
    let complete = format!("{page}?user_code=WDJB-MJHT");
    assert_eq!(shown.complete_url.unwrap().as_str(), complete);
    let expected = [
        "GET /.well-known/openid-configuration 200",
        "POST /device/code 200",
        "POST /token 400",
        "POST /token 200",
    ];
    assert_eq!(requests(&sigstore), expected);
}

#[tokio::test]
async fn a_device_slows_down_when_the_issuer_asks_and_outlives_an_outage() {
    let sigstore = Sigstore::start().await.unwrap();
    sigstore.set_login(PERSON, LoginAnswer::SlowsDown);
    let begun = std::time::Instant::now();
    by_device(&sigstore).await.unwrap();
    // One second, and then five more.
    assert!(begun.elapsed() >= Duration::from_secs(7));

    sigstore.set_login(PERSON, LoginAnswer::Approves);
    let down = ServiceFault::Refuse {
        status: 503.try_into().unwrap(),
        retry_after: None,
    };
    let login = login(&sigstore);
    let token = login.by_device(|_| sigstore.inject(Fake::Oidc, down, 1));
    assert!(token.await.is_ok());
}

fn refusal(error: Error) -> LoginError {
    match error {
        Error::Login(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_refuses_or_does_nothing_is_not_logged_in() {
    let sigstore = Sigstore::start().await.unwrap();
    sigstore.set_login(PERSON, LoginAnswer::Denies);
    let both = [by_browser(&sigstore).await, by_device(&sigstore).await];
    for ended in both {
        match refusal(ended.unwrap_err()) {
            LoginError::Refused { error, .. } => assert_eq!(error, "access_denied"),
            other => panic!("{other:?}"),
        }
    }
    sigstore.set_login(PERSON, LoginAnswer::Expires);
    let expired = refusal(by_device(&sigstore).await.unwrap_err());
    assert!(matches!(expired, LoginError::CodeExpired), "{expired:?}");

    sigstore.set_login(PERSON, LoginAnswer::Ignores);
    let hasty = login(&sigstore).with_time(Duration::from_millis(300));
    let device = hasty.by_device(|_| {}).await;
    let browser = hasty.by_browser(|url| async {
        browse(url);
        Shown::ToPerson
    });
    for ended in [device, browser.await] {
        let late = refusal(ended.unwrap_err());
        assert!(matches!(late, LoginError::Late { .. }), "{late:?}");
    }
    let unopened = hasty.by_browser(|_| async { Shown::NoBrowser }).await;
    let unopened = refusal(unopened.unwrap_err());
    assert!(matches!(unopened, LoginError::NoBrowser), "{unopened:?}");
}

#[tokio::test]
async fn a_page_that_guesses_the_state_changes_nothing() {
    let sigstore = Sigstore::start().await.unwrap();
    let show = |url: Url| async move {
        let redirect = url.query_pairs().find(|(key, _)| key == "redirect_uri");
        let redirect = redirect.unwrap().1.into_owned();
        browse(url.clone());
        tokio::spawn(async move {
            for query in ["code=stolen&state=guessed", "error=access_denied"] {
                // The right one may have been before this.
                let _ = reqwest::get(format!("{redirect}?{query}")).await;
            }
        });
        Shown::ToPerson
    };
    assert!(login(&sigstore).by_browser(show).await.is_ok());
}

#[tokio::test]
async fn a_token_of_another_login_issuer_or_audience_is_refused() {
    let sigstore = Sigstore::start().await.unwrap();
    let claims = |claims| sigstore.set_login(PERSON, LoginAnswer::Claims(claims));
    for nonce in [json!("another"), json!(null)] {
        claims(json!({"nonce": nonce}));
        let error = refusal(by_browser(&sigstore).await.unwrap_err());
        assert!(matches!(error, LoginError::OtherLogin), "{error:?}");
    }
    claims(json!({"iss": "https://other.example"}));
    let both = [by_browser(&sigstore).await, by_device(&sigstore).await];
    for ended in both {
        let error = refusal(ended.unwrap_err());
        assert!(matches!(error, LoginError::OtherIssuer { .. }), "{error:?}");
    }
    claims(json!({"aud": "npm"}));
    let error = by_browser(&sigstore).await.unwrap_err();
    let audience = matches!(error, Error::Token(TokenError::Audience { .. }));
    assert!(audience, "{error:?}");
}

/// An issuer that is up to something: its discovery document has these endpoints.
async fn issuer_with(endpoints: serde_json::Value) -> MockServer {
    let issuer = MockServer::start().await;
    let mut document = json!({
        "issuer": issuer.uri(),
        "authorization_endpoint": format!("{}/auth", issuer.uri()),
        "token_endpoint": format!("{}/token", issuer.uri()),
        "device_authorization_endpoint": format!("{}/device", issuer.uri()),
    });
    let members = document.as_object_mut().unwrap();
    members.extend(endpoints.as_object().unwrap().clone());
    Mock::given(path("/.well-known/openid-configuration"))
        .respond_with(ResponseTemplate::new(200).set_body_json(document))
        .mount(&issuer)
        .await;
    issuer
}

fn login_at(issuer: &MockServer) -> Login {
    Login::new(&connection(), &issuer.uri().parse().unwrap()).unwrap()
}

fn is_the_issuers_fault(error: &Error) {
    let by = match error {
        Error::Service { service, .. } => Some(*service),
        _ => None,
    };
    assert_eq!(by, Some(Service::OidcIssuer), "{error:?}");
}

#[tokio::test]
async fn an_issuer_sends_nobody_to_another_scheme_or_without_tls() {
    for (endpoint, url) in [
        ("issuer", "https://other.example"),
        ("authorization_endpoint", "file:///etc/passwd"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("token_endpoint", "http://other.example/token"),
        ("device_authorization_endpoint", "http://other.example"),
    ] {
        let issuer = issuer_with(json!({endpoint: url})).await;
        let show = |url: Url| async move { panic!("{url}") };
        is_the_issuers_fault(&login_at(&issuer).by_browser(show).await.unwrap_err());
    }
    let issuer = issuer_with(json!({"device_authorization_endpoint": null})).await;
    let error = refusal(login_at(&issuer).by_device(|_| {}).await.unwrap_err());
    assert!(matches!(error, LoginError::NoDevices), "{error:?}");
    let issuer = issuer_with(json!({})).await;
    let code = json!({
        "device_code": "hunter2", "user_code": "A", "expires_in": 300,
        "verification_uri": "file:///etc/passwd",
    });
    Mock::given(path("/device"))
        .respond_with(ResponseTemplate::new(200).set_body_json(code))
        .mount(&issuer)
        .await;
    let show = |code| panic!("{code:?}");
    is_the_issuers_fault(&login_at(&issuer).by_device(show).await.unwrap_err());
}

/// A browser that comes back with this code at once.
fn come_back(url: &Url, code: &str) {
    let value = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let (redirect, state) = (value("redirect_uri"), value("state"));
    let back = format!("{redirect}?code={code}&state={state}");
    browse(back.parse().unwrap());
}

#[tokio::test]
async fn a_code_is_redeemed_once_whatever_is_answered() {
    let issuer = issuer_with(json!({})).await;
    let away = ResponseTemplate::new(503);
    let once = Mock::given(path("/token")).respond_with(away).expect(1);
    once.mount(&issuer).await;
    let show = |url: Url| async move {
        come_back(&url, "code");
        Shown::ToPerson
    };
    is_the_issuers_fault(&login_at(&issuer).by_browser(show).await.unwrap_err());
    issuer.verify().await;
}

/// An error, its causes, and all of that for a programmer.
fn told(error: &Error) -> String {
    let mut told = format!("{error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        told.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    told
}

#[tokio::test]
async fn no_error_tells_a_code_or_what_redeems_it() {
    // The token endpoint quotes what it was asked, as a success and as failures.
    let sigstore = Sigstore::start().await.unwrap();
    sigstore.set_login(PERSON, LoginAnswer::QuotesInsteadOfToken);
    let both = [by_browser(&sigstore).await, by_device(&sigstore).await];
    for ended in both {
        let error = ended.unwrap_err();
        is_the_issuers_fault(&error);
        assert!(told(&error).contains("found something else"), "{error:?}");
    }
    for status in [400, 403, 501] {
        let issuer = issuer_with(json!({})).await;
        let quote = move |request: &wiremock::Request| {
            let said = String::from_utf8_lossy(&request.body).into_owned();
            let body = json!({"error": "invalid_grant", "error_description": said});
            ResponseTemplate::new(status).set_body_json(body)
        };
        Mock::given(any()).respond_with(quote).mount(&issuer).await;
        let show = |url: Url| async move {
            come_back(&url, "correct-horse-battery");
            Shown::ToPerson
        };
        let error = login_at(&issuer).by_browser(show).await.unwrap_err();
        let told = told(&error);
        assert!(told.contains("[token]"), "{told}");
        assert!(!told.contains("correct-horse"), "{told}");
        let asked = issuer.received_requests().await.unwrap();
        let form = url::form_urlencoded::parse(&asked.last().unwrap().body);
        let verifier = form.into_owned().find(|(key, _)| key == "code_verifier");
        assert!(!told.contains(&verifier.unwrap().1), "{told}");
    }
    let login = format!("{:?}", login(&sigstore));
    assert_eq!(login, r#"Login { host: Some("127.0.0.1"), .. }"#);
}
