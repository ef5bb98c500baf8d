//! Fetching an index, from the gallery's own place or from one of its mirrors.
//!
//! The next place is asked only where the one before has no index or doesn't answer. One that
//! answers with something else than an index ends the search: that is worth knowing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use countersign_oci::{Options, excerpt};
use countersign_policy::{Gallery, GalleryIndex};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, Response, StatusCode};
use tokio::io::AsyncReadExt;
use url::Url;

use super::cache::{Cache, Cached, Validators};
use super::error::GalleryError;
use super::location::{Location, permitted, shown};
use crate::limits::Limits;

/// How galleries are reached, and what is taken from them.
#[derive(Debug, Clone, Default)]
pub struct GalleryOptions {
    /// Directory for indexes with their validators, created when needed. None by default: then
    /// every index is fetched whole.
    pub cache: Option<PathBuf>,
    /// Of these, [`Limits::index_bytes`] counts.
    pub limits: Limits,
    /// Where `github:` locations are read from. Default `https://raw.githubusercontent.com`.
    pub github: Option<Url>,
    /// Proxy and exceptions from it, extra roots, user agent, timeouts, retries and the number of redirects are taken
    /// from here; logins are not, and plain http stays for loopback alone.
    pub connection: Options,
}

const GITHUB: &str = "https://raw.githubusercontent.com";

/// Fetches galleries' indexes.
#[derive(Debug)]
pub struct GalleryClient {
    options: GalleryOptions,
    cache: Option<Cache>,
    plain: Client,
    // Set up with the first https URL: reading the system's certificates takes time, and fails
    // where there are none.
    tls: OnceLock<Client>,
}

/// A gallery's index, and where it is from.
#[derive(Debug)]
#[non_exhaustive]
pub struct FetchedIndex {
    /// The index.
    pub index: GalleryIndex,
    /// The place that served it.
    pub location: Location,
    /// Whether its bytes came over the network.
    pub origin: Origin,
    /// The places before it, each with why it didn't.
    pub unserved: Vec<Unserved>,
}

/// Where an index's bytes are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The server's answer.
    Server,
    /// The cache: the server says that it is unchanged.
    Cache,
    /// A file on this machine.
    File,
}

/// A place that has no index for us, and why not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unserved {
    /// The place.
    pub location: Location,
    /// Why not.
    pub error: GalleryError,
}

