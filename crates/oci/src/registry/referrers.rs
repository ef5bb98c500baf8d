//! Finding what refers to a manifest (OCI distribution specification 1.1, "Listing Referrers").
//!
//! The referrers API is asked first, then, where a registry hasn't got it, the tag that stands in
//! for it. *There are none* is only ever said when a registry said so: refused access, overload
//! and failures are errors. Pages come from the registry's own origin alone.

mod open_list;
mod push;

use std::collections::HashSet;
use std::sync::PoisonError;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::Registry;
use super::challenge::Access;
use super::entries::{self, Fault, Listed};
use crate::descriptor::{Descriptor, media_type};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{Answer, Body, Request, is_redirect, retrying, shown};
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Repository};

pub(super) use push::listed;

const INDEX_TYPE: HeaderValue = HeaderValue::from_static(media_type::OCI_INDEX);

impl Registry {
    /// All descriptors in the referrers list of the subject, each digest once: from the referrers
    /// API with all its pages, else from the fallback tag. Unfiltered, because registries'
    /// descriptors lie; judge by the manifest. Empty when there are none. Entries that aren't
    /// descriptors we could follow (a digest by an unknown algorithm, say) are left out, and so are
    /// platforms and all but the first 16 annotations of an entry.
    ///
    /// # Errors
    /// [`Error::Limit`] when the list is longer than [`Limits`](crate::Limits) allow;
    /// [`Error::Protocol`] when its pages lead in a circle or to another host; the others as for
    /// manifests, but never [`Error::NotFound`].
    pub async fn referrers(&self, subject: &PinnedReference) -> Result<Vec<Descriptor>> {
        match subject.location() {
            Location::Registry(repository) => self.listed_by_registry(repository, subject).await,
            Location::Layout(layout) => self.layout_referrers(layout, subject).await,
        }
    }

