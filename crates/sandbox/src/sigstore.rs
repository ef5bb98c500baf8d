//! Fulcio, CT log, Rekor v1 and v2, timestamp authority, OIDC issuer and TUF repository.
//!
//! Test only. Keys are made at run time and die with the [`Sigstore`]; anybody gets a certificate
//! for any identity. Certificates, logs and timestamps are what independent verifiers accept.

mod addresses;
mod bundle;
mod ca;
mod ct;
mod entry_verifier;
mod error;
mod fulcio;
mod http;
mod issue;
mod keys;
mod log;
mod login;
mod login_endpoints;
mod merkle;
mod oidc;
mod proposal;
mod rekor_v1;
mod rekor_v2;
mod routes;
mod services;
mod signing_key;
mod simple_signing;
mod statement;
mod trust;
mod tsa;
mod tuf;
mod verifier;
mod x509;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use url::Url;

pub use bundle::{BUNDLE, BundleSpec, Flaw};
pub use error::SigstoreError;
pub use http::{Service, ServiceFault, ServiceRequest};
pub use login::LoginAnswer;
pub use signing_key::{SigningKey, SigningKeyKind};
pub use simple_signing::{
    CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, LOG_ANNOTATION, SIGNATURE_ANNOTATION,
    SimpleSignature, SimpleSigningPlace, push_simple_signing, simple_signing_payload,
};
pub use statement::Statement;

use crate::server::{Binding, Server};
use addresses::Addresses;
use http::Record;
use routes::router;
use services::Services;

/// A generation of the transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekorVersion {
    /// Rekor v1: says itself when it logged an entry.
    V1,
    /// Rekor v2: time comes from a timestamp authority.
    V2,
}

/// A running local Sigstore; its servers end when it is dropped.
pub struct Sigstore {
    services: Arc<Services>,
    record: Arc<Record>,
    /// Held for their end.
    _servers: Vec<Server>,
}

/// A test whose fault never happens would test nothing, and pass.
impl Drop for Sigstore {
    #[expect(clippy::panic, reason = "test only: it fails the test")]
    fn drop(&mut self) {
        if let Some((service, fault)) = self.record.unused()
            && !std::thread::panicking()
        {
            panic!(
                "{service:?} was not asked, so this fault never happened: {fault:?}; `clear_faults` takes back what is not needed"
            );
        }
    }
}

impl Sigstore {
    /// Starts every service on a port of 127.0.0.1 that the system picks. They answer while the
    /// caller blocks, on a child process say.
    ///
    /// # Errors
    ///
    /// An error, if the system has no port or no randomness.
    pub async fn start() -> std::io::Result<Self> {
        let bindings = [
            (Service::Oidc, Binding::bind()?),
            (Service::Fulcio, Binding::bind()?),
            (Service::RekorV1, Binding::bind()?),
            (Service::RekorV2, Binding::bind()?),
            (Service::TimestampAuthority, Binding::bind()?),
            (Service::Tuf, Binding::bind()?),
        ];
        let is_served = |service| bindings.iter().any(|(one, _)| *one == service);
        assert!(Service::all().all(is_served), "a service has no server");
        let [oidc, fulcio, rekor_v1, rekor_v2, timestamp_authority, tuf] =
            bindings.each_ref().map(|(_, binding)| http::base(binding));
        let addresses = Addresses {
            oidc: oidc?,
            fulcio: fulcio?,
            rekor_v1: rekor_v1?,
            rekor_v2: rekor_v2?,
            timestamp_authority: timestamp_authority?,
            tuf: tuf?,
        };
        let services =
            Services::generate(addresses, Timestamp::now()).map_err(std::io::Error::other)?;
        let services = Arc::new(services);
        let record = Arc::new(Record::default());
        let servers = bindings
            .into_iter()
            .map(|(service, binding)| {
                let router = router(service, Arc::clone(&services));
                http::serve(binding, service, router, &record)
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            services,
            record,
            _servers: servers,
        })
    }

    /// Fulcio's base URL.
    pub fn fulcio_url(&self) -> Url {
        self.services.addresses.fulcio.clone()
    }

    /// The base URL of a log.
    pub fn rekor_url(&self, version: RekorVersion) -> Url {
        match version {
            RekorVersion::V1 => self.services.addresses.rekor_v1.clone(),
            RekorVersion::V2 => self.services.addresses.rekor_v2.clone(),
        }
    }

    /// Where to post timestamp requests: the whole URL, with its path.
    pub fn tsa_url(&self) -> Url {
        let mut url = self.services.addresses.timestamp_authority.clone();
        url.set_path(trust::TIMESTAMP_PATH);
        url
    }

