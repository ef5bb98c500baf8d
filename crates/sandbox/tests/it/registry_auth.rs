//! Who gets in, and for how long.

use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions, RegistryServer};
use reqwest::{Client, RequestBuilder, Response};

async fn start(auth: Auth) -> RegistryServer {
    let options = RegistryOptions {
        auth,
        ..Default::default()
    };
    RegistryServer::start(options).await.unwrap()
}

fn challenge(response: &Response) -> &str {
    response.headers()["www-authenticate"].to_str().unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn get(registry: &RegistryServer, path: &str) -> RequestBuilder {
    Client::new().get(format!("{}{path}", registry.origin()))
}

async fn token(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap().error_for_status().unwrap();
    let body: serde_json::Value = response.json().await.unwrap();
    body["token"].as_str().unwrap().to_owned()
}

fn login() -> (String, String) {
    ("user".into(), "secret".into())
}

#[tokio::test]
async fn basic_wants_the_name_and_the_password() {
    let (user, password) = login();
    let registry = start(Auth::Basic { user, password }).await;
    let anonymous = get(&registry, "/v2/").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
    assert_eq!(challenge(&anonymous), "Basic realm=\"sandbox\"");
    let wrong = get(&registry, "/v2/").basic_auth("user", Some("guess"));
    assert_eq!(status(wrong).await, 401);
    let right = get(&registry, "/v2/").basic_auth("user", Some("secret"));
    assert_eq!(status(right).await, 200);
}

#[tokio::test]
async fn the_bearer_challenge_names_realm_service_and_scope() {
    let registry = start(Auth::Bearer { user: None }).await;
    let response = get(&registry, "/v2/app/manifests/v1").send().await.unwrap();
    assert_eq!(response.status(), 401);
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"sandbox\",scope=\"repository:app:pull\"",
        registry.origin()
    );
    assert_eq!(challenge(&response), expected);
    let put = Client::new().put(format!("{}/v2/app/manifests/v1", registry.origin()));
    let response = put.send().await.unwrap();
    assert!(challenge(&response).ends_with("scope=\"repository:app:pull,push\""));
}

#[tokio::test]
async fn a_token_is_good_for_its_scope_alone() {
    let registry = start(Auth::Bearer { user: None }).await;
    registry.put_manifest("app", "application/json", "{}", Some("v1"));
    registry.put_manifest("other", "application/json", "{}", Some("v1"));
    let token = token(get(&registry, "/token?scope=repository:app:pull")).await;
    let own = get(&registry, "/v2/app/manifests/v1").bearer_auth(&token);
    assert_eq!(status(own).await, 200);
    let other = get(&registry, "/v2/other/manifests/v1").bearer_auth(&token);
    let response = other.send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(challenge(&response).ends_with("error=\"insufficient_scope\""));
    let push = Client::new().post(format!("{}/v2/app/blobs/uploads/", registry.origin()));
    assert_eq!(status(push.bearer_auth(&token)).await, 401);
    let ping = get(&registry, "/v2/").bearer_auth(&token);
    assert_eq!(status(ping).await, 200);
}

#[tokio::test]
async fn the_token_endpoint_asks_for_the_login_it_was_given() {
    let user = Some(login());
    let registry = start(Auth::Bearer { user }).await;
    let path = "/token?scope=repository:app:pull";
    assert_eq!(status(get(&registry, path)).await, 401);
    let wrong = get(&registry, path).basic_auth("user", Some("guess"));
    assert_eq!(status(wrong).await, 401);
    let right = get(&registry, path).basic_auth("user", Some("secret"));
    let ping = get(&registry, "/v2/").bearer_auth(token(right).await);
    assert_eq!(status(ping).await, 200);
}

#[tokio::test]
async fn an_identity_token_is_taken_by_post() {
    let options = RegistryOptions {
        auth: Auth::Bearer { user: None },
        identity_token: Some("identity".into()),
        ..Default::default()
    };
    let registry = RegistryServer::start(options).await.unwrap();
    registry.put_manifest("app", "application/json", "{}", Some("v1"));
    let post = |identity: &str| {
        let request = Client::new().post(format!("{}/token", registry.origin()));
        request.body(format!(
            "grant_type=refresh_token&service=sandbox&scope=repository%3Aapp%3Apull&refresh_token={identity}"
        ))
    };
    assert_eq!(status(get(&registry, "/token")).await, 401);
    assert_eq!(status(post("another")).await, 401);
    let token = token(post("identity")).await;
    let pull = get(&registry, "/v2/app/manifests/v1").bearer_auth(token);
    assert_eq!(status(pull).await, 200);
}

#[tokio::test]
async fn a_token_expires_after_so_many_requests() {
    let options = RegistryOptions {
        auth: Auth::Bearer { user: None },
        token_requests: Some(2),
        ..Default::default()
    };
    let registry = RegistryServer::start(options).await.unwrap();
    let first = token(get(&registry, "/token")).await;
    for expected in [200, 200, 401] {
        let ping = get(&registry, "/v2/").bearer_auth(&first);
        assert_eq!(status(ping).await, expected);
    }
    let expired = get(&registry, "/v2/").bearer_auth(&first);
    let response = expired.send().await.unwrap();
    assert!(challenge(&response).ends_with("error=\"invalid_token\""));
    let second = token(get(&registry, "/token")).await;
    assert_ne!(first, second);
    let ping = get(&registry, "/v2/").bearer_auth(second);
    assert_eq!(status(ping).await, 200);
}

#[tokio::test]
async fn a_request_refused_for_want_of_a_login_uses_up_no_fault() {
    let registry = start(Auth::Bearer { user: None }).await;
    registry.add_fault(Fault::on("GET /v2/", Effect::status(503)).times(1));
    assert_eq!(status(get(&registry, "/v2/")).await, 401);
    let token = token(get(&registry, "/token")).await;
    for expected in [503, 200] {
        let ping = get(&registry, "/v2/").bearer_auth(&token);
        assert_eq!(status(ping).await, expected);
    }
}
