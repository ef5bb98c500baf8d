//! Lists the referrers of a manifest (OCI distribution specification 1.1, "Listing Referrers").
//!
//! The referrers API is asked first. If a registry doesn't have it, the fallback tag is read; a registry
//! that is far away, and of which nothing is known, is asked for both side by side. The
//! list is only empty if the registry said so: refused access, overload and failures are errors.
//! Pages are only read from the registry's own origin.

mod known;
mod open_list;
mod push;

use std::collections::HashSet;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use self::known::{ReferrersApi, with_head_start};
use super::Registry;
use super::entries::{self, ListError, Listed};
use super::scope::Access;
use crate::descriptor::{Descriptor, media_type};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{Answer, Body, Request, is_redirect, retrying, shown};
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Repository};

pub(super) use known::KnownReferrersApi;
pub(super) use push::listed;

const INDEX_TYPE: HeaderValue = HeaderValue::from_static(media_type::OCI_INDEX);

impl Registry {
    /// All descriptors in the subject's list of referrers, each digest once: from all pages of the
    /// referrers API, or else from the fallback tag. The list is not filtered, because registries'
    /// descriptors can be wrong; decide by the manifest. The list is empty if there are no
    /// referrers. Entries without a digest that we can check are left out. Platforms are dropped,
    /// and so are all but the first 16 annotations of an entry.
    ///
    /// # Errors
    /// [`Error::Limit`], if the list is longer than [`Limits`](crate::Limits) allow;
    /// [`Error::Protocol`], if its pages form a circle or lead to another host; others as for
    /// manifests, but never [`Error::NotFound`].
    pub async fn referrers(&self, subject: &PinnedReference) -> Result<Vec<Descriptor>> {
        match self.place(subject.location()) {
            Location::Registry(repository) => self.listed_by_registry(&repository, subject).await,
            Location::Layout(layout) => self.layout_referrers(&layout, subject).await,
        }
    }

