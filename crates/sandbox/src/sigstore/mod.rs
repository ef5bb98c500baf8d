//! Fulcio, CT log, Rekor v1 and v2, timestamp authority, OIDC issuer and TUF repository.
//!
//! Test only. Keys are made at run time and die with the [`Sigstore`]; anybody gets a certificate
//! for any identity. Certificates, logs and timestamps are what independent verifiers accept.

mod ca;
mod ct;
mod error;
mod fulcio;
mod http;
mod keys;
mod log;
mod merkle;
mod oidc;
mod proposal;
mod rekor_v1;
mod routes;
mod services;
mod trust;
mod verifier;
mod x509;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

pub use error::SigstoreError;
pub use http::{Service, ServiceFault, ServiceRequest};

use http::{Binding, Record, Server};
use services::{Hosts, Services};
use trust::{Endpoints, certificate_authority, log, signing_config};

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
    oidc: Server,
    fulcio: Server,
    rekor_v1: Server,
}

impl Sigstore {
    /// Starts every service on a port of 127.0.0.1 that the system picks.
    ///
    /// # Errors
    ///
    /// Where no port or no randomness is to be had.
    pub async fn start() -> std::io::Result<Self> {
        let oidc = Binding::bind().await?;
        let fulcio = Binding::bind().await?;
        let rekor_v1 = Binding::bind().await?;
        let hosts = Hosts {
            oidc: oidc.host(),
            rekor_v1: rekor_v1.host(),
        };
        let services =
            Services::generate(&hosts, Timestamp::now()).map_err(std::io::Error::other)?;
        let services = Arc::new(services);
        let record = Arc::new(Record::default());
        Ok(Self {
            oidc: oidc.serve(Service::Oidc, routes::oidc(Arc::clone(&services)), &record),
            fulcio: fulcio.serve(
                Service::Fulcio,
                routes::fulcio(Arc::clone(&services)),
                &record,
            ),
            rekor_v1: rekor_v1.serve(
                Service::RekorV1,
                routes::rekor_v1(Arc::clone(&services)),
                &record,
            ),
            services,
            record,
        })
    }

    /// Fulcio's base URL.
    pub fn fulcio_url(&self) -> Url {
        self.fulcio.url().clone()
    }

    /// The base URL of a log.
    pub fn rekor_url(&self, version: RekorVersion) -> Url {
        match version {
            RekorVersion::V1 => self.rekor_v1.url().clone(),
            RekorVersion::V2 => todo!(),
        }
    }

    /// Where to post timestamp requests.
    pub fn tsa_url(&self) -> Url {
        todo!()
    }

    /// The OIDC issuer's URL. Tokens and certificates have it without the slash at its end.
    pub fn oidc_issuer(&self) -> Url {
        self.oidc.url().clone()
    }

    /// The TUF repository's base URL.
    pub fn tuf_url(&self) -> Url {
        todo!()
    }

    /// The first `root.json` of the TUF repository.
    pub fn tuf_root(&self) -> Vec<u8> {
        todo!()
    }

    /// The trusted root: protobuf-specs JSON.
    pub fn trusted_root_json(&self) -> String {
        let ca = self.services.fulcio.authority().authority();
        let ct = self.services.fulcio.ct().key();
        let rekor = self.services.rekor_v1.key();
        let since = ca.since();
        const ECDSA: &str = "PKIX_ECDSA_P256_SHA_256";
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.rekor_v1.url(), rekor.spki(), ECDSA, &rekor.id(), since)],
            "certificateAuthorities": [certificate_authority(ca, self.fulcio.url(), None)],
            "ctlogs": [log(self.fulcio.url(), ct.spki(), ECDSA, &ct.id(), since)],
            "timestampAuthorities": [],
        })
        .to_string()
    }

    /// A signing config (version 0.2) that names one log, of this version.
    pub fn signing_config_json(&self, version: RekorVersion) -> String {
        let since = self.services.fulcio.authority().authority().since();
        let endpoints = Endpoints {
            fulcio: &self.fulcio_url(),
            oidc: &self.oidc_issuer(),
            rekor: &self.rekor_url(version),
            timestamp_authority: &self.tsa_url(),
        };
        signing_config(&endpoints, version, since).to_string()
    }

    /// An OIDC token for which Fulcio issues a certificate with SAN URI (or email, where it holds
    /// an `@` and no scheme) `identity`, issuer extension [`Self::oidc_issuer`] without the slash.
    pub fn token(&self, identity: &str) -> String {
        self.services.oidc.token(identity, Timestamp::now())
    }

    /// A token that expired an hour ago.
    pub fn expired_token(&self, identity: &str) -> String {
        let then = Timestamp::now() - SignedDuration::from_hours(2);
        self.services.oidc.token(identity, then)
    }

    /// Makes the next `times` requests to `service` fail.
    pub fn inject(&self, service: Service, fault: ServiceFault, times: usize) {
        self.record.inject(service, &fault, times);
    }

    /// Every request so far, in the order of their answers.
    pub fn requests(&self) -> Vec<ServiceRequest> {
        self.record.requests()
    }
}
