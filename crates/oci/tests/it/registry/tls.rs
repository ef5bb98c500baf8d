//! TLS: whom we trust, who we are, and no way back to plain http.

use std::sync::Arc;

use countersign_oci::http::RedirectRefused::HttpsRequired;
use countersign_oci::{
    ClientIdentity, Error, Options, PlainHttp, Reference, Registry, ResolvedImage, Result,
    RootCertificates, RootCertificatesError, media_type,
};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::common::{manifest, not_followed, options, text_of};
use super::script::{answer_once, raw};

/// A server on loopback with a certificate of its own making; it ends with the test's runtime.
struct TlsServer {
    address: std::net::SocketAddr,
    certificate: String,
}

impl TlsServer {
    /// Gives everyone the same answer; only those with the certificate `client`, if there is one.
    async fn start(answer: String, client: Option<&CertifiedKey<KeyPair>>) -> Self {
        let own = self_signed();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let builder = ServerConfig::builder();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                roots.add(client.cert.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let config = builder.with_single_cert(vec![own.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Clients that refuse us, or that we refuse, are what these tests are about.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = answer_once(&mut stream, &answer).await;
                }
            }
        });
        let certificate = own.cert.pem();
        Self {
            address,
            certificate,
        }
    }

    async fn resolve(&self, options: Options) -> Result<ResolvedImage> {
        let reference: Reference = format!("{}/a/b:t", self.address).parse().unwrap();
        Registry::new(options).unwrap().resolve(&reference).await
    }

    /// Options by which the server is trusted.
    fn trusted(&self) -> Options {
        Options {
            extra_roots: RootCertificates::from_pem(self.certificate.as_bytes()).unwrap(),
            ..untrusted()
        }
    }
}

/// Options that have TLS on loopback, and trust nobody but the system's authorities.
fn untrusted() -> Options {
    let mut options = options();
    options.plain_http = PlainHttp::Never;
    options.retries.times = 0;
    options
}

fn self_signed() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap()
}

fn good_answer() -> String {
    let body = manifest("x");
    let headers = format!(
        "content-type: {}\ncontent-length: {}\n",
        media_type::OCI_MANIFEST,
        body.len()
    );
    raw("200 OK", &headers, &body)
}

#[tokio::test]
async fn an_authority_of_the_callers_is_trusted() {
    let server = TlsServer::start(good_answer(), None).await;
    server.resolve(server.trusted()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_nobodys_is_refused() {
    let server = TlsServer::start(good_answer(), None).await;
    let other = TlsServer::start(good_answer(), None).await;
    let error = server.resolve(other.trusted()).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert!(
        text_of(&error).contains("certificate"),
        "{}",
        text_of(&error)
    );
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let headers = "location: http://127.0.0.1:1/v2/a/b/manifests/t\ncontent-length: 0\n";
    let answer = raw("307 Temporary Redirect", headers, "");
    let server = TlsServer::start(answer, None).await;
    let error = server.resolve(server.trusted()).await.unwrap_err();
    let to = "http://127.0.0.1:1/v2/a/b/manifests/t".to_owned();
    assert_eq!(not_followed(error), (to, HttpsRequired));
}

#[tokio::test]
async fn a_token_service_without_tls_is_refused_from_https() {
    let headers = "www-authenticate: Bearer realm=\"http://127.0.0.1:1/token\"\n\
                   content-length: 0\n";
    let server = TlsServer::start(raw("401 Unauthorized", headers, ""), None).await;
    let error = server.resolve(server.trusted()).await.unwrap_err();
    let to = "http://127.0.0.1:1/token".to_owned();
    assert_eq!(not_followed(error), (to, HttpsRequired));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_those_who_ask() {
    let client = self_signed();
    let server = TlsServer::start(good_answer(), Some(&client)).await;
    let error = server.resolve(server.trusted()).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    let pem = format!(
        "{}{}",
        client.cert.pem(),
        client.signing_key.serialize_pem()
    );
    let options = Options {
        client_identity: Some(ClientIdentity::from_pem(pem.as_bytes()).unwrap()),
        ..server.trusted()
    };
    server.resolve(options).await.unwrap();
}

#[test]
fn a_text_without_a_certificate_is_no_list_of_authorities() {
    let error = |pem: &str| RootCertificates::from_pem(pem.as_bytes()).unwrap_err();
    let key = self_signed().signing_key.serialize_pem();
    for text in ["", "no PEM", &key] {
        assert_eq!(error(text), RootCertificatesError::NoCertificate, "{text}");
    }
    let damaged = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let error = error(damaged);
    assert!(
        matches!(error, RootCertificatesError::Damaged(_)),
        "{error}"
    );
}

/// Authorities may be in several files.
#[tokio::test]
async fn authorities_of_several_texts_are_all_trusted() {
    let server = TlsServer::start(good_answer(), None).await;
    let other = RootCertificates::from_pem(self_signed().cert.pem().as_bytes()).unwrap();
    let trusted = server.trusted();
    let options = Options {
        extra_roots: other.and(trusted.extra_roots.clone()),
        ..trusted
    };
    server.resolve(options).await.unwrap();
}

#[test]
fn a_client_certificate_without_a_key_is_named() {
    let error = ClientIdentity::from_pem(self_signed().cert.pem().as_bytes()).unwrap_err();
    let Error::Configuration { detail } = error else {
        panic!("{error:?}")
    };
    assert!(
        detail.starts_with("the client certificate is not usable"),
        "{detail}"
    );
}
