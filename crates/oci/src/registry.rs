//! The registry client (OCI distribution specification 1.1).
//!
//! Only digests decide what content is. `Docker-Content-Digest`, content types of blobs and
//! descriptors of referrers decide nothing. Everything that is read is limited in bytes, in number
//! and in time. Only necessary requests are sent: no `GET /v2/`, and no `HEAD` before a `GET`.
//!
//! - `manifests`, `blobs`, `uploads`, `copy`, `referrers`: the operations, by their subject. They
//!   share `checks`; `entries` reads lists of descriptors
//! - `append`: changes what is at a tag that other clients write too; `append_layer` and `referrers` use it
//! - `select`: finds the manifest of an index for one platform
//! - `layouts`: reads the same from image layouts, without requests
//! - `tokens`, `scope`, `challenge`, `www_authenticate`: logins, which [`Credentials`](crate::Credentials) holds
//!
//! [`crate::http`] sends the requests.

mod append;
mod append_layer;
mod blobs;
mod challenge;
mod checks;
mod copy;
mod entries;
mod layouts;
mod manifests;
mod platforms;
mod referrers;
mod scope;
mod select;
mod tokens;
mod uploads;
mod walk;
mod www_authenticate;

#[cfg(fuzzing)]
pub use {challenge::read_challenge, referrers::read_referrers};

use std::fmt;
use std::sync::Arc;

use reqwest::StatusCode;
use url::Url;

use crate::error::{Error, Result};
use crate::http::{Answer, AttemptError, Body, Connection, Request};
use crate::layout::LayoutDraft;
use crate::options::Options;
use crate::reference::{Location, Repository};

use append::Appending;
use referrers::KnownReferrersApi;
use scope::{Access, Scope};
use tokens::{Authenticator, Reply};

pub use copy::Copied;
pub use layouts::LayoutImage;
pub use platforms::{Descendants, PlatformEntry};
pub use select::Selected;
pub use walk::INDEX_DEPTH_MAX;

/// A client for any number of registries. It also reads image layouts. Cloning is cheap, and clones
/// share connections and tokens.
///
/// ```no_run
/// use countersign_oci::{Credentials, Options, Reference, Registry};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new(Options {
///     credentials: Credentials::default().with_login("quay.io", "me", "token"),
///     ..Options::default()
/// })?;
/// let reference: Reference = "quay.io/team/app:v1".parse()?;
/// let image = registry.resolve(&reference).await?;
/// // From now on by digest, even if the tag moves.
/// let selected = registry.select(&image, &"linux/arm64".parse()?).await?;
/// println!("{}", selected.manifest.reference());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    authenticator: Authenticator,
    referrers_api: KnownReferrersApi,
    appending: Appending,
    /// A layout that is read as it will be.
    draft: Option<LayoutDraft>,
}

impl Registry {
    /// Makes a client. It doesn't connect yet.
    ///
    /// # Errors
    /// [`Error::Configuration`], if an option can't be used.
    pub fn new(options: Options) -> Result<Self> {
        Self::made(options, None)
    }

    fn made(options: Options, draft: Option<LayoutDraft>) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                connection: Connection::new(options)?,
                authenticator: Authenticator::default(),
                referrers_api: KnownReferrersApi::default(),
                appending: Appending::default(),
                draft,
            }),
        })
    }

    /// A client with the same options that has asked for nothing yet: it has no connection and no token,
    /// and knows nothing of any registry.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn anew(&self) -> Result<Self> {
        Self::new(self.options().clone())
    }

    /// As [`Self::anew`]. The client reads the draft's layout as it will be, by what was staged.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn seeing(&self, draft: LayoutDraft) -> Result<Self> {
        Self::made(self.options().clone(), Some(draft))
    }

    /// The HTTP connections, to share them with other requests.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    fn options(&self) -> &Options {
        self.shared.connection.options()
    }

    /// The URL of a path in a repository: `manifests/…`, `blobs/…`, `referrers/…`.
    fn url(&self, repository: &Repository, tail: &str) -> Result<Url> {
        let host = repository.api_host();
        let parse = |scheme: &str| {
            let text = format!("{scheme}://{host}/v2/{}/{tail}", repository.path());
            Url::parse(&text).map_err(|e| Error::Configuration {
                detail: format!("`{host}` can't be the host of a URL: {e}"),
            })
        };
        let url = parse("https")?;
        if self.options().plain_http.covers(url.host().as_ref()) {
            return parse("http");
        }
        Ok(url)
    }

    /// Where content of `location` is read.
    fn place(&self, location: &Location) -> Location {
        match (location, &self.options().instead_of_registries) {
            (Location::Registry(_), Some(layout)) => layout.clone().into(),
            (Location::Registry(_), None) | (Location::Layout(_), _) => location.clone(),
        }
    }

    /// Sends a request with the login for `access` to the repository. A challenge is answered with
    /// a token that another request got since, if there is one, and then with a new one. The status
    /// of the returned answer concerns this one request; refused access and server errors are
    /// returned as errors.
    ///
    /// Only the origin of the repository's API gets a login. Never answer a challenge from a
    /// redirect's target.
    async fn ask(
        &self,
        request: &Request,
        repository: &Repository,
        access: Access,
        mut body: Body,
    ) -> Result<Answer, AttemptError> {
        if let Some(layout) = &self.options().instead_of_registries {
            return Err(layout.needs_registry().into());
        }
        let Shared {
            connection,
            authenticator,
            ..
        } = self.shared.as_ref();
        let home = self.url(repository, "")?;
        if request.url.origin() != home.origin() {
            let answer = connection.exchange(request, None, &mut body).await?;
            return answer.settled("without a login").await;
        }
        let scope = Scope::new(repository, access);
        let mut known = authenticator
            .authorization(connection, &scope, &home)
            .await?;
        let mut replies = 0;
        loop {
            let credential = known.as_ref().map(|known| &known.credential);
            let answer = connection.exchange(request, credential, &mut body).await?;
            let login = known.as_ref().map(|known| known.login.as_str());
            let login = login.unwrap_or("without a login").to_owned();
            let challenged =
                answer.status() == StatusCode::UNAUTHORIZED && !answer.is_from_elsewhere();
            if !challenged || replies == REPLIES_MAX {
                return answer.settled(&login).await;
            }
            let reply = authenticator
                .answer(connection, &scope, &home, answer.headers(), known.as_ref())
                .await?;
            let fresh = match reply {
                Reply::Kept(fresh) => {
                    replies += 1;
                    fresh
                }
                Reply::New(fresh) => {
                    replies = REPLIES_MAX;
                    fresh
                }
            };
            if known.is_some_and(|known| known.credential == fresh.credential) {
                return answer.settled(&fresh.login).await;
            }
            if let Body::Upload(_) = body {
                // The caller can start the upload again, with the other token.
                let refused = answer.settled(&login).await;
                return refused.map_err(AttemptError::with_new_login);
            }
            known = Some(fresh);
        }
    }
}

/// How many challenges of one request are answered. The last answer is a new token.
const REPLIES_MAX: usize = 2;

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("options", self.options())
            .finish_non_exhaustive()
    }
}
