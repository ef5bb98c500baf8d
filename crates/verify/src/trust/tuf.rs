//! Trusted roots from a TUF repository, through a cache. The cache is not trusted more than the network.
//!
//! Every result has passed the whole client workflow of TUF, starting from the caller's root, whether it comes
//! from disk or from the mirror. The cache decides only whether the mirror is asked.

mod error;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use sigstore_trust_root::SigstoreInstance;
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{FileStore, MetadataStore as _, Role, StoreRepository, Updater};
use tokio::runtime::Handle;
use url::Url;

use countersign_oci::http::{AttemptError, Connection, Request, retrying};
use countersign_oci::{Digest, lock};

use super::{TrustError, TrustedRoot, TufMetadata, TufNetwork};

pub use error::TufError;

const TRUSTED_ROOT: &str = "trusted_root.json";
/// The file with the time of the last refresh. It decides only when to ask the mirror again. Whoever can write
/// it could also delete the cache.
const REFRESHED: &str = "refreshed";
/// The mirror is asked every day, so a withdrawn key is noticed before the metadata expires. At Sigstore that
/// takes a week.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// When a process asks again after the mirror failed and the cache was used.
const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A TUF repository, the root that it is verified from, and its cache.
pub(super) struct TufRepository<'a> {
    url: &'a str,
    root: &'a [u8],
    cache: &'a Path,
    connection: &'a Connection,
}

/// What the process keeps of one repository.
#[derive(Clone)]
struct Loaded {
    trusted_root: TrustedRoot,
    /// When the first of the metadata files expires.
    expires: Timestamp,
    /// When to ask the mirror next.
    refresh_at: Timestamp,
}

impl Loaded {
    fn serves(&self, now: Timestamp, network: TufNetwork) -> bool {
        let recent = match network {
            TufNetwork::Offline => true,
            TufNetwork::Online => now < self.refresh_at,
        };
        recent && now < self.expires
    }
}

/// What the process keeps one trusted root by: the repository's URL, the digest of its initial root, the cache.
type RepositoryKey = (String, Digest, PathBuf);
type SharedRoot = Arc<tokio::sync::Mutex<Option<Loaded>>>;

/// One entry for each repository, root and cache in use. The task that holds an entry's lock fetches. The others wait
/// and then find the result.
static SHARED_ROOTS: LazyLock<Mutex<HashMap<RepositoryKey, SharedRoot>>> =
    LazyLock::new(Mutex::default);

impl<'a> TufRepository<'a> {
    pub(super) fn new(
        url: &'a str,
        root: &'a [u8],
        cache: &'a Path,
        connection: &'a Connection,
    ) -> Self {
        Self {
            url,
            root,
            cache,
            connection,
        }
    }

    /// The repository of an instance whose root is built in.
    pub(super) fn of(
        instance: SigstoreInstance,
        cache: &'a Path,
        connection: &'a Connection,
    ) -> Self {
        Self::new(instance.tuf_url(), instance.tuf_root(), cache, connection)
    }

    pub(super) async fn load(
        &self,
        now: Timestamp,
        network: TufNetwork,
    ) -> Result<TrustedRoot, TrustError> {
        let shared = self.shared();
        let mut held = shared.lock().await;
        if let Some(loaded) = held.as_ref().filter(|loaded| loaded.serves(now, network)) {
            return Ok(loaded.trusted_root.clone());
        }
        let loaded = self.load_anew(now, network).await?;
        let trusted_root = loaded.trusted_root.clone();
        *held = Some(loaded);
        Ok(trusted_root)
    }

    /// From the mirror, however fresh the cache is.
    pub(super) async fn update(&self, now: Timestamp) -> Result<TrustedRoot, TrustError> {
        let shared = self.shared();
        let mut held = shared.lock().await;
        let loaded = self.fetched(now).await?;
        let trusted_root = loaded.trusted_root.clone();
        *held = Some(loaded);
        Ok(trusted_root)
    }

    fn shared(&self) -> SharedRoot {
        let key = (
            self.url.to_owned(),
            Digest::sha256(self.root),
            self.cache.to_owned(),
        );
        let mut roots = lock(&SHARED_ROOTS);
        Arc::clone(roots.entry(key).or_default())
    }

