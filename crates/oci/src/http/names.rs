//! Resolves host names, and refuses addresses that a name may not have.
//!
//! The connection itself uses this resolver, so the name can't change between the check and the
//! connection. A proxy resolves names itself, and then nothing is checked here.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::host::HostKind;
use crate::lock::lock;

/// The names that a client connects to.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The innermost kind of address that this name may have.
    limit: HostKind,
    /// The outermost kind of address that this name ever had. A server that also has a public
    /// address doesn't count as private.
    found: Option<HostKind>,
}

impl Names {
    /// Allows the host of `url` to have addresses of the kind `limit` and further outside. If the
    /// user named the host before, its limit stays the same.
    pub(super) fn admit(&self, url: &Url, limit: HostKind) {
        let Some(Host::Domain(name)) = url.host() else {
            return;
        };
        let mut known = self.lock();
        let found = known
            .entry(key(name))
            .or_insert(Known { limit, found: None });
        found.limit = found.limit.max(limit);
    }

    /// The kind of the host of `url` by its addresses. If they are not known, by its name.
    pub(super) fn kind(&self, url: &Url) -> HostKind {
        let by_name = HostKind::of(url);
        let Some(Host::Domain(name)) = url.host() else {
            return by_name;
        };
        let known = self.lock().get(&key(name)).and_then(|known| known.found);
        known.unwrap_or(by_name)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        lock(&self.known)
    }

    /// The addresses of `name` that are allowed.
    pub(super) fn permitted(
        &self,
        name: &str,
        found: &[SocketAddr],
    ) -> Result<Vec<SocketAddr>, Inward> {
        let kinds = || found.iter().map(|address| HostKind::of_ip(address.ip()));
        let mut known = self.lock();
        // Every request first sets its host's limit. A host without a limit may only have public
        // addresses.
        let entry = known.entry(key(name)).or_insert(Known {
            limit: HostKind::Public,
            found: None,
        });
        entry.found = entry.found.into_iter().chain(kinds()).min();
        let limit = entry.limit;
        drop(known);
        let innermost = kinds().max();
        let outside = |address: &SocketAddr| HostKind::of_ip(address.ip()) <= limit;
        let permitted: Vec<SocketAddr> = found.iter().copied().filter(outside).collect();
        match innermost {
            Some(to) if permitted.is_empty() => Err(Inward { from: limit, to }),
            Some(_) | None => Ok(permitted),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            let found = tokio::net::lookup_host((name, 0)).await;
            let found: Vec<_> = found
                .map_err(|source| Unresolved {
                    host: name.to_owned(),
                    source,
                })?
                .collect();
            let permitted = names.permitted(name, &found)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// No address was found for the name of a host.
#[derive(Debug, thiserror::Error)]
#[error("the host name `{host}` can't be resolved: {source}")]
pub struct Unresolved {
    /// The name that was looked up.
    pub host: String,
    /// What the system says.
    pub source: io::Error,
}

impl Unresolved {
    /// The [`Unresolved`] among the causes of `error`, if `error` is one of the HTTP client, whose own
    /// words and those of its causes say less.
    pub fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        error.downcast_ref::<reqwest::Error>()?;
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes
            .filter_map(|cause| cause.downcast_ref::<Self>())
            .next()
    }
}

/// All addresses of a name are further inside than the name's limit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the name resolves to {to}")]
pub(super) struct Inward {
    pub(super) from: HostKind,
    pub(super) to: HostKind,
}

impl Inward {
    /// The first [`Inward`] among an error's causes.
    pub(super) fn among(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes
            .filter_map(|cause| cause.downcast_ref::<Self>())
            .next()
            .copied()
    }
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let parse = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        texts.iter().map(parse).collect()
    }

    #[test]
    fn a_name_that_was_led_to_resolves_to_no_address_further_in() {
        let names = Names::default();
        names.admit(&url("https://led.example/"), HostKind::Public);
        let inside = names.permitted("led.example", &addresses(&["127.0.0.1", "10.0.0.1"]));
        let inside = inside.unwrap_err();
        let kinds = (inside.from, inside.to);
        assert_eq!(kinds, (HostKind::Public, HostKind::ThisMachine));
        // Of several addresses, the allowed ones are used.
        let both = names.permitted("led.example", &addresses(&["10.0.0.1", "8.8.8.8"]));
        assert_eq!(both.unwrap(), addresses(&["8.8.8.8"]));
        names.admit(&url("https://inner.example/"), HostKind::Private);
        let inner = names.permitted("INNER.example.", &addresses(&["10.0.0.1"]));
        assert_eq!(inner.unwrap(), addresses(&["10.0.0.1"]));
    }

    #[test]
    fn a_name_that_the_user_gave_resolves_to_any_address() {
        let names = Names::default();
        names.admit(&url("https://given.example/"), HostKind::ThisMachine);
        names.admit(&url("https://given.example/"), HostKind::Public);
        let found = names.permitted("given.example", &addresses(&["127.0.0.1"]));
        assert_eq!(found.unwrap(), addresses(&["127.0.0.1"]));
    }

    #[test]
    fn a_server_is_where_its_outermost_address_is() {
        let names = Names::default();
        let given = url("https://given.example/");
        names.admit(&given, HostKind::ThisMachine);
        assert_eq!(names.kind(&given), HostKind::Public);
        names
            .permitted("given.example", &addresses(&["10.0.0.1"]))
            .unwrap();
        assert_eq!(names.kind(&given), HostKind::Private);
        let public = addresses(&["8.8.8.8", "10.0.0.1"]);
        names.permitted("given.example", &public).unwrap();
        assert_eq!(names.kind(&given), HostKind::Public);
        names
            .permitted("given.example", &addresses(&["10.0.0.1"]))
            .unwrap();
        assert_eq!(names.kind(&given), HostKind::Public, "it was public before");
    }
}
