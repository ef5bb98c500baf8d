//! What is known of registries: whether they have the referrers API. What is not known is found out without
//! another round trip.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::ByApi;
use crate::error::Result;
use crate::host::HostKind;
use crate::lock::lock;
use crate::reference::Repository;

/// How long a registry near by takes to answer. One that is farther away is asked for the tag too, before it
/// has said whether it has the API: that saves a round trip where it has not.
const HEAD_START: Duration = Duration::from_millis(10);

/// Whether a registry has the referrers API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferrersApi {
    Present,
    Absent,
}

/// Which registries have the referrers API, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct KnownReferrersApi(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By repository: one host can stand for registries of several kinds.
    repositories: HashMap<Repository, ReferrersApi>,
    /// The hosts of repositories that have it.
    hosts: HashSet<String>,
}

impl KnownReferrersApi {
    /// Whether the repository's registry has the API, if that is known.
    pub(super) fn of(&self, repository: &Repository) -> Option<ReferrersApi> {
        let known = lock(&self.0);
        known.repositories.get(repository).copied()
    }

    pub(super) fn remember(&self, repository: &Repository, api: ReferrersApi) {
        let mut known = lock(&self.0);
        known.repositories.insert(repository.clone(), api);
        match api {
            ReferrersApi::Present => drop(known.hosts.insert(repository.api_host().to_owned())),
            ReferrersApi::Absent => {}
        }
    }

    /// How long the API is waited for before the tag is asked for too. `None` if the API is asked alone: another
    /// repository of the host has it, or the host is this machine.
    pub(super) fn head_start(&self, repository: &Repository) -> Option<Duration> {
        if HostKind::of_authority(repository.api_host()) == Some(HostKind::ThisMachine) {
            return None;
        }
        let known = lock(&self.0);
        (!known.hosts.contains(repository.api_host())).then_some(HEAD_START)
    }
}

/// What the registry answers by the API. If that takes longer than `head_start`, the tag is asked for
/// meanwhile. Its list counts only if there is no API.
pub(super) async fn with_head_start<T>(
    mut by_api: impl Future<Output = Result<ByApi>> + Unpin,
    head_start: Duration,
    by_tag: impl Future<Output = T> + Unpin,
) -> Result<(ByApi, Option<T>)> {
    if let Ok(by_api) = tokio::time::timeout(head_start, &mut by_api).await {
        return Ok((by_api?, None));
    }
    match select(by_api, by_tag).await {
        Either::Left((by_api, by_tag)) => match by_api? {
            listed @ Ok(_) => Ok((listed, None)),
            no_api @ Err(_) => Ok((no_api, Some(by_tag.await))),
        },
        Either::Right((listed, by_api)) => Ok((by_api.await?, Some(listed))),
    }
}