    /// From the cache if it is fresh, else from the mirror. Only if the mirror can't be reached, from the cache
    /// if it is still valid.
    async fn load_anew(&self, now: Timestamp, network: TufNetwork) -> Result<Loaded, TrustError> {
        let cached = self.cached(now).await;
        if network == TufNetwork::Offline {
            return cached;
        }
        let cached = match cached {
            Ok(loaded) if loaded.serves(now, network) => return Ok(loaded),
            cached => cached,
        };
        match (self.fetched(now).await, cached) {
            (Ok(loaded), _) => Ok(loaded),
            (Err(error), Ok(cached)) if error.is_unreachable_mirror() => {
                tracing::warn!(
                    url = self.url,
                    error = &error as &dyn std::error::Error,
                    expires = %cached.expires,
                    "the TUF repository can't be reached; going on with the cached one",
                );
                Ok(Loaded {
                    refresh_at: now.saturating_add(RETRY_AFTER).unwrap_or(now),
                    ..cached
                })
            }
            // A mirror that answers wrongly may hide an update, so the cache does not help.
            (Err(error), _) => Err(error),
        }
    }

    /// The whole workflow, with the files in the cache.
    async fn cached(&self, now: Timestamp) -> Result<Loaded, TrustError> {
        let unusable = |source| {
            self.error(TufError::Cache {
                cache: self.cache.to_owned(),
                source: Box::new(source),
            })
        };
        let (cache, root) = (self.cache.to_owned(), self.root.to_owned());
        let read = blocking(move || read_cache(&cache, &root, now)).await;
        let (updater, json, refreshed) = read.map_err(unusable)?;
        let refreshed = refreshed.filter(|refreshed| *refreshed <= now);
        let refresh_at = refreshed.and_then(|at| at.saturating_add(REFRESH_AFTER).ok());
        self.loaded(&updater, json, refresh_at.unwrap_or(Timestamp::MIN))
    }

    /// The whole workflow, over the network. Verified files go to the cache. The workflow writes each between two
    /// requests, on this thread: that is about six files of a few KiB, once a day.
    async fn fetched(&self, now: Timestamp) -> Result<Loaded, TrustError> {
        let store = FileStore::new(self.cache);
        let fetched = self.fetched_target(TRUSTED_ROOT, &store, now).await;
        let (updater, json) = fetched.map_err(|source| self.error(TufError::of_mirror(source)))?;
        let refresh_at = now.saturating_add(REFRESH_AFTER).unwrap_or(now);
        let loaded = self.loaded(&updater, json, refresh_at)?;
        let time = now.to_string();
        let noted = blocking(move || store.store(REFRESHED, time.as_bytes())).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "the TUF cache can't be written");
        }
        Ok(loaded)
    }

    /// The target `name` by the whole workflow, over the network.
    async fn fetched_target(
        &self,
        name: &str,
        store: &FileStore,
        now: Timestamp,
    ) -> Result<(Updater, Vec<u8>), sigstore_tuf::Error> {
        let mirror = Mirror::new(self.url, self.connection.clone())?;
        let (root, cache) = (self.root.to_owned(), store.clone());
        let opened = blocking(move || Ok(Updater::new(mirror, &root)?.with_store(cache))).await;
        let mut updater = opened?;
        updater.refresh(now).await?;
        let target = updater.get_target(name, now).await?;
        Ok((updater, target))
    }

    fn loaded(
        &self,
        updater: &Updater,
        json: Vec<u8>,
        refresh_at: Timestamp,
    ) -> Result<Loaded, TrustError> {
        let name = format!("{TRUSTED_ROOT} of {}", self.url);
        let json = String::from_utf8(json).map_err(|error| TrustError::Malformed {
            name: name.clone(),
            detail: error.to_string(),
        })?;
        let trusted = updater.trusted();
        let metadata = [
            Some(metadata("root", trusted.root())),
            trusted.timestamp().map(|role| metadata("timestamp", role)),
            trusted.snapshot().map(|role| metadata("snapshot", role)),
            trusted
                .targets_role("targets")
                .map(|role| metadata("targets", role)),
        ];
        let metadata: Vec<TufMetadata> = metadata.into_iter().flatten().collect();
        let expires = metadata.iter().map(|metadata| metadata.expires).min();
        Ok(Loaded {
            trusted_root: TrustedRoot::from_json(&name, &json)?.with_metadata(metadata),
            expires: expires.unwrap_or(Timestamp::MIN),
            refresh_at,
        })
    }

    fn error(&self, source: TufError) -> TrustError {
        TrustError::Tuf {
            url: self.url.to_owned(),
            source,
        }
    }
}

/// The file `target` of the TUF repository at `url`, which is verified from its initial `root.json`. The repository is
/// asked, however fresh the cache is: verified files are kept there.
///
/// # Errors
/// If the repository can't be reached, or answers with something else than files that are valid now.
pub async fn tuf_target(
    connection: &Connection,
    url: &str,
    root: &[u8],
    cache: &Path,
    target: &str,
) -> Result<Vec<u8>, TufError> {
    let repository = TufRepository::new(url, root, cache, connection);
    let store = FileStore::new(cache);
    let fetched = repository.fetched_target(target, &store, Timestamp::now());
    let (_, bytes) = fetched.await.map_err(TufError::of_mirror)?;
    Ok(bytes)
}