    /// The OIDC issuer's URL. Tokens and certificates have it without the slash at its end.
    pub fn oidc_issuer(&self) -> Url {
        self.services.addresses.oidc.clone()
    }

    /// The issuer as tokens, certificates and policies name it: without the slash.
    pub fn issuer(&self) -> String {
        self.oidc_issuer().as_str().trim_end_matches('/').to_owned()
    }

    /// The TUF repository's base URL.
    pub fn tuf_url(&self) -> Url {
        self.services.addresses.tuf.clone()
    }

    /// The first `root.json` of the TUF repository.
    pub fn tuf_root(&self) -> Vec<u8> {
        self.services.tuf.root().to_vec()
    }

    /// From now on, the TUF repository signs its timestamp anew for each request, and it is good for so many
    /// seconds only.
    pub fn set_tuf_timestamp_lifetime(&self, seconds: i64) {
        self.services.tuf.set_timestamp_lifetime(seconds);
    }

    /// The trusted root: protobuf-specs JSON.
    pub fn trusted_root_json(&self) -> String {
        self.services.trusted_root.clone()
    }

    /// The trusted root in the form of GitHub's own instance: the authorities alone, without logs.
    pub fn trusted_root_without_logs_json(&self) -> String {
        trust::without_logs(&self.services.trusted_root)
    }

    /// A signing config (version 0.2) that names one log, of this version.
    pub fn signing_config_json(&self, version: RekorVersion) -> String {
        let (since, _) = self.services.fulcio.authority().authority().validity();
        trust::signing_config(&self.services.addresses, version, since).to_string()
    }

    /// An OIDC token for which Fulcio issues a certificate with SAN URI (or email, where it holds
    /// an `@` and no scheme) `identity`, issuer extension [`Self::oidc_issuer`] without the slash.
    pub fn token(&self, identity: &str) -> String {
        self.token_with(identity, &serde_json::json!({}))
    }

    /// As [`Self::token`], with these claims beside the usual ones, or in their places.
    pub fn token_with(&self, identity: &str, claims: &serde_json::Value) -> String {
        let now = self.services.now();
        self.services.oidc.token(identity, now, claims)
    }

    /// Where a job asks for a token for `identity`, as on GitHub Actions: the URL, to which
    /// `&audience=sigstore` goes, and the bearer token. It is a part of the OIDC issuer.
    pub fn identity_endpoint(&self, identity: &str) -> (Url, String) {
        let mut url = self.oidc_issuer();
        url.set_path(routes::IDENTITY_TOKEN);
        url.query_pairs_mut().append_pair("identity", identity);
        (url, self.services.oidc.bearer().to_owned())
    }

    /// Who logs in to the OIDC issuer from now on, and what becomes of it. The person is a fake: a
    /// browser that opens the issuer's page is sent back at once. At first it is
    /// `person@example.com`, who logs in.
    pub fn set_login(&self, email: &str, answer: LoginAnswer) {
        self.services.oidc.logins().set(email, answer);
    }

    /// Sets the clock of every service so far ahead of this machine's, or behind it, to the second.
    pub fn set_clock_ahead(&self, ahead: SignedDuration) {
        self.services.set_ahead(ahead);
    }

    /// A token that expired an hour ago.
    pub fn expired_token(&self, identity: &str) -> String {
        let then = self.services.now() - SignedDuration::from_hours(2);
        self.services
            .oidc
            .token(identity, then, &serde_json::json!({}))
    }

    /// Makes a bundle (version 0.3, JSON) in process: what Fulcio, Rekor and the timestamp
    /// authority would have issued to a client, or a flawed one.
    ///
    /// # Errors
    ///
    /// An error, if a certificate can't hold the specification: a time before 1970, an identity
    /// that is not ASCII.
    pub fn issue(&self, spec: &BundleSpec) -> Result<String, SigstoreError> {
        Ok(issue::issue(&self.services, spec)?.to_string())
    }

    /// Makes the next `times` requests to `service` fail.
    pub fn inject(&self, service: Service, fault: ServiceFault, times: usize) {
        self.record.inject(service, Some(fault), times);
    }

    /// Lets the next `count` requests to `service` through, before the faults that are injected
    /// later.
    pub fn spare(&self, service: Service, count: usize) {
        self.record.inject(service, None, count);
    }

    /// Takes back all faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.record.clear_faults();
    }

    /// Every request so far, in the order of their answers.
    pub fn requests(&self) -> Vec<ServiceRequest> {
        self.record.requests()
    }
}
