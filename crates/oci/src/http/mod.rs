//! How requests travel: to registries, and to whatever else is fetched or asked.
//!
//! One place for what all of them need, so that they can't drift apart:
//!
//! - **Redirects and links** are followed one by one, by one rule ([`RedirectRefused`]): https never
//!   leads to http, and no server leads further in than it is itself ([`HostKind`]), not by an
//!   address in any spelling, nor by a name that resolves to one. The same holds for what a place
//!   such as a gallery's index names ([`LedFrom`](crate::LedFrom)). Not covered: names that a proxy
//!   resolves, and what the user names himself.
//! - **Logins** are bound to one origin ([`Credential`]) and go nowhere else: the place that
//!   attaches headers compares.
//! - **Waiting** has an end ([`Timeouts`](crate::Timeouts), [`Pace`]), bodies have bounds, and what may pass
//!   is asked for again with growing, varied pauses, not before the server wants to be asked
//!   ([`retrying`]).
//! - **URLs** lose logins and queries before anybody sees them ([`Redacted`]).

mod answer;
mod connection;
mod host;
mod names;
mod pace;
mod proxy;
mod redacted;
mod redirect;
mod request;
mod retry;

pub use answer::Answer;
pub use connection::Connection;
pub use host::{HostKind, is_loopback};
pub use pace::{Pace, TooSlow};
pub use proxy::proxy_url;
pub use redacted::Redacted;
pub use redirect::RedirectRefused;
pub use request::{Body, Credential, Request};
pub use retry::{Failure, retrying, status_may_pass};

pub(crate) use answer::too_slow;
pub(crate) use host::is_loopback_host;
pub(crate) use proxy::proxy;
pub(crate) use redacted::{host, shown};
pub(crate) use redirect::{is_redirect, location};
pub(crate) use request::Upload;
pub(crate) use retry::pauses;