impl GalleryClient {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`GalleryError::Configuration`]
    pub fn new(options: GalleryOptions) -> Result<Self, GalleryError> {
        let plain = builder(&options.connection)?
            .tls_certs_only([])
            .build()
            .map_err(|error| configuration(&error))?;
        let cache = options
            .cache
            .clone()
            .map(|directory| Cache::new(directory, options.limits.index_bytes));
        Ok(Self {
            options,
            cache,
            plain,
            tls: OnceLock::new(),
        })
    }

    /// The index of `gallery`: from its `url`, or else from the first of its mirrors that has it.
    /// Paths of `file:` locations that are not absolute are below `directory`.
    ///
    /// # Errors
    /// [`GalleryError::Unserved`] when no place has it; any other error as soon as it occurs.
    pub async fn fetch(
        &self,
        gallery: &Gallery,
        directory: &Path,
    ) -> Result<FetchedIndex, GalleryError> {
        let texts = [&gallery.url].into_iter().chain(&gallery.mirrors);
        let locations = texts.map(|text| text.parse::<Location>());
        let locations: Vec<Location> = locations
            .map(|location| location.map(|location| location.below(directory)))
            .collect::<Result<_, _>>()
            .map_err(|source| GalleryError::Location {
                gallery: excerpt(&gallery.name),
                source,
            })?;
        let mut unserved = Vec::new();
        for location in locations {
            match self.index(&location).await {
                Ok((index, origin)) => {
                    return Ok(FetchedIndex {
                        index,
                        location,
                        origin,
                        unserved,
                    });
                }
                Err(error) if error.leaves_to_mirrors() => {
                    tracing::info!(%location, %error, "a gallery has no index here");
                    unserved.push(Unserved { location, error });
                }
                Err(error) => return Err(error),
            }
        }
        Err(GalleryError::Unserved {
            gallery: excerpt(&gallery.name),
            unserved,
        })
    }

    async fn index(&self, location: &Location) -> Result<(GalleryIndex, Origin), GalleryError> {
        let (bytes, origin) = match location {
            Location::Url(url) => self.by_url(url, location).await?,
            Location::GitHub(file) => {
                let url = self.github().and_then(|server| file.url(&server));
                let url = url.map_err(|error| configuration(&error))?;
                self.by_url(&url, location).await?
            }
            Location::File(path) => (self.by_file(path, location).await?, Origin::File),
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| GalleryError::NotText {
            location: location.to_string(),
            position: error.valid_up_to(),
        })?;
        Ok((GalleryIndex::parse(text, &location.to_string())?, origin))
    }

    fn github(&self) -> Result<Url, url::ParseError> {
        match &self.options.github {
            Some(server) => Ok(server.clone()),
            None => GITHUB.parse(),
        }
    }

    async fn by_file(&self, path: &Path, location: &Location) -> Result<Vec<u8>, GalleryError> {
        let failed = |source: std::io::Error| {
            let location = location.to_string();
            match source.kind() {
                std::io::ErrorKind::NotFound => GalleryError::NotFound { location },
                _ => GalleryError::File { location, source },
            }
        };
        // Opening a pipe would wait for its other end.
        if !tokio::fs::metadata(path).await.map_err(failed)?.is_file() {
            return Err(failed(std::io::ErrorKind::InvalidInput.into()));
        }
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let limit = self.options.limits.index_bytes;
        let mut bytes = Vec::new();
        let mut bounded = file.take(limit.saturating_add(1));
        bounded.read_to_end(&mut bytes).await.map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(self.too_large(location));
        }
        Ok(bytes)
    }

    async fn by_url(
        &self,
        url: &Url,
        location: &Location,
    ) -> Result<(Vec<u8>, Origin), GalleryError> {
        let cached = self.cache.as_ref().and_then(|cache| cache.read(url));
        let validators = cached.as_ref().map(|cached| &cached.validators);
        let retries = &self.options.connection.retries;
        let schedule = ExponentialBuilder::new()
            .with_min_delay(retries.pause)
            .with_max_delay(retries.longest_pause)
            .with_jitter()
            .with_max_times(retries.times);
        let answer = (|| self.ask(url, validators, location))
            .retry(schedule)
            .when(may_pass)
            .await?;
        match (answer, cached) {
            (Answer::Content(fresh), _) => {
                if let Some(cache) = &self.cache {
                    cache.write(url, &fresh);
                }
                Ok((fresh.content, Origin::Server))
            }
            (Answer::Unchanged, Some(cached)) => Ok((cached.content, Origin::Cache)),
            // We didn't ask whether it had changed.
            (Answer::Unchanged, None) => Err(GalleryError::Status {
                location: location.to_string(),
                status: StatusCode::NOT_MODIFIED.as_u16(),
            }),
        }
    }

    /// Asks once, following redirects.
    async fn ask(
        &self,
        url: &Url,
        validators: Option<&Validators>,
        location: &Location,
    ) -> Result<Answer, GalleryError> {
        let limit = self.options.connection.limits.redirects;
        let mut at = url.clone();
        for _ in 0..=limit {
            let response = self.send(&at, validators, location).await?;
            let status = response.status();
            match status.as_u16() {
                200 => return self.content(response, location).await,
                304 => return Ok(Answer::Unchanged),
                301 | 302 | 303 | 307 | 308 => {
                    let target = text(response.headers(), &header::LOCATION);
                    let next = target.as_deref().and_then(|target| at.join(target).ok());
                    at = next.filter(|next| leads_on(&at, next)).ok_or_else(|| {
                        GalleryError::Redirect {
                            location: location.to_string(),
                            found: excerpt(target.as_deref().unwrap_or("nowhere")),
                            limit,
                        }
                    })?;
                }
                status => return Err(failed(status, location)),
            }
        }
        Err(GalleryError::Redirect {
            location: location.to_string(),
            found: shown(&at),
            limit,
        })
    }

    async fn send(
        &self,
        url: &Url,
        validators: Option<&Validators>,
        location: &Location,
    ) -> Result<Response, GalleryError> {
        let mut request = self.client(url)?.get(url.clone());
        let conditions = validators.map(|known| {
            [
                (header::IF_NONE_MATCH, &known.etag),
                (header::IF_MODIFIED_SINCE, &known.last_modified),
            ]
        });
        for (name, value) in conditions.into_iter().flatten() {
            let value = value.as_deref().map(HeaderValue::from_str);
            if let Some(Ok(value)) = value {
                request = request.header(name, value);
            }
        }
        let patience = self.options.connection.timeouts.answer;
        within(patience, request.send(), location).await
    }

    async fn content(
        &self,
        mut response: Response,
        location: &Location,
    ) -> Result<Answer, GalleryError> {
        let limit = self.options.limits.index_bytes;
        let validators = Validators {
            etag: text(response.headers(), &header::ETAG),
            last_modified: text(response.headers(), &header::LAST_MODIFIED),
        };
        let reading = async {
            let mut content = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if (content.len() + chunk.len()) as u64 > limit {
                    return Ok(None);
                }
                content.extend_from_slice(&chunk);
            }
            Ok(Some(content))
        };
        let patience = self.options.connection.timeouts.document;
        let content = within(patience, reading, location).await?;
        let content = content.ok_or_else(|| self.too_large(location))?;
        Ok(Answer::Content(Cached {
            validators,
            content,
        }))
    }

    fn client(&self, url: &Url) -> Result<&Client, GalleryError> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut roots = Vec::new();
        for pem in &self.options.connection.extra_roots {
            roots.extend(Certificate::from_pem_bundle(pem).map_err(|e| configuration(&e))?);
        }
        let mut builder = builder(&self.options.connection)?.https_only(true);
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|error| configuration(&error))?;
        Ok(self.tls.get_or_init(|| client))
    }

    fn too_large(&self, location: &Location) -> GalleryError {
        GalleryError::TooLarge {
            location: location.to_string(),
            limit: self.options.limits.index_bytes,
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn std::error::Error = &self.error;
        // The last cause says most: "connection refused", say.
        let causes = std::iter::successors(error.source(), |error| error.source());
        match causes.last() {
            Some(cause) => write!(f, "{error}: {cause}"),
            None => write!(f, "{error}"),
        }
    }
}

