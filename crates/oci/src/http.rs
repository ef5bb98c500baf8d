//! HTTP requests, to registries and to all other servers.
//!
//! All crates send their requests by this module, so that the same rules hold for all:
//!
//! - **Redirects and links** are followed one by one, by one rule ([`RedirectRefused`]). https
//!   never leads to http. No server leads further inside than it is itself ([`HostKind`]), neither
//!   by an address in any spelling nor by a name that resolves to one. The same holds for addresses
//!   that a gallery's index names ([`AddressLimit`](crate::AddressLimit)). Two things are not
//!   checked: names that a proxy resolves, and addresses that the user names.
//! - **Logins** belong to one origin ([`Credential`]). The code that sets the header compares the
//!   origin, so a login is never sent elsewhere.
//! - **Waiting** has a limit ([`Timeouts`](crate::Timeouts), [`Pace`]), and so has the size of a
//!   body. If a failure may pass, the request is repeated after growing, random pauses, and not
//!   before the time that the server gives ([`retrying`]).
//! - **Hosts** get a number of requests at the same time, and are left alone when they ask for it ([`Traffic`]).
//! - **URLs** in errors and logs have no login and no query ([`Redacted`]).

mod answer;
mod client;
mod connection;
mod last_failure;
mod names;
mod no_tls;
mod pace;
mod proxy;
mod rate_limit;
mod redacted;
mod redirect;
mod request;
mod retry;
mod traffic;

pub use crate::error::{RedirectRefused, TooSlow};
pub use crate::host::{HostKind, is_confidential};

pub use answer::Answer;
pub use connection::Connection;
pub use last_failure::LastFailure;
pub use names::Unresolved;
pub use no_tls::answers_without_tls;
pub use pace::Pace;
pub use proxy::{NoProxy, NoProxyError, proxy_url};
pub use redacted::{Redacted, shown};
pub use request::{Body, Credential, Request};
pub use retry::{AttemptError, retrying, status_may_pass};
pub use traffic::Traffic;

pub(crate) use answer::too_slow;
pub(crate) use redacted::host;
pub(crate) use redirect::{is_redirect, location};
pub(crate) use request::Upload;
pub(crate) use retry::pauses;