fn metadata(name: &'static str, role: &impl Role) -> TufMetadata {
    TufMetadata {
        role: name,
        version: role.version(),
        expires: role.expires(),
    }
}

/// Runs `work` on a thread that may block: a home directory may be far away, and others wait for this thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, sigstore_tuf::Error> + Send + 'static,
) -> Result<T, sigstore_tuf::Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        let message = "the work on the cache did not end";
        Err(sigstore_tuf::Error::transport_with_source(message, error))
    })
}

/// The workflow with the files of a cache, the trusted root that it ends with, and when the cache was last refreshed.
fn read_cache(
    cache: &Path,
    root: &[u8],
    now: Timestamp,
) -> Result<(Updater, Vec<u8>, Option<Timestamp>), sigstore_tuf::Error> {
    let store = FileStore::new(cache);
    let repository = StoreRepository::new(store.clone());
    let mut updater = Updater::new(repository, root)?.with_store(store.clone());
    let json = Handle::current().block_on(async {
        updater.refresh(now).await?;
        updater.get_target(TRUSTED_ROOT, now).await
    })?;
    Ok((updater, json, refreshed(&store)))
}

/// When the cache was last refreshed, if that is known.
fn refreshed(store: &FileStore) -> Option<Timestamp> {
    let text = store.load(REFRESHED).ok()??;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// A repository on the network. Each answer has a limit in bytes, from the workflow, and in time (TUF
/// specification, "slow retrieval attacks").
struct Mirror {
    metadata: Url,
    targets: Url,
    connection: Connection,
}

impl Mirror {
    fn new(url: &str, connection: Connection) -> Result<Self, sigstore_tuf::Error> {
        let unlike = |error| sigstore_tuf::Error::transport_with_source("not a URL", error);
        // Joining replaces what comes after the last slash.
        let metadata = format!("{}/", url.trim_end_matches('/'));
        let metadata = Url::parse(&metadata).map_err(unlike)?;
        let targets = metadata.join("targets/").map_err(unlike)?;
        Ok(Self {
            metadata,
            targets,
            connection,
        })
    }

    fn get<'a>(&'a self, base: &Url, name: &'a str, limit: u64) -> FetchFuture<'a> {
        let url = base.join(name);
        Box::pin(async move {
            let url = url.map_err(|error| {
                sigstore_tuf::Error::transport_with_source(format!("{name:?} is no path"), error)
            })?;
            let request = Request::new(Method::GET, url, name);
            let connection = &self.connection;
            let fetched = retrying(&connection.options().retries, || async {
                let answer = connection.ask(&request).await?;
                // Object stores answer 403 for a missing file.
                if matches!(answer.status().as_u16(), 403 | 404) {
                    return Ok(None);
                }
                let bytes = answer.success().await?.bytes(limit).await?;
                Ok::<_, AttemptError>(Some(bytes.to_vec()))
            });
            let fetched = fetched.await;
            fetched.map_err(|error| {
                let message = format!("{name} can't be fetched");
                sigstore_tuf::Error::transport_with_source(message, error)
            })
        })
    }
}

impl sigstore_tuf::Repository for Mirror {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(&self.metadata, name, max_length)
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(&self.targets, path, max_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(expires: i64, refresh_at: i64) -> Loaded {
        let json = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        Loaded {
            trusted_root: TrustedRoot::from_json("root", json).unwrap(),
            expires: Timestamp::from_second(expires).unwrap(),
            refresh_at: Timestamp::from_second(refresh_at).unwrap(),
        }
    }

    fn serves(loaded: &Loaded, now: i64, network: TufNetwork) -> bool {
        loaded.serves(Timestamp::from_second(now).unwrap(), network)
    }

    #[test]
    fn what_is_held_serves_until_it_is_due_or_expires() {
        let held = loaded(200, 100);
        assert!(serves(&held, 99, TufNetwork::Online));
        assert!(!serves(&held, 100, TufNetwork::Online), "due");
        assert!(serves(&held, 100, TufNetwork::Offline), "nobody to ask");
        assert!(!serves(&held, 200, TufNetwork::Offline), "expired");
        assert!(
            !serves(&loaded(100, 200), 100, TufNetwork::Online),
            "expired before due"
        );
    }

    #[test]
    fn a_time_of_refreshing_that_is_none_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path());
        assert_eq!(refreshed(&store), None);
        store.store(REFRESHED, b"yesterday").unwrap();
        assert_eq!(refreshed(&store), None);
        store.store(REFRESHED, b"1970-01-01T00:00:01Z").unwrap();
        assert_eq!(refreshed(&store), Timestamp::from_second(1).ok());
    }
}