enum Answer {
    Content(Cached),
    Unchanged,
}

fn failed(status: u16, location: &Location) -> GalleryError {
    let location = location.to_string();
    match status {
        404 | 410 => GalleryError::NotFound { location },
        429 | 500.. => GalleryError::Unavailable { location, status },
        _ => GalleryError::Status { location, status },
    }
}

fn may_pass(error: &GalleryError) -> bool {
    matches!(
        error,
        GalleryError::Unreachable { .. } | GalleryError::Unavailable { .. }
    )
}

/// Whether a redirect may be followed: to https, or from one loopback address to another.
fn leads_on(from: &Url, to: &Url) -> bool {
    permitted(to) && (to.scheme() == "https" || from.scheme() == "http")
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, reqwest::Error>>,
    location: &Location,
) -> Result<T, GalleryError> {
    let unreachable = |source| GalleryError::Unreachable {
        location: location.to_string(),
        source,
    };
    match tokio::time::timeout(patience, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(unreachable(error.without_url().into())),
        Err(elapsed) => Err(unreachable(elapsed.into())),
    }
}

fn builder(connection: &Options) -> Result<ClientBuilder, GalleryError> {
    // `no_proxy` also keeps reqwest from reading the environment's proxies.
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(&connection.user_agent)
        .connect_timeout(connection.timeouts.connect);
    if let Some(url) = &connection.proxy {
        // A proxy of another kind would be left out without a word.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GalleryError::Configuration {
                detail: "the proxy is not at an http or https URL".into(),
            });
        }
        let proxy = Proxy::all(url.clone()).map_err(|e| configuration(&e.without_url()))?;
        let direct = format!("localhost,127.0.0.0/8,::1,{}", connection.no_proxy);
        let direct = NoProxy::from_string(&direct);
        builder = builder.proxy(proxy.no_proxy(direct));
    }
    Ok(builder)
}

/// With its causes in one line: reqwest's builder error alone says only that it is one.
fn configuration(error: &dyn std::error::Error) -> GalleryError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    GalleryError::Configuration {
        detail: causes.join(": "),
    }
}
