//! Fetching an index, from the gallery's own place or from one of its mirrors.
//!
//! The next place is asked only if the one before has no index or doesn't answer. A place that answers
//! with something else than an index ends the search: the user should know.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_oci::{Consequence, Options, excerpt};
use countersign_policy::{Gallery, GalleryIndex};
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue};
use tokio::io::AsyncReadExt;
use url::Url;

use super::cache::{Cache, Cached, Validators};
use super::error::{GalleryError, SkippedPlace};
use super::location::Location;
use crate::blocking::aside;
use crate::http::{self, Http, HttpError, Resource};
use countersign_oci::http::{AttemptError, HostKind};

/// How galleries are reached, and what is taken from them.
#[derive(Debug, Clone)]
pub struct GalleryOptions {
    /// Directory for indexes with their validators, created when needed. None by default: then
    /// every index is fetched whole.
    pub cache: Option<PathBuf>,
    /// Bytes of an index. Default [`Self::INDEX_BYTES`].
    pub index_bytes: u64,
    /// Where `github:` locations are read from. Default `https://raw.githubusercontent.com`.
    pub github: Option<Url>,
    /// Proxy and exceptions from it, extra roots, user agent, timeouts, retries and the number of redirects are taken
    /// from here; logins are not, and plain http stays for loopback alone.
    pub connection: Options,
}

impl GalleryOptions {
    /// Bytes of an index, unless somebody says otherwise: 16 MiB. LocalAI's has 0.3.
    pub const INDEX_BYTES: u64 = 16 << 20;
}

impl Default for GalleryOptions {
    fn default() -> Self {
        Self {
            cache: None,
            index_bytes: Self::INDEX_BYTES,
            github: None,
            connection: Options::default(),
        }
    }
}

const GITHUB: &str = "https://raw.githubusercontent.com";

/// Fetches galleries' indexes.
#[derive(Debug)]
pub struct GalleryClient {
    options: GalleryOptions,
    cache: Option<Cache>,
    http: Http,
}

/// A gallery's index, and where it is from.
#[derive(Debug)]
#[non_exhaustive]
pub struct FetchedIndex {
    /// The index.
    pub index: GalleryIndex,
    /// Its text.
    pub text: Arc<str>,
    /// The place that served it.
    pub location: Location,
    /// Who had it.
    pub origin: Origin,
    /// The places that were asked before, each with the reason why it didn't serve the index.
    pub skipped: Vec<SkippedPlace>,
}

/// Where an index's bytes are from. That of a server says where the server is, by its addresses where it was asked; of
/// GitHub, that it is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The server's answer.
    Server(HostKind),
    /// The cache: the server says that it is unchanged.
    Cache(HostKind),
    /// A file on this machine.
    File,
    /// A kit, which was made on another machine.
    Kit,
}

impl FetchedIndex {
    /// The index of `gallery` as a kit has it. It may name any address, since none is asked, and no file of this machine.
    ///
    /// # Errors
    /// If the text is no index, or the gallery's `url` is none.
    pub fn kept(gallery: &Gallery, text: &str) -> Result<Self, GalleryError> {
        let location = gallery.url.parse::<Location>();
        let location = location.map_err(|source| GalleryError::Location {
            gallery: excerpt(&gallery.name),
            source,
        })?;
        Ok(Self {
            index: GalleryIndex::parse(text, &location.to_string())?,
            text: text.into(),
            location,
            origin: Origin::Kit,
            skipped: Vec::new(),
        })
    }
}

