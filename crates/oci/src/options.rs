//! How to reach registries: values that the caller gives, each with a default that is safe.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Identity};
use url::Url;

use crate::error::{Error, Result};
use crate::http::{HostKind, proxy, shown};
use crate::patience::Patience;
use crate::plain_http::PlainHttp;
use crate::registry::Credentials;

/// How to reach registries, and how long and how much to take from them.
#[derive(Clone)]
pub struct Options {
    /// Who we are to which registry.
    pub credentials: Credentials,
    /// Which registries are spoken to without TLS.
    pub plain_http: PlainHttp,
    /// Whether a public server may lead into a private network, as one does that has its storage
    /// behind a private link. Never to this machine, nor to a link-local address.
    pub private_redirects: bool,
    /// Upper bounds on what is read.
    pub limits: Limits,
    /// Upper bounds on waiting.
    pub timeouts: Timeouts,
    /// How often to ask again.
    pub retries: Retries,
    /// Certificate authorities to trust besides the system's: PEM, one or several certificates each.
    pub extra_roots: Vec<Vec<u8>>,
    /// The certificate by which we identify ourselves to servers that ask for one.
    pub client_identity: Option<ClientIdentity>,
    /// The proxy for everything but this machine: an http, https, socks5 or socks5h URL, with user and
    /// password if it wants them (see [`proxy_url`](crate::http::proxy_url)). Without one, connections
    /// are direct, whatever the environment says.
    pub proxy: Option<Url>,
    /// Hosts reached without the proxy, besides this machine, in the form that `NO_PROXY` has by
    /// convention: separated by commas, each a host name, which stands for its subdomains too (as do
    /// `.name` and `*.name`), an IP address or a network (`10.0.0.0/8`); a port may stand behind a
    /// name or an address, and then counts (`host:5000`); `*` is everything. An entry that is none of these is an [`Error::Configuration`].
    pub no_proxy: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Who named the addresses that are asked, where it wasn't the user. Then none of them may be
    /// further in than that place itself, whatever its name resolves to.
    pub led_from: Option<LedFrom>,
}

/// A place that names addresses to ask: the index of a gallery, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedFrom {
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
            private_redirects: false,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            extra_roots: Vec::new(),
            client_identity: None,
            proxy: None,
            no_proxy: String::new(),
            user_agent: concat!("countersign/", env!("CARGO_PKG_VERSION")).into(),
            led_from: None,
        }
    }
}

impl Options {
    /// An HTTP client to be: with this proxy, these exceptions, this user agent and this time for a
    /// connection. It reads no environment, follows no redirect, and hands bodies on as they are
    /// sent. Roots and logins are not in it.
    pub(crate) fn http_client(&self) -> Result<ClientBuilder> {
        // `no_proxy` also keeps reqwest from reading the environment's proxies.
        let mut builder = Client::builder()
            .no_proxy()
            // Other crates of the build may turn these on for all: digests are of the bytes as they
            // are kept, and stores send gzipped layers as content of the coding `gzip`.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(&self.user_agent)
            .connect_timeout(self.timeouts.connect);
        if let Some(url) = &self.proxy {
            builder = builder.proxy(proxy(url, &self.no_proxy)?);
        }
        Ok(builder)
    }
}

/// Hides secrets: the proxy's URL may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("credentials", &self.credentials)
            .field("plain_http", &self.plain_http)
            .field("private_redirects", &self.private_redirects)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("retries", &self.retries)
            .field("extra_roots", &self.extra_roots.len())
            .field("client_identity", &self.client_identity)
            .field("proxy", &self.proxy.as_ref().map(shown))
            .field("no_proxy", &self.no_proxy)
            .field("led_from", &self.led_from)
            .field("user_agent", &self.user_agent)
            .finish()
    }
}

/// Upper bounds on what is read from a registry.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one manifest or index. Default 4 MiB.
    pub manifest_bytes: u64,
    /// Pages of one referrers list. Default 10.
    pub referrer_pages: usize,
    /// Entries of one referrers list, on all its pages, those that can't be followed included. Default
    /// 10,000 (callers have their own, lower limit on those they fetch).
    pub referrers: usize,
    /// Redirects of one request. Default 5.
    pub redirects: usize,
    /// Entries in the `index.json` of an image layout. Default 1,000.
    pub layout_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            referrer_pages: 10,
            referrers: 10_000,
            redirects: 5,
            layout_entries: 1_000,
        }
    }
}

/// Upper bounds on waiting.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For a connection, TLS included. Default 10 seconds.
    pub connect: Duration,
    /// From a request to the head of its answer. Default 30 seconds.
    pub answer: Duration,
    /// From the head of an answer to its end, for everything but blobs that are streamed; and from
    /// the end of a streamed upload to the head of its answer. Default 60 seconds.
    pub document: Duration,
    /// For a streamed blob: a connection that moves less than 16 KiB in this time is given up.
    /// Default 30 seconds.
    pub stall: Duration,
    /// For a streamed blob: what moves fewer bytes a second than this, on the whole and without
    /// [`Timeouts::grace`], is given up. So the longest time for a blob grows with its size. Default
    /// 32 KiB, by which a gibibyte may take nine hours; 0 for no floor.
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

/// How often to ask again after a failure that may pass: no connection, a broken one, 429, 5xx.
#[derive(Debug, Clone)]
pub struct Retries {
    /// Tries beyond the first. Default 3.
    pub times: usize,
    /// The first pause; each one after it is twice as long, and all are varied at random so that
    /// many clients don't come back at once. Default 250 ms.
    pub pause: Duration,
    /// The longest pause that a registry's `Retry-After` is granted. One that wants a longer one
    /// is not asked again: asking earlier would break its rule. Default 30 seconds.
    pub longest_pause: Duration,
    /// Rounds of writing an entry into a referrers list that others may be writing too. Default 10.
    pub merge_rounds: usize,
    /// Where there is patience, it counts in place of [`times`](Self::times), and a `Retry-After` is
    /// kept however long it is, as long as it ends in time. Default none.
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

/// A client certificate and its private key.
#[derive(Clone)]
pub struct ClientIdentity(Identity);

impl ClientIdentity {
    /// Reads a certificate chain and a private key from PEM, in one text, in any order.
    ///
    /// # Errors
    /// [`Error::Configuration`], when one of the two is missing or malformed.
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