    async fn listed_by_registry(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<Vec<Descriptor>> {
        if self.referrers_api(repository) != Some(false) {
            match self.listed_by_api(repository, subject).await? {
                Support::Listed(descriptors) => {
                    self.remember_referrers_api(repository, true);
                    return Ok(descriptors);
                }
                Support::Missing => self.remember_referrers_api(repository, false),
                Support::Unknown => {}
            }
        }
        self.listed_by_tag(repository, subject).await
    }

    /// Whether the registry has the referrers API for `subject`, to which a referrer was pushed. It
    /// is asked for the list, once a repository.
    async fn lists_referrers(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<bool> {
        if let Some(known) = self.referrers_api(repository) {
            return Ok(known);
        }
        let url = self.referrers_url(repository, subject)?;
        let list = List::new(subject, self.options().limits.referrers);
        let page = self.page(repository, &url, &list).await?;
        let there = matches!(page, Page::Index { .. });
        self.remember_referrers_api(repository, there);
        Ok(there)
    }

    fn referrers_url(&self, repository: &Repository, subject: &PinnedReference) -> Result<Url> {
        self.url(repository, &format!("referrers/{}", subject.digest()))
    }

    async fn listed_by_api(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
    ) -> Result<Support> {
        let limits = &self.options().limits;
        let mut list = List::new(subject, limits.referrers);
        let mut visited = HashSet::new();
        let mut next = Some(self.referrers_url(repository, subject)?);
        while let Some(url) = next {
            if visited.len() >= limits.referrer_pages {
                return Err(list.limit(limits.referrer_pages, "pages"));
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
                Page::NoApi(support) if visited.len() == 1 => return Ok(support),
                Page::NoApi(_) => {
                    return Err(Error::Protocol {
                        url: shown(&url),
                        expected: "the next page of the referrers list".into(),
                        found: "an answer as from a registry without one".into(),
                    });
                }
            };
        }
        Ok(Support::Listed(list.into_descriptors()))
    }

    /// One page of a list. `url` is at the registry's own origin, and so is the next page: each
    /// page is a request of its own, to which our login goes along.
    async fn page(&self, repository: &Repository, url: &Url, list: &List) -> Result<Page> {
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
                | StatusCode::NOT_IMPLEMENTED => Ok(Page::NoApi(Support::Missing)),
                // GHCR sends whoever asks for the API to a web page of another host.
                status if is_redirect(status) => Ok(Page::NoApi(Support::Missing)),
                StatusCode::OK if !may_be_index(&answer) => Ok(Page::NoApi(Support::Missing)),
                StatusCode::OK => {
                    let next = next_page(&answer, url)?;
                    let named = answer.content_type();
                    let named = named.as_deref() == Some(media_type::OCI_INDEX);
                    let bytes = answer.bytes(self.options().limits.manifest_bytes).await?;
                    match entries::read(&bytes, list.room()) {
                        Ok(listed) if named || listed.says_index => {
                            Ok(Page::Index { listed, next })
                        }
                        Err(fault @ Fault::TooMany(_)) => Err(list.unreadable(fault).into()),
                        Err(fault) if named => Err(list.unreadable(fault).into()),
                        // Other JSON or text, from a registry that has no such API.
                        Ok(_) | Err(_) => Ok(Page::NoApi(Support::Missing)),
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
        let mut list = List::new(subject, self.options().limits.referrers);
        let tag = subject.digest().referrers_tag();
        let served = match self.served(repository, &tag, &list.what).await {
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        if subject.digest().matches(&served.bytes) {
            // What it lists, if it is an index, are its platforms.
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

    /// Whether the repository's registry has the referrers API, if we have found out.
    pub(super) fn referrers_api(&self, repository: &Repository) -> Option<bool> {
        let known = &self.shared.referrers_api;
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(repository).copied()
    }

    fn remember_referrers_api(&self, repository: &Repository, there: bool) {
        let known = &self.shared.referrers_api;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(repository.clone(), there);
    }
}

/// What a repository's registry does when asked for a list of referrers.
enum Support {
    Listed(Vec<Descriptor>),
    /// It has no such API.
    Missing,
    /// It doesn't know the repository (or won't say), which tells nothing about the API.
    Unknown,
}

enum Page {
    Index { listed: Listed, next: Option<Url> },
    NoApi(Support),
}

/// A registry with the API answers with an empty list, not with 404, when there are no referrers.
/// But it may say that there is no such repository.
async fn judge_not_found(answer: Answer) -> Support {
    match answer.error_message().await {
        Some(message) if message.code == "NAME_UNKNOWN" => Support::Unknown,
        _ => Support::Missing,
    }
}

/// Whether the body is worth reading. Web pages have been seen with status 200. Other types may be
/// an index: Harbor has called it `application/json` and `text/plain`, or nothing at all.
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

/// The list as it grows.
pub(super) struct List {
    what: String,
    limit: usize,
    /// Entries that were read, those that are left out among them.
    read: usize,
    descriptors: Vec<Descriptor>,
    digests: HashSet<Digest>,
}

impl List {
    pub(super) fn new(subject: &PinnedReference, limit: usize) -> Self {
        Self {
            what: format!("the list of referrers of {subject}"),
            limit,
            read: 0,
            descriptors: Vec::new(),
            digests: HashSet::new(),
        }
    }

    /// How many entries it still has room for.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.read)
    }

    /// Adds the entries of an index.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let listed = entries::read(bytes, self.room()).map_err(|fault| self.unreadable(fault))?;
        self.add(listed);
        Ok(())
    }

    /// Adds the entries of a page, which were read within [`List::room`].
    fn add(&mut self, page: Listed) {
        self.read += page.entries;
        for descriptor in page.descriptors {
            self.keep(descriptor);
        }
    }

    /// Adds an entry, if its digest isn't there yet.
    pub(super) fn push(&mut self, descriptor: Descriptor) -> Result<()> {
        if self.room() == 0 {
            return Err(self.limit(self.limit, "referrers"));
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

    fn unreadable(&self, fault: Fault) -> Error {
        match fault {
            Fault::Form(source) => Error::Manifest {
                what: self.what.clone(),
                source,
            },
            Fault::TooMany(_) => self.limit(self.limit, "referrers"),
        }
    }

    fn limit(&self, limit: usize, unit: &'static str) -> Error {
        Error::Limit {
            what: self.what.clone(),
            limit: limit as u64,
            unit,
        }
    }
}

/// The next page by the `Link` header (RFC 8288). `asked` is the URL of this page as we asked for
/// it, at the registry's own origin. The next page must be there too: the login goes along.
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

/// The target whose relation is `next`.
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
