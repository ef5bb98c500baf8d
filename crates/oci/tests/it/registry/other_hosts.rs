//! What another host receives when a list of referrers leads there: nothing.

use countersign_oci::{Credentials, Descriptor, Error, PinnedReference, Registry, Result};
use countersign_sandbox::image::Image;
use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions, RegistryServer};

use super::common::options;

const PATH: &str = "team/app";
const USER: &str = "robot";
const PASSWORD: &str = "hunter2";
const IDENTITY: &str = "long-lived";

/// The ways to log in.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Basic,
    Bearer,
    IdentityToken,
}

const KINDS: [Kind; 3] = [Kind::Basic, Kind::Bearer, Kind::IdentityToken];

/// A registry with the referrers API that wants a login of this kind.
async fn registry(kind: Kind) -> RegistryServer {
    let login = (USER.to_owned(), PASSWORD.to_owned());
    let (auth, identity_token) = match kind {
        Kind::Basic => {
            let (user, password) = login;
            (Auth::Basic { user, password }, None)
        }
        Kind::Bearer => (Auth::Bearer { user: Some(login) }, None),
        Kind::IdentityToken => (Auth::Bearer { user: None }, Some(IDENTITY.to_owned())),
    };
    let options = RegistryOptions {
        referrers_api: true,
        auth,
        identity_token,
        ..RegistryOptions::default()
    };
    RegistryServer::start(options).await.unwrap()
}

/// A client with a login to `server` alone.
fn client(kind: Kind, server: &RegistryServer) -> Registry {
    let host = server.host();
    let mut options = options();
    options.credentials = match kind {
        Kind::Basic | Kind::Bearer => Credentials::default().with_login(&host, USER, PASSWORD),
        Kind::IdentityToken => {
            let config = format!(r#"{{"auths": {{"{host}": {{"identitytoken": "{IDENTITY}"}}}}}}"#);
            Credentials::default().with_config("c", &config).unwrap()
        }
    };
    Registry::new(options).unwrap()
}

/// An image with one referrer in the store of `server`.
fn signed_image(server: &RegistryServer) -> (PinnedReference, Descriptor) {
    let subject = Image::artifact("application/vnd.example.image").build();
    subject.push(server, PATH, Some("v1"));
    let signature = Image::artifact("application/vnd.example.signature")
        .subject(subject.descriptor())
        .build();
    signature.push(server, PATH, None);
    let pinned = server.repository(PATH).at(subject.digest());
    (pinned, signature.descriptor())
}

async fn digests(client: &Registry, subject: &PinnedReference) -> Result<Vec<String>> {
    let listed = client.referrers(subject).await?;
    Ok(listed.iter().map(|d| d.digest.to_string()).collect())
}

/// What answers at the other host: it wants a login of each kind, or lists without asking for one.
async fn others() -> Vec<RegistryServer> {
    let mut others = Vec::new();
    for kind in KINDS {
        others.push(registry(kind).await);
    }
    let open = RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    };
    others.push(RegistryServer::start(open).await.unwrap());
    others
}

#[tokio::test]
async fn a_next_page_at_another_host_is_an_error_and_never_asked_for() {
    for kind in KINDS {
        for other in others().await {
            let server = registry(kind).await;
            let (subject, _) = signed_image(&server);
            let away = format!("{}/v2/{PATH}/referrers/next?t=s3cr3t", other.origin());
            let fault = Fault::on("GET /v2/*/referrers/*", Effect::NextPage(away));
            server.add_fault(fault);
            let error = digests(&client(kind, &server), &subject).await.unwrap_err();
            let Error::Protocol {
                expected, found, ..
            } = &error
            else {
                panic!("{kind:?}: {error:?}")
            };
            assert_eq!(expected, "a link to the next page at the registry itself");
            let link = format!("a link to {}/v2/{PATH}/referrers/next", other.origin());
            assert_eq!(found, &link);
            assert_eq!(
                other.requests().len(),
                0,
                "{kind:?}: {:?}",
                other.requests()
            );
        }
    }
}

#[tokio::test]
async fn an_api_that_redirects_to_another_host_is_none_and_that_host_learns_nothing() {
    for kind in KINDS {
        for other in others().await {
            let server = registry(kind).await;
            let (subject, signature) = signed_image(&server);
            // The other host would serve a list whose next page is at that host as well: a relative
            // link, by which the login would follow.
            signed_image(&other);
            let link = format!("/v2/{PATH}/referrers/{}?after=1", subject.digest());
            other.add_fault(Fault::on("GET *", Effect::NextPage(link)).times(1));
            server.add_fault(Fault::on(
                "GET /v2/*/referrers/*",
                Effect::Redirect(other.origin()),
            ));
            let client = client(kind, &server);
            assert_eq!(digests(&client, &subject).await.unwrap(), [""; 0]);
            assert_eq!(
                other.requests().len(),
                0,
                "{kind:?}: {:?}",
                other.requests()
            );

            other.clear_faults();
            // What the registry's fallback tag lists counts.
            let list = serde_json::json!({
                "schemaVersion": 2,
                "mediaType": countersign_oci::media_type::OCI_INDEX,
                "manifests": [signature],
            });
            server.put_manifest(
                PATH,
                countersign_oci::media_type::OCI_INDEX,
                list.to_string(),
                Some(&subject.digest().referrers_tag()),
            );
            let found = digests(&client, &subject).await.unwrap();
            assert_eq!(found, [signature.digest.to_string()]);
            assert_eq!(
                other.requests().len(),
                0,
                "{kind:?}: {:?}",
                other.requests()
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_within_the_registry_is_followed() {
    let server = registry(Kind::Bearer).await;
    let (subject, signature) = signed_image(&server);
    let itself = Effect::Redirect(server.origin());
    server.add_fault(Fault::on("GET /v2/*/referrers/*", itself).times(1));
    let found = digests(&client(Kind::Bearer, &server), &subject).await;
    assert_eq!(found.unwrap(), [signature.digest.to_string()]);
}