    async fn listed_by_registry(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<Vec<Descriptor>> {
        if self.referrers_api(repository) == Some(ReferrersApi::Absent) {
            return self.listed_by_tag(repository, subject).await;
        }
        let by_api = Box::pin(self.listed_by_api(repository, subject));
        let (by_api, by_tag) = match self.shared.referrers_api.head_start(repository) {
            None => (by_api.await?, None),
            Some(head_start) => {
                let by_tag = Box::pin(self.listed_by_tag(repository, subject));
                with_head_start(by_api, head_start, by_tag).await?
            }
        };
        match by_api {
            Ok(descriptors) => {
                let known = &self.shared.referrers_api;
                known.remember(repository, ReferrersApi::Present);
                return Ok(descriptors);
            }
            Err(NoApi::Missing) => {
                let known = &self.shared.referrers_api;
                known.remember(repository, ReferrersApi::Absent);
            }
            Err(NoApi::Unknown) => {}
        }
        match by_tag {
            Some(listed) => listed,
            None => self.listed_by_tag(repository, subject).await,
        }
    }

    /// Whether the registry has the referrers API for `subject`, to which a referrer was just
    /// pushed. Each repository is asked once.
    async fn lists_referrers(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<ReferrersApi> {
        if let Some(known) = self.referrers_api(repository) {
            return Ok(known);
        }
        let asked = self.ask_for_api(repository, subject).await?;
        let api = asked.unwrap_or(ReferrersApi::Absent);
        self.shared.referrers_api.remember(repository, api);
        Ok(api)
    }

    /// Asks whether the registry has the referrers API. `None` if it doesn't know the repository.
    async fn ask_for_api(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<Option<ReferrersApi>> {
        let url = self.referrers_url(repository, subject)?;
        let list = ReferrerList::new(subject, self.options().limits.referrers);
        Ok(match self.page(repository, &url, &list).await? {
            Page::Index { .. } => Some(ReferrersApi::Present),
            Page::NoApi(NoApi::Missing) => Some(ReferrersApi::Absent),
            Page::NoApi(NoApi::Unknown) => None,
        })
    }

    fn referrers_url(&self, repository: &Repository, subject: &PinnedReference) -> Result<Url> {
        self.url(repository, &format!("referrers/{}", subject.digest()))
    }

    /// The whole list, or why the first request was not answered with one.
    async fn listed_by_api(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<ByApi> {
        let limits = &self.options().limits;
        let mut list = ReferrerList::new(subject, limits.referrers);
        let mut visited = HashSet::new();
        let mut next = Some(self.referrers_url(repository, subject)?);
        while let Some(url) = next {
            if visited.len() >= limits.referrer_pages {
                return Err(list.too_many(limits.referrer_pages, "pages"));
            }
            if !visited.insert(url.clone()) {
                return Err(Error::Protocol {
                    url: shown(&url),
                    expected: "the pages of the referrers list to come to an end".into(),
                    found: "a page that links to one before it".into(),
                });
            }
            next = match self.page(repository, &url, &list).await? {
                Page::Index { listed, next } => {
                    list.add(listed);
                    next
                }
                Page::NoApi(why) if visited.len() == 1 => return Ok(Err(why)),
                Page::NoApi(_) => {
                    return Err(Error::Protocol {
                        url: shown(&url),
                        expected: "the next page of the referrers list".into(),
                        found: "an answer as from a registry without one".into(),
                    });
                }
            };
        }
        Ok(Ok(list.into_descriptors()))
    }

    /// Reads one page of a list. `url` has the registry's own origin, and so has the next page.
    /// Each page is its own request, with our login.
    async fn page(&self, repository: &Repository, url: &Url, list: &ReferrerList) -> Result<Page> {
        let request = Request::new(Method::GET, url.clone(), list.what.as_str())
            .header(header::ACCEPT, INDEX_TYPE)
            .within_origin();
        retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, repository, Access::Pull, Body::Empty)
                .await?;
            match answer.status() {
                StatusCode::NOT_FOUND => Ok(Page::NoApi(judge_not_found(answer).await)),
                StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_ACCEPTABLE
                | StatusCode::NOT_IMPLEMENTED => Ok(Page::NoApi(NoApi::Missing)),
                // GHCR redirects requests for the API to a web page on another host.
                status if is_redirect(status) => Ok(Page::NoApi(NoApi::Missing)),
                StatusCode::OK if !may_be_index(&answer) => Ok(Page::NoApi(NoApi::Missing)),
                StatusCode::OK => {
                    let next = next_page(&answer, url)?;
                    let named = answer.content_type();
                    let named = named.as_deref() == Some(media_type::OCI_INDEX);
                    let bytes = answer.bytes(self.options().limits.manifest_bytes).await?;
                    match entries::read(&bytes, list.room()) {
                        Ok(listed) if named || listed.says_index => {
                            Ok(Page::Index { listed, next })
                        }
                        Err(error @ ListError::TooMany(_)) => Err(list.unreadable(error).into()),
                        Err(error) if named => Err(list.unreadable(error).into()),
                        // Other JSON or text: the registry doesn't have the API.
                        Ok(_) | Err(_) => Ok(Page::NoApi(NoApi::Missing)),
                    }
                }
                _ => Err(answer.into_error().await.into()),
            }
        })
        .await
    }

    async fn listed_by_tag(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<Vec<Descriptor>> {
        let mut list = ReferrerList::new(subject, self.options().limits.referrers);
        let tag = subject.digest().referrers_tag();
        let served = match self.served(repository, &tag, &list.what).await {
            Ok(served) => served,
            Err(error) if error.is_absence() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if subject.digest().matches(&served.bytes) {
            // If the image is an index, its entries are platforms, not referrers.
            tracing::debug!(%subject, "the referrers tag is answered with the image itself");
            return Ok(Vec::new());
        }
        match list.read(&served.bytes) {
            Err(Error::Manifest {
                source: ManifestError::NoIndex,
                ..
            }) => {
                tracing::debug!(%subject, "an image manifest stands at the referrers tag");
                Ok(Vec::new())
            }
            read => read.map(|()| list.into_descriptors()),
        }
    }

    /// Whether the repository's registry has the referrers API, if that is known.
    pub(super) fn referrers_api(&self, repository: &Repository) -> Option<ReferrersApi> {
        self.shared.referrers_api.of(repository)
    }
}

/// A registry's answer to a request for referrers.
type ByApi = std::result::Result<Vec<Descriptor>, NoApi>;

/// Why a registry doesn't answer a request for referrers with a list.
enum NoApi {
    /// The registry doesn't have the API.
    Missing,
    /// The registry doesn't know the repository, or hides it. This says nothing about the API.
    Unknown,
}

enum Page {
    Index { listed: Listed, next: Option<Url> },
    NoApi(NoApi),
}

/// A registry with the API answers with an empty list, not with 404, if there are no referrers. But
/// 404 can also mean that the repository doesn't exist.
async fn judge_not_found(answer: Answer) -> NoApi {
    match answer.error_message().await {
        Some(message) if message.code == "NAME_UNKNOWN" => NoApi::Unknown,
        _ => NoApi::Missing,
    }
}

/// Whether the body may be an index. Some registries answer with a web page and status 200. Harbor
/// has labelled indexes `application/json` and `text/plain`, or not at all.
fn may_be_index(answer: &Answer) -> bool {
    answer.content_type().is_none_or(|found| {
        matches!(
            found.as_str(),
            "" | media_type::OCI_INDEX
                | "application/json"
                | "text/plain"
                | "application/octet-stream"
        )
    })
}

/// The list while it is read.
pub(super) struct ReferrerList {
    what: String,
    limit: usize,
    /// How many entries were read, including those left out.
    read: usize,
    descriptors: Vec<Descriptor>,
    digests: HashSet<Digest>,
}

impl ReferrerList {
    pub(super) fn new(subject: &PinnedReference, limit: usize) -> Self {
        Self {
            what: format!("the list of referrers of {subject}"),
            limit,
            read: 0,
            descriptors: Vec::new(),
            digests: HashSet::new(),
        }
    }

    /// How many more entries are allowed.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.read)
    }

    /// Adds the entries of an index.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let listed = entries::read(bytes, self.room()).map_err(|error| self.unreadable(error))?;
        self.add(listed);
        Ok(())
    }

    /// Adds the entries of a page. They were read with [`ReferrerList::room`] as the limit.
    fn add(&mut self, page: Listed) {
        self.read += page.entries;
        for descriptor in page.descriptors {
            self.keep(descriptor);
        }
    }

    /// Adds an entry, unless its digest is already in the list.
    pub(super) fn push(&mut self, descriptor: Descriptor) -> Result<()> {
        if self.room() == 0 {
            return Err(self.too_many(self.limit, "referrers"));
        }
        self.read += 1;
        self.keep(descriptor);
        Ok(())
    }

    fn keep(&mut self, descriptor: Descriptor) {
        if self.digests.insert(descriptor.digest.clone()) {
            self.descriptors.push(descriptor);
        }
    }

    pub(super) fn into_descriptors(self) -> Vec<Descriptor> {
        self.descriptors
    }

    fn unreadable(&self, error: ListError) -> Error {
        match error {
            ListError::Form(source) => Error::Manifest {
                what: self.what.clone(),
                source,
            },
            ListError::TooMany(_) => self.too_many(self.limit, "referrers"),
        }
    }

    fn too_many(&self, limit: usize, unit: &'static str) -> Error {
        Error::Limit {
            what: self.what.clone(),
            limit: limit as u64,
            unit,
        }
    }
}

/// The next page by the `Link` header (RFC 8288). `asked` is this page's URL at the registry's own
/// origin. The next page must have the same origin, because our login is sent with it.
fn next_page(answer: &Answer, asked: &Url) -> Result<Option<Url>> {
    let Some(target) = next_link(answer.headers()) else {
        return Ok(None);
    };
    let unlike = |found| answer.unlike("a link to the next page at the registry itself", found);
    let url = answer
        .url()
        .join(target)
        .map_err(|_| unlike("a link that is no URL".to_owned()))?;
    if url.origin() != asked.origin() {
        return Err(unlike(format!("a link to {}", shown(&url))));
    }
    Ok(Some(url))
}

/// The target with the relation `next`.
fn next_link(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::LINK).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(links).find_map(|(target, parameters)| {
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let relations = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && relations
                    .split_ascii_whitespace()
                    .any(|relation| relation.eq_ignore_ascii_case("next"))
        });
        is_next.then_some(target)
    })
}

