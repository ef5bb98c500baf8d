//! How to reach registries. The caller gives the values; each has a safe default.

use std::fmt;
use std::time::Duration;

use reqwest::{Certificate, Identity};
use url::Url;

use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::host::HostKind;
use crate::http::{LastFailure, NoProxy, Traffic, shown};
use crate::patience::Patience;
use crate::plain_http::PlainHttp;
use crate::reference::LayoutPath;

/// How to reach registries, and the limits on size and time.
#[derive(Clone)]
pub struct Options {
    /// The logins for registries.
    pub credentials: Credentials,
    /// Which registries are used without TLS.
    pub plain_http: PlainHttp,
    /// Whether a public server may redirect into a private network.
    pub private_redirects: PrivateRedirects,
    /// Limits on what is read.
    pub limits: Limits,
    /// Limits on waiting.
    pub timeouts: Timeouts,
    /// How often to repeat a failed request.
    pub retries: Retries,
    /// How many requests each host gets. All clients that are made from clones of the options share it.
    pub traffic: Traffic,
    /// What last kept a host from answering. All clients that are made from clones of the options share it.
    pub last_failure: LastFailure,
    /// Certificate authorities to trust, in addition to the system's.
    pub extra_roots: RootCertificates,
    /// The client certificate for servers that ask for one.
    pub client_identity: Option<ClientIdentity>,
    /// The proxy for all hosts except this machine: an http, https, socks5 or socks5h URL, with
    /// user and password if needed (see [`proxy_url`](crate::http::proxy_url)). Without one,
    /// connections are direct, even if the environment names a proxy.
    pub proxy: Option<Url>,
    /// Hosts that are reached without the proxy, in addition to this machine.
    pub no_proxy: NoProxy,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The limit on addresses that somebody other than the user named. No address may be further
    /// inside than it allows, whatever its name resolves to.
    pub address_limit: Option<AddressLimit>,
    /// An image layout that is read in place of every registry. Images are found in it by their whole
    /// names and their digests. No registry is asked for anything, and nothing can be pushed. Default:
    /// none.
    pub instead_of_registries: Option<LayoutPath>,
}

/// Whether a public server may redirect into a private network. Redirects to this machine or to a
/// link-local address are forbidden either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PrivateRedirects {
    /// It may not.
    #[default]
    Refuse,
    /// It may. For registries that keep their content behind a private link.
    Allow,
}

/// A limit on the addresses that a place names: the index of a gallery, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressLimit {
    /// The place, as errors name it.
    pub place: String,
    /// The innermost kind of address that it may name.
    pub kind: HostKind,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            plain_http: PlainHttp::default(),
            private_redirects: PrivateRedirects::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            traffic: Traffic::default(),
            last_failure: LastFailure::default(),
            extra_roots: RootCertificates::default(),
            client_identity: None,
            proxy: None,
            no_proxy: NoProxy::default(),
            user_agent: concat!("countersign/", env!("CARGO_PKG_VERSION")).into(),
            address_limit: None,
            instead_of_registries: None,
        }
    }
}

/// Hides secrets: the proxy's URL may contain a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each field is named, so that a new one has to be decided.
        let Self {
            credentials,
            plain_http,
            private_redirects,
            limits,
            timeouts,
            retries,
            traffic,
            last_failure,
            extra_roots,
            client_identity,
            proxy,
            no_proxy,
            address_limit,
            user_agent,
            instead_of_registries,
        } = self;
        f.debug_struct("Options")
            .field("credentials", credentials)
            .field("plain_http", plain_http)
            .field("private_redirects", private_redirects)
            .field("limits", limits)
            .field("timeouts", timeouts)
            .field("retries", retries)
            .field("traffic", traffic)
            .field("last_failure", last_failure)
            .field("extra_roots", extra_roots)
            .field("client_identity", client_identity)
            .field("proxy", &proxy.as_ref().map(shown))
            .field("no_proxy", no_proxy)
            .field("address_limit", address_limit)
            .field("user_agent", user_agent)
            .field("instead_of_registries", instead_of_registries)
            .finish()
    }
}

