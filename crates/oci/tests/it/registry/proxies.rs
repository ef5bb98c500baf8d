//! By which proxy requests go, and which go by none.

use countersign_oci::http::{HostKind, RedirectRefused, proxy_url};
use countersign_oci::{Error, Options, PlainHttp, PrivateRedirects, Reference, Registry};
use countersign_sandbox::RecordingProxy;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::common::{not_followed, options, requests};

fn by(proxy: &str, no_proxy: &str) -> Registry {
    Registry::new(Options {
        proxy: Some(proxy_url(proxy).unwrap()),
        no_proxy: no_proxy.parse().unwrap(),
        ..options()
    })
    .unwrap()
}

async fn ask(client: &Registry, image: &str) -> Error {
    let reference: Reference = image.parse().unwrap();
    client.resolve(&reference).await.unwrap_err()
}

#[tokio::test]
async fn a_proxy_is_named_with_and_without_a_scheme_and_may_be_of_the_socks_kind() {
    for scheme in ["", "http://", "socks5h://"] {
        let proxy = RecordingProxy::start().await.unwrap();
        let client = by(&format!("{scheme}{}", proxy.authority()), "");
        let error = ask(&client, "registry.invalid/app:v1").await;
        assert!(matches!(error, Error::Network { .. }), "{error:?}");
        // The name is left to the proxy: there is no such name here.
        let expected = vec!["registry.invalid:443"; 4];
        assert_eq!(proxy.targets(), expected, "{scheme}");
    }
    let proxy = RecordingProxy::start().await.unwrap();
    let client = by(&format!("socks5://{}", proxy.authority()), "");
    ask(&client, "192.0.2.1:5000/app:v1").await;
    assert_eq!(proxy.targets()[0], "192.0.2.1:5000");
    let error = ask(&client, "registry.invalid/app:v1").await;
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert_eq!(proxy.targets().len(), 4, "a name that isn't resolved");
}

#[tokio::test]
async fn what_no_proxy_lists_goes_by_no_proxy() {
    let proxy = RecordingProxy::start().await.unwrap();
    let client = by(
        &proxy.authority(),
        "a.invalid:5000, *.b.invalid 192.0.2.0/24",
    );
    for direct in ["a.invalid:5000/app:v1", "x.b.invalid/app:v1"] {
        let error = ask(&client, direct).await;
        assert!(matches!(error, Error::Network { .. }), "{error:?}");
        assert_eq!(proxy.targets(), Vec::<String>::new(), "{direct}");
    }
    ask(&client, "a.invalid:5001/app:v1").await;
    assert_eq!(proxy.targets(), vec!["a.invalid:5001"; 4]);
}

/// The proxy stands for the internet here.
#[tokio::test]
async fn a_public_registry_leads_to_no_address_inside_even_with_plain_http_everywhere() {
    let internet = MockServer::start().await;
    let client = Registry::new(Options {
        proxy: Some(internet.uri().parse().unwrap()),
        plain_http: PlainHttp::Always,
        ..options()
    })
    .unwrap();
    for (host, kind) in [
        ("127.0.0.1", HostKind::ThisMachine),
        ("localhost.", HostKind::ThisMachine),
        ("0x7f000001", HostKind::ThisMachine),
        ("[::ffff:127.0.0.1]", HostKind::ThisMachine),
        ("0.0.0.0", HostKind::ThisMachine),
        ("169.254.169.254", HostKind::LinkLocal),
        ("2852039166", HostKind::LinkLocal),
        ("10.0.0.1", HostKind::Private),
        ("[fd00::1]", HostKind::Private),
        ("100.64.0.1", HostKind::Private),
        ("[64:ff9b::10.0.0.1]", HostKind::Private),
    ] {
        for scheme in ["http", "https"] {
            internet.reset().await;
            let inside = format!("{scheme}://{host}/v2/app/manifests/v1");
            Mock::given(any())
                .respond_with(ResponseTemplate::new(307).insert_header("location", inside))
                .mount(&internet)
                .await;
            let error = ask(&client, "registry.example/app:v1").await;
            let (_, reason) = not_followed(error);
            let inward = RedirectRefused::Inward {
                from: HostKind::Public,
                to: kind,
            };
            assert_eq!(reason, inward, "{scheme}://{host}");
            assert_eq!(requests(&internet).await.len(), 1, "{scheme}://{host}");
        }
    }
    // From one inside, another inside is as near.
    internet.reset().await;
    let inside = "http://192.168.1.2/v2/app/manifests/v1";
    Mock::given(any())
        .respond_with(ResponseTemplate::new(307).insert_header("location", inside))
        .up_to_n_times(1)
        .mount(&internet)
        .await;
    let error = ask(&client, "10.0.0.1/app:v1").await;
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert_eq!(requests(&internet).await.len(), 2);
}

#[tokio::test]
async fn a_public_registry_leads_into_a_private_network_where_the_user_allows_it() {
    let internet = MockServer::start().await;
    let client = Registry::new(Options {
        proxy: Some(internet.uri().parse().unwrap()),
        plain_http: PlainHttp::Always,
        private_redirects: PrivateRedirects::Allow,
        ..options()
    })
    .unwrap();
    for (host, refused) in [
        ("10.0.0.1", None),
        ("169.254.169.254", Some(HostKind::LinkLocal)),
        ("127.0.0.1", Some(HostKind::ThisMachine)),
    ] {
        internet.reset().await;
        let inside = format!("http://{host}/v2/app/manifests/v1");
        Mock::given(any())
            .respond_with(ResponseTemplate::new(307).insert_header("location", inside))
            .up_to_n_times(1)
            .mount(&internet)
            .await;
        let error = ask(&client, "registry.example/app:v1").await;
        match refused {
            None => {
                assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
                assert_eq!(requests(&internet).await.len(), 2);
            }
            Some(to) => {
                let from = HostKind::Public;
                let inward = RedirectRefused::Inward { from, to };
                assert_eq!(not_followed(error).1, inward, "{host}");
            }
        }
    }
}