/// The `<target>; parameters` of a `Link` header.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|link| {
        let (target, rest) = link.split_once('>')?;
        Some((target.trim(), rest.trim_end_matches([',', ' '])))
    })
}

/// Reads a page, and the header that names the next one, of any bytes.
#[cfg(fuzzing)]
pub fn read_referrers(link: &[u8], page: &[u8]) {
    const LIMIT: usize = 20;
    if let Ok(value) = HeaderValue::from_bytes(link) {
        let _ = next_link(&HeaderMap::from_iter([(header::LINK, value)]));
    }
    if let Ok(listed) = entries::read(page, LIMIT) {
        assert!(listed.entries <= LIMIT && listed.descriptors.len() <= listed.entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::LINK, value.parse().unwrap());
        }
        next_link(&headers).map(str::to_owned)
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        let found = Some("/v2/a?last=b".to_owned());
        assert_eq!(next(&["</v2/a?last=b>; rel=\"next\""]), found);
        assert_eq!(next(&["</v2/a?last=b>;rel=next"]), found);
        assert_eq!(
            next(&["</x>; rel=\"prev\", </v2/a?last=b>; rel=\"next\""]),
            found
        );
        assert_eq!(
            next(&["</x>; rel=prev", "</v2/a?last=b>; REL=\"last Next\""]),
            found
        );
        assert_eq!(next(&["</x>; rel=\"nextish\""]), None);
        assert_eq!(next(&["nonsense"]), None);
        assert_eq!(next(&[]), None);
    }
}