/// Limits on what is read from a registry.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest manifest or index, in bytes. Default 4 MiB.
    pub manifest_bytes: u64,
    /// The most pages of one list of referrers. Default 10.
    pub referrer_pages: usize,
    /// The most entries of one list of referrers, on all pages, including entries that are left
    /// out. Default 10,000 (callers have their own, lower limit on the referrers that they fetch).
    pub referrers: usize,
    /// The most redirects of one request. Default 5.
    pub redirects: usize,
    /// The most entries in an image layout's `index.json`. Default 10,000: a kit has one for each image
    /// and one for each signature.
    pub layout_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            referrer_pages: 10,
            referrers: 10_000,
            redirects: 5,
            layout_entries: 10_000,
        }
    }
}

/// Limits on waiting.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For connecting, with TLS. Default 10 seconds.
    pub connect: Duration,
    /// From a request to the headers of its answer. Default 30 seconds.
    pub answer: Duration,
    /// From the headers of an answer to its end, except for streamed blobs; also from the end of a
    /// streamed upload to the headers of its answer. Default 60 seconds.
    pub document: Duration,
    /// For a streamed blob: a connection that moves less than 16 KiB in this time is closed.
    /// Default 30 seconds.
    pub stall: Duration,
    /// For a streamed blob: the slowest allowed average speed, in bytes per second, not counting
    /// [`Timeouts::grace`]. So the time limit grows with the blob's size. Default 32 KiB, which
    /// gives a gibibyte nine hours; 0 for no limit.
    pub slowest: u64,
    /// Time that doesn't count for [`Timeouts::slowest`]. Default 60 seconds.
    pub grace: Duration,
    /// For a credential helper. Default 30 seconds.
    pub helper: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            document: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            slowest: 32 << 10,
            grace: Duration::from_secs(60),
            helper: Duration::from_secs(30),
        }
    }
}

/// How often to repeat a request after a failure that may pass: no connection, a broken one, or a status that
/// [`StatusMeaning`](crate::StatusMeaning) calls "not now".
#[derive(Debug, Clone)]
pub struct Retries {
    /// Tries after the first. Default 3.
    pub times: usize,
    /// The first pause. Each later pause is twice as long, and all are changed a little at random,
    /// so that clients don't all return at the same moment. Default 250 ms.
    pub pause: Duration,
    /// The longest `Retry-After` that is waited for. If a registry wants a longer pause, the
    /// request is not repeated, because an earlier one would break the registry's rule. Default 30
    /// seconds.
    pub longest_pause: Duration,
    /// How often to write an entry into a list of referrers that other clients may be writing too.
    /// Default 10.
    pub merge_rounds: usize,
    /// If there is patience, it is used instead of [`times`](Self::times), and any `Retry-After` is
    /// waited for that ends in time. Default none.
    pub patience: Option<Patience>,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            times: 3,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(30),
            merge_rounds: 10,
            patience: None,
        }
    }
}

/// Certificate authorities. Default: none.
#[derive(Clone, Default)]
pub struct RootCertificates(Vec<Certificate>);

impl RootCertificates {
    /// Reads PEM with one or more certificates.
    ///
    /// # Errors
    /// If there is no certificate, or one that can't be parsed.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootCertificatesError> {
        let certificates = Certificate::from_pem_bundle(pem)
            .map_err(|error| RootCertificatesError::Damaged(error.to_string()))?;
        if certificates.is_empty() {
            return Err(RootCertificatesError::NoCertificate);
        }
        Ok(Self(certificates))
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = Certificate> {
        self.0.iter().cloned()
    }
}

/// Their number alone: certificates are long.
impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RootCertificates")
            .field(&self.0.len())
            .finish()
    }
}

/// Why a text holds no certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootCertificatesError {
    /// No part of the text is a certificate in PEM.
    #[error("expected one or more certificates in PEM, found none")]
    NoCertificate,
    /// A part of the text looks like a certificate in PEM, and can't be parsed.
    #[error("expected certificates in PEM, found one that can't be parsed: {0}")]
    Damaged(String),
}

/// A client certificate and its private key.
#[derive(Clone)]
pub struct ClientIdentity(Identity);

impl ClientIdentity {
    /// Reads a certificate chain and a private key from PEM, in one text, in any order.
    ///
    /// # Errors
    /// [`Error::Configuration`], if the certificate or the key is missing or malformed.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        Identity::from_pem(pem)
            .map(Self)
            .map_err(|source| Error::Configuration {
                detail: format!("the client certificate is not usable: {source}"),
            })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.0.clone()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}