impl GalleryClient {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`HttpError::Configuration`]
    pub fn new(options: GalleryOptions) -> Result<Self, GalleryError> {
        let http = Http::new(options.connection.clone())?;
        let cache = options
            .cache
            .clone()
            .map(|directory| Cache::new(directory, options.index_bytes));
        Ok(Self {
            options,
            cache,
            http,
        })
    }

    /// The index of `gallery`: from its `url`, or else from the first of its mirrors that has it.
    /// Paths of `file:` locations that are not absolute are below `directory`.
    ///
    /// # Errors
    /// [`GalleryError::NotFetched`] when no place has it; any other error as soon as it occurs.
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
        let mut skipped = Vec::new();
        for location in locations {
            match self.index(&location).await {
                Ok((index, text, origin)) => {
                    return Ok(FetchedIndex {
                        index,
                        text,
                        location,
                        origin,
                        skipped,
                    });
                }
                Err(error) => match error.consequence() {
                    Consequence::TryNext => {
                        tracing::info!(%location, %error, "a gallery has no index here");
                        skipped.push(SkippedPlace { location, error });
                    }
                    // An index has no digest that another copy of it could be held to.
                    Consequence::TrySameDigest | Consequence::End => return Err(error),
                },
            }
        }
        Err(GalleryError::NotFetched {
            gallery: excerpt(&gallery.name),
            skipped,
        })
    }

    async fn index(
        &self,
        location: &Location,
    ) -> Result<(GalleryIndex, Arc<str>, Origin), GalleryError> {
        let (bytes, origin) = match location {
            Location::Url(url) => self.by_url(url, location).await?,
            Location::GitHub(file) => {
                let url = self.github().and_then(|server| file.url(&server));
                let url = url.map_err(|error| HttpError::Configuration {
                    detail: error.to_string(),
                })?;
                self.by_url(&url, location).await?
            }
            Location::File(path) => (self.by_file(path, location).await?, Origin::File),
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| GalleryError::NotText {
            location: location.to_string(),
            position: error.valid_up_to(),
        })?;
        let index = GalleryIndex::parse(text, &location.to_string())?;
        Ok((index, text.into(), origin))
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
                std::io::ErrorKind::NotFound => GalleryError::NoFile { location },
                _ => GalleryError::File { location, source },
            }
        };
        // Opening a pipe would wait for its other end.
        if !tokio::fs::metadata(path).await.map_err(failed)?.is_file() {
            return Err(failed(std::io::ErrorKind::InvalidInput.into()));
        }
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let limit = self.options.index_bytes;
        let mut bytes = Vec::new();
        let mut bounded = file.take(limit.saturating_add(1));
        bounded.read_to_end(&mut bytes).await.map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(GalleryError::Http(HttpError::TooLarge {
                location: location.to_string(),
                limit,
            }));
        }
        Ok(bytes)
    }

    async fn by_url(
        &self,
        url: &Url,
        location: &Location,
    ) -> Result<(Vec<u8>, Origin), GalleryError> {
        let cached = self.cached(url).await;
        let validators = cached.as_ref().map(|cached| &cached.validators);
        let resource = Resource {
            url,
            name: location,
        };
        let answer = self
            .http
            .retrying(resource, || self.ask(resource, validators))
            .await?;
        let server = || match location {
            Location::Url(_) | Location::File(_) => self.http.host_kind(url),
            Location::GitHub(_) => HostKind::Public,
        };
        match (answer, cached) {
            (Answer::Content(fresh), _) => {
                let content = fresh.content.clone();
                self.keep(url, fresh).await;
                Ok((content, Origin::Server(server())))
            }
            (Answer::Unchanged, Some(cached)) => Ok((cached.content, Origin::Cache(server()))),
            // We didn't ask whether it had changed.
            (Answer::Unchanged, None) => Err(GalleryError::Http(HttpError::Status {
                location: location.to_string(),
                status: StatusCode::NOT_MODIFIED.as_u16(),
            })),
        }
    }

    /// The answer that was kept for `url`.
    async fn cached(&self, url: &Url) -> Option<Cached> {
        let (cache, url) = (self.cache.clone()?, url.clone());
        aside(move || cache.read(&url)).await.flatten()
    }

    /// Keeps an answer.
    async fn keep(&self, url: &Url, fresh: Cached) {
        if let Some(cache) = self.cache.clone() {
            let url = url.clone();
            // One that is not kept costs time alone.
            let _ = aside(move || cache.write(&url, &fresh)).await;
        }
    }

    /// Asks once whether there is anything newer.
    async fn ask(
        &self,
        resource: Resource<'_>,
        validators: Option<&Validators>,
    ) -> Result<Answer, AttemptError> {
        let headers = validators.map(conditions).unwrap_or_default();
        let response = self.http.get(resource, &headers).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        let validators = Validators {
            etag: http::text(response.headers(), &header::ETAG),
            last_modified: http::text(response.headers(), &header::LAST_MODIFIED),
        };
        let limit = self.options.index_bytes;
        Ok(Answer::Content(Cached {
            validators,
            content: response.bytes(limit).await?.to_vec(),
        }))
    }
}

/// The headers that ask for the index only if it is newer.
fn conditions(known: &Validators) -> HeaderMap {
    let conditions = [
        (header::IF_NONE_MATCH, &known.etag),
        (header::IF_MODIFIED_SINCE, &known.last_modified),
    ];
    let conditions = conditions.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_deref()?).ok()?;
        Some((name, value))
    });
    conditions.collect()
}

enum Answer {
    Content(Cached),
    Unchanged,
}
