//! The registry client (OCI distribution specification 1.1).
//!
//! Content is what its digest says, whatever a registry claims: `Docker-Content-Digest`, content
//! types of blobs and descriptors of referrers decide nothing. Everything read has an upper bound
//! in bytes, in number and in time. Requests are only those that the task needs: no `GET /v2/`,
//! no `HEAD` before a `GET`.
//!
//! - `manifests`, `blobs`, `uploads`, `copy`, `referrers`: the operations, by what they are about; `checks` is
//!   what they have in common, `entries` reads lists of descriptors
//! - `select`: the manifest of an index for one platform
//! - `layouts`: reading the same from image layouts, without requests
//! - `auth`, `authenticate`, `challenge`, `credentials`, `login`, `login_file`, `helper`: who we are
//!
//! How requests travel is in [`crate::http`].

mod auth;
mod authenticate;
mod blobs;
mod challenge;
mod checks;
mod copy;
mod credentials;
mod entries;
mod helper;
mod layouts;
mod login;
mod login_file;
mod manifests;
mod referrers;
mod select;
mod uploads;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use url::Url;

use crate::error::{Error, Result};
use crate::http::{Answer, Body, Connection, Failure, Request};
use crate::options::Options;
use crate::reference::Repository;

use auth::{Authenticator, Reply};
use challenge::{Access, Scope};

pub use copy::Copied;
pub use credentials::Credentials;
pub use select::Selected;

/// A client of any number of registries, and a reader of image layouts, which stand in for them.
/// Cheap to clone; clones share connections and tokens.
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
/// // From here on by digest, whatever becomes of the tag.
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
    /// Whether a repository's registry has the referrers API. By repository and not by host, since
    /// one host may stand before registries of several kinds.
    referrers_api: Mutex<HashMap<Repository, bool>>,
}

impl Registry {
    /// A client. Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Configuration`], when an option can't be used.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                connection: Connection::new(options)?,
                authenticator: Authenticator::default(),
                referrers_api: Mutex::default(),
            }),
        })
    }

    /// The way to registries, to be shared with whatever else is asked.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    fn options(&self) -> &Options {
        self.shared.connection.options()
    }

    /// The URL of something in a repository: `manifests/…`, `blobs/…`, `referrers/…`.
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

    /// Sends a request, with what the registry wants to see for `access` to the repository. A challenge
    /// is answered with the token that was agreed since, if there is one, and then with a new one. The
    /// answer's status is one that says something about this request, not about us or the registry's
    /// health.
    ///
    /// Only the origin of the repository's API is asked with a login, and only its challenge is
    /// answered: wherever else a link or a redirect leads, there is nothing for it.
    async fn ask(
        &self,
        request: &Request,
        repository: &Repository,
        access: Access,
        mut body: Body,
    ) -> Result<Answer, Failure> {
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
                // The caller can begin the content anew, and send it with the other token.
                let refused = answer.settled(&login).await;
                return refused.map_err(Failure::with_new_login);
            }
            known = Some(fresh);
        }
    }
}

/// Answers to challenges of one request. The last is with a new token, where there is a new one.
const REPLIES_MAX: usize = 2;

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("options", self.options())
            .finish_non_exhaustive()
    }
}
